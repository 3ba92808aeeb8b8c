"""One simulated node of a fleet: what it is, and what renews for it."""

from __future__ import annotations

from lease_aio.heartbeat.beat import Beat
from lease_aio.heartbeat.profile import NodeKind


class Hollow:
    """A hollow node, as Kubernetes' own simulator calls them: heartbeats without a machine. A few words of memory.

    Attributes:
        kind: What it shares with others.
        beat: Renews its lease.
        node_uid: Of its Node, if this fleet created that.
    """

    __slots__ = ("beat", "kind", "node_uid")

    def __init__(self, kind: NodeKind, beat: Beat, node_uid: str = "") -> None:
        self.kind = kind
        self.beat = beat
        self.node_uid = node_uid
