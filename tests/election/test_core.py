"""What one candidate does and when: winning, waiting, what it writes; the unhappy ways first."""

from itertools import pairwise

import pytest

from lease_aio.election.events import Started, State, Waiting
from lease_aio.election.requests import Failure, Kind
from lease_aio.model import Lease, LeaseSpec, MicroTime, from_dict, new_lease, to_dict
from tests.election.core_rig import (
    TAKEOVER_S,
    TIMING,
    VALID_S,
    Candidate,
    candidate,
    ended,
    leading,
    release_due,
    waiting,
)

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
