import pytest
from hypothesis import given
from hypothesis import strategies as st

from lease_aio.errors import ClockSkewed, ConfigurationError
from lease_aio.identity.skew import Skew, SkewGuard, skew_of
from lease_aio.model import Time

SECOND = 1_000_000


@pytest.mark.parametrize("bounds", [(-1, 60), (5, 4), (float("nan"), 60)])
def test_bounds_that_make_no_sense_are_refused(bounds):
    with pytest.raises(ConfigurationError, match="max_skew_s"):
        SkewGuard(warn_s=bounds[0], max_s=bounds[1])


def test_no_difference_at_all_may_be_allowed():
    SkewGuard(warn_s=0, max_s=0).require(Skew(low_s=-1, high_s=1))
    with pytest.raises(ClockSkewed):
        SkewGuard(warn_s=0, max_s=0).require(Skew(low_s=0.1, high_s=1))


@pytest.mark.parametrize(("skew_s", "words"), [(75, "75 s ahead of"), (-75, "75 s behind")])
def test_a_clock_that_is_far_off_is_refused_with_the_direction_and_the_remedy(skew_s, words):
    with pytest.raises(
        ClockSkewed, match=rf"wall clock is {words} the API server's, and at most 60 s .* set the clock"
    ):
        SkewGuard().require(Skew(low_s=skew_s, high_s=skew_s))


@pytest.mark.parametrize(
    ("skew_s", "warns", "refuses"),
    [
        (0, False, False),
        (5, False, False),
        (5.1, True, False),
        (-5.1, True, False),
        (60, True, False),
        (61, True, True),
    ],
)
def test_from_five_seconds_on_it_warns_and_beyond_sixty_it_refuses(skew_s, warns, refuses):
    skew = Skew(low_s=skew_s, high_s=skew_s)
    assert SkewGuard().warns(skew) is warns
    if refuses:
        with pytest.raises(ClockSkewed):
            SkewGuard().require(skew)
    else:
        SkewGuard().require(skew)


@given(st.integers(0, 10**6), st.floats(0, 30), st.floats(0, 30), st.floats(-5000, 5000), st.integers(0, 999_999))
def test_the_true_skew_is_always_within_the_bounds_and_none_is_made_up(at_s, there_s, back_s, skew_s, fraction_us):
    """The server reads its clock after `there_s`, cuts it to a second, and its answer takes `back_s`."""
    answered_us = at_s * SECOND + fraction_us  # by the server's clock
    sent_us = answered_us - round(there_s * SECOND) + round(skew_s * SECOND)
    received_us = answered_us + round(back_s * SECOND) + round(skew_s * SECOND)
    found = skew_of(Time(at_s * SECOND), sent_us=sent_us, received_us=received_us)
    assert found.low_s - 1e-5 <= skew_s <= found.high_s + 1e-5
    assert abs(found.least_s) <= abs(skew_s) + 1e-5


def test_clocks_that_may_be_the_same_have_no_certain_skew():
    assert skew_of(Time(100 * SECOND), sent_us=100_500_000, received_us=100_600_000).least_s == 0.0


def test_a_slow_answer_widens_the_bounds_and_makes_no_skew():
    found = skew_of(Time(100 * SECOND), sent_us=95_000_000, received_us=125_000_000)
    assert (found.low_s, found.high_s, found.least_s) == (-6.0, 25.0, 0.0)
    assert str(found) == "between -6.0 and +25.0 s"
