"""What a simulation is about: who contends, and which faults may strike."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from lease_aio.errors import ConfigurationError

MOST_CANDIDATES = 6


class Fleet(enum.Enum):
    """Who contends."""

    MIXED = "mixed"
    """Candidates of ours; in one seed out of four, one or two of client-go's among them."""
    OURS = "ours"
    """Candidates of ours alone."""
    COORDINATED = "coordinated"
    """Candidates of ours and a coordinator that comes and goes; where it goes by its own sight, some are plain."""
    CLIENT_GO = "client-go"
    """Electors with client-go's rules alone: the contrast. Nothing is promised of them, overlaps are counted."""


class Release(enum.Enum):
    """What a client-go elector does at its end."""

    NONE = "none"
    """`ReleaseOnCancel` is off, the default: the Lease runs out."""
    AS_OF_2026 = "as of 2026"
    """It reads the Lease, asks its *old* record whether it leads, and overwrites what it has read; on 409 again."""
    CHECKED = "checked"
    """As of 2026, but it asks the record that it has just read."""


class Backing(enum.Enum):
    """What keeps the Lease."""

    AUTO = "auto"
    """The store for one seed in ten, else the swap."""
    STORE = "store"
    """`lease_aio.server.Store`."""
    SWAP = "swap"
    """One typed object with the store's rules for versions and uids, and none of its cost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a seed is run with. The default is everything; shrinking takes away.

    Attributes:
        fleet: Who contends.
        candidates: At most so many of ours (or of client-go's, where only they contend).
        without: Fault classes that never strike.
        skipped: Single faults left out, by their number in order of time.
        storm_s: How long faults strike; None leaves it to the seed, 0 means never.
        release: What client-go's electors do at their end; None leaves it to the seed.
        backing: What keeps the Lease.
        consequences_only: Let a variant break the inner rules, and look only at what comes of it.
    """

    fleet: Fleet = Fleet.MIXED
    candidates: int = 4
    without: frozenset[str] = frozenset()
    skipped: frozenset[int] = frozenset()
    storm_s: float | None = None
    release: Release | None = None
    backing: Backing = Backing.AUTO
    consequences_only: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.candidates <= MOST_CANDIDATES:
            raise ConfigurationError(f"candidates={self.candidates} must be from 1 to {MOST_CANDIDATES}")
        if self.storm_s is not None and not self.storm_s >= 0:
            raise ConfigurationError(f"storm_s={self.storm_s} must be zero or more seconds, or None")


EVERYTHING = Plan()
"""All kinds of fleets under all faults."""
