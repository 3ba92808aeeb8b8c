"""A thread that keeps an eye on terms when the event loop cannot.

A blocked loop can neither renew a term nor tell its work to stop; `Term.check` would say so, but blocked work does not
ask. The guard's thread needs no loop: it warns before a term's end, and can end the process before another may lead.

It cannot run while the process is frozen, nor while a C extension holds the interpreter's lock. For those there is the
fencing token. It waits for nobody: what blocks the loop, such as a full pipe under the log, may block whoever is told.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import math
import os
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from lease_aio.clock import Clock, SystemClock
from lease_aio.errors import ConfigurationError
from lease_aio.log import get_logger

_LONGEST_SLEEP_S = 1.0  # a thread's timer stands still in a suspend: look again at least so often
_BRIEFLY_S = 0.1  # how long the guard waits for what it says to be heard
EXIT_CODE = 70
"""What a process ends with when its guard ends it: `EX_SOFTWARE` of sysexits.h."""


@dataclass(eq=False, slots=True)
class Ward:
    """One term under guard.

    Attributes:
        name: For messages: namespace and name of the Lease.
        valid_until: When the term ends, on the clock; moved forward by each confirmed renewal.
        grace_s: How long after that the work may take to stop: then another may lead.
        told: The loop has told the work to stop.
        warned_at: The `valid_until` that was warned of last, so each is warned of once.
    """

    name: str
    valid_until: float
    grace_s: float
    told: bool = False
    warned_at: float = -math.inf

    @property
    def overdue_at(self) -> float:
        """When another may lead."""
        return self.valid_until + self.grace_s


class Alarm(enum.Enum):
    """What is wrong with a term."""

    JEOPARDY = "jeopardy"
    """It is about to end, and the loop has not renewed it."""
    OVERDUE = "overdue"
    """Another may lead from now on, and this term's work has not ended."""


def alarms(wards: Iterable[Ward], now: float, warn_before_s: float) -> list[tuple[Alarm, Ward]]:
    """What is wrong now. Pure."""
    found: list[tuple[Alarm, Ward]] = []
    for ward in wards:
        if now >= ward.overdue_at:
            found.append((Alarm.OVERDUE, ward))
        elif not ward.told and now >= ward.valid_until - warn_before_s and ward.warned_at < ward.valid_until:
            found.append((Alarm.JEOPARDY, ward))
    return found


def next_look(wards: Iterable[Ward], now: float, warn_before_s: float) -> float:
    """Seconds until the next moment at which something may be wrong, at most one. Pure."""
    moments = [_LONGEST_SLEEP_S + now]
    for ward in wards:
        jeopardy_at = ward.valid_until - warn_before_s
        moments.append(jeopardy_at if not ward.told and ward.warned_at < ward.valid_until else ward.overdue_at)
    return max(0.0, min(moments) - now)


class Guard:
    """Watches the terms of one client from a thread of its own: `LeaseClient(..., guard=Guard())`.

    Args:
        warn_before_s: How long before a term's end `on_jeopardy` is called, unless it is renewed before.
        on_jeopardy: Called with the Lease's `namespace/name` and the seconds left, in the guard's thread: it must be
            quick, and may not touch the event loop except by `call_soon_threadsafe`. What it raises is logged.
        end_process: End the process, with exit code 70 and without clean-up, when a term's work has not ended by the
            time at which another may lead. Without it, that is only reported to `on_jeopardy`, with 0 seconds left.
        clock: For tests.
        end: For tests.
    """

    def __init__(
        self,
        *,
        warn_before_s: float = 1.0,
        on_jeopardy: Callable[[str, float], None] | None = None,
        end_process: bool = True,
        clock: Clock | None = None,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        if not 0 <= warn_before_s < math.inf:
            raise ConfigurationError(f"warn_before_s={warn_before_s!r} must be zero or more seconds")
        self._warn_before_s = warn_before_s
        self._on_jeopardy = on_jeopardy
        self._end_process = end_process
        self._clock = clock or SystemClock()
        self._end = end
        self._wards: set[Ward] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise ConfigurationError("this Guard serves a client already: give each client its own")
        self._thread = threading.Thread(target=self._watch, name="lease_aio guard", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread = self._thread
        with self._changed:
            self._thread = None
            self._changed.notify()
        if thread is not None:
            thread.join()

    def add(self, ward: Ward) -> None:
        """Watch this term."""
        with self._changed:
            self._wards.add(ward)
            self._changed.notify()

    def discard(self, ward: Ward) -> None:
        """Its work has ended. Harmless when repeated."""
        with self._changed:
            self._wards.discard(ward)

    def _watch(self) -> None:
        while self._thread is not None:
            for name, left_s in self._look():
                if self._on_jeopardy is not None:
                    _briefly(functools.partial(self._on_jeopardy, name, left_s))

    def _look(self) -> list[tuple[str, float]]:
        """What is to be warned of; where nothing is, sleep until something may be."""
        with self._changed:
            now = self._clock.now()
            found = alarms(self._wards, now, self._warn_before_s)
            for alarm, ward in found:
                ward.warned_at = ward.valid_until
                if alarm is Alarm.OVERDUE:
                    self._overdue(ward)
            if not found and self._thread is not None:
                self._changed.wait(next_look(self._wards, now, self._warn_before_s))
        return [
            (ward.name, max(0.0, ward.valid_until - now))
            for alarm, ward in found
            if alarm is Alarm.JEOPARDY or not self._end_process
        ]

    def _overdue(self, ward: Ward) -> None:
        """Still under the lock: a work that ends now has ended too late."""
        self._wards.discard(ward)
        if self._end_process:
            _briefly(functools.partial(_last_words, ward.name))
            self._end(EXIT_CODE)


def _last_words(lease: str) -> None:
    with contextlib.suppress(Exception):  # there may be no standard error
        sys.stderr.write(f"lease_aio: the work on Lease {lease} did not end in time; ending the process\n")


def _briefly(do: Callable[[], object]) -> None:
    """Do it, and wait for it a moment at most: the stream that it writes to may be full, or locked by blocked work."""

    def run() -> None:
        try:
            do()
        except Exception:  # noqa: BLE001 - a bug of the caller's must not leave the terms without a guard
            get_logger("election").exception("election.guard_callback_raised")

    thread = threading.Thread(target=run, name="lease_aio guard's voice", daemon=True)
    with contextlib.suppress(RuntimeError):  # no thread is to be had: then it is not said
        thread.start()
        thread.join(_BRIEFLY_S)
