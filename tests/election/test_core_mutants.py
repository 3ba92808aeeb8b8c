"""The detector is tested too: the simulation must kill each broken variant of the rules.

Measured on seeds 0-199 with all promises checked, and on seeds 0-499 with the consequences alone (overlapping work,
falling tokens, a release of another's Lease, nobody leading for good, floods): the share of seeds that kill.

| mutant | all promises | consequences |
|---|---|---|
| ValidFromTheAnswer | 100 % | 1.0 % |
| UnansweredCountsAsDone | 90.5 % | 6.4 % |
| NoClockError | 74.5 % | 3.6 % |
| NoStopGrace | 100 % | 5.0 % |
| NeverExpires | 59.0 % | 17.2 % |
| ReleasesBeforeTheWorkHasStopped | 50.0 % | 22.6 % |
| ReleasesWhateverItReads | 5.5 % | 7.8 % |
| WritesWithoutComparing | 69.0 % | 55.8 % |
| AdoptsItsIdentity | 9.5 % | 10.2 % |
| CountsFromTheFirstSightOfTheHolder | 100 % | 100 % |
| JudgesByRenewTime | 88.0 % | 88.2 % |
| WaitsItsOwnDuration | 14.5 % | 13.2 % |
| WorksOnUnderAnotherHolder | 35.0 % | not killed |
| DeletionFreesAtOnce | 9.5 % | 13.0 % |
| DeletionIsDatedBackToTheLastSight | 1.0 % | 0.6 % |
| NeverReadsBack | 0.5 % | 0.6 % |
| TriesAgainAtOnce | 41.0 % | 38.2 % |
| CountsTermsByTransitions | 17.0 % | 19.0 % |
| WritesWhatTheWallClockSays | 51.5 % | not killed |
| StopsRenewingWithItsWork | 100 % | 100 % |
| NoReadAfterAnUnknownWrite | not killed | not killed |

Why some are not killed: nobody takes over a valid term unless a hand undermines it, and then overlap is nobody's fault,
so working on under another holder has no consequence that is checked; equal written times only matter between two
processes of one identity whose wall clocks agree to the microsecond; and without the read after an *unknown* write the
next write meets a conflict, which is read back: the read saves a failed write, no more.

Two rules are beyond this net, their faults are too rare: a create that lands only after another's Lease has come and
gone (3 seeds in 12,000 found it missing), and a deletion seen while a fresh candidate's first read is on its way (1 in
about 3,000). They are pinned in `test_core_ownership`.
"""

from __future__ import annotations

import dataclasses
import math

import pytest

from lease_aio.election.core import Election, Failure, Kind, Request, _Flight, _Phase, _Seen
from lease_aio.election.events import Event, Started
from lease_aio.model import Lease
from tests.election.simulation import UNCONDITIONAL, Violation, simulate


class ValidFromTheAnswer(Election):
    """client-go: the time of a term counts from the answer."""

    def answered(self, request: Request, lease: Lease | None, now: float):
        self._at = now
        return super().answered(request, lease, now)

    def _confirm(self, flight: _Flight) -> None:
        super()._confirm(dataclasses.replace(flight, sent=getattr(self, "_at", flight.sent)))


class UnansweredCountsAsDone(Election):
    """A renewal that nobody answered extends the term."""

    def failed(self, request: Request, failure: Failure, now: float):
        if failure is Failure.UNKNOWN and request.kind is Kind.RENEW and self._flight is not None:
            self._confirm(self._flight)
        return super().failed(request, failure, now)


class NoClockError(Election):
    """ρ = 0, whatever the clocks do."""

    def __init__(self, *, timing, **others):
        super().__init__(timing=dataclasses.replace(timing, clock_error=0.0), **others)


class NoStopGrace(Election):
    """G = 0: the term lasts until the others' wait ends, and the work stops after it."""

    def __init__(self, *, timing, **others):
        super().__init__(timing=dataclasses.replace(timing, stop_grace_s=0.0), **others)


class NeverExpires(Election):
    """The term ends when a renewal fails for good, not by itself."""

    def expire(self, now: float):
        del now
        return ()


class ReleasesBeforeTheWorkHasStopped(Election):
    """client-go, after a failed renewal."""

    def _stop(self, reason):
        events = super()._stop(reason)
        if self._ours is not None:
            self._phase = _Phase.RELEASING
        return events


class ReleasesWhateverItReads(Election):
    """client-go since 1.34: release re-reads the version and overwrites what stands there."""

    def _note(self, lease: Lease, now: float, mine: _Flight | None) -> None:
        super()._note(lease, now, mine)
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

    def _note(self, lease: Lease, now: float, mine: _Flight | None) -> None:
        super()._note(lease, now, mine)
        if self._seen is not None and self._seen.lease.holder == self._identity:
            self._ours = self._seen.lease


class CountsFromTheFirstSightOfTheHolder(Election):
    """The wait begins when a holder is first seen, and no renewal starts it anew."""

    def _note(self, lease: Lease, now: float, mine: _Flight | None) -> None:
        before = self._seen
        super()._note(lease, now, mine)
        if before is not None and before.lease.holder == lease.holder:
            self._seen = _Seen(self._seen.lease, before.since)


class JudgesByRenewTime(Election):
    """kubernetes_asyncio and many others: the holder's wall clock against one's own."""

    def tick(self, now: float, wall_us: int):
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

    def _settle(self, *reason) -> tuple[Event, ...]:
        return () if self._phase is _Phase.LEADING else super()._settle(*reason)


class DeletionFreesAtOnce(Election):
    """A deleted Lease is nobody's."""

    def _absent(self, now: float | None = None):
        if self._phase is not _Phase.LEADING:
            self._seen = None
        return super()._absent(now)


class DeletionIsDatedBackToTheLastSight(Election):
    """After a deletion the wait counts from the last version seen; a missed renewal is not reckoned with."""

    def _absent(self, now: float | None = None):
        return super()._absent(self._seen.since if self._seen is not None else now)


class NeverReadsBack(Election):
    """After a conflict or an unknown outcome, the write is tried again as it was."""

    def _remember(self, flight: _Flight, failure: Failure, now: float) -> None:
        super()._remember(flight, failure, now)
        self._must_read = False


class TriesAgainAtOnce(Election):
    """No pause after a failure."""

    def _remember(self, flight: _Flight, failure: Failure, now: float) -> None:
        super()._remember(flight, failure, now)
        self._retry_at = now


class CountsTermsByTransitions(Election):
    """The token is leaseTransitions, which a deletion resets."""

    def _won(self, lease: Lease, now: float):
        events = super()._won(lease, now)
        return tuple(
            Started(term=dataclasses.replace(e.term, token=e.term.transitions + 1)) if isinstance(e, Started) else e
            for e in events
        )


class WritesWhatTheWallClockSays(Election):
    """Two writes may carry the same time, or an earlier one."""

    def _stamp(self, wall_us: int):
        self._written_us = 0
        return super()._stamp(wall_us)


class StopsRenewingWithItsWork(Election):
    """Not unsafe, but dead: a renewal is the last one."""

    def _confirm(self, flight: _Flight) -> None:
        super()._confirm(flight)
        self._renew_at = math.inf


class NoReadAfterAnUnknownWrite(Election):
    """See the table above: this one survives."""

    def _remember(self, flight: _Flight, failure: Failure, now: float) -> None:
        must_read = self._must_read
        super()._remember(flight, failure, now)
        if failure is Failure.UNKNOWN:
            self._must_read = must_read


SEEDS = 2000
NO_CONSEQUENCE = {WorksOnUnderAnotherHolder, WritesWhatTheWallClockSays}
MUTANTS = [
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
]


def killed_at(mutant: type[Election], seeds: int, *, consequences_only: bool) -> int | None:
    """The first seed that kills it."""
    for seed in range(seeds):
        try:
            simulate(seed, election=mutant, consequences_only=consequences_only)
        except Violation:
            return seed
    return None


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_simulation_kills_it(mutant):
    assert killed_at(mutant, SEEDS, consequences_only=False) is not None


@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m not in NO_CONSEQUENCE], ids=lambda mutant: mutant.__name__)
def test_it_is_killed_by_what_comes_of_it_alone(mutant):
    assert killed_at(mutant, SEEDS, consequences_only=True) is not None


def test_the_one_that_survives_is_as_safe_as_the_rules():
    assert killed_at(NoReadAfterAnUnknownWrite, 200, consequences_only=False) is None
