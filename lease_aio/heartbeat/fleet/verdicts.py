"""What the control plane has written on Nodes: read from what a watch tells. Pure."""

from __future__ import annotations

from lease_aio.model import Node

_TAINTS = frozenset({"node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"})
_BEGINS = {"Unknown": "unknown", "NoSchedule": "tainted", "NoExecute": "evicting"}
_ENDS = {"Unknown": "ready", "NoSchedule": "untainted", "NoExecute": "sparing"}
_WELL: frozenset[str] = frozenset()


class Verdicts:
    """Tells what has changed in the control plane's judgement of each node.

    Its words: `unknown` (it has set Ready to Unknown) and `ready` (that is over: the kubelet has written again),
    `tainted` and `untainted` (`node.kubernetes.io/unreachable` or `not-ready`, NoSchedule), `evicting` and `sparing`
    (the same, NoExecute). What a Node carries when it is first seen is no verdict: an API server taints it at its
    creation.
    """

    def __init__(self) -> None:
        self._marked: dict[str, frozenset[str]] = {}  # by name; what is seen of most is one and the same empty set

    def of(self, node: Node) -> tuple[str, ...]:
        """What is new in this state of the Node."""
        now = _marks(node)
        before = self._marked.get(node.name, now)
        self._marked[node.name] = now
        begun = (word for mark, word in _BEGINS.items() if mark in now - before)
        ended = (word for mark, word in _ENDS.items() if mark in before - now)
        return (*begun, *ended)

    def gone(self, name: str) -> None:
        """The Node is no more: the next of its name is another one."""
        self._marked.pop(name, None)


def _marks(node: Node) -> frozenset[str]:
    ready = node.status.condition("Ready")
    effects = {taint.effect for taint in node.spec.taints if taint.key in _TAINTS} & {"NoSchedule", "NoExecute"}
    if ready is not None and ready.status == "Unknown":
        effects.add("Unknown")
    return frozenset(effects) if effects else _WELL
