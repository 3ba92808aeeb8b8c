"""The cases of Kubernetes' own `TestMonitorNodeHealthUpdateNodeAndPodStatusWithLease`, under their comments' names.

As there: one pass, then an hour passes without any, then what is new is told, then one pass more.
"""

import pytest

from lease_aio.heartbeat.monitor import Finding, NodeVerdict, Reason, unknown_conditions
from lease_aio.model import Node, NodeCondition, NodeStatus, ObjectMeta, Time
from tests.heartbeat.monitor.rig import HOUR_S, PENDING, READY, UNKNOWN, WALL_START_US, Cluster

LONG_AGO_S = -3 * 365 * 24 * HOUR_S
UNREACHED = [("n0", Finding.UNKNOWN)]


@pytest.fixture(params=[True, False], ids=["asks the server", "asks nobody"])
def ask(request):
    """The rules since 1.37, and before."""
    return request.param


def test_node_created_recently_without_status_lease_missing_no_action(ask):
    cluster = Cluster()
    cluster.node(state=PENDING)
    cluster.passes(ask=ask)
    assert cluster.state() is PENDING
    assert cluster.findings == []


def test_node_created_recently_without_status_lease_renewed_recently_no_action(ask):
    cluster = Cluster()
    cluster.node(state=PENDING)
    cluster.lease()
    cluster.passes(ask=ask)
    assert cluster.findings == []


def test_node_created_long_ago_without_status_lease_missing_unknown(ask):
    cluster = Cluster()
    cluster.node(state=PENDING, created_s=LONG_AGO_S)
    cluster.passes(ask=ask)
    assert cluster.findings == UNREACHED
    assert cluster.of(NodeVerdict)[-1].reason is Reason.NEVER_POSTED


def test_node_created_long_ago_without_status_lease_renewed_recently_no_action(ask):
    cluster = Cluster()
    cluster.node(state=PENDING, created_s=LONG_AGO_S)
    cluster.lease()
    cluster.passes(ask=ask)
    cluster.quiet(HOUR_S)
    cluster.lease()
    cluster.passes(ask=ask)
    assert cluster.findings == []


def test_node_created_long_ago_without_status_lease_expired_unknown(ask):
    cluster = Cluster()
    cluster.node(state=PENDING, created_s=LONG_AGO_S)
    cluster.lease()
    cluster.passes(ask=ask)
    cluster.quiet(HOUR_S)
    cluster.passes(ask=ask)
    assert cluster.findings == UNREACHED
    assert cluster.of(NodeVerdict)[-1].reason is Reason.NEVER_POSTED


def test_node_created_long_ago_status_exceeds_grace_lease_renewed_no_action(ask):
    cluster = Cluster()
    cluster.node(created_s=LONG_AGO_S)
    cluster.lease()
    cluster.passes(ask=ask)
    cluster.quiet(HOUR_S)
    cluster.node(created_s=LONG_AGO_S, heartbeat_s=0)
    cluster.lease()
    cluster.passes(ask=ask)
    assert cluster.findings == []


def test_node_created_long_ago_status_updated_recently_lease_expired_no_action(ask):
    cluster = Cluster()
    cluster.node(created_s=LONG_AGO_S)
    cluster.lease()
    cluster.passes(ask=ask)
    cluster.quiet(HOUR_S)
    cluster.node(created_s=LONG_AGO_S)
    cluster.passes(ask=ask)
    assert cluster.findings == []


def test_node_created_long_ago_status_exceeds_grace_lease_also_expired_unknown(ask):
    cluster = Cluster()
    cluster.node(created_s=LONG_AGO_S)
    cluster.lease()
    cluster.passes(ask=ask)
    cluster.quiet(HOUR_S)
    cluster.node(created_s=LONG_AGO_S, heartbeat_s=0)
    cluster.passes(ask=ask)
    assert cluster.findings == UNREACHED
    verdict = cluster.of(NodeVerdict)[-1]
    assert (verdict.reason, verdict.state, verdict.was) == (Reason.SILENT, UNKNOWN, READY)
    assert verdict.silent_s == pytest.approx(HOUR_S)


# What is written on the Node then


CREATED = Time(WALL_START_US)
NOW_US = WALL_START_US + 3_600_000_000


def a_node(*conditions):
    metadata = ObjectMeta(name="n0", creation_timestamp=CREATED)
    return Node(metadata=metadata, status=NodeStatus(conditions=conditions))


def test_all_four_conditions_of_a_node_that_never_posted_any_become_unknown():
    written = unknown_conditions(a_node(), NOW_US)
    assert [one.type for one in written] == ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"]
    for one in written:
        assert (one.status, one.reason, one.message) == (
            "Unknown",
            "NodeStatusNeverUpdated",
            "Kubelet never posted node status.",
        )
        assert one.last_heartbeat_time == CREATED
        assert one.last_transition_time == Time(NOW_US)


def test_conditions_that_a_kubelet_posted_keep_their_heartbeat_and_others_are_left_alone():
    stamps = {"last_heartbeat_time": CREATED, "last_transition_time": CREATED}
    ready = NodeCondition(type="Ready", status="True", reason="KubeletReady", **stamps)
    network = NodeCondition(type="NetworkUnavailable", status="False", **stamps)
    pressure = NodeCondition(type="DiskPressure", status="Unknown", reason="before", **stamps)
    written = {one.type: one for one in unknown_conditions(a_node(ready, network, pressure), NOW_US)}
    assert written["NetworkUnavailable"] == network
    assert written["DiskPressure"] == pressure
    assert (written["Ready"].status, written["Ready"].reason) == ("Unknown", "NodeStatusUnknown")
    assert written["Ready"].last_heartbeat_time == CREATED
    assert written["Ready"].last_transition_time == Time(NOW_US)
    assert written["PIDPressure"].reason == "NodeStatusNeverUpdated"
