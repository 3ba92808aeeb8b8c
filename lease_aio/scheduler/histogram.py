"""A histogram of durations: fixed memory, cheap to record, percentiles within 2 per cent. Pure."""

import math
from array import array
from dataclasses import dataclass

from lease_aio.errors import ConfigurationError

_SUB_BUCKETS = 32  # per power of two: the middle of a bucket is then at most 1/64 away from any value in it
_LOWEST_EXPONENT = -19  # as math.frexp counts: the range starts at 2^-20 s, about a microsecond
_OCTAVES = 40
_LOWEST_S = math.ldexp(0.5, _LOWEST_EXPONENT)
_HIGHEST_S = math.ldexp(0.5, _LOWEST_EXPONENT + _OCTAVES)  # 2^20 s, about twelve days
ABOVE = _OCTAVES * _SUB_BUCKETS + 1  # bucket 0 holds what is below the range, this one what is above
BITS_DROPPED = 52 - 5  # of a double's mantissa: the five that are left tell one of the 32 buckets of an octave
LOWEST_BITS = (_LOWEST_EXPONENT - 1 + 1023) << 5  # what is left of the lowest value's bits


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramSnapshot:
    """What a `Histogram` held at one moment.

    Attributes:
        count: How many values.
        sum_s: Their sum, in seconds.
        min_s: The smallest, exactly; 0 if there is none.
        max_s: The largest, exactly; 0 if there is none.
        buckets: Upper bound in seconds and number of values of each bucket that holds any, ascending.
            A bucket starts where its own octave's step before it ends, so empty ones are left out without loss.
    """

    count: int
    sum_s: float
    min_s: float
    max_s: float
    buckets: tuple[tuple[float, int], ...]

    @property
    def mean_s(self) -> float:
        """The arithmetic mean; 0 if there is no value."""
        return self.sum_s / self.count if self.count else 0.0

    def percentile(self, percent: float) -> float:
        """The smallest value that at least `percent` per cent of the values do not exceed, in seconds.

        0 and 100 give the smallest and the largest value, exactly. In between the answer is wrong by at most 1.6 per
        cent, for values from a microsecond to twelve days. Without values it is 0.

        Raises:
            ConfigurationError: `percent` is not between 0 and 100.
        """
        if not 0 <= percent <= 100:
            raise ConfigurationError(f"percent={percent!r} must lie between 0 and 100")
        if percent in {0, 100}:
            return self.max_s if percent else self.min_s
        rank = self.count * percent / 100
        for upper_s, count in self.buckets:
            rank -= count
            if rank <= 0:
                return max(self.min_s, min(self.max_s, _middle(upper_s)))
        return self.max_s

    def ranges(self) -> list[tuple[float, float, int]]:
        """Lower bound, upper bound and number of values of each bucket that holds any, ascending."""
        return [(_lower_bound(upper_s), upper_s, count) for upper_s, count in self.buckets]

    def to_json_buckets(self) -> list[tuple[float | None, int]]:
        """The buckets with None for infinity, which JSON has not."""
        return [(None if upper_s == math.inf else upper_s, count) for upper_s, count in self.buckets]

    def to_dict(self) -> dict[str, float]:
        """The numbers that people look at, flat, for logs and JSON; in seconds, but for `count`."""
        return {
            "count": self.count,
            "mean_s": self.mean_s,
            "min_s": self.min_s,
            "p50_s": self.percentile(50),
            "p90_s": self.percentile(90),
            "p99_s": self.percentile(99),
            "p999_s": self.percentile(99.9),
            "max_s": self.max_s,
        }


class Histogram:
    """Counts durations in logarithmic buckets: 10 kB, whatever it is fed. `snapshot` reads it."""

    __slots__ = ("counts", "max_s", "min_s", "sum_s")

    def __init__(self) -> None:
        self.counts = array("Q", bytes(8 * (ABOVE + 1)))
        self.sum_s = 0.0
        self.min_s = math.inf
        self.max_s = -math.inf

    def record(self, value_s: float) -> None:
        """Count one duration, in seconds. What is out of range is counted at its end; min and max stay exact.

        Raises:
            ConfigurationError: the value is not a finite number; nothing was counted.
        """
        if _LOWEST_S <= value_s < _HIGHEST_S:
            mantissa, exponent = math.frexp(value_s)
            # mantissa is in [0.5, 1): doubled and less one it is the place within the octave
            index = (exponent - _LOWEST_EXPONENT) * _SUB_BUCKETS + int((mantissa + mantissa - 1.0) * _SUB_BUCKETS) + 1
        elif math.isfinite(value_s):
            index = 0 if value_s < _LOWEST_S else ABOVE
        else:
            raise ConfigurationError(f"value_s={value_s!r} must be a finite number of seconds")
        self.counts[index] += 1
        self.sum_s += value_s
        if value_s < self.min_s:  # noqa: PLR1730 - twice as fast as min(), and three are recorded for each attempt
            self.min_s = value_s
        if value_s > self.max_s:  # noqa: PLR1730
            self.max_s = value_s

    def merge(self, other: "Histogram") -> None:
        """Add all that `other` has counted, as if it had been recorded here."""
        for index, count in enumerate(other.counts):
            self.counts[index] += count
        self.sum_s += other.sum_s
        self.min_s = min(self.min_s, other.min_s)
        self.max_s = max(self.max_s, other.max_s)

    def snapshot(self) -> HistogramSnapshot:
        """All of it, frozen."""
        count = sum(self.counts)
        return HistogramSnapshot(
            count=count,
            sum_s=self.sum_s,
            min_s=self.min_s if count else 0.0,
            max_s=self.max_s if count else 0.0,
            buckets=tuple((upper_bound(index), n) for index, n in enumerate(self.counts) if n),
        )


def upper_bound(index: int) -> float:
    """Where a bucket ends: infinity for the one above the range."""
    if index == ABOVE:
        return math.inf
    octave, step = divmod(index, _SUB_BUCKETS)
    return math.ldexp(0.5 + step / (2 * _SUB_BUCKETS), _LOWEST_EXPONENT + octave)


def _lower_bound(upper_s: float) -> float:
    """Where the bucket begins that ends there."""
    if upper_s <= _LOWEST_S or upper_s == math.inf:
        return 0.0 if upper_s <= _LOWEST_S else _HIGHEST_S
    mantissa, exponent = math.frexp(upper_s)
    octave = exponent - 1 if mantissa == 0.5 else exponent  # a bucket that ends at an octave's end belongs to it
    return upper_s - math.ldexp(0.5 / _SUB_BUCKETS, octave)


def _middle(upper_s: float) -> float:
    """The middle of the bucket that ends there; the ends of the range stand for what is beyond them."""
    if upper_s <= _LOWEST_S or upper_s == math.inf:
        return upper_s
    return (_lower_bound(upper_s) + upper_s) / 2
