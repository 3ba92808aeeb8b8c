"""Which API servers are there, and how fresh each is, as it changes. Pure.

Unlike the collector's rule this one compares no clocks where it can do without: from the first renewal that was seen,
an identity's age counts by the observer's own clock. Before that there is nothing to go by but renewTime.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace

from lease_aio.identity.record import LATE_AFTER_S, Freshness, Identity, read_identity
from lease_aio.model import Lease


class IdentityChangeType(enum.Enum):
    """What became of an identity."""

    APPEARED = "appeared"
    TAKEN_OVER = "taken over"
    """It has another holder: the server was started anew."""
    LATE = "late"
    EXPIRED = "expired"
    RECOVERED = "recovered"
    """It was late or expired, and is renewed again."""
    GONE = "gone"
    """Withdrawn or collected."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IdentityChange:
    """One change. `identity` is as it is now, for GONE as it was last."""

    type: IdentityChangeType
    identity: Identity


_NOW = {
    Freshness.FRESH: IdentityChangeType.RECOVERED,
    Freshness.LATE: IdentityChangeType.LATE,
    Freshness.EXPIRED: IdentityChangeType.EXPIRED,
}


@dataclass(slots=True)
class _Known:
    identity: Identity
    renewed_at: float
    duration_s: float

    def ages_at(self) -> float:
        """When it turns late, or expired after that, unless it is renewed."""
        match self.identity.freshness:
            case Freshness.FRESH:
                return self.renewed_at + min(LATE_AFTER_S, self.duration_s)
            case Freshness.LATE:
                return self.renewed_at + self.duration_s
            case Freshness.EXPIRED:
                return math.inf

    def judge(self, now: float) -> None:
        if now >= self.renewed_at + self.duration_s:
            fresh = Freshness.EXPIRED
        else:
            fresh = Freshness.LATE if now >= self.renewed_at + LATE_AFTER_S else Freshness.FRESH
        self.identity = replace(self.identity, freshness=fresh)


class Presence:
    """Folds what is seen of identities into changes. Of changes that come faster than they are asked for, the last."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._told: dict[str, Identity] = {}

    @property
    def identities(self) -> dict[str, Identity]:
        """All that are there, by name."""
        return {name: known.identity for name, known in sorted(self._known.items())}

    def show(self, lease: Lease, now: float, wall_us: int) -> None:
        """The Lease looks like this now.

        Args:
            lease: The Lease.
            now: Monotonic seconds.
            wall_us: The wall clock, for the age of one that is seen for the first time.
        """
        identity, spec = read_identity(lease, wall_us), lease.spec
        known = self._known.get(lease.name)
        if known is not None and known.identity.renew_time == spec.renew_time:
            known.identity = replace(identity, freshness=known.identity.freshness)
            return
        age_s = 0.0
        if known is None and spec.renew_time is not None:
            age_s = max(0.0, (wall_us - spec.renew_time.epoch_us) / 1e6)
        duration_s = 0.0 if spec.renew_time is None else float(spec.lease_duration_seconds or 0)
        self._known[lease.name] = known = _Known(identity, now - age_s, duration_s)
        known.judge(now)

    def gone(self, name: str) -> None:
        """There is none of that name."""
        self._known.pop(name, None)

    def next_to_age(self) -> tuple[str, float]:
        """Which one turns late or expired next, and when; infinity if none does."""
        ages = ((known.ages_at(), name) for name, known in self._known.items())
        at, name = min(ages, default=(math.inf, ""))
        return name, at

    def age(self, name: str, now: float) -> None:
        """It was looked at and has not been renewed: judge it by the time."""
        if name in self._known:
            self._known[name].judge(now)

    def pardon(self, now: float) -> None:
        """Nobody could renew for a while: whoever was fresh before has all the time once more."""
        for known in self._known.values():
            if known.identity.freshness is Freshness.FRESH:
                known.renewed_at = now

    def next_change(self) -> IdentityChange | None:
        """The next change that was not told yet; None if all were."""
        for name, known in sorted(self._known.items()):
            change = _difference(self._told.get(name), known.identity)
            self._told[name] = known.identity
            if change is not None:
                return change
        for name in self._told.keys() - self._known.keys():
            return IdentityChange(type=IdentityChangeType.GONE, identity=self._told.pop(name))
        return None


def _difference(told: Identity | None, now: Identity) -> IdentityChange | None:
    if told is None:
        kind = IdentityChangeType.APPEARED
    elif told.holder != now.holder:
        kind = IdentityChangeType.TAKEN_OVER
    elif told.freshness is not now.freshness:
        kind = _NOW[now.freshness]
    else:
        return None
    return IdentityChange(type=kind, identity=now)
