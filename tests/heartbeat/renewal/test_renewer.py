"""The rules of component-helpers' lease controller, and its own test cases among them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lease_aio.heartbeat.renewal.renewer import Renewer
from lease_aio.heartbeat.renewal.rules import Owner, RenewalRules
from lease_aio.model import LeaseSpec, MicroTime
from tests.heartbeat.dialogue import (
    CONFLICT,
    EXISTS,
    MISSING,
    REFUSED,
    TIMEOUT,
    Dialogue,
    node,
    owner,
    stored,
    throttled,
)

PERIOD_S = pytest.approx(10.2)  # half of the jitter


def dialogue(owner=Owner.NONE, *, owner_uid=None, random=lambda: 0.5, **rules):
    settings = RenewalRules(owner=owner, random=random, **rules)
    return Dialogue(Renewer(settings, "n1", "n1", owner_uid=owner_uid))


def running(version="7", **rules):
    """A renewer that remembers a Lease and is about to start a pass."""
    talk = dialogue(**rules)
    talk.hears(stored("1"), stored(version))
    talk.asked.clear()
    talk.written.clear()
    return talk


# A pass when the server does not do what is asked


def test_five_failed_updates_follow_one_another_at_once_and_then_the_lease_is_read():
    talk = running()
    started = talk.now
    talk.hears(*[TIMEOUT] * 5, stored("8"), stored("9"))
    assert talk.asked == ["PUT"] * 5 + ["GET", "PUT"]
    assert talk.written[-1].resource_version == "8"
    assert talk.now - started == PERIOD_S


def test_a_pass_fails_after_five_updates_of_what_was_read_and_the_next_one_updates_it_again():
    talk = running()
    step = talk.hears(*[TIMEOUT] * 5, stored("8"), *[TIMEOUT] * 5)
    assert step.pass_over
    assert not step.renewed
    assert talk.waited_s == PERIOD_S
    talk.hears(stored("9"))
    assert talk.asked == ["PUT"] * 5 + ["GET"] + ["PUT"] * 5 + ["PUT"]
    assert talk.written[-1].resource_version == "8"


def test_a_kubelets_connections_are_suspect_from_the_second_failed_update_on():
    talk = running()
    talk.hears(*[TIMEOUT] * 5)
    assert talk.repeated == 4


def test_a_conflict_is_read_back_before_the_next_attempt():
    talk = running("7")
    step = talk.hears(CONFLICT, stored("12"), stored("13"))
    assert talk.asked == ["PUT", "GET", "PUT"]
    assert [lease.resource_version for lease in talk.written] == ["7", "12"]
    assert step.renewed
    assert step.pass_over


def test_an_update_that_timed_out_but_was_applied_is_healed_by_one_read():
    talk = running("7")
    step = talk.hears(TIMEOUT, CONFLICT, stored("8"), stored("9"))
    assert talk.asked == ["PUT", "PUT", "GET", "PUT"]
    assert step.renewed
    assert talk.repeated == 0, "a conflict says nothing about the connection"


def test_a_conflict_takes_one_of_the_five_attempts():
    talk = running()
    for version in "abcd":
        talk.hears(CONFLICT, stored(version))
    talk.hears(TIMEOUT, stored("e"))
    assert talk.asked == ["PUT", "GET"] * 4 + ["PUT", "GET"]
    assert talk.hears(*[TIMEOUT] * 5).pass_over, "the row after the ensure is the last one"


def test_a_lease_that_vanished_during_a_conflict_is_created_and_then_updated_once_more():
    talk = running()
    step = talk.hears(CONFLICT, MISSING, stored("20", uid="new"))
    assert step.renewed
    assert not step.pass_over
    talk.hears(stored("21", uid="new"))
    assert talk.asked == ["PUT", "GET", "POST", "PUT"]
    assert talk.written[-1].metadata.uid == "new"


def test_a_missing_lease_fails_five_updates_like_any_error_and_is_then_created():
    talk = running()
    step = talk.hears(*[MISSING] * 5, MISSING, stored("20"))
    assert talk.asked == ["PUT"] * 5 + ["GET", "POST"]
    assert step.pass_over


def test_an_update_that_finds_no_lease_while_a_read_does_needs_no_third_update():
    talk = running()
    step = talk.hears(*[MISSING] * 5, stored("8"), stored("9"))
    assert talk.asked == ["PUT"] * 5 + ["GET", "PUT"]
    assert step.pass_over


def test_the_pauses_of_an_ensure_double_from_200_ms_to_7_s_and_stay_there():
    talk = dialogue()
    pauses = []
    for _ in range(9):
        talk.hears(REFUSED)
        pauses.append(talk.waited_s)
    assert pauses == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 7, 7, 7])
    assert talk.asked == ["GET"] * 9


def test_each_ensure_starts_with_the_shortest_pause_again():
    talk = dialogue()
    talk.hears(TIMEOUT, TIMEOUT, stored("1"), CONFLICT, TIMEOUT)
    assert talk.waited_s == pytest.approx(0.2)


def test_pauses_can_be_spread_at_random():
    talk = dialogue(backoff_jitter=1.0)
    talk.hears(TIMEOUT)
    assert talk.waited_s == pytest.approx(0.3)


@pytest.mark.parametrize("error", [EXISTS, REFUSED, TIMEOUT, MISSING])
def test_a_create_that_fails_in_any_way_is_paused_and_read_again(error):
    talk = dialogue()
    talk.hears(MISSING, error, stored("3"), stored("4"))
    assert talk.asked == ["GET", "POST", "GET", "PUT"]


def test_a_throttled_request_comes_again_and_takes_no_attempt():
    talk = running()
    step = talk.hears(*[throttled(3.0)] * 20)
    assert step.failed
    assert talk.asked == ["PUT"] * 20
    assert talk.repeated == 0


def test_a_throttled_answer_without_a_time_is_an_error_like_others():
    talk = running()
    talk.hears(*[throttled(None)] * 5, stored("8"))
    assert talk.asked == ["PUT"] * 5 + ["GET"]


# A pass when all goes well


def test_a_lease_that_does_not_exist_is_created_and_not_updated_in_that_pass():
    talk = dialogue()
    step = talk.hears(MISSING, stored("1"))
    assert talk.asked == ["GET", "POST"]
    assert (step.renewed, step.created, step.pass_over) == (True, True, True)
    assert talk.waited_s == PERIOD_S


def test_a_lease_that_exists_is_read_once_and_updated():
    talk = dialogue()
    step = talk.hears(stored("1"), stored("2"))
    assert talk.asked == ["GET", "PUT"]
    assert (step.renewed, step.created, step.pass_over) == (True, False, True)


def test_the_404_that_leads_to_a_create_counts_as_no_failure():
    assert not dialogue().hears(MISSING).failed


def test_in_the_steady_state_each_period_is_one_update_of_the_last_answer_and_no_read():
    talk = running("7")
    for version in range(8, 58):
        assert talk.hears(stored(str(version))).renewed
    assert talk.asked == ["PUT"] * 50
    assert [lease.resource_version for lease in talk.written] == [str(v) for v in range(7, 57)]


@given(st.floats(0, 1, exclude_max=True))
def test_a_period_lies_between_ten_and_ten_point_four_seconds(chance):
    talk = dialogue(random=lambda: chance)
    talk.hears(MISSING, stored("1"))
    assert 10.0 <= round(talk.waited_s, 6) <= 10.4


def test_asking_for_a_request_again_changes_nothing():
    talk = running()
    assert talk.renewer.request(5) == talk.renewer.request(5)
    talk.hears(stored("8"))
    assert talk.asked == ["PUT"]


# What is written


def test_a_new_lease_says_holder_duration_and_time_and_nothing_else():
    talk = dialogue()
    talk.hears(MISSING, stored("1"))
    (written,) = talk.written
    assert written.spec == LeaseSpec(
        holder_identity="n1", lease_duration_seconds=40, renew_time=MicroTime(talk.wall_us)
    )
    assert (written.name, written.namespace) == ("n1", "kube-node-lease")
    assert written.metadata.owner_references == ()
    assert written.resource_version == written.metadata.uid == ""


def test_each_attempt_writes_the_time_of_its_own():
    talk = running()
    talk.hears(TIMEOUT, TIMEOUT)
    first, second = (lease.spec.renew_time.epoch_us for lease in talk.written)
    assert second - first == 1000


def test_an_update_keeps_another_holder_and_what_others_wrote():
    found = stored("5", holder="someone", labels={"team": "a"}, owners=[owner("other", controller=True)])
    found = found.with_spec(acquire_time=MicroTime(3), lease_transitions=4, extra={"newField": 1})
    talk = dialogue()
    talk.hears(found, stored("6"))
    (written,) = talk.written
    assert written.spec.holder_identity == "someone"
    assert (written.spec.acquire_time, written.spec.lease_transitions) == (MicroTime(3), 4)
    assert written.spec.extra == {"newField": 1}
    assert written.metadata == found.metadata


def test_an_update_rewrites_a_duration_that_was_configured_otherwise():
    talk = dialogue()
    talk.hears(stored("1", duration_s=60), stored("2"))
    assert talk.written[0].spec.lease_duration_seconds == 40


def test_an_update_leaves_the_servers_bookkeeping_out():
    talk = dialogue()
    talk.hears(stored("1", managed_fields=[{"manager": "x"}]), stored("2"))
    assert talk.written[0].metadata.managed_fields is None


def test_labels_are_asserted_at_creation_and_at_each_update_beside_those_of_others():
    talk = dialogue(labels={"ours": "yes"}, annotations={"note": "b"})
    talk.hears(MISSING, stored("1"))
    assert talk.written[0].metadata.labels == {"ours": "yes"}
    talk.hears(stored("2", labels={"ours": "no", "theirs": "kept"}, annotations={"note": "a"}))
    talk.hears(stored("3"))
    assert talk.written[2].metadata.labels == {"ours": "yes", "theirs": "kept"}
    assert talk.written[2].metadata.annotations == {"note": "b"}


# The owner


def test_a_kubelet_writes_nothing_while_its_node_cannot_be_read():
    talk = dialogue(Owner.REQUIRED)
    step = talk.hears(MISSING, MISSING)
    assert talk.asked == ["GET", "GET Node"]
    assert step.pass_over
    assert step.failed
    assert talk.waited_s == PERIOD_S
    assert talk.renewer.lease is None
    assert talk.hears(stored("1")).due == talk.now, "the next pass starts with a read"


def test_a_node_that_cannot_be_read_fails_updates_without_a_single_one_sent():
    talk = dialogue(Owner.REQUIRED)
    step = talk.hears(stored("1"), *[MISSING] * 5)
    assert talk.asked == ["GET"] + ["GET Node"] * 5
    assert step.pass_over
    assert talk.repeated == 4


def test_a_new_lease_is_owned_by_the_node():
    talk = dialogue(Owner.REQUIRED)
    talk.hears(MISSING, node("u1"), stored("1", owners=[owner("u1")]))
    assert talk.asked == ["GET", "GET Node", "POST"]
    assert talk.written[0].metadata.owner_references == (owner("u1"),)


def test_a_lease_without_an_owner_gets_one_at_its_update():
    talk = dialogue(Owner.REQUIRED)
    talk.hears(stored("1"), node("u1"), stored("2", owners=[owner("u1")]), stored("3", owners=[owner("u1")]))
    assert talk.asked == ["GET", "GET Node", "PUT", "PUT"]
    assert talk.written[0].metadata.owner_references == (owner("u1"),)
    assert talk.written[0].spec.renew_time.epoch_us > stored().spec.renew_time.epoch_us


def test_a_stale_owner_is_left_for_the_garbage_collector():
    talk = dialogue(Owner.REQUIRED)
    talk.hears(stored("1", owners=[owner("gone")]), stored("2", owners=[owner("gone")]))
    assert talk.asked == ["GET", "PUT"]
    assert talk.written[0].metadata.owner_references == (owner("gone"),)


def test_a_known_node_need_not_be_read_for_the_first_write():
    talk = dialogue(Owner.REQUIRED, owner_uid="u1")
    talk.hears(MISSING, stored("1", owners=[owner("u1")]))
    assert talk.asked == ["GET", "POST"]
    assert talk.written[0].metadata.owner_references == (owner("u1"),)


def test_a_lease_that_was_collected_is_created_for_the_node_that_is_there_now():
    talk = dialogue(Owner.REQUIRED, owner_uid="u1")
    talk.hears(MISSING, stored("1", owners=[owner("u1")]))
    talk.hears(CONFLICT, MISSING, node("u2"), stored("9", owners=[owner("u2")]))
    assert talk.asked[-4:] == ["PUT", "GET", "GET Node", "POST"]
    assert talk.written[-1].metadata.owner_references == (owner("u2"),)


def test_a_node_lost_during_a_conflict_fails_the_row_and_nothing_is_put_without_an_owner():
    talk = dialogue(Owner.REQUIRED)
    talk.hears(MISSING, node("u1"), stored("1", owners=[owner("u1")]))
    talk.hears(CONFLICT, MISSING, MISSING)
    talk.asked.clear()
    talk.hears(*[MISSING] * 4)
    assert talk.asked == ["GET Node"] * 4
    assert talk.hears(MISSING, MISSING).pass_over
    assert talk.asked[-2:] == ["GET", "GET Node"]


def test_without_a_node_a_lease_may_be_written_unowned_if_so_chosen():
    talk = dialogue(Owner.IF_FOUND)
    step = talk.hears(MISSING, MISSING, stored("1"))
    assert talk.asked == ["GET", "GET Node", "POST"]
    assert step.renewed
    talk.hears(node("u1"), stored("2", owners=[owner("u1")]))
    assert talk.written[-1].metadata.owner_references == (owner("u1"),), "the Node came later"


def test_a_node_that_may_exist_but_cannot_be_read_is_waited_for():
    talk = dialogue(Owner.IF_FOUND)
    assert talk.hears(MISSING, TIMEOUT).pass_over
    assert talk.written == []


def test_a_create_that_failed_asks_for_the_node_anew():
    talk = dialogue(Owner.REQUIRED)
    talk.hears(MISSING, node("u1"), TIMEOUT, MISSING, node("u2"), stored("1", owners=[owner("u2")]))
    assert talk.asked == ["GET", "GET Node", "POST"] * 2
    assert talk.written[-1].metadata.owner_references == (owner("u2"),)
