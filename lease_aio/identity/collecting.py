"""Which identities to collect. Pure.

The rules are those of kube-apiserver's `apiserverleasegc` controller: what has expired in the list is read again, and
is deleted if it has expired there, too. Added is what that leaves to chance: one whose renewTime has moved in between
is alive, however old that time looks, and what has lost its label is nobody's to collect.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from lease_aio.identity.record import IDENTITY_LABEL, IDENTITY_NAMESPACE, is_expired
from lease_aio.model import Lease


class Fate(enum.Enum):
    """What becomes of an identity that looked expired."""

    COLLECT = "collect"
    RENEWED = "renewed"
    RELABELLED = "relabelled"


def suspects(leases: Iterable[Lease], wall_us: int) -> list[Lease]:
    """Those that have expired at that wall-clock time, to be read again."""
    return [lease for lease in leases if is_expired(lease, wall_us)]


def fate(listed: Lease, live: Lease, *, server: str, wall_us: int) -> Fate:
    """What to do with it.

    Args:
        listed: As it looked in the list.
        live: As it was read since.
        server: The name of the servers whose identities are collected.
        wall_us: The wall clock, microseconds since the epoch.
    """
    if live.metadata.labels.get(IDENTITY_LABEL) != server or live.namespace != IDENTITY_NAMESPACE:
        return Fate.RELABELLED
    if live.spec.renew_time != listed.spec.renew_time or not is_expired(live, wall_us):
        return Fate.RENEWED
    return Fate.COLLECT
