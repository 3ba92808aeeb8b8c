"""`lease-aio lead`: hold a Lease, and run a command while it is held."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

import anyio

from lease_aio.cli.connection import probe
from lease_aio.cli.output import Output
from lease_aio.cli.process import KILL_ALLOWANCE_S, Group, Guard, check_command, guarding, start
from lease_aio.client import LeaseClient
from lease_aio.clock import SystemClock
from lease_aio.election import DuplicateIdentity, Ended, Event, Term, Waiting
from lease_aio.election.coordinated import CandidateInfo
from lease_aio.election.coordinated.info import check_candidate_name
from lease_aio.errors import ConfigurationError, TermLost, Throttled, Unavailable
from lease_aio.naming import check_lease_name
from lease_aio.timing import Timing

_RENEW_GUARD_EVERY_S = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadOptions:
    """What `lead` was asked for.

    Attributes:
        name: The Lease.
        identity: Written as holder; None for one that no other process has.
        timing: Durations; the stop grace has room for the kill.
        command: Its words; empty to hold the Lease without one.
        forever: Contend again when the term is lost.
        coordinated: Wait for a coordinator, and tell it this.

    Raises:
        ConfigurationError: the name is none, the command cannot be run, or the identity cannot name a LeaseCandidate.
    """

    name: str
    identity: str | None
    timing: Timing
    command: tuple[str, ...]
    forever: bool
    coordinated: CandidateInfo | None = None

    def __post_init__(self) -> None:
        check_lease_name(self.name)
        check_command(self.command)
        if self.coordinated is not None and self.identity is not None:
            check_candidate_name(self.identity)

    @property
    def grace_s(self) -> float:
        """Between SIGTERM and SIGKILL."""
        return self.timing.stop_grace_s - KILL_ALLOWANCE_S


def lead_timing(*, lease_duration_s: int, renew_interval_s: float, grace_s: float) -> Timing:
    """The durations of an election whose work may be killed `grace_s` after it was asked to stop.

    Raises:
        ConfigurationError: they cannot work together; named as the options are.
    """
    try:
        return Timing(
            lease_duration_s=lease_duration_s,
            renew_interval_s=renew_interval_s,
            request_timeout_s=min(3.0, renew_interval_s),
            retry_interval_s=min(1.0, renew_interval_s),
            stop_grace_s=grace_s + KILL_ALLOWANCE_S if grace_s >= 0 else grace_s,
        )
    except ConfigurationError as error:
        given = f"--lease-duration {lease_duration_s} --renew-interval {renew_interval_s:g} --grace {grace_s:g}"
        raise ConfigurationError(f"{given}: {error}") from error


async def lead(leases: LeaseClient, options: LeadOptions, output: Output) -> int:
    """Contend, work while leading, release.

    Returns:
        The exit code of the command.

    Raises:
        TermLost: the term ended first; the command was stopped before this is raised. Not with `forever`.
        ApiError: the API server refuses, or cannot be reached at the start (with `forever` it is waited for).
    """
    await _ask(leases, options, output)
    while True:
        try:
            return await _lead_once(leases, options, _Voice(output, leases, options))
        except TermLost:
            if not options.forever:
                raise


async def _ask(leases: LeaseClient, options: LeadOptions, output: Output) -> None:
    """Ask once at the start; only with `forever` is a server that is away waited for, and then that is said."""
    try:
        await probe(leases, name=options.name)
    except (Unavailable, Throttled) as error:
        if not options.forever:
            raise
        output.note(f"lease-aio: warning: {error}; waiting for it")


async def _lead_once(leases: LeaseClient, options: LeadOptions, voice: _Voice) -> int:
    ended_with: list[int] = []
    leading = leases.lead(
        options.name,
        identity=options.identity,
        timing=options.timing,
        observer=voice.hear,
        coordinated=options.coordinated,
    )
    async with leading as term:
        voice.started(term)
        try:
            if options.command:
                async with guarding() as guard:
                    await _work(term, options, guard, ended_with, stdout=sys.stderr if voice.json else None)
            else:
                await anyio.sleep_forever()
        finally:
            voice.stopped(term, ended_with=ended_with[0] if ended_with else None)
        term.check()  # the command ended because the guard killed it while this process was frozen
    return ended_with[0] if ended_with else 0


async def _work(
    term: Term, options: LeadOptions, guard: Guard, ended_with: list[int], *, stdout: TextIO | None
) -> None:
    """Run the command, and note its exit code; whatever happens, its process group is gone when this returns."""
    group = await start(options.command, environ=command_environ(term, os.environ), stdout=stdout)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_keep_allowed, guard, group, term, options.timing.stop_grace_s)
            ended_with.append(await group.wait())
            tasks.cancel_scope.cancel()
    finally:
        await group.stop(options.grace_s)
        with anyio.CancelScope(shield=True):
            await guard.release()


async def _keep_allowed(guard: Guard, group: Group, term: Term, stop_grace_s: float) -> None:
    """Tell the guard again and again how long the group may live without being stopped by this process."""
    clock = SystemClock()
    while (valid_s := term.valid_for()) > 0:
        await guard.allow(group.id, clock.now() + valid_s + stop_grace_s)
        await anyio.sleep(_RENEW_GUARD_EVERY_S)


def command_environ(term: Term, environ: Mapping[str, str]) -> dict[str, str]:
    """What the command sees: who leads, and the token that keeps a stale writer out."""
    return {
        **environ,
        "LEASE_AIO_LEASE": f"{term.namespace}/{term.name}",
        "LEASE_AIO_HOLDER": term.holder,
        "LEASE_AIO_TOKEN": str(term.token),
    }


class _Voice:
    """Tells what happens. To people on standard error while a command runs: standard output is the command's then."""

    def __init__(self, output: Output, leases: LeaseClient, options: LeadOptions) -> None:
        self._output = output
        self._lease = f"{leases.namespace}/{options.name}"
        self._identity = options.identity or leases.identity
        self._beside_command = bool(options.command)
        self._coordinated = options.coordinated is not None

    @property
    def json(self) -> bool:
        return self._output.json

    def hear(self, event: Event) -> None:
        match event:
            case Waiting():
                holder = event.holder or "a holder that was deleted or gave no name"
                self._say("waiting", f"waiting for {self._lease}, held by {holder}", holder=event.holder)
            case DuplicateIdentity():
                text = f"another process contends for {self._lease} as {self._identity}: give it another --identity"
                self._say("duplicate", text)
            case Ended(term=term, released=True) if term is not None:
                self._say("released", f"released {self._lease}", token=term.token)
            case _:
                pass

    def started(self, term: Term) -> None:
        text = f"leading {self._lease} as {term.holder} (token {term.token}, transitions {term.transitions})"
        chosen = {"appointed": term.appointed} if self._coordinated else {}
        self._say("started", text, token=term.token, transitions=term.transitions, **chosen)

    def stopped(self, term: Term, *, ended_with: int | None) -> None:
        code = {} if ended_with is None else {"exit_code": ended_with}
        if term.reason is not None or ended_with is None:
            reason = term.reason.value if term.reason is not None else "signal"
        else:
            reason = "command-ended" if term.valid_for() > 0 else "expired"
        detail = f" with exit code {ended_with}" if reason == "command-ended" else ""
        self._say("stopped", f"stopped: {reason}{detail}", reason=reason, token=term.token, **code)

    def _say(self, event: str, text: str, **fields: object) -> None:
        if self._beside_command and not self.json:
            self._output.note(f"lease-aio: {text}")
        else:
            self._output.event(event, text, lease=self._lease, identity=self._identity, **fields)
