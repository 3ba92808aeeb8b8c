"""What an observer knows of Leases that come and go, each kept alive by its process, and how that changes. Pure."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

from lease_aio.identity.record import Freshness
from lease_aio.model import Lease

View = TypeVar("View")
Told = TypeVar("Told")


@dataclass(slots=True)
class Sighting:
    """One Lease.

    Attributes:
        lease: As it was seen last.
        renewed_at: When it was renewed last, as far as the observer's clock tells.
        duration_s: For how long that is good.
        freshness: As it was judged last.
    """

    lease: Lease
    renewed_at: float
    duration_s: float
    freshness: Freshness = Freshness.FRESH

    def ages_at(self, late_after_s: float) -> float:
        """When it turns late, or expired after that, unless it is renewed."""
        match self.freshness:
            case Freshness.FRESH:
                return self.renewed_at + min(late_after_s, self.duration_s)
            case Freshness.LATE:
                return self.renewed_at + self.duration_s
            case Freshness.EXPIRED:
                return math.inf

    def judge(self, now: float, late_after_s: float) -> None:
        """Judge it by the time."""
        if now >= self.renewed_at + self.duration_s:
            self.freshness = Freshness.EXPIRED
        else:
            self.freshness = Freshness.LATE if now >= self.renewed_at + late_after_s else Freshness.FRESH


class Sightings(ABC, Generic[View, Told]):
    """Folds what is seen of Leases into changes. Of changes that come faster than they are asked for, the last.

    Ages count by the observer's own clock, from the change of renewTime that it saw last.

    Args:
        late_after_s: From which age on one is late; infinity if none ever is.
    """

    def __init__(self, *, late_after_s: float = math.inf) -> None:
        self._late_after_s = late_after_s
        self._known: dict[str, Sighting] = {}
        self._told: dict[str, View] = {}
        self._news: dict[str, None] = {}  # names of which there may be something to tell, in order

    @property
    def views(self) -> dict[str, View]:
        """All that are there, by name."""
        return {name: self._view(seen) for name, seen in sorted(self._known.items())}

    def show(self, lease: Lease, now: float, wall_us: int) -> None:
        """The Lease looks like this now.

        Args:
            lease: The Lease.
            now: Monotonic seconds.
            wall_us: The wall clock, microseconds since the epoch.
        """
        self._news[lease.name] = None
        spec, seen = lease.spec, self._known.get(lease.name)
        if seen is not None and seen.lease.spec.renew_time == spec.renew_time:
            seen.lease = lease
            return
        age_s = self._first_age_s(lease, wall_us) if seen is None else 0.0
        duration_s = 0.0 if spec.renew_time is None else float(spec.lease_duration_seconds or 0)
        self._known[lease.name] = seen = Sighting(lease, now - age_s, duration_s)
        seen.judge(now, self._late_after_s)

    def gone(self, name: str) -> None:
        """There is none of that name."""
        if self._known.pop(name, None) is not None:
            self._news[name] = None

    def next_to_age(self) -> tuple[str, float]:
        """Which one turns late or expired next, and when; infinity if none does."""
        ages = ((seen.ages_at(self._late_after_s), name) for name, seen in self._known.items())
        at, name = min(ages, default=(math.inf, ""))
        return name, at

    def age(self, name: str, now: float) -> None:
        """It was looked at and has not been renewed: judge it by the time."""
        if name in self._known:
            self._known[name].judge(now, self._late_after_s)
            self._news[name] = None

    def pardon(self, now: float) -> None:
        """Nobody could renew for a while: whoever was fresh before has all the time once more."""
        for seen in self._known.values():
            if seen.freshness is Freshness.FRESH:
                seen.renewed_at = now

    def next_change(self) -> Told | None:
        """The next change that was not told yet; None if all were."""
        while self._news:
            name = next(iter(self._news))
            del self._news[name]
            seen, told = self._known.get(name), self._told.pop(name, None)
            view = None if seen is None else self._view(seen)
            if view is not None:
                self._told[name] = view
            change = self._change(told, view)
            if change is not None:
                return change
        return None

    def _first_age_s(self, lease: Lease, wall_us: int) -> float:
        """How old the renewTime of one is that is seen for the first time; 0: its time begins with the sight of it."""
        del lease, wall_us
        return 0.0

    @abstractmethod
    def _view(self, seen: Sighting) -> View:
        """What is told of it."""

    @abstractmethod
    def _change(self, told: View | None, now: View | None) -> Told | None:
        """What to tell, given what was told last; None is one that was, or is, not there."""
