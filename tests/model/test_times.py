from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lease_aio.model import MicroTime, Time


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00Z",
        "2026-13-31T12:00:00Z",
        "2026-02-30T12:00:00.000000Z",
        "2026-01-31T12:00:00,5Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:0٣Z",
        "20260131T120000.000000000Z",
        "2026-W05-6T12:00:00.00000Z",
        "2026-01-31T12:00:00.0000000",
        "2026-01-31T12:00:00,000000Z",
    ],
)
def test_what_is_not_rfc_3339_with_an_offset_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"RFC 3339|month|day|range"):
        MicroTime.parse(text)


def test_a_naive_datetime_names_no_instant() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        MicroTime.from_datetime(datetime(2026, 1, 31))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000Z"),
        ("2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.500000Z"),
        ("2026-01-31T12:00:00.123456789Z", "2026-01-31T12:00:00.123456Z"),
        ("2026-01-31T13:30:00.000001+01:30", "2026-01-31T12:00:00.000001Z"),
        ("2026-01-31t12:00:00z", "2026-01-31T12:00:00.000000Z"),
        ("2026-01-31T07:00:00-05:00", "2026-01-31T12:00:00.000000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_any_rfc_3339_is_read_and_written_with_six_digits_and_z(text: str, canonical: str) -> None:
    assert str(MicroTime.parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("0000-01-01T00:00:00.000000Z", "0001-01-01T00:00:00.000000Z"),
        ("-0001-12-31T23:00:00.000000Z", "0001-01-01T00:00:00.000000Z"),
        ("0001-01-01T00:00:00.000000+01:00", "0001-01-01T00:00:00.000000Z"),
        ("10000-01-01T00:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("9999-12-31T23:59:59.999999-01:00", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_a_year_that_python_has_not_is_read_as_the_nearest_that_it_has(text: str, nearest: str) -> None:
    assert str(MicroTime.parse(text)) == nearest


def test_a_whole_second_keeps_its_six_digits() -> None:
    assert str(MicroTime(0)) == "1970-01-01T00:00:00.000000Z"


def test_a_time_drops_its_fraction() -> None:
    assert str(Time.parse("2026-01-31T12:00:00.999999Z")) == "2026-01-31T12:00:00Z"


def test_instants_before_the_epoch_are_written_right() -> None:
    assert str(MicroTime(-1)) == "1969-12-31T23:59:59.999999Z"
    assert str(Time(-1)) == "1969-12-31T23:59:59Z"


def test_instants_are_ordered_and_hash_by_what_they_are() -> None:
    early, late = MicroTime(1), MicroTime(2)
    assert early < late
    assert early <= MicroTime(1)
    assert {early, MicroTime(1), late} == {early, late}
    assert early != "1970-01-01T00:00:00.000001Z"


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_reads_back_as_the_same_instant(moment: datetime) -> None:
    instant = MicroTime.from_datetime(moment)
    assert MicroTime.parse(str(instant)) == instant
    assert instant.datetime() == moment


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_the_offset_does_not_change_the_instant(moment: datetime, minutes: int) -> None:
    local = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes)))
    assert MicroTime.parse(local.isoformat(timespec="microseconds")).datetime() == local
