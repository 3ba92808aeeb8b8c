"""How fast a lane catches up: what is behind comes back at a bounded multiple of the rate at which it is due. Pure.

After an outage, or a hold of the server's, every renewal is overdue. All at once they would be the next overload. What
is behind waits for a token of a bucket that fills at `FACTOR` times the lane's steady rate: the sum over its renewals
of one attempt a period. What is on time waits for nothing, but its tokens are spent: both together keep the bound. A
herd that starts together on purpose is on time, and is left together. What is behind never holds up what is on time.
"""

from __future__ import annotations

import math

from lease_aio.scheduler.renewal import Priority, Renewal

FACTOR = 2.3
"""Catching up, in multiples of the steady rate: fast enough for a read and a write of each within a period, and from a
full bucket still less than three times that rate in any second (tests/heartbeat/fleet/test_outages.py)."""

ON_TIME_S = 1.0
"""Started no later than this after its due time, a renewal that did not fail before is on time."""

LEAST_PER_S = 20.0
"""Slower than this nothing is made: with a few nodes a kubelet's row of five attempts is no load."""

SLOTS_PER_S = 128
"""Beats are woken together at such times. A power of two, so that rounding up is exact, never an instant early."""

COARSE_SLOTS_PER_S = 32
"""Fewer where that gathers more: a process that wakes for two dozen requests pays for cold caches once."""

_COARSE_FROM_PER_S, _COARSE_BELOW_PER_S = 2 * COARSE_SLOTS_PER_S, 16 * SLOTS_PER_S

_BURST_S = 0.05  # of tokens, that a wake-up may find
_LEAST_BURST = 12.0  # five updates, a read and five updates
_NANO = 1_000_000_000
_ENOUGH = 1.0 - 1e-6  # a whole token, but for what rounding may have taken


class Pace:
    """The bucket of one lane. It limits nothing while no renewal in the lane tells its period.

    Attributes:
        slots_per_s: How often the lane's beats should be woken at most. Coarse slots gather nothing where one a slot
            is due, and where the fine ones gather enough they would only be late.
    """

    __slots__ = ("_at", "_nano_hz", "_spent", "_tokens", "slots_per_s")

    def __init__(self) -> None:
        self.slots_per_s = SLOTS_PER_S
        self._nano_hz = 0  # an integer, so that the sum is exact after any number of comings and goings
        self._tokens = math.inf  # capped when it is first looked at
        self._at = -math.inf
        self._spent = 0

    @property
    def per_s(self) -> float:
        """How many may start in a second while something is behind; infinity if no period is known."""
        return max(LEAST_PER_S, FACTOR * self._nano_hz / _NANO) if self._nano_hz else math.inf

    def joined(self, renewal: Renewal) -> None:
        """It is in the lane now."""
        self._count(_nano_hz(renewal))

    def left(self, renewal: Renewal) -> None:
        """It is no more."""
        self._count(-_nano_hz(renewal))

    def spend(self) -> None:
        """One attempt starts. After a row of them at one time, `settle`."""
        self._spent += 1

    def settle(self, now: float) -> None:
        """Take from the bucket what was spent at this time."""
        if self._spent:
            self._level(now)

    def refund(self) -> None:
        """One that started has never reached the server: while nobody listens, each keeps to its own back-off."""
        self._spent -= 1

    def has_token(self, now: float) -> bool:
        """Whether one that is behind may start now."""
        return self._level(now) >= _ENOUGH

    def next_token(self, now: float) -> float:
        """When to look again, if none may: at the next slot that finds a token."""
        level = self._level(now)
        wait_s = 0.0 if level >= _ENOUGH else (1.0 - level) / self.per_s
        return (math.floor((now + wait_s) * SLOTS_PER_S) + 1) / SLOTS_PER_S

    def _count(self, nano_hz: int) -> None:
        self._nano_hz += nano_hz
        gathers = _COARSE_FROM_PER_S <= self._nano_hz / _NANO < _COARSE_BELOW_PER_S
        self.slots_per_s = COARSE_SLOTS_PER_S if gathers else SLOTS_PER_S

    def _level(self, now: float) -> float:
        """The tokens there are; less than none after many that were on time, by at most those of a second."""
        per_s = self.per_s
        if per_s == math.inf:
            self._spent = 0
            return math.inf
        most = max(_LEAST_BURST, per_s * _BURST_S)
        filled = min(most, self._tokens + (now - self._at) * per_s)
        self._tokens, self._at, self._spent = max(-per_s, filled - self._spent), now, 0
        return self._tokens


def is_behind(renewal: Renewal, now: float) -> bool:
    """Whether it has to catch up: a beat, of known period, that failed or is too late to be on time."""
    if renewal.period_s is None or renewal.priority is not Priority.BEAT:
        return False
    return renewal.retries or now - renewal.due > ON_TIME_S


def _nano_hz(renewal: Renewal) -> int:
    return 0 if renewal.period_s is None else round(_NANO / renewal.period_s)
