"""How a term and a candidacy end: expiry, release, giving up."""

import pytest

from lease_aio.election.core import RENEW_JITTER
from lease_aio.election.events import EndReason, State, Waiting
from lease_aio.election.requests import Failure, Kind
from tests.election.core_rig import (
    TAKEOVER_S,
    VALID_S,
    candidate,
    ended,
    leading,
    release_due,
    stopping_reason,
    waiting,
)

# ---------------------------------------------------------------------- the end of a term


def test_a_term_counts_from_the_sending_of_its_last_confirmed_write():
    it = candidate()
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    it.now += 1.5
    it.answer(request, it.landed(request))
    assert it.core.valid_until == pytest.approx(1000 + VALID_S)


def test_a_term_ends_by_itself_while_a_request_is_on_its_way():
    it, _ = leading()
    it.now += 9.5
    it.sends(Kind.RENEW)
    it.now = it.core.valid_until - 0.001
    assert it.core.expire(it.now) == ()
    it.now = it.core.valid_until
    assert stopping_reason(it.core.expire(it.now)) is EndReason.EXPIRED
    assert it.core.expire(it.now) == ()


def test_a_term_that_expired_is_not_revived_by_a_late_answer():
    it, _ = leading()
    it.now += 9.5
    request = it.sends(Kind.RENEW)
    it.now = it.core.valid_until
    it.core.expire(it.now)
    assert it.answer(request, it.landed(request)) == ()
    assert not it.core.leading
    assert it.core.state is State.STOPPING


def test_renewals_continue_while_the_work_is_stopping():
    it, _ = leading()
    assert stopping_reason(it.core.resign(it.now)) is EndReason.RESIGNED
    for _ in range(5):
        it.wait_until_due()
        assert it.succeed(Kind.RENEW) == ()
    assert it.core.valid_until > 1000 + 15
    assert it.core.state is State.STOPPING


def test_nothing_is_renewed_that_another_holds_while_the_work_is_stopping():
    it, _ = leading()
    it.watch(it.foreign())
    it.now += 10
    assert it.tick() is None
    assert it.core.due == float("inf")


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_a_renewal_comes_up_to_a_tenth_of_its_interval_early_and_never_late(jitter):
    it, _ = leading(random=lambda: jitter)
    assert it.core.due == pytest.approx(1000 + 3 * (1 - RENEW_JITTER * jitter))
    assert 1000 + 2.7 <= it.core.due <= 1000 + 3


def test_a_renewal_must_be_sent_before_the_term_ends():
    it, _ = leading()
    assert it.core.deadline == it.core.valid_until


def test_a_failed_renewal_is_tried_again_after_a_jittered_pause():
    for jitter in (0.0, 0.999):
        it, _ = leading(random=lambda jitter=jitter: jitter)
        it.now = 1003
        it.fail(Kind.RENEW, Failure.NOT_DONE)
        assert it.core.due == pytest.approx(1003 + (1 + jitter) / 2)


# ---------------------------------------------------------------------- release


def test_nothing_is_released_before_the_work_has_stopped():
    it, _ = release_due(holder_work_stopped=False)
    it.now += 3
    it.sends(Kind.RENEW)


def test_release_blanks_the_holder_and_keeps_the_object_its_term_and_its_labels():
    it, ours = leading(labels={"app": "x"})
    it.core.work_stopped(it.now)
    released = it.sends(Kind.RELEASE).lease
    assert (released.holder, released.spec.lease_duration_seconds) == ("", 1)
    assert released.spec.lease_transitions == ours.spec.lease_transitions
    assert released.metadata.labels == {"app": "x"}
    assert released.resource_version == ours.resource_version


def test_work_that_ends_by_itself_stops_and_releases():
    it, _ = leading()
    assert stopping_reason(it.core.work_stopped(it.now)) is EndReason.RESIGNED
    end = ended(it.succeed(Kind.RELEASE))
    assert (end.released, end.reason, end.term.token) == (True, EndReason.RESIGNED, 101)
    assert it.core.state is State.IDLE
    assert it.core.term is None
    assert it.core.due == float("inf")


def test_release_never_blanks_a_successor():
    it, _ = release_due()
    it.fail(Kind.RELEASE, Failure.CONFLICT)
    end = ended(it.read(it.foreign()))
    assert not end.released
    assert it.tick() is None


def test_a_successor_that_the_watch_shows_ends_the_release():
    it, _ = release_due()
    assert not ended(it.watch(it.foreign())).released


def test_a_conflict_with_a_label_edit_does_not_stop_the_release():
    it, ours = release_due()
    it.fail(Kind.RELEASE, Failure.CONFLICT)
    it.read(it.store(ours.with_metadata(labels={"theirs": "1"})))
    assert ended(it.succeed(Kind.RELEASE)).released


def test_a_release_that_landed_unanswered_is_found_by_reading():
    it, _ = release_due()
    request = it.sends(Kind.RELEASE)
    landed = it.landed(request)
    it.core.failed(request, Failure.UNKNOWN, it.now)
    assert ended(it.read(landed)).released


def test_a_release_that_landed_and_was_followed_by_another_is_not_claimed():
    it, _ = release_due()
    it.fail(Kind.RELEASE, Failure.UNKNOWN)
    assert not ended(it.read(it.foreign())).released


def test_after_a_doubtful_renewal_the_release_reads_first():
    it, _ = leading()
    it.now += 3
    renewal = it.sends(Kind.RENEW)
    landed = it.landed(renewal)
    assert stopping_reason(it.core.work_stopped(it.now)) is EndReason.RESIGNED
    assert it.tick() is None  # one request at a time
    it.core.failed(renewal, Failure.UNKNOWN, it.now)
    assert it.read(landed) == ()
    assert it.sends(Kind.RELEASE).lease.resource_version == landed.resource_version


def test_a_release_after_expiry_is_still_compare_and_swap_on_our_version():
    it, ours = leading()
    it.now = it.core.valid_until
    it.core.expire(it.now)
    it.core.work_stopped(it.now)
    assert it.sends(Kind.RELEASE).lease.resource_version == ours.resource_version


def test_a_release_that_fails_is_tried_again_until_it_is_abandoned():
    it, _ = release_due()
    it.fail(Kind.RELEASE, Failure.NOT_DONE)
    it.wait_until_due()
    it.sends(Kind.RELEASE)
    assert not ended(it.core.abandon()).released
    assert it.core.abandon() == ()


def test_a_deleted_lease_needs_no_release():
    it, _ = release_due()
    assert not ended(it.fail(Kind.RELEASE, Failure.GONE)).released


def test_who_resigned_lets_others_go_first_also_when_its_work_took_long_to_stop():
    it, _ = leading()
    it.core.resign(it.now)
    it.now += 4
    it.core.work_stopped(it.now)
    request = it.sends(Kind.RELEASE)
    released = it.landed(request)
    it.answer(request, released)
    it.start()
    it.read(released)
    assert it.core.due == pytest.approx(1004 + 2)


# ---------------------------------------------------------------------- giving up a candidacy


def test_resigning_while_waiting_ends_the_candidacy_at_once():
    it = waiting()
    end = ended(it.core.resign(it.now))
    assert (end.term, end.reason, end.released) == (None, EndReason.RESIGNED, False)


def test_resigning_while_the_winning_write_is_on_its_way_releases_what_it_won():
    it = candidate()
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    assert it.core.resign(it.now) == ()
    assert it.core.state is State.RELEASING
    assert it.answer(request, it.landed(request)) == ()
    assert not it.core.leading
    assert ended(it.succeed(Kind.RELEASE)).released


@pytest.mark.parametrize("failure", [Failure.CONFLICT, Failure.NOT_DONE, Failure.PERMANENT, Failure.GONE])
def test_resigning_while_a_winning_write_fails_ends_the_candidacy(failure):
    it = candidate()
    it.read(it.foreign(""))
    request = it.sends(Kind.ACQUIRE)
    it.core.resign(it.now)
    assert not ended(it.core.failed(request, failure, it.now)).released


def test_resigning_while_a_winning_write_is_in_doubt_finds_out_first():
    it = candidate()
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    landed = it.landed(request)
    it.core.resign(it.now)
    assert it.core.failed(request, Failure.UNKNOWN, it.now) == ()
    assert it.read(landed) == ()
    assert ended(it.succeed(Kind.RELEASE)).released


def test_resigning_while_a_winning_write_is_on_its_way_which_another_overwrites_ends_the_candidacy():
    it = candidate()
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    landed = it.landed(request)
    it.core.resign(it.now)
    it.watch(it.foreign())
    assert not ended(it.answer(request, landed)).released
    assert it.tick() is None


def test_answers_of_an_abandoned_candidacy_are_passed_over():
    it = candidate()
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    landed = it.landed(request)
    it.core.abandon()
    assert it.answer(request, landed) == ()
    it.start()
    assert it.core.failed(request, Failure.PERMANENT, it.now) == ()
    assert it.read(landed) == (Waiting(holder="me"),)  # it may be a stranger's, for all that is known


def test_an_abandoned_term_whose_work_may_run_on_is_waited_for():
    it, ours = leading()
    ended(it.core.abandon())
    it.start()
    it.read(ours)
    assert it.core.due == pytest.approx(1000 + TAKEOVER_S)


def test_after_an_expired_term_nobody_has_touched_it_leads_again_at_once_as_a_new_term():
    it, ours = leading()
    it.now = it.core.valid_until
    it.core.expire(it.now)
    it.now += 4
    it.core.work_stopped(it.now)
    ended(it.core.abandon())
    it.start()
    assert it.read(ours) == ()
    (started,) = it.succeed(Kind.ACQUIRE)
    assert (started.term.token, started.term.transitions) == (102, 1)
