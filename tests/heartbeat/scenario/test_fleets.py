"""Fleet files: what they say, and how what cannot be is refused."""

import dataclasses

import pytest

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat import NodeGroup, NodeProfile
from lease_aio.heartbeat.scenario import Scenario, parse_fleet
from lease_aio.model import NodeAddress, Taint


def refusal(text):
    with pytest.raises(ConfigurationError) as refused:
        parse_fleet(text, source="fleet.yaml")
    source, message = str(refused.value).split(":", 1)
    assert source == "fleet.yaml"
    return message


def of_group(*lines):
    """The refusal of a fleet whose one group has these lines; the first is line 2 of the file."""
    return refusal("groups:\n  - " + "\n    ".join(lines) + "\n")


def of_profile(*lines):
    """The refusal of a fleet whose one group has a profile of these lines; the first is line 4 of the file."""
    return refusal("groups:\n  - count: 3\n    profile:\n      " + "\n      ".join(lines) + "\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("count: 3", "1:1: unknown key 'count' in a fleet (known: groups, name, register, lease_duration)"),
        ("name: mine", "1:1: a fleet needs 'groups': write for example groups: [{count: 100}]"),
        ("groups: []", "1:9: groups: a fleet needs at least one group: write for example [{count: 100}]"),
        ("groups: [{prefix: n-}]", "1:10: a group needs 'count': write for example count: 100"),
        ("groups: [{count: -3}]", "1:18: count: '-3' must be a whole number from 0 to 999999999"),
        ("groups: [{count: 3}]\nregister: yes", "2:11: register: 'yes' is not known (known: true, false)"),
        (
            "groups: [{count: 3}]\nlease_duration: 40",
            "2:17: lease_duration: '40' has no unit: write 40s (units: h, m, s, ms, as in 1m30s)",
        ),
        (
            "groups: [{count: 3}]\nlease_duration: 40.5s",
            "2:17: lease_duration: '40.5s' must be whole seconds, because a Lease stores them so: write 40s",
        ),
    ],
)
def test_a_fleet_that_cannot_be_is_refused_at_its_place(text, message):
    assert refusal(text) == message


def test_a_misspelt_key_of_a_group_is_told_with_the_nearest():
    assert of_group("count: 3", "zone: [a]") == (
        "3:5: unknown key 'zone' in a group; did you mean 'zones'? (known: count, prefix, name, zones, profile)"
    )


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("prefix: Node_", "3:13: "),
        ("zones: a", "3:12: zones: 'a' must be a list of zones, each on lines that start with '-'"),
        ("zones: [a, 'b/c']", "3:12: "),
        ("name: '-x'", "3:11: "),
        ("profile: small", "3:14: profile: 'small' must be a profile: keys and values, one a line"),
    ],
)
def test_a_value_that_an_api_server_would_refuse_is_refused_at_its_place(line, start):
    assert of_group("count: 3", line).startswith(start)


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("capacity: {cpu: many}", "4:17: capacity: cpu='many' must be a quantity"),
        ("labels: {'a b': c}", "4:15: labels: key 'a b'"),
        ("labels: {a: [b]}", "4:19: a: a list must be a word"),
        ("taints: [{key: gpu, effect: Never}]", "4:15: taints: gpu: effect='Never' must be one of NoSchedule"),
        ("taints: [{key: gpu}]", "4:16: a taint needs 'effect'"),
        ("taints: {key: gpu}", "4:15: taints: keys and values must be a list of taints"),
        ("addresses: [{type: ExternalIP}]", "4:19: an address needs 'address'"),
        ("internal_cidr: everywhere", "4:22: internal_cidr='everywhere' must be a network"),
        ("cpu: 8", "4:7: unknown key 'cpu' in a profile (known: capacity, allocatable, "),
        ("os_imgae: x", "4:7: unknown key 'os_imgae' in a profile; did you mean 'os_image'? (known: "),
    ],
)
def test_a_profile_that_cannot_be_is_refused_at_its_place(line, start):
    assert of_profile(line).startswith(start)


def test_everything_that_a_profile_has_can_be_said():
    text = """
name: mine
register: true
lease_duration: 20s
groups:
  - count: 60
    prefix: small-
    name: small
    zones: [a, b, c]
  - count: 2
    prefix: gpu-
    profile:
      capacity: {cpu: 64, memory: 512Gi, nvidia.com/gpu: 8}
      allocatable: {cpu: 62}
      labels: {team: blue, spot: true}
      annotations: {note: a long one}
      taints:
        - {key: gpu, effect: NoSchedule}
        - {key: spot, value: "true", effect: NoExecute}
      addresses: [{type: ExternalIP, address: 203.0.113.7}]
      zone: d
      region: eu
      instance_type: huge
      provider_id: sim://{name}
      internal_cidr: 10.1.0.0/16
      architecture: arm64
      operating_system: linux
      kubelet_version: v1.37.2
      os_image: Some Linux
      kernel_version: 6.12.0
      container_runtime: containerd://2.1.4
"""
    fleet = parse_fleet(text)
    small, gpu = fleet.groups
    assert (fleet.name, fleet.register, fleet.lease_duration_s, fleet.nodes) == ("mine", True, 20, 62)
    assert small == NodeGroup(count=60, prefix="small-", name="small", zones=("a", "b", "c"))
    assert gpu.profile.capacity == {"cpu": "64", "memory": "512Gi", "nvidia.com/gpu": "8"}
    assert gpu.profile.labels == {"team": "blue", "spot": "true"}
    assert gpu.profile.taints == (
        Taint(key="gpu", effect="NoSchedule"),
        Taint(key="spot", value="true", effect="NoExecute"),
    )
    assert gpu.profile.addresses == (NodeAddress(type="ExternalIP", address="203.0.113.7"),)
    unlike = [
        one.name
        for one in dataclasses.fields(NodeProfile)
        if getattr(gpu.profile, one.name) == getattr(NodeProfile(), one.name)
    ]
    assert set(unlike) == {"operating_system", "container_runtime"}


def test_a_profile_can_be_shared_by_an_alias():
    fleet = parse_fleet("groups: [{count: 1, profile: &p {zone: a}}, {count: 2, prefix: b-, profile: *p}]")
    assert [group.profile.zone for group in fleet.groups] == ["a", "a"]


def test_a_fleet_may_stand_in_a_scenario():
    scenario = Scenario.parse("duration: 1m\nfleet: {groups: [{count: 3, zones: [a]}]}\nsteps: []")
    assert scenario.fleet == parse_fleet("groups: [{count: 3, zones: [a]}]")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("grow: 3", "4:20: grow: say which group: group: NAME (groups: small, big)"),
        ("grow: 3, group: smal", "4:20: grow: no group is named 'smal'; did you mean 'small'? (groups: small, big)"),
    ],
)
def test_a_fleet_of_several_groups_must_be_told_which_one_grows(step, message):
    fleet = "fleet: {groups: [{count: 1, prefix: small-}, {count: 1, prefix: big-}]}"
    with pytest.raises(ConfigurationError) as refused:
        Scenario.parse(f"duration: 1m\n{fleet}\nsteps:\n  - {{at: 5s, {step}}}", source="plot.yaml")
    assert str(refused.value) == f"plot.yaml:{message}"
