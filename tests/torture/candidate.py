"""A candidate of this package as a process: contends for one Lease, for ever, and writes to a fenced file as it leads.

    python -m tests.torture.candidate --kubeconfig FILE --server URL --name NAME --identity ME --resource FILE ...

Prints one JSON object a line, each with `boot` (seconds on CLOCK_BOOTTIME, which all processes of a machine share)
and `time` (seconds since the epoch): `ready`, `started` (token), `stopping` (the work was told to), `stopped` (the
work has ended; `valid_until` by the term's own word), `released`, `stepping-down`. The work looks at no clock before
it writes and so offers stale writes after a freeze, as careless work would: to refuse them is the resource's part.

SIGUSR1: step down, rest, contend again. SIGTERM: step down and exit.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio

import lease_aio
from lease_aio import Timing
from lease_aio.api import AiohttpTransport, RestApi
from lease_aio.api.config import load_configuration
from lease_aio.election import Ended, Event, Stopping, Term
from tests.torture.resource import FencedFile, Outcome


def boot() -> float:
    """Seconds on the clock that all processes of this machine share."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def tell(event: str, **fields: object) -> None:
    """One event, with a single write(2): it is out even if SIGKILL comes next."""
    line = json.dumps({"event": event, "boot": boot(), "time": time.time(), **fields})
    os.write(1, line.encode() + b"\n")


def hear(event: Event) -> None:
    """What the election says of itself, for the analysis."""
    match event:
        case Stopping():
            tell("stopping", reason=event.reason.value)
        case Ended(term=term) if term is not None:
            tell("released" if event.released else "ended", reason=event.reason.value)
        case _:
            pass


@dataclass
class _WorkLog:
    """What one term's work did."""

    last: float = 0.0
    valid_until: float = -math.inf
    writes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))

    def tell_stopped(self, term: Term) -> None:
        writes = {outcome.value: count for outcome, count in self.writes.items()}
        tell("stopped", token=term.token, valid_until=self.valid_until, last_write=self.last, writes=writes)


@dataclass
class Candidate:
    """The process's one candidate, and the wishes that signals bring it.

    Attributes:
        overrun_s: How long the work goes on when it is told to stop: 0 for work that behaves.
    """

    name: str
    identity: str
    timing: Timing
    resource: FencedFile
    work_interval_s: float
    rest_s: float
    overrun_s: float
    term: Term | None = None
    wants_rest: bool = False

    async def contend(self, client: lease_aio.LeaseClient) -> None:
        """Term after term; never returns."""
        while True:
            await self._until_resigned(client)
            self.wants_rest = False
            await anyio.sleep(self.rest_s)

    async def _until_resigned(self, client: lease_aio.LeaseClient) -> None:
        terms = client.terms(self.name, identity=self.identity, timing=self.timing, observer=hear)
        async for term in terms:
            async with term:
                self.term = term
                await self._work(term)
            self.term = None
            if self.wants_rest:
                return

    async def _work(self, term: Term) -> None:
        log = _WorkLog()
        tell("started", token=term.token)
        try:
            while True:
                self._write(term, log)
                await anyio.sleep(self.work_interval_s)
        finally:
            with anyio.CancelScope(shield=True):
                await self._overrun(term, log)
            log.tell_stopped(term)

    async def _overrun(self, term: Term, log: _WorkLog) -> None:
        until = boot() + self.overrun_s
        while boot() < until:
            self._write(term, log)
            await anyio.sleep(self.work_interval_s)

    def _write(self, term: Term, log: _WorkLog) -> None:
        log.last, left_s = boot(), term.valid_for()
        if left_s > 0:
            log.valid_until = max(log.valid_until, log.last + left_s)
        log.writes[self.resource.write(holder=self.identity, token=term.token, boot=log.last)] += 1

    async def obey(self, scope: anyio.CancelScope) -> None:
        """Step down when asked to; end at SIGTERM."""
        with anyio.open_signal_receiver(signal.SIGUSR1, signal.SIGTERM) as signals:
            tell("ready")
            async for number in signals:
                tell("stepping-down")
                if number == signal.SIGTERM:
                    scope.cancel()
                    return
                if self.term is not None:
                    self.wants_rest = True
                    self.term.resign()


async def run(candidate: Candidate, *, kubeconfig: str, server: str) -> None:
    """Contend through `server`, with the kubeconfig's credentials, until SIGTERM."""
    configuration = (await load_configuration(kubeconfig)).configuration
    configuration.host = server or configuration.host
    async with (
        RestApi(AiohttpTransport(configuration)) as api,
        lease_aio.LeaseClient(api) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(candidate.obey, tasks.cancel_scope)
        await candidate.contend(client)


def arguments(timing: Timing) -> Mapping[str, object]:
    """What the command line needs to say for such durations."""
    return {
        "--lease-duration": timing.lease_duration_s,
        "--renew-interval": timing.renew_interval_s,
        "--request-timeout": timing.request_timeout_s,
        "--stop-grace": timing.stop_grace_s,
        "--retry-interval": timing.retry_interval_s,
    }


def main() -> None:
    """The process."""
    parser = argparse.ArgumentParser(description="One candidate of this package, for ever.")
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--server", default="")
    parser.add_argument("--name", required=True)
    parser.add_argument("--identity", required=True)
    parser.add_argument("--resource", required=True, type=Path)
    parser.add_argument("--work-interval", type=float, default=0.03)
    parser.add_argument("--rest", type=float, default=1.0)
    parser.add_argument("--overrun", type=float, default=0.0, help="how long the work goes on when told to stop")
    default = Timing()
    parser.add_argument("--lease-duration", type=int, default=default.lease_duration_s)
    parser.add_argument("--renew-interval", type=float, default=default.renew_interval_s)
    parser.add_argument("--request-timeout", type=float, default=default.request_timeout_s)
    parser.add_argument("--stop-grace", type=float, default=default.stop_grace_s)
    parser.add_argument("--retry-interval", type=float, default=default.retry_interval_s)
    given = parser.parse_args()
    candidate = Candidate(
        name=given.name,
        identity=given.identity,
        timing=Timing(
            lease_duration_s=given.lease_duration,
            renew_interval_s=given.renew_interval,
            request_timeout_s=given.request_timeout,
            stop_grace_s=given.stop_grace,
            retry_interval_s=given.retry_interval,
        ),
        resource=FencedFile(given.resource),
        work_interval_s=given.work_interval,
        rest_s=given.rest,
        overrun_s=given.overrun,
    )
    anyio.run(lambda: run(candidate, kubeconfig=given.kubeconfig, server=given.server))


if __name__ == "__main__":
    main()
