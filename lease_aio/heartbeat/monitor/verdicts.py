"""What a monitor finds: frozen records, one for each thing that became different. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

UNREACHABLE = "node.kubernetes.io/unreachable"
NOT_READY = "node.kubernetes.io/not-ready"


@dataclass(frozen=True, slots=True, order=True)
class Zone:
    """Where a node is, by its labels; both parts empty for a node that says nothing, and all such form one zone."""

    region: str = ""
    name: str = ""

    @property
    def key(self) -> str:
        """As node-lifecycle-controller and the labels of its metrics spell it."""
        return f"{self.region}:\0:{self.name}" if self.region or self.name else ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.region, self.name) if part)


class Availability(enum.Enum):
    """What a node is."""

    PENDING = "pending"
    """It never said whether it is ready."""

    READY = "ready"
    NOT_READY = "not_ready"
    """It says itself that it is not."""

    UNKNOWN = "unknown"
    """Nothing was heard of it for longer than its grace."""


class Finding(enum.Enum):
    """What became different about a node."""

    NEW = "new"
    PENDING = "pending"
    READY = "ready"
    NOT_READY = "not_ready"
    UNKNOWN = "unknown"
    RECOVERED = "recovered"
    """It was Unknown, and is Ready."""

    DELETED = "deleted"


class Reason(enum.Enum):
    """Why."""

    STATED = "stated"
    """The Node's own Ready condition says so."""

    SILENT = "silent"
    """No sign of life within the grace; Kubernetes' reason is `NodeStatusUnknown`."""

    NEVER_POSTED = "never_posted"
    """The same, of a Node without a Ready condition: `NodeStatusNeverUpdated`."""

    WRITTEN = "written"
    """Somebody wrote Unknown on the Node, and this monitor takes it over."""

    HEARD = "heard"
    """A sign of life came from a node that this monitor alone had called Unknown."""

    GONE = "gone"
    """The Node, or without the right to see Nodes the Lease, was deleted."""


class Effect(enum.Enum):
    """What a taint does to pods."""

    NO_SCHEDULE = "NoSchedule"
    NO_EXECUTE = "NoExecute"


class ZoneState(enum.Enum):
    """How much of a zone is not ready."""

    INITIAL = "initial"
    NORMAL = "normal"
    PARTIAL = "partial_disruption"
    FULL = "full_disruption"


class Sight(enum.Enum):
    """What a monitor can see."""

    OPENING = "opening"
    """The first lists have not come yet."""

    FULL = "full"
    LEASES_ONLY = "leases_only"
    """Nodes may not be listed: each Lease stands for a node that says it is Ready."""

    BLIND = "blind"
    """What it knows may be old, so it judges nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeVerdict:
    """A node became something else.

    Attributes:
        at: When, on the monitor's clock.
        node: Its name.
        finding: What became different.
        state: What it is now; for DELETED what it was last.
        was: What it was before; None for NEW.
        reason: Why.
        zone: Where it is.
        silent_s: How long ago its last sign of life counted, by the monitor's own clock; None where none has.
    """

    at: float
    node: str
    finding: Finding
    state: Availability
    was: Availability | None
    reason: Reason
    zone: Zone
    silent_s: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TaintVerdict:
    """A taint that the controller would put on a node, or take off it.

    Attributes:
        at: When, on the monitor's clock.
        node: The node's name.
        key: `node.kubernetes.io/unreachable` or `node.kubernetes.io/not-ready`.
        effect: NO_EXECUTE evicts pods, and is limited in rate.
        added: False when it is taken off.
        zone: Where the node is.
    """

    at: float
    node: str
    key: str
    effect: Effect
    added: bool
    zone: Zone


@dataclass(frozen=True, kw_only=True, slots=True)
class ZoneVerdict:
    """A zone came into another state.

    Attributes:
        at: When, on the monitor's clock.
        zone: Which.
        state: What it is now.
        was: What it was before.
        nodes: How many nodes count for it.
        not_ready: How many of them are not Ready.
        rate_per_s: How many NoExecute taints a second it gets from now on.
    """

    at: float
    zone: Zone
    state: ZoneState
    was: ZoneState
    nodes: int
    not_ready: int
    rate_per_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DisruptionVerdict:
    """Evictions stop in all zones, or go on.

    Attributes:
        at: When, on the monitor's clock.
        stopped: True: so much of the cluster is not ready that the fault is likely elsewhere, so nothing is evicted.
            False: that is over, and every node has a new grace.
        nodes: How many nodes count.
        not_ready: How many of them are not Ready.
    """

    at: float
    stopped: bool
    nodes: int
    not_ready: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SightVerdict:
    """The monitor sees more, or less, than before.

    Attributes:
        at: When, on its clock.
        sight: What it can see now.
        was: What it could see before.
        why: In words; empty where nothing is wrong.
        lasted_s: How long the time before lasted.
    """

    at: float
    sight: Sight
    was: Sight
    why: str
    lasted_s: float


Verdict = NodeVerdict | TaintVerdict | ZoneVerdict | DisruptionVerdict | SightVerdict
"""Whatever a monitor tells."""
