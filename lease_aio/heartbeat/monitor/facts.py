"""What a monitor keeps of a Node and of a Lease. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from lease_aio.heartbeat.monitor.verdicts import NOT_READY, UNREACHABLE, Availability, Effect, Zone
from lease_aio.model import Lease, Node, NodeCondition

NEVER_UPDATED = "NodeStatusNeverUpdated"
EXCLUDED = "node.kubernetes.io/exclude-disruption"

_ZONE_LABELS = ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone")
_REGION_LABELS = ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region")
_STATES = {"True": Availability.READY, "False": Availability.NOT_READY}


class NodeFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A Node, as far as a monitor is concerned.

    Attributes:
        uid: Of this incarnation.
        created_us: creationTimestamp, epoch microseconds; None if the server gave none.
        stated: What the Ready condition says; PENDING if there is none.
        heartbeat_us: Its lastHeartbeatTime; None if it has none.
        posted: Its kubelet posted that condition at least once: it is not the control plane's stand-in for none.
        zone: By its labels.
        counts: It counts for the state of its zone.
        taints: Keys and effects of those taints that the controller manages.
    """

    uid: str
    created_us: int | None
    stated: Availability
    heartbeat_us: int | None
    posted: bool
    zone: Zone
    counts: bool
    taints: tuple[tuple[str, Effect], ...]


class LeaseFacts(msgspec.Struct, frozen=True, gc=False):
    """A Lease, as far as a monitor is concerned: its version, and its renewTime in epoch microseconds."""

    version: int
    renew_us: int | None


BY_LEASE_ALONE = NodeFacts(
    uid="",
    created_us=None,
    stated=Availability.READY,
    heartbeat_us=None,
    posted=True,
    zone=Zone(),
    counts=True,
    taints=(),
)
"""What stands in for a Node that this monitor may not see."""


def facts_of_node(node: Node) -> NodeFacts:
    """Read a Node."""
    ready, created = node.status.condition("Ready"), node.metadata.creation_timestamp
    return NodeFacts(
        uid=node.metadata.uid,
        created_us=None if created is None else created.epoch_us,
        stated=_stated(ready),
        heartbeat_us=_heartbeat(ready),
        posted=ready is not None and ready.reason != NEVER_UPDATED,
        zone=zone_of(node.metadata.labels),
        counts=EXCLUDED not in node.metadata.labels,
        taints=_managed_taints(node),
    )


def facts_of_lease(lease: Lease) -> LeaseFacts:
    """Read a Lease. Holder, duration and owner play no part in availability."""
    renewed = lease.spec.renew_time
    return LeaseFacts(int(lease.resource_version or 0), None if renewed is None else renewed.epoch_us)


def zone_of(labels: Mapping[str, str]) -> Zone:
    """The zone that these labels name; of each pair the beta label goes first, as in the controller."""
    region, name = (next((labels[one] for one in pair if one in labels), "") for pair in (_REGION_LABELS, _ZONE_LABELS))
    return _zone(region, name)


@lru_cache(maxsize=1024)
def _zone(region: str, name: str) -> Zone:
    """One object for all nodes of a zone."""
    return Zone(region, name)


def _stated(ready: NodeCondition | None) -> Availability:
    return Availability.PENDING if ready is None else _STATES.get(ready.status, Availability.UNKNOWN)


def _heartbeat(ready: NodeCondition | None) -> int | None:
    return None if ready is None or ready.last_heartbeat_time is None else ready.last_heartbeat_time.epoch_us


def _managed_taints(node: Node) -> tuple[tuple[str, Effect], ...]:
    return tuple(
        (taint.key, effect)
        for taint in node.spec.taints
        for effect in Effect
        if taint.key in {UNREACHABLE, NOT_READY} and taint.effect == effect.value
    )
