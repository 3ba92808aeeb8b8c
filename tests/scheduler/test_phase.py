"""Jitter and first phases."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lease_aio.errors import ConfigurationError
from lease_aio.scheduler import jittered, spread


@pytest.mark.parametrize("period_s", [0.0, -1.0, math.nan, math.inf])
def test_a_phase_within_no_period_is_refused(period_s: float):
    with pytest.raises(ConfigurationError, match="period_s="):
        spread(0, period_s)


@given(st.integers(-(2**70), 2**70), st.floats(0.001, 1e6))
def test_a_phase_lies_within_the_period(index: int, period_s: float):
    assert 0 <= spread(index, period_s) < period_s


@pytest.mark.parametrize("first", [0, 12_345, 2**62])
@pytest.mark.parametrize("count", [2, 7, 100, 5_000])
def test_consecutive_phases_lie_evenly_over_the_period(first: int, count: int):
    phases = sorted(spread(first + i, 10.0) for i in range(count))
    gaps = [after - before for before, after in zip(phases, [*phases[1:], phases[0] + 10.0], strict=True)]
    assert max(gaps) < 2 * 10.0 / count
    assert min(gaps) > 10.0 / count / 3


def test_five_thousand_nodes_hardly_peak_in_any_tenth_of_a_second():
    slots = [0] * 100
    for node in range(5_000):
        slots[int(spread(node, 10.0) * 10)] += 1
    assert min(slots) >= 47
    assert max(slots) <= 53, "a synchronous start peaks at all 5,000, an even one at 50"


def test_jitter_only_lengthens_and_by_no_more_than_its_fraction():
    assert jittered(10.0, 0.04, lambda: 0.0) == 10.0
    draw = random.Random(1)
    waits = [jittered(10.0, 0.04, draw.random) for _ in range(10_000)]
    assert 10.0 <= min(waits) < 10.01
    assert 10.39 < max(waits) < 10.4
    assert sum(waits) / len(waits) == pytest.approx(10.2, abs=0.01)
