"""Whether what a monitor knows can be trusted, and since when. Pure."""

from __future__ import annotations

import enum
import math

from lease_aio.heartbeat.monitor.verdicts import Sight, SightVerdict


class Cause(enum.Enum):
    """What makes a monitor blind."""

    NODES = "nodes"
    """The watch of Nodes is broken."""

    LEASES = "leases"
    """The watch of Leases is broken."""

    STALE = "stale"
    """The server has a newer Lease than the watch has told of."""

    UNREACHABLE = "unreachable"
    """The server does not answer a question about a Lease."""


_WATCHES = (Cause.NODES, Cause.LEASES)


class Outlook:
    """What can be seen, by the causes that stand against it.

    Args:
        sight: At the start: FULL, LEASES_ONLY, or OPENING until `open` is called.
        now: The time.

    Attributes:
        rejoined_at: When a broken watch last came back; minus infinity if none did.
    """

    __slots__ = ("_causes", "_clear", "_narrowed", "_opening", "_since", "_told", "rejoined_at")

    def __init__(self, sight: Sight, now: float) -> None:
        self._causes: dict[Cause, str] = {}
        self._opening = sight is Sight.OPENING
        self._clear = Sight.LEASES_ONLY if sight is Sight.LEASES_ONLY else Sight.FULL
        self._narrowed = ""
        self._told = sight
        self._since = now
        self.rejoined_at = -math.inf

    @property
    def sight(self) -> Sight:
        """What can be seen now."""
        if self._causes:
            return Sight.BLIND
        return Sight.OPENING if self._opening else self._clear

    @property
    def why(self) -> str:
        """Why not all can be seen, in words; empty where it can."""
        return "; ".join(self._causes.values()) or self._narrowed

    @property
    def leases_only(self) -> bool:
        """Nodes may not be seen."""
        return self._clear is Sight.LEASES_ONLY

    def stands(self, cause: Cause) -> bool:
        """Whether that is so now."""
        return cause in self._causes

    def open(self, now: float) -> SightVerdict | None:
        """The first lists have come."""
        self._opening = False
        return self._tell(now, now)

    def narrow(self, why: str, now: float) -> SightVerdict | None:
        """Nodes may not be seen: from now on Leases stand for them."""
        self._clear, self._narrowed = Sight.LEASES_ONLY, why
        self._causes.pop(Cause.NODES, None)
        return self._tell(now, now)

    def lose(self, cause: Cause, why: str, now: float, *, since: float | None = None) -> SightVerdict | None:
        """Something stands against what is known, since `since` if that was before now."""
        self._causes[cause] = why
        return self._tell(now, now if since is None else since)

    def regain(self, cause: Cause, now: float) -> SightVerdict | None:
        """It no longer does."""
        if self._causes.pop(cause, None) is not None and cause in _WATCHES:
            self.rejoined_at = now
        return self._tell(now, now)

    def _tell(self, now: float, since: float) -> SightVerdict | None:
        sight = self.sight
        if sight is self._told:
            return None
        was, self._told = self._told, sight
        lasted_s, self._since = now - self._since, since
        return SightVerdict(at=now, sight=sight, was=was, why=self.why, lasted_s=max(0.0, lasted_s))
