"""The two clocks: one that decides, one that is only ever written down.

Decisions read `Clock.now()`, which goes on while the machine is suspended. On Linux `time.monotonic()`, and with it
every timer of an event loop, stands still during a suspend: a leader that trusts it wakes up believing that its term
still runs.
"""

import functools
import time
from collections.abc import Callable
from typing import Protocol

import anyio
import anyio.lowlevel

_RESUME_SLICE_S = 1.0
"""How long a loop timer may be trusted: the longest that a sleeper takes to notice that the machine was suspended."""


class Clock(Protocol):
    """What every part that awaits reads the time from, and sleeps by."""

    def now(self) -> float:
        """Seconds on a monotonic clock that includes suspends: the only time that a decision may read.

        The origin is arbitrary; values of two machines, or of a machine before and after a boot, do not compare.
        """
        ...

    def wall_us(self) -> int:
        """Microseconds since the epoch (UTC), for the time stamps in objects. It may jump: never compare it."""
        ...

    async def sleep_until(self, when: float) -> None:
        """Sleep until `now()` reads at least `when`; for ever if that is infinity.

        May wake late, never early. Yields to the event loop at least once, so a loop around it can be cancelled.
        After a suspend in which `when` passed, it returns within about a second of the resume.
        """
        ...


class SystemClock:
    """The machine's clocks: `CLOCK_BOOTTIME` where there is one (Linux), else `time.monotonic()`.

    Where it is `time.monotonic()`, whether a suspend counts is up to the platform. Where it is `CLOCK_BOOTTIME`, a
    sleeper wakes once a second to look, because the loop's own timers do not see a suspend.
    """

    __slots__ = ("_now", "_slice_s")

    def __init__(self) -> None:
        self._now, self._slice_s = _suspend_aware()

    def now(self) -> float:
        """See `Clock.now`."""
        return self._now()

    def wall_us(self) -> int:
        """See `Clock.wall_us`."""
        return time.time_ns() // 1000

    async def sleep_until(self, when: float) -> None:
        """See `Clock.sleep_until`."""
        remaining = when - self._now()
        if remaining <= 0:
            await anyio.lowlevel.checkpoint()
        elif when == float("inf"):
            await anyio.sleep_forever()
        while remaining > 0:
            await anyio.sleep(min(remaining, self._slice_s))
            remaining = when - self._now()


def _suspend_aware() -> tuple[Callable[[], float], float]:
    clock_id: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    if clock_id is None:
        return time.monotonic, float("inf")
    return functools.partial(time.clock_gettime, clock_id), _RESUME_SLICE_S
