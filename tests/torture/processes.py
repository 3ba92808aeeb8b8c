"""Candidates as processes: started, frozen, killed and restarted, each behind a fault proxy of its own."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.abc

from lease_aio import Timing
from lease_aio.testing.envtest import ControlPlane
from lease_aio.testing.servers import DIE_WITH_PARENT
from tests.torture import candidate
from tests.torture.build import clientgo
from tests.torture.proxy import FaultProxy, fault_proxy
from tests.torture.resource import FencedFile

END_WITHIN_S = 60.0

Event = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class GoTiming:
    """client-go's three durations, and whether it releases."""

    lease_duration_s: float = 15
    renew_deadline_s: float = 10
    retry_period_s: float = 2
    release_on_cancel: bool = True


@dataclass(eq=False)
class Life:
    """One process of a candidate, from its start to its end.

    Attributes:
        identity: The holder that it writes; no two lives share one.
        events: What it told, in order.
        freezes: From SIGSTOP to SIGCONT, on CLOCK_BOOTTIME.
        ended: When it was gone; infinity while it lives.
        killed: By SIGKILL.
    """

    identity: str
    process: anyio.abc.Process
    events: list[Event] = field(default_factory=list)
    freezes: list[tuple[float, float]] = field(default_factory=list)
    ended: float = float("inf")
    killed: bool = False
    frozen_since: float | None = None

    @property
    def alive(self) -> bool:
        """It has not ended, as far as is known."""
        return self.process.returncode is None and not self.killed

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; a process that is gone takes none."""
        if self.alive:
            self.process.send_signal(number)

    def freeze(self) -> None:
        """SIGSTOP."""
        self.frozen_since = candidate.boot()
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        if self.frozen_since is not None:
            self.freezes.append((self.frozen_since, candidate.boot()))
            self.frozen_since = None
            self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL; what it did so far is in `events` once its output has been read."""
        self.thaw()
        if self.alive:
            self.process.kill()
            self.killed, self.ended = True, candidate.boot()

    def cpu_s(self) -> float:
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float:
        """Its resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(eq=False, kw_only=True)
class Program:
    """What is run as a process again and again.

    Attributes:
        command: Its words, for the identity of one life.
        errors: Gets its standard error.
        told: Called with each event as it arrives.
    """

    name: str
    command: Callable[[str], Sequence[str]]
    tasks: anyio.abc.TaskGroup
    errors: Path
    told: Callable[[Event], None] | None = None
    lives: list[Life] = field(default_factory=list)

    @property
    def life(self) -> Life:
        """The present one, or the last."""
        return self.lives[-1]

    async def start(self) -> Life:
        """Begin a new life."""
        identity = f"{self.name}.{len(self.lives)}"
        wrapper = [sys.executable, "-I", "-S", "-c", DIE_WITH_PARENT, str(os.getpid())]
        with self.errors.open("ab") as errors:
            process = await anyio.open_process(
                [*wrapper, *self.command(identity)],
                stdin=subprocess.DEVNULL,
                stderr=errors,
                cwd=Path(__file__).parents[2],
            )
        self.lives.append(Life(identity, process))
        self.tasks.start_soon(self._listen, self.life)
        return self.life

    async def _listen(self, life: Life) -> None:
        assert life.process.stdout is not None
        rest = b""
        async with life.process.stdout as output:
            async for chunk in output:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    life.events.append(json.loads(line))
                    if self.told is not None:
                        self.told(life.events[-1])
        await life.process.wait()
        life.ended = min(life.ended, candidate.boot())

    async def end(self) -> bool:
        """SIGTERM, or SIGKILL for one that does not listen; says whether it listened."""
        life = self.life
        life.thaw()
        life.signal(signal.SIGTERM)
        with anyio.move_on_after(END_WITHIN_S):
            await life.process.wait()
        listened = life.killed or life.process.returncode is not None
        life.kill()
        await life.process.wait()
        return listened


@dataclass(eq=False, kw_only=True)
class Member(Program):
    """One candidate of the fleet.

    Attributes:
        ours: It runs this package; else client-go.
        address: Where its requests come from, by the API server's audit log.
    """

    ours: bool
    address: str
    proxy: FaultProxy


@dataclass(kw_only=True)
class Fleet:
    """All candidates on one Lease, and what they say.

    Attributes:
        lease: Its name.
        folder: For the resource, the logs and the errors.
        words: More arguments for the candidates of ours.
    """

    plane: ControlPlane
    folder: Path
    lease: str
    tasks: anyio.abc.TaskGroup
    timing: Timing = field(default_factory=Timing)
    go_timing: GoTiming = field(default_factory=GoTiming)
    rest_s: float = 1.0
    words: Sequence[str] = ()
    members: list[Member] = field(default_factory=list)

    @property
    def resource(self) -> Path:
        """The fenced file."""
        return self.folder / f"{self.lease}.sqlite"

    @property
    def unfenced(self) -> Path:
        """What client-go's candidates wrote."""
        return self.folder / f"{self.lease}.unfenced"

    async def add(self, proxy: FaultProxy, *, ours: bool, address: str) -> Member:
        """Start one more candidate behind this proxy."""
        kind = "ours" if ours else "clientgo"
        name = f"{kind}-{sum(member.ours is ours for member in self.members)}"
        command = self._our_command if ours else self._go_command
        member = Member(
            name=name,
            command=functools.partial(command, proxy.port),
            tasks=self.tasks,
            errors=self.folder / f"{name}.stderr",
            ours=ours,
            address=address,
            proxy=proxy,
        )
        self.members.append(member)
        await member.start()
        return member

    def _common(self, port: int, identity: str) -> list[str]:
        server = f"https://127.0.0.1:{port}"
        reach = ("--kubeconfig", str(self.plane.kubeconfig), "--server", server)
        return [*reach, "--name", self.lease, "--identity", identity]

    def _our_command(self, port: int, identity: str) -> Sequence[str]:
        timing = [str(word) for pair in candidate.arguments(self.timing).items() for word in pair]
        more = ["--resource", str(self.resource), "--rest", str(self.rest_s), *timing, *self.words]
        return [sys.executable, "-m", "tests.torture.candidate", *self._common(port, identity), *more]

    def _go_command(self, port: int, identity: str) -> Sequence[str]:
        timing = self.go_timing
        return [
            str(clientgo()),
            *self._common(port, identity),
            *("--work-log", str(self.unfenced), "--rest", f"{self.rest_s}s"),
            *("--lease-duration", f"{timing.lease_duration_s}s", "--renew-deadline", f"{timing.renew_deadline_s}s"),
            *("--retry-period", f"{timing.retry_period_s}s"),
            f"--release-on-cancel={str(timing.release_on_cancel).lower()}",
        ]

    def leader(self) -> Member | None:
        """Who works now, by its own word; the latest to start, if several do."""
        working = [member for member in self.members if working_since(member.life) is not None]
        return max(working, key=lambda member: working_since(member.life) or 0, default=None)

    async def end(self) -> list[str]:
        """Stop all; the names of those that did not listen to SIGTERM."""
        deaf: list[str] = []

        async def end(member: Member) -> None:
            if not await member.end():
                deaf.append(member.name)

        async with anyio.create_task_group() as tasks:
            for member in self.members:
                tasks.start_soon(end, member)
        return deaf


async def until(true: Callable[[], bool], within_s: float) -> bool:
    """Wait until something is true; says whether it became so in time."""
    deadline = time.monotonic() + within_s
    while not true() and time.monotonic() < deadline:  # noqa: ASYNC110 - it is asked of other processes
        await anyio.sleep(0.01)
    return true()


def working_since(life: Life) -> float | None:
    """When its work began, if it works."""
    if life.alive:
        for event in reversed(life.events):
            if event["event"] in {"started", "stopped"}:
                return event["boot"] if event["event"] == "started" else None
    return None


@asynccontextmanager
async def fleet(
    plane: ControlPlane, folder: Path, lease: str, *, ours: int, client_go: int, **options: Any
) -> AsyncGenerator[Fleet]:
    """Candidates on one Lease, each behind its proxy, all started; whatever happens, none outlives the block."""
    host, port = plane.url.removeprefix("https://").split(":")
    async with anyio.create_task_group() as tasks:
        all_of_them = Fleet(plane=plane, folder=folder, lease=lease, tasks=tasks, **options)
        try:
            async with _proxies(host, int(port), ours + client_go) as proxies:
                FencedFile(all_of_them.resource).create()
                for number, (address, proxy) in enumerate(proxies):
                    await all_of_them.add(proxy, ours=number < ours, address=address)
                yield all_of_them
                tasks.cancel_scope.cancel()
        finally:
            for member in all_of_them.members:
                member.life.kill()


@asynccontextmanager
async def _proxies(host: str, port: int, count: int) -> AsyncGenerator[list[tuple[str, FaultProxy]]]:
    async with AsyncExitStack() as stack:
        addresses = [f"127.0.1.{number + 1}" for number in range(count)]
        yield [(each, await stack.enter_async_context(fault_proxy(host, port, source=each))) for each in addresses]
