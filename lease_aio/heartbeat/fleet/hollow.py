"""One simulated node of a fleet: what it is, and what sends for it."""

from __future__ import annotations

from lease_aio.heartbeat.node.profile import NodeKind
from lease_aio.heartbeat.renewal.beat import Beat
from lease_aio.heartbeat.status.beat import StatusBeat


class Hollow:
    """A hollow node, as Kubernetes' own simulator calls them: heartbeats without a machine. A few words of memory.

    Attributes:
        kind: What it shares with others.
        beat: Renews its lease.
        status: Keeps the status of its Node, if that is kept.
        node_uid: Of its Node, if this fleet created that.
    """

    __slots__ = ("beat", "kind", "node_uid", "status")

    def __init__(self, kind: NodeKind, beat: Beat, status: StatusBeat | None = None, node_uid: str = "") -> None:
        self.kind = kind
        self.beat = beat
        self.status = status
        self.node_uid = node_uid

    @property
    def name(self) -> str:
        """The node's."""
        return self.beat.name

    @property
    def senders(self) -> tuple[Beat | StatusBeat, ...]:
        """All that is sent for it."""
        return (self.beat,) if self.status is None else (self.beat, self.status)

    def reborn(self, due: float) -> None:
        """Its process is another one, that remembers nothing."""
        self.beat = self.beat.reborn(due)
        if self.status is not None:
            self.status = self.status.reborn(due)
