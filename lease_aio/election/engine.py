"""What all elections of one client share, and who of them is to be told when the client ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import anyio.abc

from lease_aio.api import Api
from lease_aio.clock import Clock
from lease_aio.election.guard import Guard
from lease_aio.election.watches import SharedWatches
from lease_aio.errors import ConfigurationError
from lease_aio.model import Lease, LeaseCandidate
from lease_aio.scheduler import Scheduler


class Contender(Protocol):
    """Who contends, leads, or looks on."""

    def client_closed(self) -> None:
        """Nothing renews any more: end now. Called once, from the event loop; must not raise."""


class Roster:
    """All that contend, lead or look on through one client. When that ends, none waits, or believes, for ever."""

    def __init__(self) -> None:
        self._contenders: dict[Contender, None] = {}
        self._closed = False

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self._contenders)

    def __iter__(self) -> Iterator[Contender]:
        return iter(self._contenders)

    def join(self, contender: Contender) -> None:
        """Be told from now on.

        Raises:
            ConfigurationError: the client has ended.
        """
        if self._closed:
            raise ConfigurationError("the LeaseClient is closed, and renews nothing more: contend inside its block")
        self._contenders[contender] = None

    def leave(self, contender: Contender) -> None:
        """Be told no more. Harmless when repeated."""
        self._contenders.pop(contender, None)

    def close(self) -> None:
        """Tell all, and let nobody join again."""
        self._closed = True
        for contender in tuple(self._contenders):
            contender.client_closed()


class BothClocks(Protocol):
    """The part of a `Clock` that tells the time."""

    def now(self) -> float:
        """See `Clock.now`."""
        ...

    def wall_us(self) -> int:
        """See `Clock.wall_us`."""
        ...


class Stamps:
    """The wall clock as all elections of one client write it: never the same time twice, and never standing still.

    Records are told apart by what was written, so two candidates of one identity in one process must never write the
    same: each would take the other's for its own. And client-go compares records in whole seconds: where the wall clock
    was set back by an hour, it must not see the same second for an hour, or it would take over from a leader that
    renews. Until such a clock has caught up, the written time runs on at half its speed.

    Args:
        clock: Its wall clock is what is written; by its other one it is known how long ago the last one was given.
    """

    def __init__(self, clock: BothClocks) -> None:
        self._clock = clock
        self._last_us = 0
        self._last_at = -math.inf

    def next_us(self) -> int:
        """The time now, in microseconds since the epoch; later than the last one given."""
        now, wall_us = self._clock.now(), self._clock.wall_us()
        if wall_us <= self._last_us:
            wall_us = self._last_us + max(1, int((now - self._last_at) * 500_000))
        self._last_us, self._last_at = wall_us, now
        return wall_us


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """What all elections of one client share."""

    api: Api
    clock: Clock
    scheduler: Scheduler
    watches: SharedWatches[Lease]
    candidate_watches: SharedWatches[LeaseCandidate]
    tasks: anyio.abc.TaskGroup
    random: Callable[[], float]
    stamps: Stamps
    guard: Guard | None = None
    roster: Roster = field(default_factory=Roster)
