"""What it costs to have many renewals pending: the shared scheduler beside one asyncio task for each.

    python benchmarks/scheduler.py [--entries 100000] [--seconds 10] [--period 10] [--json]

Both sides fire the same entries with the same period, jitter and first phases on a fresh event loop, and do nothing
when they fire: what is left is the cost of waiting and of being woken. The scheduler also bounds what is in flight,
orders by deadline, and keeps its histograms; the tasks do none of that. CPU is the whole process's, divided by the
fires; memory is what tracemalloc sees once all entries wait, divided by the entries.
"""

import argparse
import asyncio
import gc
import json
import random
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import anyio

from lease_aio.clock import SystemClock
from lease_aio.scheduler import Priority, Renewal, Scheduler, Verdict, jittered, spread

JITTER = 0.04


@dataclass(frozen=True, kw_only=True)
class Load:
    entries: int
    period_s: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One side: `setup_s` is the CPU time to put all entries in place, lateness is None where nobody measures it."""

    side: str
    bytes_per_entry: float
    setup_s: float
    fires: int
    cpu_us_per_fire: float
    lateness_p99_ms: float | None


class Fires:
    """Counts the fires of all entries."""

    def __init__(self) -> None:
        self.count = 0


class Beat:
    """An entry of the scheduler: no more than where it counts, and when it comes again."""

    __slots__ = ("clock", "fires", "period_s")

    def __init__(self, clock: SystemClock, fires: Fires, period_s: float) -> None:
        self.clock = clock
        self.fires = fires
        self.period_s = period_s

    async def attempt(self) -> Verdict:
        self.fires.count += 1
        return Verdict(due=self.clock.now() + jittered(self.period_s, JITTER, random.random), renewed=True)


async def task_each(fires: Fires, first_s: float, period_s: float) -> None:
    await asyncio.sleep(first_s)
    while True:
        fires.count += 1
        await asyncio.sleep(jittered(period_s, JITTER, random.random))


Observe = Callable[[Fires], Awaitable[None]]


async def with_scheduler(load: Load, observe: Observe) -> float | None:
    clock, fires = SystemClock(), Fires()
    scheduler = Scheduler(clock)
    async with anyio.create_task_group() as group:
        group.start_soon(scheduler.run)
        await asyncio.sleep(0)
        began = clock.now() + 1.0
        for index in range(load.entries):
            beat = Beat(clock, fires, load.period_s)
            due = began + spread(index, load.period_s)
            scheduler.add(Renewal(beat.attempt, priority=Priority.BEAT, due=due))
        await observe(fires)
        group.cancel_scope.cancel()
    return scheduler.report().beats.lateness.percentile(99) * 1e3


async def with_tasks(load: Load, observe: Observe) -> float | None:
    fires = Fires()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(task_each(fires, 1.0 + spread(index, load.period_s), load.period_s))
            for index in range(load.entries)
        ]
        await asyncio.sleep(0)  # each runs to its first sleep
        await observe(fires)
        for task in tasks:
            task.cancel()
    return None


Side = Callable[[Load, Observe], Awaitable[float | None]]


def bytes_per_entry(side: Side, load: Load) -> float:
    at_rest = 0

    async def weigh(fires: Fires) -> None:
        nonlocal at_rest
        del fires
        gc.collect()
        at_rest = tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        asyncio.run(side(load, weigh))  # type: ignore[arg-type]
    finally:
        tracemalloc.stop()
    return at_rest / load.entries


def cpu(name: str, side: Side, load: Load, weight: float) -> Measured:
    setup_s = spent_s = 0.0
    count = 0
    began = time.process_time()

    async def watch(fires: Fires) -> None:
        nonlocal setup_s, spent_s, count
        setup_s = time.process_time() - began
        await asyncio.sleep(2.0)  # the first phase starts after one second
        before, fired = time.process_time(), fires.count
        await asyncio.sleep(load.seconds)
        spent_s, count = time.process_time() - before, fires.count - fired

    gc.collect()
    lateness_ms = asyncio.run(side(load, watch))  # type: ignore[arg-type]
    return Measured(
        side=name,
        bytes_per_entry=weight,
        setup_s=setup_s,
        fires=count,
        cpu_us_per_fire=spent_s / max(1, count) * 1e6,
        lateness_p99_ms=lateness_ms,
    )


def measure(name: str, side: Side, load: Load) -> Measured:
    return cpu(name, side, load, bytes_per_entry(side, load))


def table(load: Load, ours: Measured, theirs: Measured) -> str:
    def late(side: Measured) -> str:
        return "-" if side.lateness_p99_ms is None else f"{side.lateness_p99_ms:.1f} ms"

    rows = [
        ("", ours.side, theirs.side, "ratio"),
        (
            "memory per entry",
            f"{ours.bytes_per_entry:.0f} B",
            f"{theirs.bytes_per_entry:.0f} B",
            f"{theirs.bytes_per_entry / ours.bytes_per_entry:.1f}",
        ),
        (
            "CPU per fire",
            f"{ours.cpu_us_per_fire:.1f} µs",
            f"{theirs.cpu_us_per_fire:.1f} µs",
            f"{theirs.cpu_us_per_fire / ours.cpu_us_per_fire:.1f}",
        ),
        (
            "CPU to set up",
            f"{ours.setup_s:.2f} s",
            f"{theirs.setup_s:.2f} s",
            f"{theirs.setup_s / ours.setup_s:.1f}",
        ),
        ("fires", str(ours.fires), str(theirs.fires), ""),
        ("lateness p99", late(ours), late(theirs), ""),
    ]
    head = f"{load.entries:,} entries, every {load.period_s:g} s, measured for {load.seconds:g} s"
    return "\n".join([head, *(f"{a:<18}{b:>14}{c:>18}{d:>8}" for a, b, c, d in rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description="the shared scheduler beside one asyncio task for each entry")
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="measured time of each side")
    parser.add_argument("--period", type=float, default=10.0, help="seconds between two fires of one entry")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    args = parser.parse_args()
    load = Load(entries=args.entries, period_s=args.period, seconds=args.seconds)
    ours = measure("scheduler", with_scheduler, load)
    theirs = measure("a task each", with_tasks, load)
    if args.json:
        print(json.dumps({"load": asdict(load), "scheduler": asdict(ours), "task_each": asdict(theirs)}))
    else:
        print(table(load, ours, theirs))


if __name__ == "__main__":
    main()
