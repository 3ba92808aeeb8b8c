"""What counts as a sign of life in mode `kubernetes`, and when: the corners of the controller's rules.

`before 1.37` asks no server before it calls a node Unknown; since then a Lease that is newer than the one that counted
last keeps its node alive.
"""

from lease_aio.heartbeat.monitor import Availability, Finding, Reason
from lease_aio.model import Node, NodeCondition, NodeStatus, ObjectMeta
from tests.heartbeat.monitor.rig import NOT_READY, PENDING, READY, START, UNKNOWN, Cluster

UNREACHED = [("n0", Finding.UNKNOWN)]


def renewed(**options):
    """A node that has just renewed, and a pass that has seen it."""
    cluster = Cluster(**options)
    cluster.node()
    cluster.lease()
    cluster.passes()
    return cluster


# Silence


def test_a_silent_node_becomes_unknown_in_the_first_pass_after_its_grace():
    cluster = renewed()
    cluster.passes(50)
    assert cluster.findings == []
    cluster.passes(5)
    assert cluster.findings == UNREACHED


def test_a_sign_counts_from_the_pass_that_sees_it_not_from_its_event():
    cluster = renewed()
    cluster.quiet(0.1)
    cluster.lease()
    cluster.quiet(4.9)
    cluster.passes(50)
    assert cluster.findings == []


def test_a_lease_that_goes_on_keeps_a_node_alive_though_its_status_is_old():
    cluster = renewed()
    cluster.passes(3600, each=cluster.lease)
    assert cluster.findings == []


def test_a_status_that_goes_on_keeps_a_node_alive_though_its_lease_is_old():
    cluster = renewed()
    cluster.passes(3600, each=cluster.node)
    assert cluster.findings == []


def test_a_deleted_lease_is_no_verdict_its_nodes_time_goes_on():
    cluster = renewed()
    cluster.lease_gone()
    cluster.passes(50)
    assert cluster.findings == []
    cluster.passes(5, ask=True)
    assert cluster.findings == UNREACHED


# Clocks


def test_no_foreign_clock_is_compared_a_lease_renewed_a_year_ago_by_its_own_words_is_fresh():
    cluster = Cluster()
    cluster.node()
    cluster.wall_step_s = -365 * 86400
    cluster.passes(600, each=cluster.lease)
    assert cluster.findings == []


def test_a_clock_set_back_makes_unknown_until_the_status_is_posted_before_1_37():
    cluster = renewed()
    cluster.wall_step_s = -3600
    cluster.passes(50, each=cluster.lease)
    assert cluster.findings == []
    cluster.passes(5, each=cluster.lease)
    assert cluster.findings == UNREACHED
    cluster.node(heartbeat_s=-3000)
    assert cluster.state() is READY


def test_a_clock_set_back_makes_nobody_unknown_since_1_37():
    cluster = renewed()
    cluster.wall_step_s = -3600
    cluster.passes(600, each=cluster.lease, ask=True)
    assert cluster.findings == []


def test_a_clock_that_jumped_forward_and_was_corrected_makes_unknown_before_1_37():
    cluster = renewed()
    cluster.wall_step_s = 86400
    cluster.lease()
    cluster.passes(5)
    cluster.wall_step_s = 0
    cluster.passes(50, each=cluster.lease)
    assert cluster.findings == []
    cluster.passes(5, each=cluster.lease)
    assert cluster.findings == UNREACHED


def test_a_clock_set_back_counts_again_once_it_has_passed_its_old_time():
    cluster = renewed()
    cluster.wall_step_s = -30
    cluster.passes(600, each=cluster.lease)
    assert cluster.findings == []


def test_a_heartbeat_that_goes_back_is_a_sign_too():
    cluster = renewed()
    cluster.passes(50)
    cluster.node(heartbeat_s=-86400)
    cluster.passes(5)
    assert cluster.findings == []


# Leases that say little, or belong to others


def test_a_first_lease_without_renew_time_makes_later_ones_count_for_nothing_before_1_37():
    cluster = Cluster()
    cluster.node()
    cluster.lease(no_time=True)
    cluster.passes()
    cluster.passes(55, each=cluster.lease)
    assert cluster.findings == UNREACHED


def test_a_first_lease_without_renew_time_is_forgotten_when_the_status_is_posted():
    cluster = Cluster()
    cluster.node()
    cluster.lease(no_time=True)
    cluster.passes(40)
    cluster.node()
    cluster.passes(5, each=cluster.lease)
    cluster.passes(600, each=cluster.lease)
    assert cluster.findings == []


def test_a_lease_that_another_holds_counts_as_well():
    cluster = renewed()
    cluster.passes(600, each=lambda: cluster.lease(holder="somebody else"))
    assert cluster.findings == []


# A record that is begun anew


def test_a_posted_status_lets_an_old_lease_count_once_more_in_the_next_pass():
    cluster = renewed()
    cluster.passes(10)
    cluster.node()
    cluster.passes()  # begins a new record, at this time
    cluster.passes(5)  # and here the Lease of long ago counts
    assert cluster.judge.nodes["n0"].probe == START + 15
    cluster.passes(50)
    assert cluster.findings == []
    cluster.passes(5)
    assert cluster.findings == UNREACHED


def test_a_condition_that_disappears_begins_no_new_record_and_leaves_the_grace_of_a_start():
    cluster = renewed()
    cluster.node(state=PENDING)
    cluster.passes(60)
    assert cluster.findings == [("n0", Finding.PENDING)]
    cluster.passes(5)
    assert cluster.findings[1:] == UNREACHED


def test_a_condition_that_appears_begins_a_new_record():
    cluster = Cluster()
    cluster.node(state=PENDING)
    cluster.passes(55)
    cluster.node()
    cluster.passes(50)
    assert cluster.findings == [("n0", Finding.READY)]


def test_one_that_appears_without_a_heartbeat_does_so_too():
    bare = NodeStatus(conditions=(NodeCondition(type="Ready", status="True"),))
    cluster = Cluster()
    cluster.node(state=PENDING)
    cluster.passes(55)
    node = Node(metadata=ObjectMeta(name="n0", uid="uid-n0"), status=bare)
    cluster.hear(cluster.judge.node_set(node, now=cluster.now, wall_us=cluster.wall_us))
    cluster.passes(50)
    assert cluster.findings == [("n0", Finding.READY)]


# Nodes that never posted


def test_a_node_that_never_posted_has_the_grace_of_a_start_from_its_creation_by_the_servers_clock():
    cluster = Cluster()
    cluster.node(state=PENDING, created_s=-20)
    cluster.passes(40)
    assert cluster.findings == []
    cluster.passes(5)
    assert cluster.findings == UNREACHED


def test_what_stands_in_for_a_status_that_was_never_posted_is_no_sign_of_life():
    cluster = Cluster(heed_written=False)
    cluster.node(state=PENDING)
    cluster.passes(58)
    cluster.node(state=UNKNOWN, heartbeat_s=0, reason="NodeStatusNeverUpdated")
    assert cluster.findings == []
    cluster.passes(5)
    assert cluster.findings == UNREACHED
    assert cluster.judge.nodes["n0"].reason is Reason.NEVER_POSTED


# Coming back


def test_a_lease_alone_brings_nobody_back_whom_the_control_plane_has_called_unknown():
    cluster = renewed()
    cluster.passes(55)
    cluster.node(state=UNKNOWN, heartbeat_s=0)
    cluster.passes(20, each=cluster.lease)
    assert cluster.state() is UNKNOWN
    cluster.node()
    assert cluster.findings == [*UNREACHED, ("n0", Finding.RECOVERED)]
    cluster.passes(600, each=cluster.lease)
    assert cluster.state() is READY


def test_a_lease_brings_back_whom_nobody_else_has_called_unknown():
    cluster = renewed()
    cluster.passes(55)
    assert cluster.state() is UNKNOWN
    cluster.lease()
    cluster.passes(5)
    assert cluster.findings == [*UNREACHED, ("n0", Finding.RECOVERED)]
    assert cluster.judge.nodes["n0"].reason is Reason.HEARD


def test_after_unknown_the_lease_as_it_was_last_seen_is_what_later_ones_are_compared_with():
    cluster = renewed()
    cluster.wall_step_s = -3600
    cluster.passes(55, each=cluster.lease)
    assert cluster.state() is UNKNOWN
    cluster.passes(5, each=cluster.lease)
    assert cluster.state() is READY


def test_what_a_node_says_of_itself_is_told_at_once():
    cluster = renewed()
    cluster.node(state=NOT_READY)
    cluster.node(state=READY)
    cluster.node(state=UNKNOWN, heartbeat_s=0)
    cluster.node(state=NOT_READY)
    assert [finding for _, finding in cluster.findings] == [
        Finding.NOT_READY,
        Finding.READY,
        Finding.UNKNOWN,
        Finding.NOT_READY,
    ]


def test_a_node_that_says_it_is_not_ready_becomes_unknown_like_any_other():
    cluster = renewed()
    cluster.node(state=NOT_READY)
    cluster.passes(60)
    assert [finding for _, finding in cluster.findings] == [Finding.NOT_READY, Finding.UNKNOWN]


# Beside a controller


def test_an_unknown_that_was_written_is_taken_over():
    cluster = renewed()
    cluster.node(state=UNKNOWN, heartbeat_s=0)
    assert cluster.findings == UNREACHED
    assert cluster.judge.nodes["n0"].reason is Reason.WRITTEN


def test_or_not_where_the_monitor_is_to_come_to_its_own_verdict():
    cluster = renewed(heed_written=False)
    cluster.passes(46)
    cluster.node(state=UNKNOWN, heartbeat_s=0)
    assert cluster.state() is READY
    cluster.passes(10)
    assert cluster.findings == UNREACHED
    assert cluster.judge.nodes["n0"].reason is Reason.SILENT
    cluster.passes(20, each=cluster.lease)
    assert cluster.state() is UNKNOWN
    cluster.node()
    assert cluster.state() is READY


# Nodes that come and go


def test_a_deleted_node_is_told_and_forgotten():
    cluster = renewed()
    cluster.node_gone()
    cluster.passes(600)
    assert cluster.findings == [("n0", Finding.DELETED)]
    assert len(cluster.judge.nodes) == 0


def test_a_node_made_anew_under_its_old_name_is_another():
    cluster = renewed()
    cluster.passes(45)
    cluster.node_gone()
    cluster.node(state=PENDING)
    cluster.passes(60)
    assert cluster.findings == [("n0", Finding.DELETED)]


def test_a_node_whose_uid_changed_between_two_looks_was_deleted():
    cluster = renewed()
    other = Node(metadata=ObjectMeta(name="n0", uid="another"))
    cluster.hear(cluster.judge.node_set(other, now=cluster.now, wall_us=cluster.wall_us))
    assert cluster.findings == [("n0", Finding.DELETED)]
    assert cluster.state() is Availability.PENDING


def test_a_lease_without_a_node_is_nobody():
    cluster = Cluster()
    cluster.lease()
    cluster.passes(600)
    assert cluster.told == []
    assert dict(cluster.judge.nodes) == {}


# The monitor's own restart


def test_after_a_restart_everybody_has_a_new_grace():
    old = renewed()
    old.passes(50)
    new = Cluster()
    new.node(heartbeat_s=-50)
    new.lease(renewed_s=-50)
    new.passes()
    new.passes(50)
    assert new.findings == []
    new.passes(5)
    assert new.findings == UNREACHED


def test_after_a_restart_amid_an_outage_who_was_unknown_still_is():
    new = Cluster()
    new.node("dead", UNKNOWN, heartbeat_s=-600)
    new.node("well", READY, heartbeat_s=-200)
    new.lease("dead", renewed_s=-600)
    new.passes(600, each=lambda: new.lease("well"))
    assert new.findings == []
    assert (new.state("dead"), new.state("well")) == (UNKNOWN, READY)
    new.node("dead", READY)
    assert new.findings == [("dead", Finding.RECOVERED)]
