"""Which API servers are there, and how fresh each is, as it changes. Pure.

Unlike the collector's rule this one compares no clocks where it can do without: from the first renewal that was seen,
an identity's age counts by the observer's own clock. Before that there is nothing to go by but renewTime.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from lease_aio.identity.record import LATE_AFTER_S, Freshness, Identity, read_identity
from lease_aio.identity.sightings import Sighting, Sightings
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


class Presence(Sightings[Identity, IdentityChange]):
    """Folds what is seen of identities into changes."""

    def __init__(self) -> None:
        super().__init__(late_after_s=LATE_AFTER_S)

    def _first_age_s(self, lease: Lease, wall_us: int) -> float:
        renewed = lease.spec.renew_time
        return 0.0 if renewed is None else max(0.0, (wall_us - renewed.epoch_us) / 1e6)

    def _view(self, seen: Sighting) -> Identity:
        return replace(read_identity(seen.lease, 0), freshness=seen.freshness)

    def _change(self, told: Identity | None, now: Identity | None) -> IdentityChange | None:
        if now is None:
            return None if told is None else IdentityChange(type=IdentityChangeType.GONE, identity=told)
        if told is None:
            kind = IdentityChangeType.APPEARED
        elif told.holder != now.holder:
            kind = IdentityChangeType.TAKEN_OVER
        elif told.freshness is not now.freshness:
            kind = _NOW[now.freshness]
        else:
            return None
        return IdentityChange(type=kind, identity=now)
