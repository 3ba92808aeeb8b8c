"""When a periodic renewal comes next: the jitter between two passes, and the phase of the first. Pure."""

import math
from collections.abc import Callable

from lease_aio.errors import ConfigurationError

_GOLDEN = 0x9E3779B97F4A7C15
_TWO_64 = 1 << 64


def jittered(period_s: float, fraction: float, random: Callable[[], float]) -> float:
    """The wait until the next pass: one-sided and sliding, as Kubernetes' `wait.JitterUntil` with sliding periods.

    It is counted from the end of the pass before, and lies in `[period_s, period_s × (1 + fraction))`. A kubelet renews
    its Lease with a fraction of 0.04. Jitter keeps renewals from clumping; it does not smear a synchronous start (at
    4 % that takes about an hour): `spread` does.

    Args:
        period_s: the shortest wait, in seconds.
        fraction: the most that is added, as a part of the period.
        random: returns the next number of [0, 1), such as `random.random`.
    """
    return period_s * (1.0 + random() * fraction)


def spread(index: int, period_s: float) -> float:
    """The first phase of renewal number `index`, in seconds within `[0, period_s)`.

    The phases of any run of consecutive indices lie evenly over the period, whatever their number, because each falls
    into the largest gap left (multiples of the golden ratio). A hash of a name serves as an index as well: it then
    gives the same phase after each restart, as evenly as the hash.

    Raises:
        ConfigurationError: the period is not a positive, finite number.
    """
    if not (0 < period_s < math.inf):
        raise ConfigurationError(f"period_s={period_s!r} must be a positive number of seconds")
    # Integers, so that an index of any size keeps its full precision; the shift leaves what a float holds exactly.
    return ((index * _GOLDEN) % _TWO_64 >> 11) / (1 << 53) * period_s
