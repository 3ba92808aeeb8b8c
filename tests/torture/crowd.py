"""Many elections, two processes, one event loop each: who leads what, how fast it changes hands, and what it costs.

Overlaps are looked for twice: in what the processes say, Lease by Lease, and in the API server's history, where nobody
may overwrite another's name before its duration is over.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from lease_aio import Timing
from lease_aio.testing.envtest import ControlPlane
from tests.torture.analysis import Evidence, LifeRecord, Overlap, Work, overlaps, works_of
from tests.torture.candidate import boot
from tests.torture.history import Recorder, recorded
from tests.torture.processes import Event, Program, until

PATIENCE_S = 120.0
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
        usurped: Writes that replaced another live holder, by the API server's history.
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


@dataclass
class _Stage:
    """Counts who leads what, from what the processes tell."""

    leaders: dict[str, int] = field(default_factory=dict)

    def hear(self, event: Event) -> None:
        if "name" in event:
            change = 1 if event["event"] == "started" else -1
            self.leaders[event["name"]] = self.leaders.get(event["name"], 0) + change

    def led(self) -> int:
        return sum(count > 0 for count in self.leaders.values())


async def many(plane: ControlPlane, folder: Path, *, count: int, hold_s: float, prefix: str = "many") -> Many:
    """Two processes contend for `count` elections; then one ends, another comes, and one is killed."""
    async with recorded(plane) as recorder, anyio.create_task_group() as tasks:
        programs: list[Program] = []

        async def start() -> tuple[Program, _Stage]:
            stage, name = _Stage(), f"many-{len(programs)}"
            command = [sys.executable, "-m", "tests.torture.many", "--kubeconfig", str(plane.kubeconfig)]
            command += ["--prefix", prefix, "--count", str(count), "--identity"]
            program = Program(
                name=name,
                command=lambda identity: [*command, identity],
                tasks=tasks,
                errors=folder / f"{name}.stderr",
                told=stage.hear,
            )
            programs.append(program)
            await program.start()
            return program, stage

        try:
            first, of_first = await start()
            second, of_second = await start()
            since = boot()
            await _patiently(lambda: of_first.led() + of_second.led() == count, programs)
            all_led_s = boot() - since
            costs = await _costs(((first, of_first), (second, of_second)), hold_s)
            if of_first.led() < of_second.led():
                first, of_first, second, of_second = second, of_second, first, of_first
            since = boot()
            first.life.signal(signal.SIGTERM)
            await _patiently(lambda: of_second.led() == count, programs)
            after_release_s = boot() - since
            third, of_third = await start()
            await _patiently(lambda: bool(third.life.events), programs)
            await anyio.sleep(5)
            since = boot()
            second.life.kill()
            await _patiently(lambda: of_third.led() > 0, programs)
            first_won_s = boot() - since
            await _patiently(lambda: of_third.led() == count, programs)
            after_kill_s = boot() - since
            await third.end()
        finally:
            for program in programs:
                program.life.kill()
        return Many(
            elections=count,
            all_led_s=all_led_s,
            after_release_s=after_release_s,
            after_kill_s=after_kill_s,
            first_won_s=first_won_s,
            costs=costs,
            overlaps=_overlaps(programs),
            usurped=_usurped(recorder, prefix),
            history=len(recorder.writes),
        )


async def _patiently(true: Callable[[], bool], programs: Sequence[Program]) -> None:
    if not await until(true, PATIENCE_S):
        raise AssertionError(f"not within {PATIENCE_S:g} s; see {[str(each.errors) for each in programs]}")


async def _costs(pairs: Sequence[tuple[Program, _Stage]], hold_s: float) -> list[Cost]:
    before, start = [program.life.cpu_s() for program, _ in pairs], boot()
    await anyio.sleep(hold_s)
    took_s = boot() - start
    return [
        Cost(
            identity=program.life.identity,
            led=stage.led(),
            cpu_percent=100 * (program.life.cpu_s() - spent) / took_s,
            memory_mib=program.life.memory_mib(),
        )
        for (program, stage), spent in zip(pairs, before, strict=True)
    ]


def _overlaps(programs: Sequence[Program]) -> list[Overlap]:
    by_lease: dict[str, list[Work]] = {}
    for program in programs:
        life, names = program.life, {event["name"] for event in program.life.events if "name" in event}
        by_name: dict[str, list[Event]] = {name: [] for name in names}
        for event in life.events:
            if "name" in event:
                by_name[event["name"]].append(event)
        for name, events in by_name.items():
            record = LifeRecord(
                candidate=program.name,
                ours=True,
                identity=life.identity,
                events=events,
                ended=life.ended,
                killed=life.killed,
            )
            by_lease.setdefault(name, []).extend(works_of(record))
    return [
        overlap
        for works in by_lease.values()
        for overlap in overlaps(
            Evidence(
                works=works,
                writes=(),
                writers={},
                lease_duration_s=TIMING.lease_duration_s,
                stop_grace_s=TIMING.stop_grace_s,
            )
        )
    ]


def _usurped(recorder: Recorder, prefix: str) -> list[str]:
    """Who overwrote another's name in less than its duration."""
    found, last = [], {}
    for write in recorder.writes:
        before = last.get(write.lease)
        last[write.lease] = write
        if write.lease.startswith(prefix) and before is not None and before.holder not in {"", write.holder}:
            waited_s = write.seen - before.seen
            if write.holder and waited_s < before.duration_s - 0.5:
                found.append(f"{write.lease}: {write.holder} over {before.holder} after {waited_s:.2f} s")
    return found
