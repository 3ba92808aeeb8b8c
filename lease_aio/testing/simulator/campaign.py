"""Many seeds, on several processes, added up."""

from __future__ import annotations

import gc
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field

from lease_aio.election.core import Election
from lease_aio.errors import ConfigurationError
from lease_aio.testing.simulator.faults import FAULTS
from lease_aio.testing.simulator.invariants import CLIENT_GOS_OWN, Violation
from lease_aio.testing.simulator.plan import EVERYTHING, Plan
from lease_aio.testing.simulator.world import Outcome, World

_CHUNK = 100
_FAILURES_KEPT = 10


@dataclass(kw_only=True, slots=True)
class Tally:
    """What many seeds did, added up.

    Attributes:
        seeds: How many.
        violations: How many broke a promise.
        failing: The first of those, with what they broke.
        faults: How often each class struck.
        overlaps: Overlapping work that is not ours to answer for, by cause.
        overlapping: Seeds in which electors of client-go overlapped without an excuse.
        most_requests: The most of one candidate in ten of its retry intervals.
        longest_calm_s: The longest that the calm lasted before somebody led for good.
    """

    seeds: int = 0
    violations: int = 0
    failing: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    faults: Counter[str] = field(default_factory=Counter[str])
    overlaps: Counter[str] = field(default_factory=Counter[str])
    overlapping: int = 0
    terms: int = 0
    requests: int = 0
    simulated_s: float = 0.0
    most_requests: int = 0
    longest_calm_s: float = 0.0
    writes_offered: int = 0
    stale_offered: int = 0
    stale_accepted: int = 0
    appointed: int = 0
    fallbacks: int = 0
    yields: int = 0

    @property
    def silent_faults(self) -> list[str]:
        """The classes that never struck."""
        return self.silent(FAULTS)

    def silent(self, faults: Mapping[str, str]) -> list[str]:
        """Those of these classes that never struck."""
        return [fault for fault in faults if not self.faults[fault]]

    def count(self, outcome: Outcome) -> None:
        """One more seed, that kept its promises."""
        self.seeds += 1
        self.faults.update(outcome.faults)
        self.overlaps.update(outcome.overlaps)
        self.overlapping += outcome.overlaps[CLIENT_GOS_OWN] > 0
        self.terms += outcome.terms
        self.requests += outcome.requests
        self.simulated_s += outcome.simulated_s
        self.most_requests = max(self.most_requests, outcome.most_requests)
        self.longest_calm_s = max(self.longest_calm_s, outcome.calm_s)
        self.writes_offered += outcome.writes_offered
        self.stale_offered += outcome.stale_offered
        self.stale_accepted += outcome.stale_accepted
        self.appointed += outcome.appointed
        self.fallbacks += outcome.fallbacks
        self.yields += outcome.yields

    def count_violation(self, violation: Violation) -> None:
        """One more seed, that broke one."""
        self.seeds += 1
        self.violations += 1
        self.failing = [*self.failing, (violation.seed, f"{violation.invariant}: {violation.what}")][:_FAILURES_KEPT]
        self.faults.update(violation.faults)

    def add(self, other: Tally) -> None:
        """All of another's."""
        for name in ("seeds", "violations", "overlapping", "terms", "requests", "simulated_s"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("writes_offered", "stale_offered", "stale_accepted", "appointed", "fallbacks", "yields"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failing = sorted([*self.failing, *other.failing])[:_FAILURES_KEPT]
        self.faults.update(other.faults)
        self.overlaps.update(other.overlaps)
        self.most_requests = max(self.most_requests, other.most_requests)
        self.longest_calm_s = max(self.longest_calm_s, other.longest_calm_s)


def run_chunk(seeds: range, plan: Plan, election: type[Election] = Election) -> Tally:
    """Run these seeds here and now."""
    tally = Tally()
    collects = gc.isenabled()
    gc.disable()  # one seed's world is one heap of cycles: it is collected as a whole, between seeds
    try:
        for done, seed in enumerate(seeds):
            try:
                tally.count(World(seed, election, plan).run())
            except Violation as violation:
                tally.count_violation(violation)
            if done % 25 == 24:
                gc.collect()
    finally:
        if collects:
            gc.enable()
    return tally


def run_campaign(
    seeds: range,
    *,
    processes: int = 1,
    plan: Plan = EVERYTHING,
    progress: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Run these seeds.

    Args:
        seeds: Which.
        processes: On so many processes.
        plan: What each is run with.
        progress: Told the sum so far, now and then.

    Raises:
        ConfigurationError: there are no seeds, or no processes.
    """
    if not seeds or processes < 1:
        raise ConfigurationError(f"{len(seeds)} seeds on {processes} processes: both must be at least 1")
    total = Tally()
    for part in _parts(seeds, processes, plan):
        total.add(part)
        progress(total)
    return total


def _parts(seeds: range, processes: int, plan: Plan) -> Iterator[Tally]:
    chunks = (seeds[at : at + _CHUNK] for at in range(0, len(seeds), _CHUNK))
    if processes == 1:
        yield from (run_chunk(chunk, plan) for chunk in chunks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        running: set[Future[Tally]] = set()
        for chunk in chunks:
            running.add(pool.submit(run_chunk, chunk, plan))
            if len(running) >= 2 * processes:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in wait(running).done)
