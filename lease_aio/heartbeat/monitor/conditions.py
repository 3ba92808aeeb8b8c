"""The conditions that the controller writes on a node of which it hears nothing. Pure."""

from __future__ import annotations

import msgspec

from lease_aio.heartbeat.monitor.facts import NEVER_UPDATED
from lease_aio.model import Node, NodeCondition, Time

UNKNOWN_TYPES = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
"""Not `NetworkUnavailable`, which the control plane manages."""


def unknown_conditions(node: Node, wall_us: int) -> tuple[NodeCondition, ...]:
    """The Node's conditions after the controller has called it Unknown.

    Args:
        node: As it is now.
        wall_us: What is written as the time of the transition, epoch microseconds.
    """
    kept = tuple(_unknown(one, wall_us) if one.type in UNKNOWN_TYPES else one for one in node.status.conditions)
    missing = (kind for kind in UNKNOWN_TYPES if node.status.condition(kind) is None)
    return (*kept, *(_never_posted(kind, node, wall_us) for kind in missing))


def _unknown(condition: NodeCondition, wall_us: int) -> NodeCondition:
    if condition.status == "Unknown":
        return condition
    return msgspec.structs.replace(
        condition,
        status="Unknown",
        reason="NodeStatusUnknown",
        message="Kubelet stopped posting node status.",
        last_transition_time=Time(wall_us),
    )


def _never_posted(kind: str, node: Node, wall_us: int) -> NodeCondition:
    return NodeCondition(
        type=kind,
        status="Unknown",
        reason=NEVER_UPDATED,
        message="Kubelet never posted node status.",
        last_heartbeat_time=node.metadata.creation_timestamp,
        last_transition_time=Time(wall_us),
    )
