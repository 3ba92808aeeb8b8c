"""States of zones, the rates that follow, and the stop of all evictions."""

import pytest

from lease_aio.heartbeat.monitor import MonitorSettings, Zone, ZoneState
from lease_aio.heartbeat.monitor.facts import zone_of
from lease_aio.heartbeat.monitor.zones import eviction_rate, zone_state
from tests.heartbeat.monitor.rig import NOT_READY, PENDING, READY, UNKNOWN, Cluster, rates


def filled(cluster, zone, *, ready, not_ready, state=NOT_READY, **labels):
    for number in range(ready + not_ready):
        cluster.node(f"{zone}{number}", READY if number < ready else state, zone=zone, **labels)


def turned(cluster, zone, numbers, state):
    for number in numbers:
        cluster.node(f"{zone}{number}", state, zone=zone)


# One zone


@pytest.mark.parametrize(
    ("ready", "not_ready", "state"),
    [
        (0, 0, ZoneState.NORMAL),
        (1, 0, ZoneState.NORMAL),
        (0, 1, ZoneState.FULL),
        (0, 2, ZoneState.FULL),
        (1, 2, ZoneState.NORMAL),  # two are few, whatever part they are
        (2, 3, ZoneState.PARTIAL),
        (3, 3, ZoneState.NORMAL),
        (9, 11, ZoneState.PARTIAL),  # 55 per cent exactly
        (46, 54, ZoneState.NORMAL),
        (45, 55, ZoneState.PARTIAL),
        (0, 1000, ZoneState.FULL),
    ],
)
def test_the_state_of_a_zone(ready, not_ready, state):
    assert zone_state(ready, not_ready, 0.55) is state


@pytest.mark.parametrize(
    ("state", "nodes", "rate"),
    [
        (ZoneState.NORMAL, 3, 0.1),
        (ZoneState.NORMAL, 3000, 0.1),
        (ZoneState.PARTIAL, 50, 0.0),
        (ZoneState.PARTIAL, 51, 0.01),
        (ZoneState.FULL, 3, 0.1),
        (ZoneState.FULL, 3000, 0.1),
    ],
)
def test_the_rate_of_a_zone(state, nodes, rate):
    assert eviction_rate(state, nodes, MonitorSettings()) == rate


def test_a_zone_that_becomes_disrupted_slows_down_and_speeds_up_again():
    cluster = Cluster()
    filled(cluster, "a", ready=60, not_ready=0)
    filled(cluster, "b", ready=10, not_ready=0)
    cluster.passes()
    turned(cluster, "a", range(33), NOT_READY)
    turned(cluster, "b", range(6), NOT_READY)
    cluster.passes(5)
    turned(cluster, "a", range(33), READY)
    turned(cluster, "b", range(10), NOT_READY)
    cluster.passes(5)
    assert cluster.zone_changes == [
        ("a", "normal", 0.1),
        ("b", "normal", 0.1),
        ("a", "partial_disruption", 0.01),
        ("b", "partial_disruption", 0.0),
        ("a", "normal", 0.1),
        ("b", "full_disruption", 0.1),
    ]


def test_a_zone_that_stays_in_its_state_keeps_its_rate_whatever_becomes_of_its_size():
    cluster = Cluster()
    filled(cluster, "a", ready=20, not_ready=31)
    filled(cluster, "b", ready=1, not_ready=0)
    cluster.passes()
    cluster.node_gone("a0")
    cluster.passes(5)
    assert rates(cluster)["a"] == 0.01


def test_a_node_that_never_said_it_is_ready_counts_as_one_that_is_not():
    cluster = Cluster()
    filled(cluster, "a", ready=2, not_ready=3, state=PENDING)
    cluster.passes()
    assert cluster.zone_changes == [("a", "partial_disruption", 0.0)]


def test_a_node_excluded_by_its_label_does_not_count():
    cluster = Cluster()
    filled(cluster, "a", ready=2, not_ready=0)
    excluded = {"node.kubernetes.io__exclude_disruption": "any value"}
    for number in range(2, 12):
        cluster.node(f"a{number}", NOT_READY, zone="a", **excluded)
    cluster.passes()
    view = cluster.judge.zones[0]
    assert (view.state, view.nodes, view.not_ready, view.excluded) == (ZoneState.NORMAL, 2, 0, 10)
    for number in range(2, 12):
        cluster.node(f"a{number}", NOT_READY, zone="a")
    cluster.passes(5)
    assert cluster.zone_changes[-1] == ("a", "partial_disruption", 0.0)


def test_a_zone_goes_with_its_last_node_and_comes_back_as_a_new_one():
    cluster = Cluster()
    filled(cluster, "a", ready=1, not_ready=0)
    cluster.passes()
    cluster.node_gone("a0")
    assert cluster.judge.zones == ()
    cluster.passes(5)
    filled(cluster, "a", ready=1, not_ready=0)
    cluster.passes(5)
    assert cluster.zone_changes == [("a", "normal", 0.1)] * 2


def test_a_node_that_moves_counts_where_it_is():
    cluster = Cluster()
    cluster.node("n0", zone="a")
    cluster.node("n1", NOT_READY, zone="a")
    cluster.node("n1", NOT_READY, zone="b")
    cluster.passes()
    assert {str(one.zone): (one.nodes, one.not_ready) for one in cluster.judge.zones} == {"a": (1, 0), "b": (1, 1)}


# All zones


def test_when_nobody_is_ready_all_evictions_stop_and_no_taint_of_theirs_stays():
    cluster = Cluster()
    filled(cluster, "a", ready=1, not_ready=1)
    filled(cluster, "b", ready=1, not_ready=0)
    cluster.passes()
    assert cluster.taints["a1"] == [("NoExecute", "not-ready"), ("NoSchedule", "not-ready")]
    turned(cluster, "a", [0], NOT_READY)
    turned(cluster, "b", [0], NOT_READY)
    cluster.passes(5)
    assert cluster.stops == [True]
    assert rates(cluster) == {"a": 0.0, "b": 0.0}
    cluster.passes(600)
    assert {name: taints for name, taints in cluster.taints.items() if ("NoExecute", "not-ready") in taints} == {}


def test_when_one_is_ready_again_evictions_go_on_and_everybody_has_a_new_grace():
    cluster = Cluster()
    for zone in ("a", "b"):
        cluster.node(f"{zone}0", NOT_READY, zone=zone, heartbeat_s=0)
    cluster.passes()
    cluster.passes(45)
    cluster.node("a0", READY, zone="a", heartbeat_s=0)
    cluster.passes(5)
    assert cluster.stops == [True, False]
    assert {one.probe for one in cluster.judge.nodes.values()} == {cluster.now}
    assert rates(cluster) == {"a": 0.1, "b": 0.1}
    cluster.passes(5)
    assert "NoExecute" not in dict(cluster.taints["b0"]), "the new bucket is empty, for the old one was"
    cluster.passes(10)
    assert ("NoExecute", "not-ready") in cluster.taints["b0"]


def test_one_zone_fully_disrupted_among_others_is_evicted_at_the_full_rate():
    cluster = Cluster()
    filled(cluster, "a", ready=0, not_ready=60, state=UNKNOWN)
    filled(cluster, "b", ready=1, not_ready=0)
    cluster.passes()
    assert cluster.zone_changes[0] == ("a", "full_disruption", 0.1)
    assert cluster.stops == []


def test_no_node_at_all_is_no_disruption():
    cluster = Cluster()
    cluster.passes(600)
    assert cluster.told == []


def test_a_zone_that_comes_new_to_a_stop_ends_it_without_a_new_grace_as_in_the_controller():
    cluster = Cluster()
    cluster.node("a0", NOT_READY, zone="a", heartbeat_s=0)
    cluster.passes()
    cluster.node("b0", READY, zone="b")
    cluster.passes(5)
    assert cluster.stops == [True]
    assert cluster.judge.nodes["a0"].probe < cluster.now
    assert rates(cluster) == {"a": 0.0, "b": 0.1}
    assert not cluster.judge.stopped


# Which zone


@pytest.mark.parametrize(
    ("labels", "zone", "key"),
    [
        ({}, Zone(), ""),
        ({"topology.kubernetes.io/zone": "z"}, Zone("", "z"), ":\0:z"),
        ({"topology.kubernetes.io/region": "r"}, Zone("r", ""), "r:\0:"),
        ({"topology.kubernetes.io/region": "r", "topology.kubernetes.io/zone": "z"}, Zone("r", "z"), "r:\0:z"),
        (
            {"topology.kubernetes.io/zone": "new", "failure-domain.beta.kubernetes.io/zone": "old"},
            Zone("", "old"),
            ":\0:old",
        ),
        (
            {"topology.kubernetes.io/region": "new", "failure-domain.beta.kubernetes.io/region": ""},
            Zone(),
            "",
        ),
    ],
)
def test_the_zone_of_a_node_by_its_labels(labels, zone, key):
    assert zone_of(labels) == zone
    assert zone.key == key


def test_a_zone_is_written_as_people_write_it():
    assert [str(Zone("r", "z")), str(Zone("", "z")), str(Zone("r", "")), str(Zone())] == ["r/z", "z", "r", ""]
