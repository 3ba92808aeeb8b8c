"""Broken variants of the rules: a simulation that lets them pass proves nothing.

Each changes one rule, as a reading of it too few, a habit of another client, or a plausible short cut would. They
reach into the core's private parts on purpose.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from lease_aio.election.core import Election, _Phase
from lease_aio.election.engine import Stamps
from lease_aio.election.events import EndReason, Event, Started
from lease_aio.election.requests import Failure, Flight, Kind, Request, Seen
from lease_aio.model import Lease, MicroTime
from lease_aio.testing.simulator.invariants import Violation
from lease_aio.testing.simulator.plan import Plan
from lease_aio.testing.simulator.server import UNCONDITIONAL
from lease_aio.testing.simulator.world import World
from lease_aio.timing import Timing


class ValidFromTheAnswer(Election):
    """client-go: the time of a term counts from the answer."""

    def answered(self, request: Request, lease: Lease | None, now: float) -> tuple[Event, ...]:  # noqa: D102
        self._at = now
        return super().answered(request, lease, now)

    def _confirm(self, flight: Flight) -> None:
        super()._confirm(dataclasses.replace(flight, sent=getattr(self, "_at", flight.sent)))


class UnansweredCountsAsDone(Election):
    """A renewal that nobody answered extends the term."""

    def failed(self, request: Request, failure: Failure, now: float) -> tuple[Event, ...]:  # noqa: D102
        if failure is Failure.UNKNOWN and request.kind is Kind.RENEW and self._flight is not None:
            self._confirm(self._flight)
        return super().failed(request, failure, now)


class NoClockError(Election):
    """ρ = 0, whatever the clocks do."""

    def __init__(self, *, timing: Timing, **others: Any) -> None:
        super().__init__(timing=dataclasses.replace(timing, clock_error=0.0), **others)


class NoStopGrace(Election):
    """G = 0: the term lasts until the others' wait ends, and the work stops after it."""

    def __init__(self, *, timing: Timing, **others: Any) -> None:
        super().__init__(timing=dataclasses.replace(timing, stop_grace_s=0.0), **others)


class NeverExpires(Election):
    """The term ends when a renewal fails for good, not by itself."""

    def expire(self, now: float) -> tuple[Event, ...]:  # noqa: D102
        del now
        return ()


class ReleasesBeforeTheWorkHasStopped(Election):
    """client-go, after a failed renewal."""

    def _stop(self, reason: EndReason) -> tuple[Event, ...]:
        events = super()._stop(reason)
        if self._ours is not None:
            self._phase = _Phase.RELEASING
        return events


class ReleasesWhateverItReads(Election):
    """client-go since 1.34: release re-reads the version and overwrites what stands there."""

    def _note(self, lease: Lease, now: float, mine: Flight | None, *, gap: bool = False) -> None:
        super()._note(lease, now, mine, gap=gap)
        if self._phase is _Phase.RELEASING:
            self._ours = lease


class WritesWithoutComparing(Election):
    """A patch instead of compare-and-swap."""

    def _next_request(self, now: float, wall_us: int) -> Request:
        request = super()._next_request(now, wall_us)
        if request.lease is None or request.creates:
            return request
        return dataclasses.replace(request, lease=request.lease.with_metadata(resource_version=UNCONDITIONAL))


class AdoptsItsIdentity(Election):
    """client-go: a record with one's own identity is one's own."""

    def _note(self, lease: Lease, now: float, mine: Flight | None, *, gap: bool = False) -> None:
        super()._note(lease, now, mine, gap=gap)
        if self._seen is not None and self._seen.lease.holder == self._identity:
            self._ours = self._seen.lease


class CountsFromTheFirstSightOfTheHolder(Election):
    """The wait begins when a holder is first seen, and no renewal starts it anew."""

    def _note(self, lease: Lease, now: float, mine: Flight | None, *, gap: bool = False) -> None:
        before = self._seen
        super()._note(lease, now, mine, gap=gap)
        if before is not None and before.lease.holder == lease.holder:
            self._seen = Seen(lease, before.since)


class JudgesByRenewTime(Election):
    """kubernetes_asyncio and many others: the holder's wall clock against one's own."""

    def tick(self, now: float, wall_us: int) -> Request | None:  # noqa: D102
        self._now, self._wall_us = now, wall_us
        return super().tick(now, wall_us)

    def _free_at(self) -> float:
        seen = self._seen
        if seen is None or not seen.lease.holder or self._ours is not None or seen.lease.spec.renew_time is None:
            return super()._free_at()
        age_s = (getattr(self, "_wall_us", 0) - seen.lease.spec.renew_time.epoch_us) / 1e6
        return getattr(self, "_now", 0) - age_s + self._timing.takeover_after_s(seen.lease.spec.lease_duration_seconds)


class WaitsItsOwnDuration(Election):
    """The duration in the record is passed over for one's own."""

    def _free_at(self) -> float:
        seen = self._seen
        if seen is None or not seen.lease.holder or self._ours is not None:
            return super()._free_at()
        return seen.since + self._timing.takeover_after_s(None)


class WorksOnUnderAnotherHolder(Election):
    """client-go: who reads another holder goes on until its deadline."""

    def _settle(self, reason: EndReason = EndReason.TAKEN) -> tuple[Event, ...]:
        return () if self._phase is _Phase.LEADING else super()._settle(reason)


class DeletionFreesAtOnce(Election):
    """A deleted Lease is nobody's."""

    def _absent(self, now: float | None = None) -> tuple[Event, ...]:
        if self._phase is not _Phase.LEADING:
            self._seen = None
        return super()._absent(now)


class DeletionIsDatedBackToTheLastSight(Election):
    """After a deletion the wait counts from the last version seen; a missed renewal is not reckoned with."""

    def _absent(self, now: float | None = None) -> tuple[Event, ...]:
        return super()._absent(self._seen.since if self._seen is not None else now)


class NeverReadsBack(Election):
    """After a conflict or an unknown outcome, the write is tried again as it was."""

    def _remember(self, flight: Flight, failure: Failure, now: float) -> None:
        super()._remember(flight, failure, now)
        self._must_read = False


class TriesAgainAtOnce(Election):
    """No pause after a failure."""

    def _remember(self, flight: Flight, failure: Failure, now: float) -> None:
        super()._remember(flight, failure, now)
        self._retry_at = now


class CountsTermsByTransitions(Election):
    """The token is leaseTransitions, which a deletion resets."""

    def _won(self, flight: Flight, lease: Lease, now: float) -> tuple[Event, ...]:
        events = super()._won(flight, lease, now)
        return tuple(
            Started(term=dataclasses.replace(e.term, token=e.term.transitions + 1)) if isinstance(e, Started) else e
            for e in events
        )


class _WallClock(Stamps):
    def next_us(self) -> int:
        return self._clock.wall_us()


class WritesWhatTheWallClockSays(Election):
    """Two writes may carry the same time, or an earlier one."""

    stamps = _WallClock

    def _stamp(self, wall_us: int) -> MicroTime:
        self._written_us = 0
        return super()._stamp(wall_us)


class StopsRenewingWithItsWork(Election):
    """Not unsafe, but dead: a renewal is the last one."""

    def _confirm(self, flight: Flight) -> None:
        super()._confirm(flight)
        self._renew_at = math.inf


class NoReadAfterAnUnknownWrite(Election):
    """After an *unknown* outcome the write is tried again; it meets a conflict, which is read back: as safe."""

    def _remember(self, flight: Flight, failure: Failure, now: float) -> None:
        must_read = self._must_read
        super()._remember(flight, failure, now)
        if failure is Failure.UNKNOWN:
            self._must_read = must_read


class FightsOnAfterARefusal(Election):
    """client-go: a 403 is tried again like anything else."""

    def failed(self, request: Request, failure: Failure, now: float) -> tuple[Event, ...]:  # noqa: D102
        return super().failed(request, Failure.NOT_DONE if failure is Failure.PERMANENT else failure, now)


class LeadsWithoutItsWork(Election):
    """The Lease is kept though the work has ended: nobody leads, and nobody else may."""

    def work_stopped(self, now: float) -> tuple[Event, ...]:  # noqa: D102
        return () if self.leading else super().work_stopped(now)


MUTANTS: tuple[type[Election], ...] = (
    ValidFromTheAnswer,
    UnansweredCountsAsDone,
    NoClockError,
    NoStopGrace,
    NeverExpires,
    ReleasesBeforeTheWorkHasStopped,
    ReleasesWhateverItReads,
    WritesWithoutComparing,
    AdoptsItsIdentity,
    CountsFromTheFirstSightOfTheHolder,
    JudgesByRenewTime,
    WaitsItsOwnDuration,
    WorksOnUnderAnotherHolder,
    DeletionFreesAtOnce,
    DeletionIsDatedBackToTheLastSight,
    NeverReadsBack,
    TriesAgainAtOnce,
    CountsTermsByTransitions,
    WritesWhatTheWallClockSays,
    StopsRenewingWithItsWork,
    FightsOnAfterARefusal,
    LeadsWithoutItsWork,
)
"""Each must be killed."""

EQUIVALENT: tuple[type[Election], ...] = (NoReadAfterAnUnknownWrite,)
"""Not killed, and why is in its docstring."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kill:
    """The first seed that shows a mutant to be broken, and the promise that it breaks."""

    seed: int
    invariant: str


def first_kill(mutant: type[Election], seeds: range, *, consequences_only: bool = False) -> Kill | None:
    """The first of these seeds that kills it.

    Args:
        mutant: A variant of the rules.
        seeds: Which to try.
        consequences_only: See `Plan`.
    """
    plan = Plan(consequences_only=consequences_only)
    for seed in seeds:
        try:
            World(seed, mutant, plan).run()
        except Violation as violation:
            return Kill(seed=seed, invariant=violation.invariant)
    return None


def killing_share(mutant: type[Election], seeds: range) -> float:
    """The share of these seeds that kill it."""
    return sum(first_kill(mutant, range(seed, seed + 1)) is not None for seed in seeds) / len(seeds)


def kill_table(*, limit: int = 2000, sample: int = 200) -> str:
    """All mutants and what kills them, as a Markdown table.

    Args:
        limit: Most seeds for each.
        sample: On so many seeds the share that kills is measured.
    """
    head = (
        "| mutant | what is broken | killed by seed | breaks | seeds that kill | by its consequences alone |\n"
        "|---|---|---|---|---|---|"
    )
    return "\n".join([head, *(_row(mutant, limit, sample) for mutant in (*MUTANTS, *EQUIVALENT))])


def _row(mutant: type[Election], limit: int, sample: int) -> str:
    what = (mutant.__doc__ or "").partition("\n")[0]
    any_promise = first_kill(mutant, range(limit))
    if any_promise is None:
        return f"| {mutant.__name__} | {what} | none of {limit} | | | |"
    consequence = first_kill(mutant, range(limit), consequences_only=True)
    seen = f"seed {consequence.seed}, {consequence.invariant}" if consequence else f"none of {limit}"
    share = killing_share(mutant, range(sample))
    return f"| {mutant.__name__} | {what} | {any_promise.seed} | {any_promise.invariant} | {share:.1%} | {seen} |"
