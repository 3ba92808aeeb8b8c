"""One look at one Lease. The first cases, and their names, are kube-apiserver's `TestReconcileElectionStep`."""

from dataclasses import dataclass
from typing import Any

import pytest

from lease_aio.election.appointment import PREFERRED
from lease_aio.election.coordinated.info import OLDEST_EMULATION_VERSION
from lease_aio.model import Lease, LeaseCandidate
from tests.coordinated.rig import ELECTION_S, NOW_US, at, candidate, lease, seen

FIRST, SECOND, GONE = "component-identity-1", "component-identity-2", "component-identity-expired"
FOREIGN = "foo.com/bar"


@dataclass(frozen=True, kw_only=True)
class Case:
    """What upstream's table says of a case; `written` is whether a Lease stands there afterwards."""

    candidates: tuple[LeaseCandidate, ...] = ()
    existing: Lease | None = None
    written: bool = False
    holder: str | None = None
    preferred: str | None = None
    strategy: str | None = None
    again: bool = False
    error: bool = False
    pinged: bool = False


UPSTREAM = {
    "no candidates, no lease, noop": Case(),
    "no candidates, lease exists. noop, not managed by CLE": Case(
        existing=lease(None, renewed_s=None, duration_s=None)
    ),
    "candidates exist, no existing lease should create lease": Case(
        candidates=(candidate(FIRST),), written=True, holder=FIRST, strategy=OLDEST_EMULATION_VERSION, again=True
    ),
    "candidates exist, lease exists, unoptimal should set preferredHolder": Case(
        candidates=(candidate(FIRST), candidate(SECOND, "1.18.0", "1.18.0")),
        existing=lease(FIRST),
        written=True,
        holder=FIRST,
        preferred=SECOND,
        strategy=OLDEST_EMULATION_VERSION,
        again=True,
    ),
    "candidates exist, should only elect leader from acked candidates": Case(
        candidates=(
            candidate(FIRST, pinged_s=2 * ELECTION_S, renewed_s=4 * ELECTION_S),
            candidate(SECOND, "1.20.0", "1.20.0", pinged_s=0, renewed_s=0),
        ),
        written=True,
        holder=SECOND,
        strategy=OLDEST_EMULATION_VERSION,
        again=True,
    ),
    "candidates exist, lease exists, lease expired": Case(
        candidates=(candidate(FIRST),),
        existing=lease(GONE, renewed_s=60),
        written=True,
        holder=FIRST,
        strategy=OLDEST_EMULATION_VERSION,
        again=True,
    ),
    "candidates exist, no acked candidates should return error": Case(
        candidates=(candidate(FIRST, pinged_s=60, renewed_s=120),), error=True
    ),
    "candidates exist, should ping on election": Case(
        candidates=(candidate(FIRST, renewed_s=2 * ELECTION_S),), again=True, pinged=True
    ),
    "candidate exist, pinged candidate should have until electionDuration until election decision is made": Case(
        candidates=(candidate(FIRST, pinged_s=0, renewed_s=60),), again=True
    ),
    "candidates exist, lease exists, lease expired, 3rdparty strategy": Case(
        candidates=(candidate(FIRST, strategy=FOREIGN),),
        existing=lease(GONE, renewed_s=60),
        written=True,
        holder=GONE,
        strategy=FOREIGN,
        again=True,
    ),
}
CLOCKS = {"as kube-apiserver, by renewTime": False, "by its own sight of the version": True}


@pytest.mark.parametrize("by_sight", CLOCKS.values(), ids=CLOCKS)
@pytest.mark.parametrize("name", UPSTREAM)
def test_one_look_does_what_upstreams_table_says(name: str, *, by_sight: bool):
    case = UPSTREAM[name]
    more: dict[str, Any] = {}
    if by_sight and case.existing is not None and case.existing.spec.renew_time is not None:
        more["silent_s"] = (NOW_US - case.existing.spec.renew_time.epoch_us) / 1e6
    step = seen(case.existing, *case.candidates, **more)
    stands = step.lease or (case.existing if case.written else None)
    assert (stands is not None) == case.written
    if stands is not None:
        found = stands.holder, stands.spec.preferred_holder, stands.spec.strategy
        assert found == (case.holder, case.preferred, case.strategy)
    assert (step.look_again_s is not None) == case.again
    assert bool(step.problem) == case.error
    assert bool(step.pings) == case.pinged


# ---------------------------------------------------------------- what upstream's tables leave out


def test_an_appointment_says_no_acquire_time_and_is_good_for_five_seconds():
    step = seen(lease(GONE, renewed_s=60, acquire_time=at(99), lease_transitions=3), candidate(FIRST))
    spec = step.lease.spec
    assert (spec.acquire_time, spec.lease_duration_seconds, spec.renew_time) == (None, 5, at(0))
    assert (spec.lease_transitions, step.lease.resource_version) == (3, "9")


@pytest.mark.parametrize("holder", [None, ""])
def test_a_lease_that_nobody_holds_is_given_away(holder):
    assert seen(lease(holder, preferred_holder=SECOND), candidate(FIRST)).lease.spec.preferred_holder is None


def test_a_holder_that_is_the_best_is_left_in_peace():
    step = seen(lease(FIRST), candidate(FIRST), candidate(SECOND, "1.20.0", "1.20.0"))
    assert (step.lease, step.pings, step.look_again_s) == (None, (), 5.0)


def test_a_candidate_that_has_been_silent_for_a_quarter_of_an_hour_makes_all_be_asked():
    step = seen(lease(FIRST), candidate(FIRST, renewed_s=6), candidate(SECOND, renewed_s=901))
    assert [ping.name for ping in step.pings] == [FIRST, SECOND]
    assert all(ping.spec.ping_time == at(0) and ping.resource_version == "7" for ping in step.pings)


def test_a_candidate_that_has_been_silent_for_half_an_hour_is_none():
    assert seen(None, candidate(FIRST, renewed_s=1801)) == seen(None)
    assert seen(None, candidate(FIRST, renewed_s=None)) == seen(None)


def test_who_did_not_answer_is_not_asked_again_and_holds_nobody_up():
    step = seen(None, candidate(FIRST, pinged_s=6, renewed_s=60), candidate(SECOND, "1.20.0", "1.20.0"))
    assert (step.pings, step.chosen) == ((), SECOND)


def test_a_holders_clock_does_not_count_where_the_coordinator_goes_by_its_own_sight():
    lagging, hurrying = lease(GONE, renewed_s=3600), lease(GONE, renewed_s=-3600)
    assert seen(lagging, candidate(FIRST), silent_s=10.0).lease.spec.preferred_holder == FIRST
    assert seen(hurrying, candidate(FIRST), silent_s=10.2).lease.holder == FIRST
    assert seen(lagging, candidate(FIRST)).lease.holder == FIRST  # as kube-apiserver would


def test_a_preference_that_no_longer_holds_is_taken_back():
    """kube-apiserver leaves it (kubernetes/kubernetes#138066), and the holder makes room for nobody."""
    step = seen(
        lease(FIRST, strategy=OLDEST_EMULATION_VERSION, preferred_holder=SECOND), candidate(FIRST, renewed_s=901)
    )
    assert step.pings
    stale = candidate(SECOND, renewed_s=902, pinged_s=6)
    step = seen(lease(FIRST, strategy=OLDEST_EMULATION_VERSION, preferred_holder=SECOND), candidate(FIRST), stale)
    assert (step.chosen, step.lease.spec.preferred_holder) == (FIRST, None)


def test_where_the_server_drops_the_field_an_annotation_says_who_is_preferred():
    better = candidate(SECOND, "1.18.0", "1.18.0")
    step = seen(lease(FIRST), candidate(FIRST), better, field_dropped=True)
    assert step.lease.metadata.annotations == {PREFERRED: SECOND}
    assert (step.lease.spec.strategy, step.lease.spec.preferred_holder) == (None, None)
    assert seen(step.lease, candidate(FIRST), better, field_dropped=True).lease is None
    released = step.lease.with_spec(holder_identity="")
    assert seen(released, candidate(FIRST), better, field_dropped=True).lease.metadata.annotations == {}


# ---------------------------------------------------------------- strategies of one's own


def by_name(candidates):
    return max(candidates, key=lambda each: each.name)


def test_a_strategy_of_ones_own_is_a_function_of_the_candidates_that_are_alive():
    both = candidate(FIRST, strategy=FOREIGN), candidate(SECOND, strategy=FOREIGN)
    assert seen(None, *both, strategies={FOREIGN: by_name}).chosen == SECOND
    silent = candidate(SECOND, strategy=FOREIGN, pinged_s=60, renewed_s=120)
    assert seen(None, both[0], silent, strategies={FOREIGN: by_name}).chosen == FIRST


def test_a_strategy_of_ones_own_may_prefer_another_holder_and_may_choose_nobody():
    both = candidate(FIRST, strategy=FOREIGN), candidate(SECOND, strategy=FOREIGN)
    held = lease(FIRST, strategy=FOREIGN)
    assert seen(held, *both, strategies={FOREIGN: by_name}).lease.spec.preferred_holder == SECOND
    assert seen(held, *both, strategies={FOREIGN: lambda _: None}).lease is None
    assert "chose nobody among" in seen(None, *both, strategies={FOREIGN: lambda _: None}).problem


def test_what_is_kube_apiservers_own_is_left_to_it():
    assert seen(None, candidate(FIRST), strategies={FOREIGN: by_name}).lease is None


def test_a_foreign_strategy_is_written_into_a_new_lease_that_nobody_holds():
    made = seen(None, candidate(FIRST, strategy=FOREIGN)).lease
    assert (made.spec.holder_identity, made.spec.strategy, made.resource_version) == (None, FOREIGN, "")


@pytest.mark.parametrize("alive", [True, False])
def test_candidates_that_disagree_on_the_strategy_elect_nobody(alive):
    step = seen(lease(FIRST) if alive else None, candidate(FIRST), candidate(SECOND, strategy=FOREIGN))
    assert (step.lease, step.pings) == (None, ())
    assert "ask for different strategies" in step.problem
