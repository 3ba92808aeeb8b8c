"""Each rule of one candidate, as a sentence; the unhappy ways first."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from lease_aio.election.core import RENEW_JITTER, Election, Failure, Kind, Request
from lease_aio.election.events import Ended, EndReason, Event, Started, State, Stopping, Waiting
from lease_aio.model import Lease, LeaseSpec, MicroTime, from_dict, new_lease, to_dict
from lease_aio.timing import Timing

TIMING = Timing(
    lease_duration_s=15, renew_interval_s=3, request_timeout_s=2, stop_grace_s=4, clock_error=0.01, retry_interval_s=1
)
VALID_S = 15 * 0.99 - 4
TAKEOVER_S = 15 * 1.01


class Candidate:
    """A core, a clock that is set by hand, and a Lease that grows one version with each write."""

    def __init__(self, *, identity: str = "me", random: Callable[[], float] = lambda: 0.0, **more: Any) -> None:
        self.core = Election(name="x", namespace="default", identity=identity, timing=TIMING, random=random, **more)
        self.now, self.wall_us, self.version = 1000.0, 1_700_000_000_000_000, 100

    def start(self) -> Candidate:
        self.core.contend(self.now)
        return self

    def tick(self) -> Request | None:
        return self.core.tick(self.now, self.wall_us)

    def sends(self, kind: Kind) -> Request:
        """The request that is due now, which must be of that kind."""
        request = self.tick()
        assert request is not None
        assert request.kind is kind
        return request

    def store(self, lease: Lease) -> Lease:
        self.version += 1
        return lease.with_metadata(resource_version=str(self.version))

    def landed(self, request: Request) -> Lease:
        """The server does the write; nobody is told."""
        assert request.lease is not None
        return self.store(request.lease)

    def answer(self, request: Request, lease: Lease | None) -> tuple[Event, ...]:
        return self.core.answered(request, lease, self.now)

    def succeed(self, kind: Kind) -> tuple[Event, ...]:
        """What is due is of that kind, and done, and answered at once."""
        request = self.sends(kind)
        return self.answer(request, self.landed(request))

    def fail(self, kind: Kind, failure: Failure) -> tuple[Event, ...]:
        return self.core.failed(self.sends(kind), failure, self.now)

    def read(self, lease: Lease | None) -> tuple[Event, ...]:
        return self.answer(self.sends(Kind.READ), lease)

    def watch(self, lease: Lease) -> tuple[Event, ...]:
        return self.core.observed(lease, self.now)

    def foreign(self, holder: str | None = "other", **spec: Any) -> Lease:
        """A record that somebody else wrote just now."""
        at = MicroTime(self.wall_us - 3_600_000_000)
        fields = {"lease_duration_seconds": 15, "acquire_time": at, "renew_time": at, "lease_transitions": 7, **spec}
        return self.store(new_lease("x", "default", LeaseSpec(holder_identity=holder, **fields)))

    def wait_until_due(self) -> None:
        assert self.core.due < float("inf")
        self.now = max(self.now, self.core.due)


def candidate(**options: Any) -> Candidate:
    return Candidate(**options).start()


def leading(**options: Any) -> tuple[Candidate, Lease]:
    """A candidate that has just created the Lease and won its term at 1000 s; with the record."""
    it = candidate(**options)
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    ours = it.landed(request)
    (started,) = it.answer(request, ours)
    assert isinstance(started, Started)
    return it, ours


def waiting(**spec: Any) -> Candidate:
    """A candidate that has read another's record at 1000 s."""
    it = candidate()
    assert it.read(it.foreign(**spec)) == (Waiting(holder="other"),)
    return it


def stopping_reason(events: tuple[Event, ...]) -> EndReason:
    (event,) = events
    assert isinstance(event, Stopping)
    return event.reason


def ended(events: tuple[Event, ...]) -> Ended:
    (event,) = events
    assert isinstance(event, Ended)
    return event


# ---------------------------------------------------------------------- winning


def test_without_a_lease_it_reads_then_creates_and_leads_with_no_transitions():
    it = candidate()
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    assert request.creates
    ours = it.landed(request)
    (started,) = it.answer(request, ours)
    assert isinstance(started, Started)
    assert (started.term.holder, started.term.transitions, started.term.token) == ("me", 0, 101)
    assert it.core.leading
    assert it.core.state is State.LEADING


@pytest.mark.parametrize("spec", [LeaseSpec(), LeaseSpec(holder_identity=""), LeaseSpec(holder_identity=None)])
def test_an_empty_record_is_taken_at_once_with_one_transition(spec):
    it = candidate()
    it.read(it.store(new_lease("x", "default", spec)))
    (started,) = it.succeed(Kind.ACQUIRE)
    assert started.term.transitions == 1


def test_an_empty_holder_is_free_however_recent_its_record_is():
    it = waiting()
    it.now += 0.1
    it.watch(it.foreign(""))
    assert it.core.due <= it.now
    assert it.succeed(Kind.ACQUIRE)[0].term.transitions == 8


def test_a_fresh_record_of_another_is_left_alone_after_one_read():
    it = waiting()
    assert it.tick() is None
    assert it.core.state is State.WAITING
    assert it.core.holder == "other"


def test_a_standby_asks_for_nothing_while_its_watch_shows_renewals():
    it = waiting()
    for _ in range(100):
        it.now += 10
        assert it.watch(it.foreign()) == ()
        assert it.tick() is None


def test_the_duration_in_the_record_rules_and_not_its_own():
    it = waiting(lease_duration_seconds=3)
    assert it.core.due == pytest.approx(1000 + 3 * 1.01)
    it.wait_until_due()
    assert it.succeed(Kind.ACQUIRE)[0].term.transitions == 8


@pytest.mark.parametrize("senseless", [None, 0, -5])
def test_a_missing_or_senseless_duration_means_its_own(senseless):
    assert waiting(lease_duration_seconds=senseless).core.due == pytest.approx(1000 + TAKEOVER_S)


def test_an_absurd_duration_is_waited_for_and_overflows_nothing():
    it = waiting(lease_duration_seconds=2**31 - 1)
    assert it.core.due > 2**31


def test_transitions_at_the_limit_of_the_api_stay_there():
    it = waiting(lease_transitions=2**31 - 1)
    it.wait_until_due()
    assert it.sends(Kind.ACQUIRE).lease.spec.lease_transitions == 2**31 - 1


@pytest.mark.parametrize("renewed_us", [0, 2**60])
def test_the_wall_clock_of_the_holder_is_never_compared(renewed_us):
    it = waiting(renew_time=MicroTime(renewed_us))
    assert it.core.due == pytest.approx(1000 + TAKEOVER_S)


def test_a_record_without_any_times_is_waited_for_like_another():
    it = waiting(renew_time=None, acquire_time=None, lease_transitions=None)
    it.wait_until_due()
    assert it.succeed(Kind.ACQUIRE)[0].term.transitions == 1


def test_every_new_version_starts_the_wait_anew_also_one_that_only_changes_a_label():
    it = waiting()
    it.now += 14
    it.watch(it.foreign())
    assert it.core.due == pytest.approx(1014 + TAKEOVER_S)


def test_the_same_version_read_again_does_not_start_the_wait_anew():
    it = candidate()
    record = it.foreign()
    it.read(record)
    it.now += 5
    it.watch(record)
    assert it.core.due == pytest.approx(1000 + TAKEOVER_S)


def test_a_version_known_since_an_earlier_candidacy_has_been_waited_for_already():
    it = candidate()
    record = it.foreign()
    it.read(record)
    assert ended(it.core.resign(it.now)).term is None
    it.now += 10
    it.start()
    it.read(record)
    assert it.core.due == pytest.approx(1000 + TAKEOVER_S)


def test_a_lost_race_is_read_back_and_then_waited_for():
    it = waiting()
    it.wait_until_due()
    assert it.fail(Kind.ACQUIRE, Failure.CONFLICT) == ()
    assert it.read(it.foreign("third")) == (Waiting(holder="third"),)
    assert it.core.due == pytest.approx(it.now + TAKEOVER_S)


def test_a_lost_race_to_create_is_read_back():
    it = candidate()
    it.read(None)
    it.fail(Kind.ACQUIRE, Failure.CONFLICT)
    assert it.read(it.foreign()) == (Waiting(holder="other"),)


def test_a_lease_that_vanished_before_the_take_over_is_not_recreated_at_once():
    it = waiting()
    it.wait_until_due()
    assert it.fail(Kind.ACQUIRE, Failure.GONE) == ()
    assert it.core.due == pytest.approx(it.now + TAKEOVER_S)


def test_who_waits_is_told_once():
    it = waiting()
    it.now += 1
    assert it.watch(it.foreign()) == ()
    assert it.watch(it.foreign("third")) == (Waiting(holder="third"),)


def test_an_answer_that_comes_after_the_term_starts_no_work():
    it = candidate()
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    ours = it.landed(request)
    it.now += VALID_S
    assert it.answer(request, ours) == ()
    assert not it.core.leading
    assert it.succeed(Kind.ACQUIRE)[0].term.token == 102  # nobody came in between


def test_a_win_that_the_watch_showed_as_lost_again_starts_no_work():
    it = candidate()
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    ours = it.landed(request)
    assert it.watch(it.foreign()) == (Waiting(holder="other"),)
    assert it.answer(request, ours) == ()
    assert not it.core.leading


def test_a_win_whose_lease_was_seen_deleted_starts_no_work():
    it = candidate()
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    ours = it.landed(request)
    it.core.vanished("102")
    assert it.answer(request, ours) == ()
    assert not it.core.leading


# ---------------------------------------------------------------------- whose record it is


def test_a_record_of_the_same_identity_is_not_adopted():
    it = candidate()
    assert it.read(it.foreign("me")) == (Waiting(holder="me"),)
    assert it.core.due == pytest.approx(1000 + TAKEOVER_S)


def test_a_leader_stops_when_another_process_of_its_identity_took_over():
    it, _ = leading()
    assert stopping_reason(it.watch(it.foreign("me"))) is EndReason.TAKEN


def test_another_holder_ends_the_term_at_once():
    it, _ = leading()
    assert stopping_reason(it.watch(it.foreign())) is EndReason.TAKEN
    assert not it.core.leading
    assert it.core.state is State.STOPPING


def test_another_holder_that_is_read_after_a_conflict_ends_the_term_at_once():
    it, _ = leading()
    it.wait_until_due()
    assert it.fail(Kind.RENEW, Failure.CONFLICT) == ()
    assert it.core.leading
    assert stopping_reason(it.read(it.foreign())) is EndReason.TAKEN


@pytest.mark.parametrize("blank", ["", None])
def test_a_holder_blanked_by_hand_ends_the_term(blank):
    it, ours = leading()
    assert stopping_reason(it.watch(it.store(ours.with_spec(holder_identity=blank)))) is EndReason.TAKEN


@pytest.mark.parametrize(
    "change", [{"lease_transitions": 5}, {"renew_time": MicroTime(5)}, {"acquire_time": MicroTime(5)}]
)
def test_a_record_changed_by_hand_is_no_longer_ours(change):
    it, ours = leading()
    assert stopping_reason(it.watch(it.store(ours.with_spec(**change)))) is EndReason.TAKEN


def test_a_record_once_lost_is_not_ours_again_when_it_is_put_back():
    it, ours = leading()
    it.watch(it.foreign())
    it.watch(it.store(ours))
    assert it.tick() is None
    assert not it.core.leading


def test_a_conflict_with_a_label_edit_keeps_the_term_and_the_label():
    it, ours = leading()
    it.wait_until_due()
    it.fail(Kind.RENEW, Failure.CONFLICT)
    edited = it.store(ours.with_metadata(labels={"theirs": "1"}))
    assert it.read(edited) == ()
    assert it.core.leading
    again = it.sends(Kind.RENEW)
    assert again.lease.resource_version == edited.resource_version
    assert again.lease.metadata.labels == {"theirs": "1"}


def test_a_label_edit_that_the_watch_shows_costs_no_conflict():
    it, ours = leading()
    edited = it.store(ours.with_metadata(labels={"theirs": "1"}))
    assert it.watch(edited) == ()
    it.wait_until_due()
    assert it.sends(Kind.RENEW).lease.resource_version == edited.resource_version


def test_a_label_edit_does_not_extend_the_term():
    it, ours = leading()
    it.now += 5
    it.watch(it.store(ours.with_metadata(labels={"theirs": "1"})))
    assert it.core.valid_until == pytest.approx(1000 + VALID_S)


# ---------------------------------------------------------------------- deletion


def test_a_deletion_under_the_leader_ends_the_term_at_once():
    it, _ = leading()
    assert stopping_reason(it.core.vanished("102")) is EndReason.DELETED
    assert it.tick() is None


def test_a_deletion_found_by_a_renewal_ends_the_term_at_once():
    it, _ = leading()
    it.wait_until_due()
    assert stopping_reason(it.fail(Kind.RENEW, Failure.GONE)) is EndReason.DELETED


def test_who_led_a_deleted_lease_may_create_it_as_soon_as_its_work_has_stopped():
    it, _ = leading()
    it.core.vanished("102")
    assert not ended(it.core.work_stopped(it.now)).released
    it.version = 102
    it.start()
    it.read(None)
    (started,) = it.succeed(Kind.ACQUIRE)
    assert started.term.token == 103


def test_a_deletion_known_from_a_list_alone_is_read_before_the_term_ends():
    it, _ = leading()
    assert it.core.vanished("") == ()
    assert it.core.leading
    assert stopping_reason(it.read(None)) is EndReason.DELETED


def test_a_stale_absence_does_not_end_the_term():
    it, ours = leading()
    it.core.vanished("")
    assert it.read(ours) == ()
    assert it.core.vanished("90") == ()
    assert it.core.leading


def test_a_deletion_of_a_live_holders_lease_does_not_shorten_the_wait():
    it = waiting()
    it.now += 10
    it.core.vanished("102")
    it.read(None)
    assert it.core.due == pytest.approx(1010 + TAKEOVER_S)  # it may have renewed, unseen, until the deletion
    it.wait_until_due()
    assert it.sends(Kind.ACQUIRE).creates


def test_a_deletion_does_not_shorten_the_wait_for_a_longer_duration_than_its_own():
    it = waiting(lease_duration_seconds=60)
    it.core.vanished("102")
    it.read(None)
    assert it.core.due == pytest.approx(1000 + 60 * 1.01)


def test_a_deletion_of_a_released_lease_is_waited_for_too_since_a_win_may_have_gone_unseen():
    it = candidate()
    it.read(it.foreign(""))
    it.fail(Kind.ACQUIRE, Failure.GONE)
    assert it.core.due == pytest.approx(1000 + TAKEOVER_S)


def test_a_late_event_from_before_the_deletion_is_passed_over():
    it = waiting()
    late = it.foreign()
    it.core.vanished("110")
    it.read(None)
    assert it.watch(late) == ()
    assert it.core.holder == ""


def test_after_a_deletion_a_newer_lease_of_another_is_waited_for():
    it = waiting()
    it.core.vanished("102")
    it.version = 102
    assert it.read(it.foreign("third")) == (Waiting(holder="third"),)


def test_a_cluster_restored_from_a_backup_ends_the_term_and_is_waited_for():
    it, _ = leading()
    it.wait_until_due()
    it.fail(Kind.RENEW, Failure.CONFLICT)
    it.version = 40
    assert stopping_reason(it.read(it.foreign())) is EndReason.TAKEN
    it.core.work_stopped(it.now)
    it.start()
    it.read(it.foreign())
    it.wait_until_due()
    (started,) = it.succeed(Kind.ACQUIRE)
    assert started.term.token == 43


def test_a_create_that_lands_only_after_the_lease_of_another_came_and_went_starts_no_work():
    it = candidate()
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    it.watch(it.foreign())
    it.core.vanished("102")
    it.version = 102
    assert it.answer(request, it.landed(request)) == ()
    assert not it.core.leading


def test_nor_does_one_that_lands_unanswered():
    it = candidate()
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    it.watch(it.foreign())
    it.core.failed(request, Failure.UNKNOWN, it.now)
    it.core.vanished("102")
    it.version = 102
    assert it.watch(it.landed(request)) == ()
    assert not it.core.leading


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


@pytest.mark.parametrize("failure", [Failure.UNKNOWN, Failure.CONFLICT, Failure.NOT_DONE])
def test_a_win_shown_by_the_watch_first_counts_whatever_the_answer_says(failure):
    it = candidate()
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    assert it.watch(it.landed(request)) == ()
    (started,) = it.core.failed(request, failure, it.now)
    assert started.term.token == 101


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


def release_due(*, holder_work_stopped: bool = True) -> tuple[Candidate, Lease]:
    it, ours = leading()
    it.core.resign(it.now)
    if holder_work_stopped:
        assert it.core.work_stopped(it.now) == ()
    return it, ours


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


# ---------------------------------------------------------------------- when the next request is due


def test_an_idle_candidate_wants_nothing():
    it = Candidate()
    assert (it.core.state, it.core.due, it.tick()) == (State.IDLE, float("inf"), None)
    assert it.core.resign(it.now) == it.core.work_stopped(it.now) == it.core.abandon() == ()


def test_a_request_on_its_way_is_the_only_one():
    it = candidate()
    it.sends(Kind.READ)
    it.now += 100
    assert it.core.due == float("inf")
    assert it.tick() is None


def test_a_request_due_at_once_has_a_finite_due_time_and_deadline():
    it, _ = leading()
    it.wait_until_due()
    it.fail(Kind.RENEW, Failure.CONFLICT)
    assert it.core.due == it.now
    it, _ = release_due()
    assert it.core.due == it.now
    assert it.core.deadline == it.now + TIMING.request_timeout_s
    it = candidate()
    it.read(None)
    assert it.core.due == it.now


def test_contending_begins_with_a_read_at_once():
    it = candidate()
    assert it.core.due == 1000
    assert it.core.state is State.OBSERVING
    assert it.core.deadline == 1000 + TIMING.request_timeout_s


def test_the_winning_write_shows_as_acquiring():
    it = candidate()
    it.read(None)
    it.sends(Kind.ACQUIRE)
    assert it.core.state is State.ACQUIRING


# ---------------------------------------------------------------------- without a watch


def test_without_a_watch_it_reads_once_every_renew_interval():
    it = candidate()
    it.core.polling = True
    record = it.foreign()
    it.read(record)
    for _ in range(4):
        before = it.now
        it.wait_until_due()
        assert it.now == pytest.approx(before + 3)
        it.read(record)
    it.now = 1000 + TAKEOVER_S
    it.sends(Kind.ACQUIRE)


def test_without_a_watch_a_release_is_seen_by_the_next_read():
    it = candidate()
    it.core.polling = True
    it.read(it.foreign())
    it.wait_until_due()
    it.read(it.foreign(""))
    it.sends(Kind.ACQUIRE)


# ---------------------------------------------------------------------- what is written


def test_written_times_strictly_rise_also_when_the_wall_clock_steps_back():
    it, ours = leading()
    stamps = [ours.spec.renew_time.epoch_us]
    for step_us in (0, -5_000_000, 0, 7):
        it.wall_us += step_us
        it.wait_until_due()
        request = it.sends(Kind.RENEW)
        stamps.append(request.lease.spec.renew_time.epoch_us)
        it.answer(request, it.landed(request))
    assert all(earlier < later for earlier, later in pairwise(stamps))


def test_a_renewal_changes_the_renew_time_alone():
    it, ours = leading()
    it.wait_until_due()
    it.wall_us += 3_000_000
    renewed = it.sends(Kind.RENEW).lease
    assert renewed.with_spec(renew_time=ours.spec.renew_time) == ours


def test_transitions_rise_by_one_with_each_term_and_tokens_with_them():
    it, _ = leading()
    seen = []
    for _ in range(3):
        seen.append((it.core.term.transitions, it.core.term.token))
        it.core.work_stopped(it.now)
        request = it.sends(Kind.RELEASE)
        released = it.landed(request)
        it.answer(request, released)
        it.now += 10
        it.start()
        it.read(released)
        it.succeed(Kind.ACQUIRE)
    assert seen == [(0, 101), (1, 103), (2, 105)]


def test_what_others_put_into_the_lease_survives_winning_renewing_and_releasing():
    plain = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": "x",
            "namespace": "default",
            "resourceVersion": "7",
            "labels": {"theirs": "1"},
            "annotations": {"a": "b"},
            "futureMeta": {"deep": [1]},
        },
        "spec": {"holderIdentity": "", "futureSpec": 3},
    }
    it = candidate(labels={"ours": "2"})
    it.read(from_dict(plain, Lease))
    it.succeed(Kind.ACQUIRE)
    it.wait_until_due()
    it.succeed(Kind.RENEW)
    it.core.work_stopped(it.now)
    written = to_dict(it.sends(Kind.RELEASE).lease)
    assert written["metadata"]["labels"] == {"theirs": "1", "ours": "2"}
    assert written["metadata"]["annotations"] == {"a": "b"}
    assert written["metadata"]["futureMeta"] == {"deep": [1]}
    assert written["spec"]["futureSpec"] == 3


def test_our_labels_are_put_back_where_they_were_taken_away():
    it, ours = leading(labels={"app": "x"})
    it.watch(it.store(ours.with_metadata(labels={})))
    it.wait_until_due()
    assert it.sends(Kind.RENEW).lease.metadata.labels == {"app": "x"}


def test_an_older_event_of_the_watch_is_passed_over():
    it, ours = leading()
    it.version = 50
    assert it.watch(it.foreign()) == ()
    assert it.watch(ours) == ()
    assert it.core.leading


def test_an_older_read_than_the_watch_has_shown_changes_nothing():
    it = candidate()
    old = it.foreign()
    request = it.sends(Kind.READ)
    it.watch(it.foreign("third"))
    it.answer(request, old)
    assert it.core.holder == "third"
