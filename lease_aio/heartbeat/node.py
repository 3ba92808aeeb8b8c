"""What a simulated Node says of itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lease_aio.model import Node, NodeAddress, NodeCondition, NodeSpec, NodeStatus, ObjectMeta, Taint, Time

_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "there is enough memory"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "there is enough disk"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "there are enough process ids"),
    ("Ready", "True", "KubeletReady", "simulated"),
)


def _small() -> dict[str, str]:
    return {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": "110"}


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeProfile:
    """What the Nodes of one kind have in common.

    Attributes:
        capacity: Also what is allocatable.
        labels: Beside the three that each kubelet sets (host name, operating system, architecture).
        taints: Of the Node's spec.
        architecture: As Go names it.
        operating_system: As Go names it.
        kubelet_version: What `kubectl get nodes` shows.
        os_image: What `kubectl get nodes -o wide` shows.
    """

    capacity: Mapping[str, str] = field(default_factory=_small)
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    taints: tuple[Taint, ...] = ()
    architecture: str = "amd64"
    operating_system: str = "linux"
    kubelet_version: str = "v1.34.0"
    os_image: str = "simulated"


def new_node(name: str, profile: NodeProfile, wall_us: int) -> Node:
    """A Node as a kubelet registers it, but Ready from the start.

    Args:
        name: Its name, and its host name.
        profile: All else.
        wall_us: When, microseconds since the epoch.
    """
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": profile.operating_system,
        "kubernetes.io/arch": profile.architecture,
        **profile.labels,
    }
    return Node(
        metadata=ObjectMeta(name=name, labels=labels),
        spec=NodeSpec(taints=profile.taints),
        status=ready_status(name, profile, wall_us),
    )


def ready_status(name: str, profile: NodeProfile, wall_us: int) -> NodeStatus:
    """The status of a healthy Node."""
    return NodeStatus(
        capacity=dict(profile.capacity),
        allocatable=dict(profile.capacity),
        conditions=tuple(_condition(*one, wall_us) for one in _CONDITIONS),
        addresses=(NodeAddress(type="Hostname", address=name),),
        node_info={
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
            "kernelVersion": "",
            "osImage": profile.os_image,
            "containerRuntimeVersion": "",
            "kubeletVersion": profile.kubelet_version,
            "kubeProxyVersion": "",
            "operatingSystem": profile.operating_system,
            "architecture": profile.architecture,
        },
    )


def is_ready(node: Node) -> bool:
    """Whether its Ready condition is True."""
    ready = node.status.condition("Ready")
    return ready is not None and ready.status == "True"


def made_ready(node: Node, wall_us: int) -> tuple[NodeCondition, ...]:
    """The conditions of `node` with those of a healthy Node in place of its own; conditions of others are kept."""
    ours = {one[0] for one in _CONDITIONS}
    kept = tuple(one for one in node.status.conditions if one.type not in ours)
    return kept + tuple(_condition(*one, wall_us) for one in _CONDITIONS)


def _condition(kind: str, status: str, reason: str, message: str, wall_us: int) -> NodeCondition:
    return NodeCondition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_heartbeat_time=Time(wall_us),
        last_transition_time=Time(wall_us),
    )
