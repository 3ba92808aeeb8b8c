import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lease_aio.errors import ConfigurationError
from lease_aio.timing import Timing


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"lease_duration_s": 0}, "lease_duration_s=0"),
        ({"lease_duration_s": -15}, "lease_duration_s=-15"),
        ({"lease_duration_s": 15.5}, "lease_duration_s=15.5"),
        ({"lease_duration_s": 15.0}, "lease_duration_s=15.0 must be whole seconds"),
        ({"lease_duration_s": 2**31}, "lease_duration_s=2147483648"),
        ({"lease_duration_s": True}, "lease_duration_s=True"),
        ({"lease_duration_s": math.nan}, "lease_duration_s=nan"),
        ({"lease_duration_s": "15"}, "lease_duration_s='15'"),
        ({"renew_interval_s": 0}, "renew_interval_s=0"),
        ({"request_timeout_s": math.inf}, "request_timeout_s=inf"),
        ({"retry_interval_s": -1}, "retry_interval_s=-1"),
        ({"stop_grace_s": -0.1}, "stop_grace_s=-0.1"),
        ({"stop_grace_s": None}, "stop_grace_s=None"),
        ({"clock_error": 1}, "clock_error=1"),
        ({"clock_error": -0.01}, "clock_error=-0.01"),
    ],
)
def test_a_senseless_value_is_refused_by_name(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named.replace(".", r"\.")):
        Timing(**settings)


def test_a_term_too_short_for_a_renewal_and_a_request_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigurationError, match=r"raise lease_duration_s or lower the others"):
        Timing(lease_duration_s=10, renew_interval_s=3, request_timeout_s=3, stop_grace_s=4, clock_error=0)


def test_a_term_one_hair_longer_is_accepted() -> None:
    timing = Timing(lease_duration_s=10, renew_interval_s=3, request_timeout_s=2.999, stop_grace_s=4, clock_error=0)
    assert timing.term_length_s == 6


@given(
    duration=st.integers(1, 3600),
    renew=st.floats(0.01, 100),
    request=st.floats(0.01, 100),
    grace=st.floats(0, 100),
    error=st.floats(0, 0.5),
)
def test_an_accepted_timing_leaves_room_for_one_renewal_and_one_request(
    duration: int, renew: float, request: float, grace: float, error: float
) -> None:
    try:
        timing = Timing(
            lease_duration_s=duration,
            renew_interval_s=renew,
            request_timeout_s=request,
            stop_grace_s=grace,
            clock_error=error,
        )
    except ConfigurationError:
        assume(False)  # noqa: FBT003
        raise
    assert timing.term_length_s > renew + request


@pytest.mark.parametrize(("written", "waits"), [(60, 60.6), (None, 15.15), (0, 15.15), (-5, 15.15)])
def test_a_contender_waits_by_the_holders_word_and_else_by_its_own(written: int | None, waits: float) -> None:
    assert Timing().takeover_after_s(written) == pytest.approx(waits)
