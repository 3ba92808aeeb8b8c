"""Whose record it is, and what a deleted Lease means."""

import pytest

from lease_aio.election.events import EndReason, State, Waiting
from lease_aio.election.requests import Failure, Kind
from lease_aio.model import MicroTime
from tests.election.core_rig import TAKEOVER_S, VALID_S, candidate, ended, leading, stopping_reason, waiting

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


@pytest.mark.parametrize("read", [True, False])
def test_a_deletion_seen_by_a_fresh_candidate_is_waited_for_whether_or_not_it_ever_saw_the_lease(read):
    it = candidate()
    record = it.foreign(lease_duration_seconds=60)
    request = it.sends(Kind.READ)
    it.core.vanished("102")
    it.answer(request, record if read else None)
    assert it.core.due == pytest.approx(1000 + (60 * 1.01 if read else TAKEOVER_S))


def test_a_read_from_before_the_deletion_that_the_watch_has_shown_does_not_bring_the_record_back():
    it = waiting()
    it.core.resign(it.now)
    it.start()
    request, second = it.sends(Kind.READ), it.foreign()
    it.watch(second)
    it.core.vanished("103")
    assert it.answer(request, second) == ()
    assert it.core.holder == ""
    it.wait_until_due()
    assert it.now == pytest.approx(1000 + TAKEOVER_S)
    assert it.sends(Kind.ACQUIRE).creates


def test_a_deletion_that_a_read_told_of_before_the_watch_is_one_and_the_same():
    it = candidate()
    it.read(None)
    it.core.vanished("99")
    assert it.core.due == 1000


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


def test_where_a_restored_cluster_has_no_lease_the_first_that_creates_it_leads_with_that_write():
    it = waiting()
    it.version = 40
    it.wait_until_due()
    it.fail(Kind.ACQUIRE, Failure.GONE)
    assert it.core.due == pytest.approx(it.now + TAKEOVER_S)
    it.wait_until_due()
    (started,) = it.succeed(Kind.ACQUIRE)
    assert started.term.token == 41


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


def test_a_read_that_found_nothing_before_the_watch_showed_a_record_is_repeated():
    """It was answered before the record was written. Taken for a deletion, it made the record void until it changed."""
    it = candidate()
    read, record = it.sends(Kind.READ), it.foreign()
    it.watch(record)
    assert it.answer(read, None) == ()
    assert it.core.state is State.OBSERVING
    it.read(record)
    assert it.core.due == pytest.approx(1000 + TAKEOVER_S)
    assert it.core.holder == "other"
