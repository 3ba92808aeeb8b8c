"""What a simulated Node says of itself. Pure."""

from __future__ import annotations

import functools
import ipaddress
import re
import uuid
import zlib

from lease_aio.heartbeat.node.profile import NodeKind, NodeProfile
from lease_aio.model import Node, NodeAddress, NodeCondition, NodeSpec, NodeStatus, ObjectMeta, Time

_NUMBERED = re.compile(r"(.*?)(\d*)", re.ASCII)
_MACHINES = uuid.UUID("6f1a4d0e-3c5b-4a63-9f0e-8d2b7c9e5a10")

_PRESSURES = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)
_READY = ("Ready", "True", "KubeletReady", "kubelet is posting ready status")

Condition = tuple[str, str, str, str]
"""Type, status, reason and message."""


def conditions_of(unready: str) -> tuple[Condition, ...]:
    """What a kubelet says of itself.

    Args:
        unready: Why it is not ready; empty if it is.
    """
    ready = ("Ready", "False", unready, "the node is told to be unready") if unready else _READY
    return (*_PRESSURES, ready)


def new_node(name: str, kind: NodeKind, wall_us: int) -> Node:
    """A Node as a kubelet registers it, but Ready from the start.

    Args:
        name: Its name, and its host name.
        kind: All else.
        wall_us: When, microseconds since the epoch.
    """
    profile = kind.profile
    return Node(
        metadata=ObjectMeta(name=name, labels=kind.labels(name), annotations=dict(profile.annotations)),
        spec=NodeSpec(taints=profile.taints, provider_id=profile.provider_id.replace("{name}", name)),
        status=healthy_status(name, profile, wall_us),
    )


def healthy_status(name: str, profile: NodeProfile, wall_us: int) -> NodeStatus:
    """The status of a healthy Node."""
    machine = uuid.uuid5(_MACHINES, name)
    return NodeStatus(
        capacity=dict(profile.capacity),
        allocatable=dict(profile.capacity if profile.allocatable is None else profile.allocatable),
        conditions=tuple(_condition(*one, wall_us) for one in conditions_of("")),
        addresses=(*_own_addresses(name, profile), *profile.addresses),
        node_info={
            "machineID": machine.hex,
            "systemUUID": str(machine),
            "bootID": str(uuid.uuid5(machine, "boot")),
            "kernelVersion": profile.kernel_version,
            "osImage": profile.os_image,
            "containerRuntimeVersion": profile.container_runtime,
            "kubeletVersion": profile.kubelet_version,
            "kubeProxyVersion": "",
            "operatingSystem": profile.operating_system,
            "architecture": profile.architecture,
        },
    )


def _own_addresses(name: str, profile: NodeProfile) -> tuple[NodeAddress, ...]:
    hostname = NodeAddress(type="Hostname", address=name)
    if not profile.internal_cidr:
        return (hostname,)
    return (NodeAddress(type="InternalIP", address=_address(name, profile.internal_cidr)), hostname)


def _address(name: str, cidr: str) -> str:
    """The same for a name at each start; different for numbers of one prefix, as far as the network has room."""
    first, size = _hosts(cidr)
    stem, number = _NUMBERED.fullmatch(name).groups()  # type: ignore[union-attr]  # it matches all
    return str(first + (zlib.crc32(stem.encode()) + int(number or 0)) % size)


@functools.cache
def _hosts(cidr: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    """The first address for a host, and how many there are: not the network's own, nor the broadcast address."""
    network = ipaddress.ip_network(cidr)
    if network.num_addresses <= 2:
        return network[0], network.num_addresses
    return network[1], network.num_addresses - 2


def _condition(kind: str, status: str, reason: str, message: str, wall_us: int) -> NodeCondition:
    return NodeCondition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_heartbeat_time=Time(wall_us),
        last_transition_time=Time(wall_us),
    )
