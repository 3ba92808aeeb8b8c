"""What a coordinated candidate does and when: whom it waits for, what it takes, to whom it yields."""

import pytest

from lease_aio.election.appointment import PREFERRED
from lease_aio.election.events import EndReason, Started, State
from lease_aio.election.requests import Failure, Kind
from lease_aio.model import LeaseSpec, MicroTime, new_lease
from tests.election.core_rig import TAKEOVER_S, Candidate, stopping_reason

FALLBACK_S = 20.0
PLAIN_S = 15 * 1.01


def candidate(**options):
    return Candidate(fallback_after_s=FALLBACK_S, **options).start()


def appointed(it, holder="me", **spec):
    """A record as a coordinator writes it."""
    fields = {"lease_duration_seconds": 5, "renew_time": MicroTime(it.wall_us), "strategy": "OldestEmulationVersion"}
    return it.store(new_lease("x", "default", LeaseSpec(holder_identity=holder, **{**fields, **spec})))


def won(events):
    (started,) = events
    assert isinstance(started, Started)
    return started.term


def leading():
    """A candidate that was appointed over a Lease that nobody held, and has won its term at 1000 s; with the record."""
    it = candidate()
    it.read(it.foreign(""))
    it.watch(appointed(it))
    request = it.sends(Kind.ACQUIRE)
    ours = it.landed(request)
    won(it.answer(request, ours))
    return it, ours


# ---------------------------------------------------------------- waiting for the coordinator


def test_a_lease_that_does_not_exist_is_left_to_the_coordinator():
    it = candidate()
    assert it.read(None) == ()
    assert it.tick() is None
    assert it.core.due == 1000 + FALLBACK_S


def test_a_lease_that_nobody_holds_is_left_to_the_coordinator():
    it = candidate()
    it.read(it.foreign(""))
    assert it.core.due == 1000 + FALLBACK_S


def test_a_silent_holder_is_waited_for_and_then_the_coordinator():
    it = candidate()
    it.read(it.foreign())
    assert it.core.due == pytest.approx(1000 + TAKEOVER_S + FALLBACK_S)


def test_a_lease_that_has_been_free_for_long_is_left_to_the_coordinator_from_the_start_of_the_candidacy():
    it = candidate()
    record = it.foreign("")
    it.read(record)
    it.core.abandon()
    it.now += 100
    it.core.contend(it.now)
    it.read(record)
    assert it.core.due == 1100 + FALLBACK_S


# ---------------------------------------------------------------- appointed


def test_an_appointment_to_a_lease_that_nobody_held_is_taken_up_at_once():
    it = candidate()
    it.read(it.foreign("", lease_transitions=3))
    it.watch(appointed(it, lease_transitions=3))
    term = won(it.succeed(Kind.ACQUIRE))
    assert (term.appointed, term.transitions) == (True, 4)


def test_an_appointment_to_a_lease_that_did_not_exist_is_taken_up_at_once():
    it = candidate()
    it.read(None)
    it.watch(appointed(it))
    assert won(it.succeed(Kind.ACQUIRE)).appointed


def test_what_it_writes_keeps_the_strategy_and_has_its_own_duration():
    it = candidate()
    it.read(None)
    it.watch(appointed(it))
    spec = it.sends(Kind.ACQUIRE).lease.spec
    assert (spec.strategy, spec.preferred_holder, spec.lease_duration_seconds) == ("OldestEmulationVersion", None, 15)
    assert spec.acquire_time == spec.renew_time is not None


def test_it_lets_the_time_of_the_holder_before_it_run_out_by_its_own_clock():
    """The coordinator may have judged by a clock that is wrong."""
    it = candidate()
    it.read(it.foreign())
    it.now += 2
    it.watch(it.foreign())
    it.now += 1
    it.watch(appointed(it))
    assert it.core.due == pytest.approx(1002 + TAKEOVER_S)
    it.wait_until_due()
    won(it.succeed(Kind.ACQUIRE))


def test_it_lets_the_times_of_all_holders_before_it_run_out():
    it = candidate()
    it.read(it.foreign("first", lease_duration_seconds=60))
    it.watch(appointed(it, "second"))
    it.watch(appointed(it))
    assert it.core.due == pytest.approx(1000 + 60 * 1.01)


def test_an_appointment_of_another_that_was_never_taken_up_is_no_term_to_be_waited_for():
    it = candidate()
    it.read(it.foreign(""))
    it.watch(appointed(it, "dead"))
    it.now += 5
    it.watch(appointed(it))
    assert it.core.due <= it.now


def test_an_appointment_of_another_that_client_go_took_up_is_a_term():
    it = candidate()
    it.read(it.foreign(""))
    first = appointed(it, "other")
    it.watch(first)
    it.now += 1
    it.watch(it.store(first.with_spec(renew_time=MicroTime(it.wall_us + 1), lease_duration_seconds=15)))
    it.watch(appointed(it))
    assert it.core.due == pytest.approx(1001 + TAKEOVER_S)


def test_a_release_in_between_says_that_all_work_has_stopped():
    it = candidate()
    it.read(it.foreign("first", lease_duration_seconds=60))
    it.watch(it.foreign(""))
    it.watch(appointed(it))
    assert it.core.due <= it.now


def test_an_appointment_that_is_read_and_not_watched_may_hide_a_term_so_it_waits():
    it = candidate()
    it.read(appointed(it))
    assert it.core.due == pytest.approx(1000 + TAKEOVER_S)


def test_an_appointment_that_a_list_shows_may_hide_a_term_so_it_waits():
    it = candidate()
    it.read(it.foreign(""))
    it.core.observed(appointed(it), it.now, gap=True)
    assert it.core.due == pytest.approx(1000 + TAKEOVER_S)


def test_an_appointment_that_is_watched_before_anything_was_read_may_hide_a_term_so_it_waits():
    it = candidate()
    record = appointed(it)
    it.watch(record)
    it.read(record)
    assert it.core.due == pytest.approx(1000 + TAKEOVER_S)


def test_a_new_version_of_the_same_appointment_changes_nothing():
    it = candidate()
    it.read(it.foreign(""))
    first = appointed(it)
    it.watch(first)
    request = it.sends(Kind.ACQUIRE)
    second = it.store(first.with_metadata(labels={"a": "b"}))
    it.core.failed(request, Failure.CONFLICT, it.now)
    it.read(second)
    assert it.core.due <= it.now
    won(it.succeed(Kind.ACQUIRE))


def test_a_record_of_another_process_with_the_same_identity_is_no_appointment():
    it = candidate()
    it.read(it.foreign(""))
    it.watch(it.foreign("me"))  # it has an acquire time: somebody has won
    assert it.core.due == pytest.approx(1000 + TAKEOVER_S)
    assert it.core.state is State.WAITING


def test_a_renewal_of_another_process_with_the_same_identity_is_no_appointment():
    """client-go's coordinated elector writes no acquire time."""
    it = candidate()
    it.read(it.foreign(""))
    first = appointed(it)
    it.watch(first)
    it.now += 1
    it.watch(it.store(first.with_spec(renew_time=MicroTime(it.wall_us + 1), lease_duration_seconds=15)))
    assert it.core.due == pytest.approx(1001 + TAKEOVER_S)


def test_an_appointment_with_another_preferred_already_is_not_taken_up():
    it = candidate()
    it.read(it.foreign(""))
    it.watch(appointed(it, preferred_holder="other"))
    assert it.core.due > it.now + FALLBACK_S


def test_the_appointment_of_another_is_left_alone_as_long_as_that_one_may_have_to_wait():
    it = candidate()
    it.read(it.foreign(""))
    it.watch(appointed(it, "other"))
    assert it.core.due == pytest.approx(1000 + TAKEOVER_S + FALLBACK_S)


def test_an_appointment_of_another_that_is_read_may_hide_a_longer_term_than_it_says():
    it = candidate()
    it.read(appointed(it, "other"))
    it.watch(appointed(it))
    assert it.core.due == pytest.approx(1000 + TAKEOVER_S)


def test_its_own_lost_term_is_taken_up_again_if_nobody_has_come_since():
    it, _ = leading()
    it.now = it.core.valid_until
    assert stopping_reason(it.core.expire(it.now)) is EndReason.EXPIRED
    it.core.work_stopped(it.now)
    it.core.abandon()
    it.core.contend(it.now)
    it.read(it.core._seen.lease)
    assert it.core.due <= it.now


# ---------------------------------------------------------------- yielding


def test_a_leader_yields_as_soon_as_another_is_preferred():
    it, ours = leading()
    events = it.watch(it.store(ours.with_spec(preferred_holder="other")))
    assert stopping_reason(events) is EndReason.YIELDED
    assert it.core.state is State.STOPPING


def test_a_leader_yields_to_an_annotation_too():
    it, ours = leading()
    events = it.watch(it.store(ours.with_metadata(annotations={PREFERRED: "other"})))
    assert stopping_reason(events) is EndReason.YIELDED


@pytest.mark.parametrize("preferred", ["me", "", None])
def test_a_leader_that_is_itself_preferred_goes_on(preferred):
    it, ours = leading()
    assert it.watch(it.store(ours.with_spec(preferred_holder=preferred))) == ()
    assert it.core.leading


def test_a_leader_that_reads_the_preference_after_a_conflict_yields_too():
    it, ours = leading()
    it.now = it.core.due
    request = it.sends(Kind.RENEW)
    assert it.core.failed(request, Failure.CONFLICT, it.now) == ()
    events = it.read(it.store(ours.with_spec(preferred_holder="other")))
    assert stopping_reason(events) is EndReason.YIELDED


def test_it_renews_until_its_work_has_stopped_and_only_then_gives_the_lease_back():
    it, ours = leading()
    it.watch(it.store(ours.with_spec(preferred_holder="other")))
    it.now = it.core.due
    renewal = it.sends(Kind.RENEW)
    assert renewal.lease.spec.preferred_holder == "other"
    it.answer(renewal, it.landed(renewal))
    it.core.work_stopped(it.now)
    release = it.sends(Kind.RELEASE).lease
    assert (release.holder, release.spec.preferred_holder) == ("", "other")


def test_a_plain_leader_does_not_know_of_preferences():
    it = Candidate().start()
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    ours = it.landed(request)
    it.answer(request, ours)
    assert it.watch(it.store(ours.with_spec(preferred_holder="other"))) == ()
    assert it.core.leading


# ---------------------------------------------------------------- falling back, and returning


def fallen_back():
    it = candidate()
    it.read(None)
    it.now += FALLBACK_S
    request = it.sends(Kind.ACQUIRE)
    ours = it.landed(request)
    assert not won(it.answer(request, ours)).appointed
    return it, ours


def test_where_no_coordinator_acts_it_takes_the_lease_as_in_a_plain_election():
    _, ours = fallen_back()
    assert (ours.holder, ours.spec.strategy) == ("me", None)


def test_who_has_fallen_back_waits_for_no_coordinator_the_next_time():
    it, ours = fallen_back()
    it.watch(it.foreign())
    it.core.work_stopped(it.now)
    it.core.contend(it.now)
    it.read(it.foreign(""))
    assert it.core.due <= it.now
    del ours


def test_who_sees_the_lease_change_hands_without_a_coordinator_waits_for_none():
    it = candidate()
    it.read(it.foreign(""))
    it.watch(it.foreign())  # taken by somebody
    it.watch(it.foreign(""))
    assert it.core.due <= it.now


@pytest.mark.parametrize("sign", ["appointment", "preference", "question"])
def test_a_sign_of_the_coordinator_makes_it_wait_again(sign):
    it = candidate()
    it.read(it.foreign(""))
    record = it.foreign()
    it.watch(record)
    match sign:
        case "appointment":
            it.watch(appointed(it, "other"))
        case "preference":
            it.watch(it.store(record.with_spec(preferred_holder="third")))
        case _:
            it.core.heard_coordinator()
    it.watch(it.foreign(""))
    assert it.core.due == 1000 + FALLBACK_S


def test_who_has_fallen_back_yields_to_the_coordinator_when_it_returns():
    it, ours = fallen_back()
    assert stopping_reason(it.watch(it.store(ours.with_spec(preferred_holder="other")))) is EndReason.YIELDED


def test_who_has_yielded_to_a_coordinator_leaves_the_lease_to_it():
    it, ours = fallen_back()
    it.watch(it.store(ours.with_spec(preferred_holder="other")))
    it.core.work_stopped(it.now)
    it.succeed(Kind.RELEASE)
    it.core.contend(it.now)
    it.read(it.store(it.core._seen.lease))
    assert it.core.due == it.now + FALLBACK_S


def test_where_the_server_has_no_candidates_it_is_a_plain_election():
    it = candidate()
    it.read(None)
    it.core.candidates_served(served=False)
    assert it.core.due <= it.now
    it.core.candidates_served(served=True)
    assert it.core.due == 1000 + FALLBACK_S


# ---------------------------------------------------------------- refused


def test_a_candidate_that_may_not_be_published_ends_and_a_leader_goes_on():
    it = candidate()
    it.read(it.foreign())
    (end,) = it.core.refuse()
    assert end.reason is EndReason.REFUSED
    it, _ = leading()
    assert it.core.refuse() == ()
    assert it.core.leading
