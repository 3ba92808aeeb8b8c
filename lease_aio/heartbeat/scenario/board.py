"""What the control plane has written on the Nodes of a fleet. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from lease_aio.model import Node

READY = "True"
UNKNOWN = "Unknown"

_BECAME = {READY: "ready", UNKNOWN: "unknown", "False": "not_ready"}
_OUT_OF_REACH = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")


class NodeBoard:
    """Keeps the Ready condition and the taints of each Node that it is shown, and tells what became different.

    Attributes:
        were_unknown: Those that have been Unknown at any time since the board was made, and are not forgotten.
    """

    def __init__(self) -> None:
        self._ready: dict[str, str] = {}
        self._taints: dict[str, frozenset[str]] = {}
        self.were_unknown: set[str] = set()

    @property
    def ready(self) -> Mapping[str, str]:
        """The status of each Node's Ready condition: `True`, `False` or `Unknown`; without one, it is left out."""
        return self._ready

    def saw(self, node: Node) -> list[str]:
        """Note what it says.

        Returns:
            What became different, in words: `unknown`, `ready` again, `not_ready`, `tainted KEY:EFFECT` and
            `untainted KEY:EFFECT` for the two taints by which a control plane keeps pods off a node out of reach. That
            a Node is Ready when it is first seen is no news.
        """
        condition = node.status.condition("Ready")
        found = [] if condition is None else self._saw_ready(node.name, condition.status)
        return found + self._saw_taints(node)

    def gone(self, name: str) -> None:
        """It was deleted; that it was Unknown stays known."""
        self._ready.pop(name, None)
        self._taints.pop(name, None)

    def _saw_ready(self, name: str, status: str) -> list[str]:
        before = self._ready.get(name, READY)
        self._ready[name] = status
        if status == UNKNOWN:
            self.were_unknown.add(name)
        return [_BECAME.get(status, status)] if status != before else []

    def _saw_taints(self, node: Node) -> list[str]:
        taints = frozenset(f"{one.key}:{one.effect}" for one in node.spec.taints if one.key in _OUT_OF_REACH)
        before = self._taints.get(node.name, frozenset())
        self._taints[node.name] = taints
        added = [f"tainted {taint}" for taint in sorted(taints - before)]
        return added + [f"untainted {taint}" for taint in sorted(before - taints)]
