"""Writes of unknown outcome, refusals, and floods of failures."""

import pytest

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

# ---------------------------------------------------------------------- writes of unknown outcome


def test_an_unanswered_write_is_read_back_before_anything_is_written():
    it, _ = leading()
    it.wait_until_due()
    it.fail(Kind.RENEW, Failure.UNKNOWN)
    assert it.core.state is State.UNCERTAIN
    assert it.core.leading
    it.sends(Kind.READ)


def test_an_unanswered_renewal_extends_nothing():
    it, _ = leading()
    it.now += 3
    it.fail(Kind.RENEW, Failure.UNKNOWN)
    assert it.core.valid_until == pytest.approx(1000 + VALID_S)


def test_a_renewal_that_landed_unanswered_counts_from_its_sending_once_read():
    it, _ = leading()
    it.now += 3
    request = it.sends(Kind.RENEW)
    landed = it.landed(request)
    it.now += 2
    it.core.failed(request, Failure.UNKNOWN, it.now)
    assert it.read(landed) == ()
    assert it.core.valid_until == pytest.approx(1003 + VALID_S)
    assert it.core.state is State.LEADING


def test_a_renewal_that_did_not_land_is_tried_again_at_once():
    it, ours = leading()
    it.now += 3
    it.fail(Kind.RENEW, Failure.UNKNOWN)
    assert it.read(ours) == ()
    it.sends(Kind.RENEW)
    assert it.core.valid_until == pytest.approx(1000 + VALID_S)


def test_a_renewal_that_lands_after_it_was_read_as_not_done_is_found_again():
    it, ours = leading()
    it.now += 3
    first = it.sends(Kind.RENEW)
    it.core.failed(first, Failure.UNKNOWN, it.now)
    it.read(ours)
    it.now += 0.5
    second = it.sends(Kind.RENEW)
    late = it.landed(first)
    it.core.failed(second, Failure.CONFLICT, it.now)
    it.wait_until_due()
    assert it.read(late) == ()
    assert it.core.leading
    assert it.core.valid_until == pytest.approx(1003 + VALID_S)


def test_a_late_renewal_shown_by_the_watch_is_known_as_ours():
    it, ours = leading()
    it.now += 3
    request = it.sends(Kind.RENEW)
    it.core.failed(request, Failure.UNKNOWN, it.now)
    it.read(ours)
    assert it.watch(it.landed(request)) == ()
    assert it.core.leading
    assert it.core.valid_until == pytest.approx(1003 + VALID_S)


def test_the_watch_may_confirm_a_renewal_before_its_answer():
    it, _ = leading()
    it.now += 3
    request = it.sends(Kind.RENEW)
    landed = it.landed(request)
    assert it.watch(landed) == ()
    assert it.core.valid_until == pytest.approx(1003 + VALID_S)
    assert it.core.failed(request, Failure.UNKNOWN, it.now) == ()
    assert it.core.state is State.LEADING


def test_a_win_shown_by_the_watch_first_counts_also_when_no_answer_comes():
    it = candidate()
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    assert it.watch(it.landed(request)) == ()
    (started,) = it.core.failed(request, Failure.UNKNOWN, it.now)
    assert started.term.token == 101


@pytest.mark.parametrize("failure", [Failure.CONFLICT, Failure.NOT_DONE, Failure.GONE])
def test_a_record_like_ours_is_a_doubles_when_the_answer_says_that_ours_was_not_written(failure):
    it = candidate()
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    record = it.landed(request)  # of the same identity, in the same microsecond
    it.watch(record)
    it.core.failed(request, failure, it.now)
    if failure is Failure.CONFLICT:
        assert it.read(record) == (Waiting(holder="me"),)
    assert it.core.due == pytest.approx(1000 + TAKEOVER_S)


def test_a_win_that_landed_unanswered_is_found_by_reading():
    it = candidate()
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    landed = it.landed(request)
    it.now += 2
    assert it.core.failed(request, Failure.UNKNOWN, it.now) == ()
    (started,) = it.read(landed)
    assert started.term.token == 101
    assert it.core.valid_until == pytest.approx(1000 + VALID_S)


def test_a_win_that_lands_after_it_was_read_as_not_done_is_found_by_the_watch():
    it = candidate()
    record = it.foreign("")
    it.read(record)
    request = it.sends(Kind.ACQUIRE)
    it.core.failed(request, Failure.UNKNOWN, it.now)
    it.read(record)
    (started,) = it.watch(it.landed(request))
    assert started.term.token == 102


def test_a_win_that_lands_when_its_time_is_over_is_not_begun():
    it = waiting()
    it.wait_until_due()
    request = it.sends(Kind.ACQUIRE)
    it.core.failed(request, Failure.UNKNOWN, it.now)
    landed = it.landed(request)
    it.now += VALID_S
    assert it.read(landed) == ()
    assert not it.core.leading


def test_the_token_of_a_win_found_behind_a_label_edit_still_rises():
    it = candidate()
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    landed = it.landed(request)
    it.core.failed(request, Failure.UNKNOWN, it.now)
    (started,) = it.read(it.store(landed.with_metadata(labels={"theirs": "1"})))
    assert started.term.token == 102


def test_an_unknown_write_over_which_another_wrote_is_forgotten():
    it, _ = leading()
    it.now += 3
    it.fail(Kind.RENEW, Failure.UNKNOWN)
    it.watch(it.foreign())
    assert ended(it.core.work_stopped(it.now)).reason is EndReason.TAKEN  # and nothing is left to be found out


def test_only_the_last_few_unknown_writes_are_remembered():
    it, ours = leading()
    for _ in range(40):
        it.wait_until_due()
        it.fail(Kind.RENEW, Failure.UNKNOWN)
        it.wait_until_due()
        it.read(ours)
    assert len(it.core._doubtful) <= 8


# ---------------------------------------------------------------------- refusals and floods


@pytest.mark.parametrize("kind", [Kind.READ, Kind.ACQUIRE])
def test_a_permanent_refusal_ends_the_candidacy_and_is_not_tried_again(kind):
    it = candidate()
    if kind is Kind.ACQUIRE:
        it.read(None)
    end = ended(it.fail(kind, Failure.PERMANENT))
    assert (end.reason, end.term) == (EndReason.REFUSED, None)
    assert it.tick() is None


def test_a_permanent_refusal_ends_the_term():
    it, _ = leading()
    it.wait_until_due()
    assert stopping_reason(it.fail(Kind.RENEW, Failure.PERMANENT)) is EndReason.REFUSED
    assert it.tick() is None
    assert ended(it.core.work_stopped(it.now)).reason is EndReason.REFUSED


def test_a_refused_read_of_a_doubtful_renewal_ends_the_term_and_is_not_repeated():
    it, _ = leading()
    it.wait_until_due()
    it.fail(Kind.RENEW, Failure.UNKNOWN)
    assert stopping_reason(it.fail(Kind.READ, Failure.PERMANENT)) is EndReason.REFUSED
    assert it.tick() is None


def test_a_refused_read_of_a_doubtful_release_ends_it():
    it, _ = release_due()
    it.fail(Kind.RELEASE, Failure.UNKNOWN)
    assert not ended(it.fail(Kind.READ, Failure.PERMANENT)).released


@pytest.mark.parametrize("failure", [Failure.CONFLICT, Failure.UNKNOWN])
def test_a_renewal_that_fails_again_and_again_pauses_after_the_second_time(failure):
    it, ours = leading()
    it.wait_until_due()
    writes, begin = 0, it.now
    while it.now < begin + 5:
        it.fail(Kind.RENEW, failure)
        writes += 1
        it.wait_until_due()
        ours = it.store(ours.with_metadata(labels={"theirs": str(it.version)}))
        it.read(ours)
        it.wait_until_due()
    assert writes <= 12  # two a second at the most, whatever the server does


def test_a_lease_that_can_never_be_created_is_not_asked_for_without_a_pause():
    it = candidate()
    it.read(None)
    begin, writes = it.now, 0
    while it.now < begin + 5:
        it.fail(Kind.ACQUIRE, Failure.GONE)
        writes += 1
        it.wait_until_due()
    assert writes <= 12
