"""What of a Node is not as its kubelet would write it, and the patch that mends it."""

import msgspec
import pytest

from lease_aio.heartbeat.node.description import new_node
from lease_aio.heartbeat.node.drift import NO_DRIFT, Drift, drift_of, status_patch
from lease_aio.heartbeat.node.profile import NodeKind, NodeProfile
from lease_aio.model import NodeAddress, NodeCondition, Time
from lease_aio.server.patch import strategic_merge
from lease_aio.server.resources import NODES
from tests.heartbeat.dialogue import WALL_US

KIND = NodeKind(NodeProfile(capacity={"cpu": "0.5", "memory": "2048Mi"}))


def node(kind=KIND, **status):
    made = new_node("n1", kind, WALL_US)
    return msgspec.structs.replace(made, status=msgspec.structs.replace(made.status, **status))


def with_condition(condition):
    found = node()
    kept = tuple(one for one in found.status.conditions if one.type != condition.type)
    return node(conditions=(*kept, condition))


def test_what_the_control_plane_wrote_is_a_turn():
    found = with_condition(NodeCondition(type="Ready", status="Unknown", reason="NodeStatusUnknown"))
    assert drift_of(found, KIND, "") == Drift(conditions=frozenset({"Ready"}), turned=frozenset({"Ready"}))


def test_another_reason_alone_is_no_turn():
    ready = node().status.condition("Ready")
    found = with_condition(msgspec.structs.replace(ready, reason="Other"))
    assert drift_of(found, KIND, "") == Drift(conditions=frozenset({"Ready"}))


def test_a_condition_that_is_missing_is_a_turn():
    found = node(conditions=())
    assert len(drift_of(found, KIND, "").turned) == 4


@pytest.mark.parametrize(
    "status",
    [
        {"capacity": {"cpu": "1", "memory": "2048Mi"}},
        {"capacity": {"cpu": "500m"}},
        {"capacity": {"cpu": "half", "memory": "2Gi"}},
        {"allocatable": {}},
        {"addresses": (NodeAddress(type="Hostname", address="n1"),)},
        {"node_info": {}},
    ],
)
def test_all_that_a_kubelet_says_is_compared(status):
    assert drift_of(node(**status), KIND, "") == Drift(rest=True)


def test_a_node_as_it_was_registered_has_no_drift():
    assert drift_of(node(), KIND, "") is None


@pytest.mark.parametrize(
    "written",
    [{"cpu": "500m", "memory": "2Gi"}, {"cpu": "5e-1", "memory": "2147483648"}, {"cpu": "500000u", "memory": "2Gi"}],
)
def test_a_quantity_that_the_server_wrote_its_own_way_is_the_same(written):
    assert drift_of(node(capacity=written, allocatable=written), KIND, "") is None


@pytest.mark.parametrize("odd", ["many", "1.2.3", ".", "1e999999999", "1Zi"])
def test_what_is_no_quantity_is_another_one(odd):
    assert drift_of(node(capacity={"cpu": odd, "memory": "2Gi"}), KIND, "").rest


def test_what_others_have_added_is_theirs():
    found = node()
    found = node(
        capacity={**found.status.capacity, "example.com/gpu": "4"},
        conditions=(*found.status.conditions, NodeCondition(type="NetworkUnavailable", status="False")),
        node_info={**found.status.node_info, "swap": {"capacity": 1}},
        addresses=tuple(reversed(found.status.addresses)),
    )
    assert drift_of(found, KIND, "") is None


def test_heartbeat_times_do_not_count():
    assert drift_of(new_node("n1", KIND, 0), KIND, "") is None


def test_a_node_that_is_told_to_be_unready_should_say_so():
    assert drift_of(node(), KIND, "DiskBroken").turned == {"Ready"}


def test_a_report_without_changes_writes_four_times_and_nothing_else():
    body = status_patch("n1", KIND, "", NO_DRIFT, WALL_US)
    assert body.keys() == {"status"}
    assert body["status"].keys() == {"conditions"}
    assert [one.keys() for one in body["status"]["conditions"]] == [{"type", "lastHeartbeatTime"}] * 4


def test_a_change_writes_when_it_turned_and_one_of_words_alone_does_not():
    turned = Drift(conditions=frozenset({"Ready"}), turned=frozenset({"Ready"}))
    ready = status_patch("n1", KIND, "", turned, WALL_US)["status"]["conditions"][-1]
    assert (ready["status"], ready["lastTransitionTime"]) == ("True", str(Time(WALL_US)))
    worded = Drift(conditions=frozenset({"Ready"}))
    assert "lastTransitionTime" not in status_patch("n1", KIND, "", worded, WALL_US)["status"]["conditions"][-1]


def test_a_patch_mends_what_it_was_made_for_and_keeps_what_others_have_written():
    found = msgspec.to_builtins(node(conditions=(), addresses=(), capacity={"example.com/gpu": "4"}), enc_hook=str)
    found["status"]["conditions"] = [{"type": "Late", "status": "True"}, {"type": "Ready", "status": "Unknown"}]
    found["status"].pop("node_info", None)
    drift = Drift(
        conditions=frozenset({"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"}),
        turned=frozenset({"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"}),
        rest=True,
    )
    merged = strategic_merge(found, status_patch("n1", KIND, "", drift, WALL_US), NODES.schema)["status"]
    assert {one["type"]: one["status"] for one in merged["conditions"]} == {
        "Late": "True",
        "Ready": "True",
        "MemoryPressure": "False",
        "DiskPressure": "False",
        "PIDPressure": "False",
    }
    assert merged["capacity"] == {"example.com/gpu": "4", "cpu": "0.5", "memory": "2048Mi"}
    assert [one["type"] for one in merged["addresses"]] == ["InternalIP", "Hostname"]


def test_readiness_that_changed_is_added_to_what_is_mended():
    drift = Drift(rest=True).with_ready(turned=False)
    assert (drift.conditions, drift.turned, drift.rest) == ({"Ready"}, frozenset(), True)
