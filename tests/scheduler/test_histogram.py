"""The histogram against sorting all values."""

import math
import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lease_aio.errors import ConfigurationError
from lease_aio.scheduler import Histogram

IN_RANGE = st.floats(1e-6, 1e6)


def filled(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


def exact_percentile(values: list[float], percent: float) -> float:
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_duration_is_refused_and_not_counted(value: float):
    histogram = Histogram()
    with pytest.raises(ConfigurationError, match="value_s="):
        histogram.record(value)
    assert histogram.snapshot().count == 0


@pytest.mark.parametrize("percent", [-0.1, 100.1, math.nan])
def test_an_impossible_percentile_is_refused(percent: float):
    with pytest.raises(ConfigurationError, match="percent="):
        Histogram().snapshot().percentile(percent)


def test_an_empty_histogram_answers_zero():
    empty = Histogram().snapshot()
    assert (empty.count, empty.mean_s, empty.min_s, empty.percentile(50), empty.max_s) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("value", [-1.0, 0.0, 1e-12, 2e6, 1e300])
def test_what_is_out_of_range_still_counts_with_exact_extremes(value: float):
    snapshot = filled([value, 1.0]).snapshot()
    assert snapshot.count == 2
    assert (snapshot.min_s, snapshot.max_s) == (min(value, 1.0), max(value, 1.0))
    assert snapshot.min_s <= snapshot.percentile(50) <= snapshot.max_s


@given(st.lists(IN_RANGE, min_size=1, max_size=200), st.floats(0, 100))
def test_percentiles_are_within_two_per_cent(values: list[float], percent: float):
    snapshot = filled(values).snapshot()
    exact = exact_percentile(values, percent)
    assert snapshot.percentile(percent) == pytest.approx(exact, rel=0.016)
    assert (snapshot.min_s, snapshot.max_s) == (min(values), max(values))
    assert snapshot.percentile(0) == min(values)
    assert snapshot.percentile(100) == max(values)
    assert snapshot.mean_s == pytest.approx(math.fsum(values) / len(values))


@given(IN_RANGE)
def test_a_value_lies_under_the_upper_bound_of_its_bucket(value: float):
    ((upper_s, count),) = filled([value]).snapshot().buckets
    assert count == 1
    assert upper_s / (1 + 1 / 16) <= value <= upper_s


@given(st.lists(IN_RANGE), st.lists(IN_RANGE))
def test_merging_is_as_good_as_recording_together(left: list[float], right: list[float]):
    merged = filled(left)
    merged.merge(filled(right))
    together, apart = filled(left + right).snapshot(), merged.snapshot()
    assert (apart.count, apart.min_s, apart.max_s, apart.buckets) == (
        together.count,
        together.min_s,
        together.max_s,
        together.buckets,
    )
    assert apart.sum_s == pytest.approx(together.sum_s)


def test_a_snapshot_does_not_move_with_its_histogram():
    histogram = filled([1.0])
    snapshot = histogram.snapshot()
    histogram.record(2.0)
    assert (snapshot.count, snapshot.max_s) == (1, 1.0)


def test_the_flat_form_holds_what_people_look_at():
    flat = filled([0.25] * 99 + [8.0]).snapshot().to_dict()
    assert list(flat) == ["count", "mean_s", "min_s", "p50_s", "p90_s", "p99_s", "p999_s", "max_s"]
    assert flat["count"] == 100
    assert flat["p50_s"] == pytest.approx(0.25, rel=0.016)
    assert flat["p99_s"] == pytest.approx(0.25, rel=0.016)
    assert flat["p999_s"] == flat["max_s"] == 8.0


def test_recording_is_cheap():
    histogram = Histogram()
    best_s = min(timeit.repeat(lambda: histogram.record(0.0123), number=10_000, repeat=5))
    assert best_s / 10_000 < 10e-6, "about half a microsecond, on any machine far below ten"


@given(st.floats(0, 1e7))
def test_every_value_lies_within_its_buckets_bounds(value: float):
    ((lower_s, upper_s, count),) = filled([value]).snapshot().ranges()
    assert lower_s <= value < upper_s
    assert count == 1
    assert upper_s - lower_s <= max(2**-20, lower_s / 32) or upper_s == math.inf
