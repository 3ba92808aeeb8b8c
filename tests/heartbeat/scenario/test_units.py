"""Durations and shares, as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lease_aio.heartbeat.scenario.units import duration_text, parse_duration, parse_share, share_text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "s",
        "60",
        "1.5",
        "60 s",
        "1s2m",
        "1m1m",
        ".5s",
        "1.s",
        "1e3s",
        "٣s",
        "90S",
        "1d",
        "277778h",
        "9" * 400 + "h",
    ],
)
def test_what_is_no_duration_is_none(text):
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1.5s", 1.5), ("200ms", 0.2), ("2h", 7200), ("1h2m3s4ms", 3723.004), ("-30s", -30)],
)
def test_durations_are_seconds(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "%", "20", "0.2", "20 %", "1/5"])
def test_what_is_no_share_is_none(text):
    assert parse_share(text) is None


@pytest.mark.parametrize(("text", "share"), [("20%", 0.2), ("0%", 0), ("100%", 1), ("12.5%", 0.125), ("-1%", -0.01)])
def test_shares_are_parts_of_one(text, share):
    assert parse_share(text) == pytest.approx(share)


@given(st.integers(-10_000_000, 10_000_000))
def test_a_duration_is_written_as_it_can_be_read_to_the_millisecond(milliseconds):
    assert parse_duration(duration_text(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@given(st.integers(0, 10_000))
def test_a_share_is_written_as_it_can_be_read(basis_points):
    assert parse_share(share_text(basis_points / 10_000)) == pytest.approx(basis_points / 10_000)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (0.2, "200ms"), (59.9996, "1m"), (90, "1m30s"), (3600, "1h")])
def test_durations_are_short(seconds, text):
    assert duration_text(seconds) == text
