"""The sparse histogram against the full one."""

import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lease_aio.errors import ConfigurationError
from lease_aio.scheduler import Histogram, HistogramSnapshot, SparseHistogram

ANY = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e100, max_value=1e100) | st.floats(1e-7, 1e7)


def same(one: HistogramSnapshot, other: HistogramSnapshot) -> bool:
    """Equal but for the rounding of the sum."""
    assert one.sum_s == pytest.approx(other.sum_s, rel=1e-9, abs=1e90)
    return (one.count, one.min_s, one.max_s, one.buckets) == (other.count, other.min_s, other.max_s, other.buckets)


def full(values: list[float]) -> HistogramSnapshot:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram.snapshot()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_duration_is_refused(value: float):
    with pytest.raises(ConfigurationError, match="finite"):
        SparseHistogram.of([1.0, value])


def test_an_empty_one_answers_zero():
    empty = SparseHistogram.of([]).snapshot()
    assert (empty.count, empty.min_s, empty.percentile(50), empty.max_s, empty.buckets) == (0, 0, 0, 0, ())


@pytest.mark.parametrize("exponent", range(-25, 25))
def test_the_ends_of_buckets_fall_where_the_full_histogram_puts_them(exponent: int):
    ends = [math.ldexp(1 + place / 32, exponent) for place in range(32)]
    values = [value for end in ends for value in (math.nextafter(end, 0), end, math.nextafter(end, math.inf))]
    assert same(SparseHistogram.of(values).snapshot(), full(values))


@given(st.lists(ANY, max_size=200))
def test_it_holds_what_the_full_histogram_holds(values: list[float]):
    assert same(SparseHistogram.of(array("d", values)).snapshot(), full(values))


@given(st.lists(ANY, max_size=50), st.lists(ANY, max_size=50))
def test_merging_is_as_if_all_had_been_counted_together(ones: list[float], others: list[float]):
    merged = SparseHistogram.of(ones).merged(SparseHistogram.of(others))
    assert same(merged.snapshot(), SparseHistogram.of(ones + others).snapshot())


def test_merging_changes_neither():
    one, other = SparseHistogram.of([1.0]), SparseHistogram.of([1.0, 2.0])
    one.merged(other)
    assert (one.count, other.count, one.max_s) == (1, 2, 1.0)


@given(st.lists(ANY, max_size=200))
def test_it_can_be_made_again_from_its_snapshot(values: list[float]):
    snapshot = SparseHistogram.of(values).snapshot()
    assert SparseHistogram.from_snapshot(snapshot).snapshot() == snapshot
