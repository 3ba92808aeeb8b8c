"""What simulated Nodes look like, what they are called, and which of them a selector means."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.fleet.roll import Roll, are_names
from lease_aio.heartbeat.fleet.select import NodeSelector
from lease_aio.heartbeat.node.description import new_node
from lease_aio.heartbeat.node.profile import NodeGroup, NodeKind, NodeProfile
from lease_aio.model import NodeAddress, Taint
from tests.heartbeat.dialogue import WALL_US


def addresses(name, **profile):
    node = new_node(name, NodeKind(NodeProfile(**profile)), WALL_US)
    return [(one.type, one.address) for one in node.status.addresses]


# What cannot be


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"capacity": {"cpu": 8}}, r"capacity: cpu=8 must be a quantity in a string"),
        ({"capacity": {"memory": "32 GB"}}, r"capacity: memory='32 GB' must be a quantity"),
        ({"capacity": {"memory": "1e999999999"}}, r"capacity: memory='1e999999999' must be a quantity"),
        ({"allocatable": {"cpu": ""}}, "allocatable: cpu=''"),
        ({"labels": {"a b": "c"}}, "labels: key 'a b'"),
        ({"labels": {"a": "b c"}}, "labels: a 'b c' is written as a label"),
        ({"labels": {"lease-aio/fleet": "x"}}, "'lease-aio/fleet' says whose a Node is"),
        ({"annotations": {"": "x"}}, "annotations: key ''"),
        ({"taints": (Taint(key="gpu", effect="Never"),)}, "taints: gpu: effect='Never' must be one of NoSchedule"),
        ({"taints": (Taint(key="g pu", effect="NoSchedule"),)}, "taints: key 'g pu'"),
        ({"zone": "a/b"}, "zone 'a/b'"),
        ({"region": "-"}, "region '-'"),
        ({"instance_type": "m5 large"}, "instance_type 'm5 large'"),
        ({"internal_cidr": "10.0.0.1/8"}, "internal_cidr='10.0.0.1/8' must be a network such as"),
    ],
)
def test_a_profile_that_a_server_would_refuse_is_refused_first(wrong, named):
    with pytest.raises(ConfigurationError, match=named):
        NodeProfile(**wrong)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"count": -1}, "count=-1"),
        ({"count": 2.0}, r"count=2\.0"),
        ({"count": True}, "count=True"),
        ({"count": 1, "prefix": "N"}, "name 'N0'"),
        ({"count": 1, "zones": "ab"}, "zones='ab' is one string"),
        ({"count": 1, "zones": ("a b",)}, "zones 'a b'"),
        ({"count": 1, "name": "a b"}, "name 'a b'"),
    ],
)
def test_a_group_that_cannot_be_is_refused(wrong, named):
    with pytest.raises(ConfigurationError, match=named):
        NodeGroup(**wrong)


@pytest.mark.parametrize("name", ["", "a b"])
def test_a_fleet_needs_a_name_that_can_be_a_label(name):
    with pytest.raises(ConfigurationError, match="name"):
        Roll(fleet=name)


def test_names_are_there_once():
    with pytest.raises(ConfigurationError, match=r"there twice: \['a'\]"):
        Roll().enlist(["a", "b", "a"])
    with pytest.raises(ConfigurationError, match=r"there twice: \['n-1'\]"):
        Roll().enlist([NodeGroup(count=2, prefix="n-"), "n-1"])


# What a Node says


def test_a_node_says_all_that_its_profile_does():
    profile = NodeProfile(
        capacity={"cpu": "4", "memory": "16Gi"},
        allocatable={"cpu": "3", "memory": "14Gi"},
        labels={"team": "a"},
        annotations={"note": "b c"},
        taints=(Taint(key="gpu", effect="NoSchedule"),),
        zone="z",
        region="r",
        instance_type="m5.large",
        provider_id="sim:///{name}",
        kernel_version="6.8.0",
        container_runtime="containerd://9.9.9",
        kubelet_version="v1.37.2",
        os_image="Some Linux",
        architecture="arm64",
    )
    node = new_node("n1", NodeKind(profile, fleet="f", group="g"), WALL_US)
    assert node.metadata.labels == {
        "kubernetes.io/hostname": "n1",
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "arm64",
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": "arm64",
        "topology.kubernetes.io/zone": "z",
        "topology.kubernetes.io/region": "r",
        "node.kubernetes.io/instance-type": "m5.large",
        "lease-aio/fleet": "f",
        "lease-aio/group": "g",
        "team": "a",
    }
    assert node.metadata.annotations == {"note": "b c"}
    assert node.spec.provider_id == "sim:///n1"
    assert node.status.allocatable == {"cpu": "3", "memory": "14Gi"}
    info = node.status.node_info
    assert (info["kernelVersion"], info["containerRuntimeVersion"]) == ("6.8.0", "containerd://9.9.9")
    assert (info["kubeletVersion"], info["osImage"], info["architecture"]) == ("v1.37.2", "Some Linux", "arm64")


def test_what_identifies_a_machine_is_its_own_and_the_same_at_each_start():
    first, again, other = (new_node(name, NodeKind(NodeProfile()), WALL_US) for name in ("a", "a", "b"))
    assert first == again
    for key in ("machineID", "systemUUID", "bootID"):
        assert first.status.node_info[key] != other.status.node_info[key]


def test_nodes_of_one_prefix_have_different_addresses_of_the_network():
    found = {addresses(f"node-{number}", internal_cidr="10.1.0.0/20")[0] for number in range(4000)}
    assert len(found) == 4000
    network = ipaddress.ip_network("10.1.0.0/20")
    assert all(ipaddress.ip_address(address) in network for _, address in found)
    assert network.broadcast_address not in {ipaddress.ip_address(address) for _, address in found}


def test_addresses_can_be_none_or_more_or_of_the_sixth_version():
    external = NodeAddress(type="ExternalIP", address="203.0.113.7")
    assert addresses("n1", internal_cidr="") == [("Hostname", "n1")]
    assert addresses("n1", addresses=(external,))[-1] == ("ExternalIP", "203.0.113.7")
    assert addresses("n1", internal_cidr="fd00::/64")[0][1].startswith("fd00::")
    assert addresses("n1", internal_cidr="10.0.0.1/32")[0] == ("InternalIP", "10.0.0.1")


# Who is who


def test_groups_are_counted_on_by_prefix_and_take_their_zones_in_turn():
    roll = Roll(fleet="f")
    groups = (NodeGroup(count=2, prefix="a-", zones=("x", "y", "z")), NodeGroup(count=1, prefix="b-"))
    first = roll.enlist(groups)
    more = roll.enlist(groups[0])
    assert [member.name for member in (*first, *more)] == ["a-0", "a-1", "b-0", "a-2", "a-3"]
    zones = [member.kind.shared.get("topology.kubernetes.io/zone") for member in (*first, *more)]
    assert zones == ["x", "y", None, "z", "x"]
    assert [member.number for member in (*first, *more)] == [0, 1, 2, 3, 4]
    assert first[0].kind is more[1].kind, "what nodes share is there once"


def test_a_number_uses_the_fleets_own_prefix_and_profile():
    (member,) = Roll(prefix="x", first=7, profile=NodeProfile(zone="q")).enlist(1)
    assert (member.name, member.kind.shared["topology.kubernetes.io/zone"]) == ("x7", "q")
    assert member.kind.shared["lease-aio/group"] == "x"


def test_names_are_names_and_groups_are_not():
    assert are_names(["a"])
    assert not are_names(3)
    assert not are_names(NodeGroup(count=1))
    assert not are_names([NodeGroup(count=1)])


@given(st.integers(1, 9), st.sets(st.text("abc0123456789", min_size=1), max_size=60))
def test_each_name_is_in_exactly_one_part(of, names):
    parts = [Roll(partition=(index, of)).enlist(sorted(names)) for index in range(of)]
    assert sorted(member.name for part in parts for member in part) == sorted(names)


# Which are meant


@pytest.mark.parametrize(
    ("selector", "meant"),
    [
        ("", ["a", "b", "c"]),
        ("zone=x", ["a"]),
        ("zone", ["a", "b"]),
        ("!zone", ["c"]),
        ("zone in (x,y),name!=a", ["b"]),
        ("name in (a,c)", ["a", "c"]),
        ("kubernetes.io/hostname=c,kubernetes.io/os=linux", ["c"]),
        ("size>3", ["b"]),
    ],
)
def test_a_selector_is_kubernetes_own(selector, meant):
    kinds = {
        "a": NodeKind(NodeProfile(zone="x")),
        "b": NodeKind(NodeProfile(labels={"size": "5"}), zone="y"),
        "c": NodeKind(NodeProfile(labels={"size": "1"})),
    }
    assert list(NodeSelector(selector).among(kinds.items())) == meant
