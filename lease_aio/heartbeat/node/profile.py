"""What simulated Nodes look like: profiles of machines, and groups of nodes that share one. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lease_aio.errors import ConfigurationError
from lease_aio.model import NodeAddress, Taint
from lease_aio.naming import check_label_value, check_lease_name
from lease_aio.server.validation import qualified_name

ZONE_LABEL = "topology.kubernetes.io/zone"
REGION_LABEL = "topology.kubernetes.io/region"
HOSTNAME_LABEL = "kubernetes.io/hostname"
INSTANCE_TYPE_LABEL = "node.kubernetes.io/instance-type"
FLEET_LABEL = "lease-aio/fleet"
"""Whose a Node is: the name of the fleet that may write it."""
GROUP_LABEL = "lease-aio/group"
"""Which group of the fleet it belongs to."""

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_QUANTITY = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d{1,2})?", re.ASCII)


def _small() -> dict[str, str]:
    return {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": "110"}


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeProfile:
    """What the Nodes of one kind have in common.

    Attributes:
        capacity: Quantities by resource.
        allocatable: What is left for pods; left out, the capacity.
        labels: Beside those that a kubelet sets: host name, operating system and architecture (by their old names,
            too), and, where they are given, zone, region and instance type.
        annotations: Of the Node.
        taints: Of the Node's spec, from its registration on.
        zone: Written as `topology.kubernetes.io/zone`; a group's `zones` go before it.
        region: Written as `topology.kubernetes.io/region`.
        instance_type: Written as `node.kubernetes.io/instance-type`.
        provider_id: The Node's `spec.providerID`; `{name}` in it stands for the node's name.
        internal_cidr: The network of which each node has one address as its InternalIP. Nodes `<prefix><number>` of
            one prefix get different ones, as far as it has room. Empty: none.
        addresses: Further addresses, the same for all.
        architecture: As Go names it.
        operating_system: As Go names it.
        kubelet_version: What `kubectl get nodes` shows, like the next three with `-o wide`.
        os_image: The operating system.
        kernel_version: Its kernel.
        container_runtime: Name and version, `containerd://2.1.4`.

    Raises:
        ConfigurationError: a value that an API server would refuse.
    """

    capacity: Mapping[str, str] = field(default_factory=_small)
    allocatable: Mapping[str, str] | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    taints: tuple[Taint, ...] = ()
    zone: str = ""
    region: str = ""
    instance_type: str = ""
    provider_id: str = ""
    internal_cidr: str = "10.0.0.0/8"
    addresses: tuple[NodeAddress, ...] = ()
    architecture: str = "amd64"
    operating_system: str = "linux"
    kubelet_version: str = "v1.34.0"
    os_image: str = "simulated"
    kernel_version: str = "0.0.0-simulated"
    container_runtime: str = "containerd://2.1.4"

    def __post_init__(self) -> None:
        for what in ("capacity", "allocatable"):
            _check_quantities(what, getattr(self, what) or {})
        _check_labels(self.labels)
        for key in self.annotations:
            _check_key("annotations", key)
        for taint in self.taints:
            _check_taint(taint)
        for what in ("zone", "region", "instance_type"):
            check_label_value(what, getattr(self, what))
        if self.internal_cidr:
            _check_network(self.internal_cidr)


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeGroup:
    """So many nodes of one profile.

    Attributes:
        count: How many.
        prefix: Names are this and a number; groups of the same prefix go on counting where the last one ended.
        profile: What their Nodes look like.
        zones: Assigned in turn as `topology.kubernetes.io/zone`.
        name: Written as the label `lease-aio/group`; left out, the prefix without what separates it from the number.

    Raises:
        ConfigurationError: a value cannot work.
    """

    count: int
    prefix: str = "node-"
    profile: NodeProfile = field(default_factory=NodeProfile)
    zones: tuple[str, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        _check_count(self.count)
        check_lease_name(f"{self.prefix}0")
        _refuse_one_string("zones", self.zones)
        for zone in self.zones:
            check_label_value("zones", zone)
        check_label_value("name", self.label)

    @property
    def label(self) -> str:
        """What the label `lease-aio/group` says."""
        return self.name or self.prefix.rstrip("-._")


class NodeKind:
    """What the nodes of one group and zone share. One object serves all of them.

    Args:
        profile: What their Nodes look like.
        fleet: The fleet's name.
        group: The group's; empty for none.
        zone: Theirs, empty for none.

    Attributes:
        profile: As given.
        shared: All labels but the host name.
    """

    __slots__ = ("profile", "shared")

    def __init__(self, profile: NodeProfile, *, fleet: str = "", group: str = "", zone: str = "") -> None:
        self.profile = profile
        said = {
            ZONE_LABEL: zone or profile.zone,
            REGION_LABEL: profile.region,
            INSTANCE_TYPE_LABEL: profile.instance_type,
            FLEET_LABEL: fleet,
            GROUP_LABEL: group,
        }
        self.shared: Mapping[str, str] = {
            "kubernetes.io/os": profile.operating_system,
            "kubernetes.io/arch": profile.architecture,
            # Kubelets still set these, and node-lifecycle-controller adds them, with a patch a Node, where they lack.
            "beta.kubernetes.io/os": profile.operating_system,
            "beta.kubernetes.io/arch": profile.architecture,
            **{key: value for key, value in said.items() if value},
            **profile.labels,
        }

    def labels(self, name: str) -> dict[str, str]:
        """All labels of the node of that name."""
        return {HOSTNAME_LABEL: name, **self.shared}


def _check_count(count: object) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ConfigurationError(f"count={count!r} must be a whole number, zero or more")


def _refuse_one_string(what: str, names: object) -> None:
    if isinstance(names, str):
        raise ConfigurationError(f"{what}={names!r} is one string; give a list of names")


def _check_labels(labels: Mapping[str, str]) -> None:
    for key, value in labels.items():
        _check_key("labels", key)
        check_label_value(f"labels: {key}", value)
        if key in {FLEET_LABEL, GROUP_LABEL}:
            raise ConfigurationError(f"labels: {key!r} says whose a Node is, and is set by the fleet: leave it out")


def _check_key(what: str, key: str) -> None:
    if problems := qualified_name(key):
        raise ConfigurationError(f"{what}: key {key!r} {problems[0]}")


def _check_quantities(what: str, quantities: Mapping[str, object]) -> None:
    for resource, amount in quantities.items():
        if not isinstance(amount, str) or not _QUANTITY.fullmatch(amount):
            raise ConfigurationError(
                f"{what}: {resource}={amount!r} must be a quantity in a string, such as '8', '500m' or '32Gi'"
            )


def _check_taint(taint: Taint) -> None:
    _check_key("taints", taint.key)
    check_label_value(f"taints: {taint.key}", taint.value)
    if taint.effect not in _EFFECTS:
        raise ConfigurationError(f"taints: {taint.key}: effect={taint.effect!r} must be one of {', '.join(_EFFECTS)}")


def _check_network(cidr: str) -> None:
    try:
        ipaddress.ip_network(cidr)
    except ValueError as error:
        raise ConfigurationError(f"internal_cidr={cidr!r} must be a network such as '10.0.0.0/8': {error}") from error
