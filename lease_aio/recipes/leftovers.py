"""Which Leases of a group were left behind by members that ended without deleting them. Pure.

No two clocks are compared: what counts is for how long this member has seen a Lease stand as it stands, by its own
clock. That alone would condemn the living where nobody could renew for so long, because the server was away or the
machines stood still. So whoever looks dead is looked at once more, after a time in which the living have renewed.
"""

from __future__ import annotations

from collections.abc import Iterable

from lease_aio.model import Lease, MicroTime
from lease_aio.recipes.group import is_ours

SILENT_DURATIONS = 10
"""So many of its own durations a Lease must have stood unchanged: forty renewals were missed, and observers have called
its member lost nine durations ago."""

CONFIRM_S = 30.0
"""Least time until the second look. Whoever has found the server away asks it again at least every 7 s, and waits at
most 10 s for an answer."""

_State = tuple[str, MicroTime | None]


class Leftovers:
    """Looks at a group, again and again, and tells whose Leases are to be deleted.

    Args:
        group: The group.
        own: The name of the Lease of the member that looks; it is never told.
        duration_s: That member's; taken for that of a Lease that has none.
    """

    def __init__(self, *, group: str, own: str, duration_s: float) -> None:
        self._group, self._own, self._duration_s = group, own, duration_s
        self._seen: dict[str, tuple[_State, float]] = {}  # how each stands, and since when it was seen to
        self._suspects: frozenset[str] = frozenset()
        self._looked_at = 0.0
        self._living = 1

    def look(self, leases: Iterable[Lease], now: float) -> list[Lease]:
        """Which ones to delete, each only in the version given.

        Args:
            leases: All that the group has now.
            now: Monotonic seconds.
        """
        ours = [lease for lease in leases if lease.name != self._own and is_ours(lease, self._group)]
        self._seen = {lease.name: self._sight(lease, now) for lease in ours}
        silent = [lease for lease in ours if now - self._seen[lease.name][1] >= self._bound_s(lease)]
        in_time = now - self._looked_at < 2 * self._confirm_s  # no look has failed since, and no machine slept
        found = [lease for lease in silent if in_time and lease.name in self._suspects]
        self._suspects = frozenset(lease.name for lease in silent) - {lease.name for lease in found}
        self._looked_at, self._living = now, 1 + len(ours) - len(silent)
        return found

    def pause_s(self, chance: float) -> float:
        """How long to wait until the next look.

        All members look, each so seldom that together they look about once a duration.

        Args:
            chance: Uniform in [0, 1), spreads the looks of many.
        """
        if self._suspects:
            return self._confirm_s * (1 + chance / 2)
        return self._duration_s * self._living * (0.5 + chance)

    @property
    def _confirm_s(self) -> float:
        return max(self._duration_s, CONFIRM_S)

    def _sight(self, lease: Lease, now: float) -> tuple[_State, float]:
        state = (lease.metadata.uid, lease.spec.renew_time)
        before = self._seen.get(lease.name)
        return before if before is not None and before[0] == state else (state, now)

    def _bound_s(self, lease: Lease) -> float:
        return SILENT_DURATIONS * (lease.spec.lease_duration_seconds or self._duration_s)
