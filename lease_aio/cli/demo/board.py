"""What the server's watches tell during the demo: the other side of every claim. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from lease_aio.model import Lease


class Freshness(enum.Enum):
    """How a node looks, by the renewTime that the server stores."""

    UNSEEN = "not seen yet"
    FRESH = "fresh"
    LATE = "late"
    SILENT = "silent"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredTerm:
    """A term as the stored Lease told it: who held it, and as which in the row."""

    holder: str
    transitions: int


class NodeBoard:
    """The renewTime of each node of the demo.

    Attributes:
        changes: Writes seen; each confirmed renewal is one.
    """

    def __init__(self, names: Iterable[str], *, late_after_s: float, silent_after_s: float) -> None:
        self._renewed_us: dict[str, int | None] = dict.fromkeys(names)
        self._late_us, self._silent_us = late_after_s * 1e6, silent_after_s * 1e6
        self.changes = 0

    def __len__(self) -> int:
        return len(self._renewed_us)

    def saw(self, lease: Lease) -> None:
        """The server stored this; Leases of others are passed over."""
        if lease.name in self._renewed_us and lease.spec.renew_time is not None:
            self._renewed_us[lease.name] = lease.spec.renew_time.epoch_us
            self.changes += 1

    def ages_s(self, wall_us: int) -> list[float | None]:
        """Since each node's renewal, in the order of the names; None for one that was not seen yet."""
        return [None if at is None else (wall_us - at) / 1e6 for at in self._renewed_us.values()]

    def freshness(self, age_s: float | None) -> Freshness:
        """What an age means."""
        if age_s is None:
            return Freshness.UNSEEN
        if age_s * 1e6 > self._silent_us:
            return Freshness.SILENT
        return Freshness.LATE if age_s * 1e6 > self._late_us else Freshness.FRESH

    def counts(self, wall_us: int) -> dict[Freshness, int]:
        """How many nodes look how."""
        counts = dict.fromkeys(Freshness, 0)
        for age_s in self.ages_s(wall_us):
            counts[self.freshness(age_s)] += 1
        return counts


class ElectionBoard:
    """The terms that the stored Lease went through."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.terms: list[StoredTerm] = []

    def saw(self, lease: Lease) -> None:
        """The server stored this; other Leases, and a released one, are passed over."""
        if lease.name != self._name or not lease.holder:
            return
        term = StoredTerm(holder=lease.holder, transitions=lease.spec.lease_transitions or 0)
        if not self.terms or self.terms[-1] != term:
            self.terms.append(term)
