"""A coordinator that comes and goes, under every fault.

More seeds: `python -m lease_aio.testing.simulator --coordinated`.
"""

from __future__ import annotations

import pytest

from lease_aio.election.core import Election
from lease_aio.testing.simulator import Backing, Fleet, Plan, trace
from lease_aio.testing.simulator.campaign import Tally, run_chunk
from lease_aio.testing.simulator.faults import COORDINATED_FAULTS
from lease_aio.testing.simulator.invariants import BURST

SEEDS = 900
PLAN = Plan(fleet=Fleet.COORDINATED)


@pytest.fixture(scope="module")
def tally() -> Tally:
    return run_chunk(range(SEEDS), PLAN)


@pytest.mark.slow
def test_a_coordinator_that_comes_and_goes_never_makes_two_leaders(tally):
    assert tally.failing == []
    assert tally.seeds == SEEDS
    assert tally.most_requests <= BURST
    assert tally.stale_accepted == 0
    assert set(tally.overlaps) <= {"stood still", "deleted", "undermined"}, "what no rule on a Lease can prevent"


CALM_HANDS = Plan(
    fleet=Fleet.COORDINATED,
    without=frozenset(
        {"holder blanked", "holder null", "duration edited", "deleted", "frozen", "suspended", "loop blocked"}
    ),
)


def test_without_hands_and_stand_stills_no_works_overlap_at_all():
    tally = run_chunk(range(300), CALM_HANDS)
    assert tally.failing == []
    assert not +tally.overlaps
    assert tally.yields > 0


def test_a_watch_that_is_back_since_one_partition_gave_way_to_another_says_that_it_has_missed_something():
    trace(8729, plan=CALM_HANDS)


def test_it_appoints_and_is_fallen_back_from_and_yielded_to(tally):
    assert tally.appointed > SEEDS / 2
    assert tally.fallbacks > SEEDS / 2
    assert tally.yields > SEEDS / 20


def test_every_fault_strikes(tally):
    assert tally.silent(COORDINATED_FAULTS) == []
    assert not tally.faults.keys() - COORDINATED_FAULTS.keys()


def test_a_seed_takes_the_same_course_each_time_and_on_either_store():
    for seed in range(40):
        swap, store = (Plan(fleet=Fleet.COORDINATED, backing=backing) for backing in (Backing.SWAP, Backing.STORE))
        assert trace(seed, plan=swap).digest == trace(seed, plan=swap).digest == trace(seed, plan=store).digest


class BelievesItsAppointment(Election):
    """client-go: whoever is named leads at once."""

    def _free_at(self) -> float:
        appointed = self._coordination is not None and self._seen is not None and self._ours is None
        if appointed and self._coordination.names_me(self._seen.lease):
            return self._blocked_until
        return super()._free_at()


class DoesNotYield(Election):
    """A plain leader among coordinated ones."""

    def _yield(self, _):
        return ()


def test_who_believes_a_coordinator_with_a_wrong_clock_overlaps_with_whom_it_overthrew():
    found = run_chunk(range(600), PLAN, BelievesItsAppointment)
    assert {what[:2] for _, what in found.failing} & {"I1", "I4"}


def test_who_does_not_yield_is_safe_all_the_same():
    found = run_chunk(range(150), PLAN, DoesNotYield)
    assert found.yields == 0
    assert not {what[:2] for _, what in found.failing} & {"I1", "I2", "I3", "I4"}
