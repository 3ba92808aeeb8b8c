"""Mode `careful`: any change counts, at its time, by the monitor's own clock alone; time spent blind does not count."""

import pytest

from lease_aio.heartbeat.monitor import Cause, Finding, Mode, Sight
from tests.heartbeat.monitor.rig import HOUR_S, NOT_READY, PENDING, READY, START, UNKNOWN, Cluster

UNREACHED = [("n0", Finding.UNKNOWN)]


def careful(**options):
    cluster = Cluster(mode=Mode.CAREFUL, **options)
    cluster.node()
    cluster.lease()
    cluster.passes()
    return cluster


# What counts


@pytest.mark.parametrize("step_s", [-86400, 86400], ids=["back", "forward"])
def test_a_clock_that_is_set_changes_nothing(step_s):
    cluster = careful()
    cluster.wall_step_s = step_s
    cluster.passes(60, each=cluster.lease)
    cluster.wall_step_s = 0
    cluster.passes(60, each=cluster.lease)
    assert cluster.findings == []


def test_a_lease_without_renew_time_counts_by_its_version():
    cluster = careful()
    cluster.passes(600, each=lambda: cluster.lease(no_time=True))
    assert cluster.findings == []


def test_a_sign_counts_from_its_event_not_from_the_pass_that_sees_it():
    cluster = careful()
    cluster.quiet(0.1)
    cluster.lease()
    assert cluster.judge.nodes["n0"].probe == START + 0.1


def test_a_posted_status_gives_an_old_lease_no_second_life():
    cluster = careful()
    cluster.passes(10)
    cluster.node()
    cluster.passes(10)
    assert cluster.judge.nodes["n0"].probe == START + 10


def test_nobody_is_dead_at_first_sight_whatever_its_creation_time_says():
    cluster = Cluster(mode=Mode.CAREFUL)
    cluster.node(state=PENDING, created_s=-HOUR_S)
    cluster.passes(60)
    assert cluster.findings == []
    cluster.passes(5)
    assert cluster.findings == UNREACHED


def test_a_deleted_lease_leaves_its_nodes_time_as_it_was():
    cluster = careful()
    cluster.passes(30)
    cluster.lease_gone()
    cluster.passes(20)
    assert cluster.findings == []
    cluster.passes(5)
    assert cluster.findings == UNREACHED


def test_one_that_is_made_again_is_a_sign():
    cluster = careful()
    cluster.passes(30)
    cluster.lease_gone()
    cluster.lease()
    cluster.passes(50)
    assert cluster.findings == []


def test_silence_is_silence():
    cluster = careful()
    cluster.passes(50)
    assert cluster.findings == []
    cluster.passes(5, ask=True)
    assert cluster.findings == UNREACHED


# Blindness


def test_time_spent_blind_does_not_count_against_a_node():
    cluster = careful()
    cluster.passes(20)
    cluster.hear(cluster.judge.blind(Cause.LEASES, "the connection broke", now=cluster.now))
    cluster.passes(600)
    cluster.hear(cluster.judge.seeing(Cause.LEASES, now=cluster.now))
    cluster.passes(30)
    assert cluster.findings == []
    cluster.passes(5)
    assert cluster.findings == UNREACHED


def test_who_was_heard_while_blind_has_no_more_than_its_grace():
    cluster = careful()
    cluster.hear(cluster.judge.blind(Cause.LEASES, "the connection broke", now=cluster.now))
    cluster.quiet(300)
    cluster.lease()
    cluster.quiet(1)
    cluster.hear(cluster.judge.seeing(Cause.LEASES, now=cluster.now))
    assert cluster.judge.nodes["n0"].probe == cluster.now


def test_in_mode_kubernetes_it_counts():
    cluster = Cluster()
    cluster.node()
    cluster.lease()
    cluster.passes(20)
    cluster.hear(cluster.judge.blind(Cause.LEASES, "the connection broke", now=cluster.now))
    cluster.passes(600)
    cluster.hear(cluster.judge.seeing(Cause.LEASES, now=cluster.now))
    assert cluster.findings == []
    cluster.passes(5)
    assert cluster.findings == UNREACHED


# A large part silent at once


def crowd(silent, of):
    cluster = Cluster(mode=Mode.CAREFUL)
    for number in range(of):
        cluster.node(f"n{number}", zone="a")
        cluster.lease(f"n{number}")
    alive = [f"n{number}" for number in range(silent, of)]
    cluster.passes(55, each=lambda: [cluster.lease(name) for name in alive])
    return cluster, alive


def test_a_large_part_silent_at_once_is_told_and_tainted_by_nothing():
    cluster, alive = crowd(6, of=10)
    assert cluster.findings == [(f"n{number}", Finding.UNKNOWN) for number in range(6)]
    assert cluster.stops == [True]
    cluster.passes(600, each=lambda: [cluster.lease(name) for name in alive])
    assert cluster.taints == {}


def test_when_it_is_over_all_have_a_new_grace_and_who_is_still_silent_is_tainted():
    cluster, alive = crowd(6, of=10)
    for number in (0, 1):
        cluster.lease(f"n{number}")
    cluster.passes(each=lambda: [cluster.lease(name) for name in alive])
    assert cluster.stops == [True, False]
    assert {cluster.judge.nodes[name].probe for name in ("n0", "n1", "n9")} == {cluster.now}
    assert ("NoSchedule", "unreachable") in cluster.taints["n5"]


def test_a_node_that_is_ready_again_before_the_end_of_a_pass_is_not_tainted():
    cluster = careful()
    cluster.node(state=NOT_READY)
    cluster.node(state=READY)
    cluster.passes(5)
    assert cluster.taints == {}


def test_a_small_part_is_tainted_as_usual():
    cluster, _ = crowd(2, of=10)
    assert cluster.stops == []
    assert ("NoSchedule", "unreachable") in cluster.taints["n0"]


def test_sight_is_full_unless_something_is_wrong():
    assert careful().judge.outlook.sight is Sight.FULL


def test_the_states_are_those_of_the_other_mode():
    cluster = careful()
    cluster.passes(60)
    assert cluster.state() is UNKNOWN
    cluster.lease()
    assert cluster.state() is READY, "at the event, for nobody else has called it Unknown"
