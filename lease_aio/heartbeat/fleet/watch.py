"""What a fleet hears of its Nodes: the kubelets mend them, and the timeline notes the control plane's verdicts."""

from __future__ import annotations

from collections.abc import Mapping

from lease_aio.heartbeat.fleet.hollow import Hollow
from lease_aio.heartbeat.fleet.verdicts import Verdicts
from lease_aio.heartbeat.sender import BeatGroup
from lease_aio.model import Node


class FleetWatch:
    """A `NodeListener` for all nodes of a fleet; of Nodes of other parts of it nothing is noted.

    A Node may be told before the answer to its creation has come: what was seen of it then counts all the same.

    Args:
        group: What the beats share.
        nodes: By name; the fleet's own, which changes.
    """

    def __init__(self, group: BeatGroup, nodes: Mapping[str, Hollow]) -> None:
        self._group, self._nodes = group, nodes
        self._verdicts = Verdicts()

    def node_changed(self, node: Node) -> None:
        """See `NodeListener.node_changed`."""
        words, hollow = self._verdicts.of(node), self._nodes.get(node.name)
        if hollow is None:
            return
        for word in words:
            self._note(node.name, hollow, word)
        if hollow.status is not None:
            hollow.status.saw(node)

    def node_gone(self, name: str) -> None:
        """See `NodeListener.node_gone`."""
        self._verdicts.gone(name)
        hollow = self._nodes.get(name)
        if hollow is not None and hollow.status is not None:
            hollow.status.saw(None)

    def _note(self, name: str, hollow: Hollow, word: str) -> None:
        timeline = self._group.tally.timeline
        if timeline is None:
            return
        now, trouble = self._group.clock.now(), self._group.troubles.get(name)
        renewed = hollow.beat.renewal.last_success
        if renewed is None and trouble is not None:
            renewed = trouble.renewed_at
        timeline.verdict(now, name, word, None if renewed is None else now - renewed)
