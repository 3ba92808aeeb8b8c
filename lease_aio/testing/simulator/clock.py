"""True time, which nobody in the simulation can read, and the clocks that they do read."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Any

WALL_START_US = 10**15
"""The wall clock of the server at the start."""


class TrueTime:
    """Seconds since the start, and what is to happen when. Events of the same instant happen in the order of `at`.

    Attributes:
        now: True seconds.
        events: How many were set.
        over: Set it to end `run`.
    """

    __slots__ = ("_queue", "events", "now", "over")

    def __init__(self) -> None:
        self.now = 0.0
        self.over = False
        self.events = 0
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []

    def at(self, when: float, action: Callable[..., None], *args: Any) -> None:
        """Do that then."""
        self.events += 1
        heapq.heappush(self._queue, (when, self.events, action, args))

    def run(self, most_events: int) -> bool:
        """Let everything happen, until somebody sets `over` or nothing is left. False: there were too many events."""
        queue, pop = self._queue, heapq.heappop
        while queue and not self.over and self.events <= most_events:
            self.now, _, action, args = pop(queue)
            action(*args)
        return self.events <= most_events

    @property
    def wall_us(self) -> int:
        """What an exact wall clock shows."""
        return WALL_START_US + int(self.now * 1e6)


class MachineClock:
    """The clocks of one machine: CLOCK_BOOTTIME with an origin and a rate of its own, and a wall clock.

    Args:
        time: True time.
        rate: Seconds that it counts in one true second.
        offset_s: What it shows at the start.
        wall_offset_s: How far the wall clock is off.
    """

    __slots__ = ("_floor", "_time", "offset_s", "rate", "wall_offset_s")

    def __init__(self, time: TrueTime, *, rate: float, offset_s: float, wall_offset_s: float) -> None:
        self._time, self._floor = time, -math.inf
        self.rate, self.offset_s, self.wall_offset_s = rate, offset_s, wall_offset_s

    def now(self) -> float:
        """Local monotonic seconds; they go on in a suspend."""
        now = self.offset_s + self.rate * self._time.now
        if now < self._floor:
            return self._floor
        self._floor = now
        return now

    def has_reached(self, local: float) -> None:
        """A timer of this machine fired: it is never early, whatever the rounding."""
        self._floor = max(self._floor, local)

    def wall_us(self) -> int:
        """What would be written into a Lease now."""
        return WALL_START_US + int((self.offset_s + self.rate * self._time.now + self.wall_offset_s) * 1e6)

    def true_time(self, local: float) -> float:
        """When this clock shows that."""
        return (local - self.offset_s) / self.rate
