"""Whether the watch of Leases tells all that there is, and whom to ask about if it may not. Pure."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from itertools import islice

from lease_aio.heartbeat.monitor.memory import Memory

_QUIET_INTERVALS = 1.5  # no renewal of anybody for so many renew intervals is worth a question
_ASKED_WHEN_QUIET = 3


class Doubts:
    """Compares what was told of Leases with what the server is known to have.

    Args:
        renew_interval_s: How often leases are renewed.
        now: The time.

    Attributes:
        heard_at: When a Lease was last told, or found to be as it was told.
    """

    __slots__ = ("_quiet_s", "_told", "_wanted", "heard_at")

    def __init__(self, renew_interval_s: float, now: float) -> None:
        self._quiet_s = _QUIET_INTERVALS * renew_interval_s
        self._told = 0  # version of the newest Lease told
        self._wanted = 0  # of the newest Lease that the server is known to have
        self.heard_at = now

    def heard(self, now: float, version: int = 0) -> None:
        """Something was told of a Lease, in that version if it is there."""
        self._told = max(self._told, version)
        self.heard_at = now

    @property
    def allayed(self) -> bool:
        """Whether all has been told that the server was found to have."""
        return self._wanted <= self._told

    def is_told(self, version: int) -> bool:
        """Whether that version, which the server has, was told; if not, it is waited for."""
        if version <= self._told:
            return True
        self._wanted = version
        return False

    def suspects(self, nodes: Mapping[str, Memory], now: float, *, unanswered: bool) -> tuple[str, ...]:
        """Leases to ask the server for, because it did not answer, or nobody's renewal was told for long.

        A few suffice for a quiet watch: of the nodes that live, each has renewed since.
        """
        if not (unanswered or now - self.heard_at > self._quiet_s):
            return ()
        alive = (one for one in nodes.values() if one.deadline < math.inf and one.observed is not None)
        likeliest = heapq.nlargest(_ASKED_WHEN_QUIET, alive, key=lambda memory: memory.probe)
        anybody = islice(nodes, 1) if unanswered else ()
        return tuple(memory.name for memory in likeliest) or tuple(anybody)
