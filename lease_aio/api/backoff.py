"""How long to wait after a failure: doubling, capped, spread at random so that clients do not return together. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Backoff:
    """The delays of one kind of retry.

    Attributes:
        first_s: The longest delay after the first failure.
        cap_s: The longest delay ever, unless the server asks for more.
    """

    first_s: float = 0.5
    cap_s: float = 30.0

    def delay_s(self, failures: int, random: Callable[[], float], *, retry_after_s: float | None = None) -> float:
        """Seconds to wait after the `failures`-th failure in a row (from 1).

        Between half the doubled delay and the whole of it; never less than what the server asked for, to which
        up to a quarter is added.
        """
        longest = min(self.cap_s, self.first_s * 2.0 ** min(failures - 1, 60))
        asked = (retry_after_s or 0.0) * (1.0 + random() / 4)
        return max(asked, longest * (1.0 + random()) / 2)
