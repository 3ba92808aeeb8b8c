"""How long, how often, how late: the durations of an election, refused when their sum is unsafe."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lease_aio.errors import ConfigurationError

_INT32_MAX = 2**31 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """The durations of one election, in seconds; validated once, here.

    With D the lease duration, ρ the clock error and G the stop grace, a term is valid until
    `send time of its last confirmed write + D(1−ρ) − G`; a contender takes over no earlier than
    `D(1+ρ)` after it first saw the current resourceVersion. Two terms cannot overlap while clock
    *rates* differ by at most ρ and the work stops within G (Gray & Cheriton 1989).

    Attributes:
        lease_duration_s: D, whole seconds (the API stores an int32): how long others wait for a silent holder.
        renew_interval_s: Between two renewals.
        request_timeout_s: Bound of each request to the API server.
        stop_grace_s: G: how long the work may take to stop once it is told to.
        clock_error: ρ: the largest difference in rate between this clock and another candidate's.
        retry_interval_s: Between two attempts after one has failed.

    Raises:
        ConfigurationError: a value is out of range, or `D(1−ρ) − G` leaves no room for one renewal
            and one request: such a term could end between two renewals.
    """

    lease_duration_s: int = 15
    renew_interval_s: float = 3.0
    request_timeout_s: float = 3.0
    stop_grace_s: float = 4.0
    clock_error: float = 0.01
    retry_interval_s: float = 1.0

    def __post_init__(self) -> None:
        self._check_values()
        needed = self.renew_interval_s + self.request_timeout_s
        if self.term_length_s <= needed:
            raise ConfigurationError(
                f"lease_duration_s={self.lease_duration_s} leaves {self.term_length_s:.3g} s after clock error "
                f"and stop_grace_s={self.stop_grace_s}, but renew_interval_s + request_timeout_s needs more than "
                f"{needed:.3g} s; raise lease_duration_s or lower the others"
            )

    def _check_values(self) -> None:
        check_duration(self.lease_duration_s)
        for name in ("renew_interval_s", "request_timeout_s", "retry_interval_s"):
            value = getattr(self, name)
            if not _is_number(value) or value <= 0:
                raise ConfigurationError(f"{name}={value!r} must be a positive number of seconds")
        if not _is_number(self.stop_grace_s) or self.stop_grace_s < 0:
            raise ConfigurationError(f"stop_grace_s={self.stop_grace_s!r} must be zero or more seconds")
        if not _is_number(self.clock_error) or not 0 <= self.clock_error < 1:
            raise ConfigurationError(f"clock_error={self.clock_error!r} must be a fraction from 0 up to 1")

    @property
    def term_length_s(self) -> float:
        """D(1−ρ) − G: how long one confirmed write keeps a term valid, counted from its sending."""
        return self.lease_duration_s * (1 - self.clock_error) - self.stop_grace_s

    def takeover_after_s(self, written_duration_s: int | None) -> float:
        """How long a contender must see no change before it may take over.

        Args:
            written_duration_s: The duration in the record; the holder's word counts, not ours. Where
                it is missing or senseless, our own duration stands in.
        """
        duration = written_duration_s if written_duration_s and written_duration_s > 0 else self.lease_duration_s
        return duration * (1 + self.clock_error)


def check_duration(seconds: object) -> None:
    """Refuse what a Lease cannot store as a duration; a float is no integer to an API server, even if it is whole.

    Raises:
        ConfigurationError: it is no int, or out of range.
    """
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 1 <= seconds <= _INT32_MAX:
        raise ConfigurationError(
            f"lease_duration_s={seconds!r} must be whole seconds from 1 to {_INT32_MAX}, as an int: "
            "the Lease stores it as a 32-bit integer"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
