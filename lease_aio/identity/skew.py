"""How far two wall clocks are apart, as far as one answer tells. Pure.

Whether an identity has expired is judged by comparing the clock that wrote renewTime with one's own, as Kubernetes does
with identities and with nothing else. Of the other clock nothing can be known but what its writer writes. The API
server's, which stands in each answer to the second, is the next best: control planes keep theirs together.
"""

from __future__ import annotations

from dataclasses import dataclass

from lease_aio.errors import ClockSkewed, ConfigurationError
from lease_aio.model import Time

WARN_SKEW_S = 5.0
MAX_SKEW_S = 60.0
"""A sixtieth of an identity's duration: no fresh one can be taken for an expired one by it, and no clock that is kept
by anybody is that far off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Skew:
    """Between which bounds this machine's wall clock is ahead of the server's, in seconds; negative is behind."""

    low_s: float
    high_s: float

    @property
    def least_s(self) -> float:
        """The part of it that is certain, with its sign: 0 where the clocks may be the same."""
        return max(self.low_s, 0.0) + min(self.high_s, 0.0)

    def __str__(self) -> str:
        return f"between {self.low_s:+.1f} and {self.high_s:+.1f} s"


def skew_of(date: Time, *, sent_us: int, received_us: int) -> Skew:
    """What an answer tells.

    Args:
        date: The answer's, cut to a whole second.
        sent_us: This machine's wall clock when it asked, microseconds since the epoch.
        received_us: The same, after the answer.
    """
    return Skew(low_s=(sent_us - date.epoch_us) / 1e6 - 1.0, high_s=(received_us - date.epoch_us) / 1e6)


@dataclass(frozen=True, kw_only=True, slots=True)
class SkewGuard:
    """From which skew on a collector warns, and from which on it does nothing.

    Attributes:
        warn_s: Seconds, ahead or behind.
        max_s: The same.

    Raises:
        ConfigurationError: not 0 <= warn_s <= max_s.
    """

    warn_s: float = WARN_SKEW_S
    max_s: float = MAX_SKEW_S

    def __post_init__(self) -> None:
        if not 0 <= self.warn_s <= self.max_s:
            raise ConfigurationError(
                f"warn_skew_s={self.warn_s!r} and max_skew_s={self.max_s!r} must be zero or more, and the first no "
                "larger than the second"
            )

    def warns(self, skew: Skew) -> bool:
        """Whether it is worth a warning."""
        return abs(skew.least_s) > self.warn_s

    def require(self, skew: Skew) -> None:
        """Refuse to go on with such a clock.

        Raises:
            ClockSkewed: it is off by more than `max_s`.
        """
        if abs(skew.least_s) > self.max_s:
            ahead = "ahead of" if skew.least_s > 0 else "behind"
            raise ClockSkewed(
                f"this machine's wall clock is {abs(skew.least_s):.0f} s {ahead} the API server's, and at most "
                f"{self.max_s:g} s are allowed where renewTime is compared with it: set the clock (NTP), or raise "
                "max_skew_s"
            )
