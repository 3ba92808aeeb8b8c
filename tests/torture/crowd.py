"""Many elections, two processes, one event loop each: who leads what, how fast it changes hands, and what it costs.

Overlaps are looked for twice: in what the processes say, Lease by Lease, and in the API server's history, where nobody
may overwrite another's name before its duration is over.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.abc

from lease_aio import Timing
from lease_aio.testing.envtest import ControlPlane
from tests.torture.analysis import Evidence, LifeRecord, Overlap, Work, overlaps, works_of
from tests.torture.candidate import boot
from tests.torture.history import Audit, Recorder, Request, recorded
from tests.torture.processes import Event, Program, until

PATIENCE_S = 120.0
_SETTLE_S = 5.0
TIMING = Timing()


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one process, while nothing changes."""

    identity: str
    led: int
    cpu_percent: float
    memory_mib: float


@dataclass(frozen=True, kw_only=True)
class Many:
    """What was measured.

    Attributes:
        all_led_s: From the start of the second process until each election had a leader.
        after_release_s: From SIGTERM to the process that led more until the other one led all.
        after_kill_s: From SIGKILL to that one until a third one led all.
        first_won_s: The same for the first one it won.
        overlaps: Pairs of terms of one Lease that overlapped.
        history: How many writes the API server stored.
        usurped: Writes that replaced another live holder, by the API server's own times.
    """

    elections: int
    all_led_s: float
    after_release_s: float
    after_kill_s: float
    first_won_s: float
    costs: Sequence[Cost]
    overlaps: Sequence[Overlap]
    usurped: Sequence[str]
    history: int


@dataclass(eq=False, kw_only=True)
class _Process(Program):
    """One that contends for all; knows what it leads, from what it tells."""

    leads: Counter[str] = field(default_factory=Counter)

    def hear(self, event: Event) -> None:
        if "name" in event:
            self.leads[event["name"]] += 1 if event["event"] == "started" else -1

    def led(self) -> int:
        return sum(self.leads.values())


@dataclass(kw_only=True)
class _Crowd:
    plane: ControlPlane
    folder: Path
    prefix: str
    count: int
    tasks: anyio.abc.TaskGroup
    processes: list[_Process] = field(default_factory=list)

    async def start(self) -> _Process:
        name = f"many-{len(self.processes)}"
        process = _Process(name=name, command=self._command, tasks=self.tasks, errors=self.folder / f"{name}.stderr")
        process.told = process.hear
        self.processes.append(process)
        await process.start()
        return process

    def _command(self, identity: str) -> Sequence[str]:
        more = ("--prefix", self.prefix, "--count", str(self.count), "--identity", identity)
        return [sys.executable, "-m", "tests.torture.many", "--kubeconfig", str(self.plane.kubeconfig), *more]

    async def until(self, true: Callable[[], bool]) -> float:
        """Wait until it is true; how long that took."""
        since = boot()
        if not await until(true, PATIENCE_S):
            raise AssertionError(f"not within {PATIENCE_S:g} s; see {self.folder}/*.stderr")
        return boot() - since

    async def run(self, recorder: Recorder, audit: Audit, hold_s: float) -> Many:
        """Two contend; the one that leads more ends; a third comes, and the second is killed."""
        first, second = await self.start(), await self.start()
        all_led_s = await self.until(lambda: first.led() + second.led() == self.count)
        costs = await _costs((first, second), hold_s)
        first, second = sorted((first, second), key=_Process.led, reverse=True)
        first.life.signal(signal.SIGTERM)
        after_release_s = await self.until(lambda: second.led() == self.count)
        third = await self.start()
        await self.until(lambda: bool(third.life.events))
        await anyio.sleep(_SETTLE_S)
        second.life.kill()
        first_won_s = await self.until(lambda: third.led() > 0)
        rest_won_s = await self.until(lambda: third.led() == self.count)
        await third.end()
        return Many(
            elections=self.count,
            all_led_s=all_led_s,
            after_release_s=after_release_s,
            first_won_s=first_won_s,
            after_kill_s=first_won_s + rest_won_s,
            costs=costs,
            overlaps=_overlaps(self.processes),
            usurped=usurped(audit.requests(), self.prefix),
            history=len(recorder.writes),
        )


async def many(
    plane: ControlPlane, audit: Audit, folder: Path, *, count: int, hold_s: float, prefix: str = "many"
) -> Many:
    """Have two processes contend for `count` elections, and measure."""
    async with recorded(plane) as recorder, anyio.create_task_group() as tasks:
        crowd = _Crowd(plane=plane, folder=folder, prefix=prefix, count=count, tasks=tasks)
        try:
            return await crowd.run(recorder, audit, hold_s)
        finally:
            for process in crowd.processes:
                process.life.kill()


async def _costs(processes: Sequence[_Process], hold_s: float) -> list[Cost]:
    before, start = [process.life.cpu_s() for process in processes], boot()
    await anyio.sleep(hold_s)
    took_s = boot() - start
    return [
        Cost(
            identity=process.life.identity,
            led=process.led(),
            cpu_percent=100 * (process.life.cpu_s() - spent) / took_s,
            memory_mib=process.life.memory_mib(),
        )
        for process, spent in zip(processes, before, strict=True)
    ]


def _overlaps(processes: Sequence[Program]) -> list[Overlap]:
    by_lease: dict[str, list[Work]] = {}
    for process in processes:
        for name, events in _by_lease(process.life.events).items():
            record = LifeRecord(
                candidate=process.name,
                ours=True,
                identity=process.life.identity,
                events=events,
                ended=process.life.ended,
                killed=process.life.killed,
            )
            by_lease.setdefault(name, []).extend(works_of(record))
    return [overlap for works in by_lease.values() for overlap in overlaps(_evidence(works))]


def _by_lease(events: Sequence[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in events:
        if "name" in event:
            found.setdefault(event["name"], []).append(event)
    return found


def _evidence(works: Sequence[Work]) -> Evidence:
    duration_s, grace_s = TIMING.lease_duration_s, TIMING.stop_grace_s
    return Evidence(works=works, writes=(), writers={}, lease_duration_s=duration_s, stop_grace_s=grace_s)


def usurped(requests: Iterable[Request], prefix: str) -> list[str]:
    """Who overwrote another's name in less than its duration: less, at the most that may have passed between them."""
    found: list[str] = []
    last: dict[str, Request] = {}
    stored = (each for each in requests if each.version and each.lease.startswith(prefix))
    for each in sorted(stored, key=lambda request: request.version):
        before = last.get(each.lease)
        last[each.lease] = each
        if before is not None and each.holder and before.holder not in {"", each.holder}:
            waited_s = each.answered - before.received
            if waited_s < before.duration_s:
                found.append(f"{each.lease}: {each.holder} over {before.holder} after {waited_s:.2f} s")
    return found
