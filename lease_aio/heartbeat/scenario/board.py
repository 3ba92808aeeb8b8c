"""What the control plane has written on the Nodes of a fleet. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from lease_aio.heartbeat.fleet.verdicts import Verdicts
from lease_aio.model import Node

READY, UNKNOWN = "True", "Unknown"

_BECAME = {READY: "ready", UNKNOWN: "unknown", "False": "not_ready"}
_OF_TAINTS = frozenset({"tainted", "untainted", "evicting", "sparing"})


class NodeBoard:
    """Keeps the Ready condition and the taints of each Node that it is shown, and tells what became different.

    Attributes:
        were_unknown: Those that have been Unknown at any time since the board was made, and are not forgotten.
    """

    def __init__(self) -> None:
        self._ready: dict[str, str] = {}
        self._verdicts = Verdicts()
        self.were_unknown: set[str] = set()

    @property
    def ready(self) -> Mapping[str, str]:
        """The status of each Node's Ready condition: `True`, `False` or `Unknown`; without one, it is left out."""
        return self._ready

    def saw(self, node: Node) -> list[str]:
        """Note what it says.

        Returns:
            What became different: the words of `Verdicts`, with `not_ready` for what a kubelet says itself, and
            `ready` after that too. That a Node is Ready when it is first seen is no news.
        """
        condition = node.status.condition("Ready")
        found = [] if condition is None else self._saw_ready(node.name, condition.status)
        return found + [word for word in self._verdicts.of(node) if word in _OF_TAINTS]

    def gone(self, name: str) -> None:
        """It was deleted; that it was Unknown stays known."""
        self._ready.pop(name, None)
        self._verdicts.gone(name)

    def _saw_ready(self, name: str, status: str) -> list[str]:
        before = self._ready.get(name, READY)
        self._ready[name] = status
        if status == UNKNOWN:
            self.were_unknown.add(name)
        return [_BECAME.get(status, status)] if status != before else []
