"""Which Lease a coordinator looks at when."""

import math

import msgspec
import pytest

from lease_aio.election.coordinated.ledger import AGAIN_AFTER_FAILURE_S, Ledger
from lease_aio.election.coordinated.rules import CoordinatorTiming
from tests.coordinated.rig import LEASE, NOW_US, candidate, lease

KEY = ("default", LEASE)


def at_version(found, version):
    return msgspec.structs.replace(
        found, metadata=msgspec.structs.replace(found.metadata, resource_version=str(version))
    )


def ledger(*candidates, found=None):
    it = Ledger(CoordinatorTiming())
    if found is not None:
        it.lease_changed(found, 0.0)
    for each in candidates:
        it.candidate_changed(each, 0.0)
    return it


def test_a_lease_without_candidates_is_not_looked_at():
    it = ledger(found=lease("a"))
    assert it.next(100.0) is None
    assert it.due == math.inf


def test_a_new_candidate_makes_its_lease_be_looked_at_now():
    it = ledger(candidate("a"))
    assert it.next(0.0) == KEY
    assert it.look(KEY, 0.0, NOW_US).chosen == "a"
    assert it.due == 5.0


def test_a_candidate_that_was_just_asked_does_not():
    it = ledger(candidate("a", renewed_s=60))
    assert it.look(KEY, 0.0, NOW_US).pings
    it.candidate_changed(candidate("a", renewed_s=60, pinged_s=0), 0.1)
    assert it.due == 5.0
    it.candidate_changed(candidate("a", renewed_s=-1, pinged_s=0), 0.2)
    assert it.due == 0.2


def test_the_last_candidates_end_leaves_the_lease_alone():
    it = ledger(candidate("a"), candidate("b"))
    it.candidate_gone("default", "a", 1.0)
    assert it.next(1.0) == KEY
    it.candidate_gone("default", "b", 2.0)
    it.candidate_gone("default", "b", 2.0)
    assert it.due == math.inf


def test_a_candidate_that_turns_to_another_lease_leaves_the_first():
    it = ledger(candidate("a"))
    moved = candidate("a")
    moved = msgspec.structs.replace(moved, spec=msgspec.structs.replace(moved.spec, lease_name="other"))
    it.candidate_changed(moved, 1.0)
    assert it.next(1.0) == ("default", "other")
    assert it.look(KEY, 1.0, NOW_US).chosen == ""


def test_a_holder_is_judged_by_how_long_its_version_has_been_seen():
    it = ledger(candidate("a", "1.18.0"), candidate("b"), found=lease("b", renewed_s=3600))
    assert it.look(KEY, 1.0, NOW_US).lease.spec.preferred_holder == "a"
    assert it.look(KEY, 10.2, NOW_US).lease.holder == "a"


def test_a_renewal_starts_that_anew_and_old_news_does_not():
    it = ledger(candidate("a", "1.18.0"), candidate("b"), found=at_version(lease("b"), 9))
    it.lease_changed(at_version(lease("b"), 10), 9.0)
    it.lease_changed(at_version(lease("b"), 8), 10.0)
    assert it.look(KEY, 18.0, NOW_US).lease.resource_version == "10"
    assert it.look(KEY, 18.0, NOW_US).lease.spec.preferred_holder == "a"
    assert it.look(KEY, 19.2, NOW_US).lease.holder == "a"


def test_it_looks_when_a_holders_time_is_over():
    it = ledger(candidate("a"), found=lease("a", duration_s=3))
    it.look(KEY, 0.0, NOW_US)
    assert it.due == pytest.approx(3 * 1.01)


def test_where_nobody_can_be_elected_it_looks_again():
    it = ledger(candidate("a", renewed_s=60, pinged_s=30))
    step = it.look(KEY, 0.0, NOW_US)
    assert step.problem == "no candidate gave a sign of life"
    assert it.due == 5.0


def test_after_a_failed_write_it_looks_again_soon():
    it = ledger(candidate("a"))
    it.look(KEY, 0.0, NOW_US)
    it.failed(KEY, 0.1)
    assert it.due == 0.1 + AGAIN_AFTER_FAILURE_S


def test_a_server_that_drops_the_field_is_found_out_by_what_it_stores():
    it = ledger(candidate("a"), candidate("b", "1.18.0"), found=lease("a"))
    step = it.look(KEY, 0.0, NOW_US)
    stored = at_version(step.lease.with_spec(strategy=None, preferred_holder=None), 10)
    it.wrote(step, stored, 0.1)
    assert it.field_dropped
    assert it.next(0.1) == KEY
    assert "lease-aio/preferred-holder" in it.look(KEY, 0.1, NOW_US).lease.metadata.annotations


def asked_and_answered():
    """`a` was asked; the watch has shown the question, and the answer, before the write of the question returned."""
    it = ledger(candidate("a", renewed_s=60))
    (asked,) = it.look(KEY, 0.0, NOW_US).pings
    asked = at_version(asked, 8)
    it.candidate_changed(asked, 0.1)
    it.candidate_changed(at_version(candidate("a", renewed_s=-1, pinged_s=0), 9), 0.2)
    return it, asked


def test_a_question_that_is_confirmed_after_its_answer_was_seen_is_old_news():
    it, asked = asked_and_answered()
    it.candidate_asked(asked, 0.3)
    assert it.look(KEY, 0.3, NOW_US + 300_000).chosen == "a"


def test_a_question_that_is_confirmed_after_the_candidates_end_brings_nobody_back():
    it, asked = asked_and_answered()
    it.candidate_gone("default", "a", 0.3)
    it.candidate_asked(asked, 0.4)
    assert not it.manages(KEY)


def test_a_question_that_is_confirmed_before_it_is_seen_is_not_asked_again():
    it = ledger(candidate("a", renewed_s=60))
    (asked,) = it.look(KEY, 0.0, NOW_US).pings
    it.candidate_asked(at_version(asked, 8), 0.1)
    assert it.look(KEY, 0.2, NOW_US + 200_000).pings == ()


def test_an_appointment_that_is_confirmed_after_the_leases_end_brings_no_lease_back():
    it = ledger(candidate("a"), found=lease("gone", renewed_s=60))
    step = it.look(KEY, 20.0, NOW_US)
    it.lease_gone(*KEY, 20.1)
    it.wrote(step, at_version(step.lease, 10), 20.2)
    assert it.look(KEY, 20.2, NOW_US).lease.resource_version == ""


AHEAD_S = 2400


def later(seconds):
    return NOW_US + int(seconds * 1e6)


def test_a_sign_of_life_from_the_future_is_as_old_as_the_first_sight_of_it():
    it = ledger(candidate("a", renewed_s=-AHEAD_S), found=lease("gone", renewed_s=60))
    assert it.look(KEY, 20.0, later(0)).chosen == "a"
    (asked,) = it.look(KEY, 26.0, later(6)).pings
    assert asked.spec.ping_time.epoch_us == later(AHEAD_S + 6), "by its own clock, so that it sees a question in it"
    it.candidate_asked(at_version(asked, 8), 26.0)
    assert it.look(KEY, 30.0, later(10)).undecided
    assert it.look(KEY, 32.0, later(12)).problem == "no candidate gave a sign of life"


def test_a_question_of_another_coordinator_from_the_future_is_waited_for_no_longer_than_ones_own():
    it = ledger(candidate("a", renewed_s=-AHEAD_S, pinged_s=-AHEAD_S - 700), candidate("b"))
    assert it.look(KEY, 0.0, later(0)).undecided
    it.candidate_changed(at_version(candidate("b", renewed_s=-6), 8), 6.0)
    assert it.look(KEY, 6.0, later(6)).chosen == "b"


def test_a_lease_that_is_gone_is_made_anew():
    it = ledger(candidate("a"), found=lease("a"))
    it.look(KEY, 0.0, NOW_US)
    it.lease_gone(*KEY, 1.0)
    assert it.next(1.0) == KEY
    assert it.look(KEY, 1.0, NOW_US).lease.resource_version == ""


def test_candidates_that_are_none_any_more_are_told():
    it = ledger(candidate("a"), candidate("b", renewed_s=1801))
    assert [each.name for each in it.expired(NOW_US)] == ["b"]
