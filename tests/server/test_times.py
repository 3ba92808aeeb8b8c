"""Times: the one form that is accepted, and the words in which others are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lease_aio.server.times import epoch_seconds, format_micro_time, format_time, read_micro_time, read_time


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2026-08-11T19:37:19.103Z", 'cannot parse ".103Z" as ".000000"'),
        ("2026-08-11T19:37:19Z", 'cannot parse "Z" as ".000000"'),
        ("2026-08-11T19:37:19.123456789Z", 'cannot parse "789Z" as "Z07:00"'),
        ("2026-08-11T19:37:19.123456", 'cannot parse "" as "Z07:00"'),
        ("", 'cannot parse "" as "2006"'),
        ("2026-08-11 19:37:19.123456Z", 'cannot parse " 19:37:19.123456Z" as "T"'),
        ("2026-W33-2T19:37:19.123456Z", 'cannot parse "W33-2T19:37:19.123456Z" as "01"'),
        ("2026-13-11T19:37:19.123456Z", "month out of range"),
        ("2026-02-30T19:37:19.123456Z", "day out of range"),
        ("2026-02-20T24:00:00.123456Z", "hour out of range"),
        ("2026-02-20T20:00:00.123456+25:00", "time zone offset hour out of range"),
        ("2026-02-20T20:00:00.123456Zx", 'extra text: "x"'),
    ],
)
def test_other_forms_of_a_micro_time_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"^parsing time ") as caught:
        read_micro_time(text)
    assert str(caught.value).endswith(message)


def test_a_micro_time_with_an_offset_is_brought_to_utc() -> None:
    assert read_micro_time("2026-02-20T01:00:00.123456+02:00") == "2026-02-19T23:00:00.123456Z"


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("0000-02-29T00:00:00.000000Z", "0000-02-29T00:00:00.000000Z"),
        ("0001-01-01T00:00:00.000000+01:00", "0000-12-31T23:00:00.000000Z"),
        ("0000-01-01T00:00:00.000000+01:00", "-0001-12-31T23:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999-01:00", "10000-01-01T00:59:59.999999Z"),
    ],
)
def test_a_year_that_python_has_not_is_written_as_go_writes_it(text: str, stored: str) -> None:
    assert read_micro_time(text) == stored


def test_the_zero_time_is_no_time() -> None:
    assert read_micro_time("0001-01-01T00:00:00.000000Z") is None


@pytest.mark.parametrize(
    "text", ["2026-02-20T01:00:00Z", "2026-02-20T01:00:00.9Z", "2026-02-20T03:00:00.123456789+02:00"]
)
def test_a_time_may_have_any_fraction_and_loses_it(text: str) -> None:
    assert read_time(text) == "2026-02-20T01:00:00Z"


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r'cannot parse "x" as "2006"'):
        read_time("x")


@given(st.integers(-62_000_000_000_000_000, 250_000_000_000_000_000))
def test_what_is_written_can_be_read(now: int) -> None:
    assert read_micro_time(format_micro_time(now)) == format_micro_time(now)
    assert read_time(format_time(now)) == format_time(now)
    assert epoch_seconds(format_time(now)) == now // 1_000_000
