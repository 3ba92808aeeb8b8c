"""Times as an API server reads and writes them.

A `MicroTime` (acquireTime, renewTime, pingTime) is read only with exactly six fraction digits and a zone; a
`Time` (creationTimestamp and the like) with any fraction. Refusals carry the words of Go's `time.Parse`,
because clients have met them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"
_SECOND_LAYOUT = "2006-01-02T15:04:05Z07:00"
_ZONE = r"(?:Z|[+-]\d\d:\d\d)"
_MICRO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}" + _ZONE, re.ASCII)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d+)?" + _ZONE, re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CANONICAL_LENGTH = len("2006-01-02T15:04:05Z")
_NAIVE_EPOCH = _EPOCH.replace(tzinfo=None)
# After so long the calendar repeats itself: how Go's years are read that Python's datetime has not, such as 0000.
_CYCLE_YEARS, _CYCLE_S = 400, 146_097 * 86_400

# What each element of the layout consumes, in order: its name in error messages and the text that it accepts.
_DATE_ELEMENTS = (
    ("2006", r"\d{4}"), ("-", "-"), ("01", r"\d\d"), ("-", "-"), ("02", r"\d\d"), ("T", "T"),
    ("15", r"\d\d?"), (":", ":"), ("04", r"\d\d"), (":", ":"), ("05", r"\d\d"),
)  # fmt: skip
_MICRO_ELEMENTS = (*_DATE_ELEMENTS, (".000000", r"\.\d{6}"), ("Z07:00", _ZONE))
_SECOND_ELEMENTS = (*_DATE_ELEMENTS, ("Z07:00", r"(?:[.,]\d+)?" + _ZONE))
_RANGES = (("month", 5, 1, 12), ("hour", 11, 0, 23), ("minute", 14, 0, 59), ("second", 17, 0, 59))


def read_micro_time(text: str) -> str | None:
    """Read a MicroTime and give it back in UTC with six digits and `Z`; None stands for Go's zero time.

    Raises:
        ValueError: in Go's words, when the text is not exactly of the form
            `2006-01-02T15:04:05.000000Z07:00`.
    """
    if _MICRO.fullmatch(text) is None:
        text = _as_go_reads(text)
        if _MICRO.fullmatch(text) is None:
            raise ValueError(_complaint(text, _MICRO_LAYOUT, _MICRO_ELEMENTS))
    epoch_us = _epoch_us(text)
    if text[26] != "Z":
        text = format_micro_time(epoch_us)
    return None if text.startswith("0001-01-01T00:00:00.000000") else text


def read_time(text: str) -> str:
    """Read an RFC 3339 time and give it back in UTC, whole seconds, `Z`.

    Raises:
        ValueError: in Go's words, when the text is not RFC 3339.
    """
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(_complaint(text, _SECOND_LAYOUT, _SECOND_ELEMENTS))
    if len(text) == _CANONICAL_LENGTH:
        _epoch_us(text)
        return text
    fraction = found[1] or ""
    return format_time(_epoch_us(text.replace(fraction, "", 1) if fraction else text))


def format_micro_time(now: int) -> str:
    """Write epoch microseconds as a MicroTime.

    Raises:
        ValueError: it is in no year from -1 to 10000.
    """
    return f"{_to_the_second(now // 1_000_000)}.{now % 1_000_000:06d}Z"


def format_time(now: int) -> str:
    """Write epoch microseconds as a Time: whole seconds, cut, not rounded.

    Raises:
        ValueError: it is in no year from -1 to 10000.
    """
    return f"{_to_the_second(now // 1_000_000)}Z"


def epoch_seconds(text: str) -> int:
    """Whole epoch seconds of a Time that the server wrote."""
    return _microseconds(datetime.fromisoformat(text)) // 1_000_000


def _as_go_reads(text: str) -> str:
    """Go takes an hour of one digit, and a comma before the fraction."""
    text = re.sub(r"T(\d):", r"T0\1:", text, count=1, flags=re.ASCII)
    return re.sub(r",(?=\d{6})", ".", text, count=1, flags=re.ASCII)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _to_the_second(epoch_s: int) -> str:
    cycles, within_s = divmod(epoch_s, _CYCLE_S)
    text = (_NAIVE_EPOCH + timedelta(seconds=within_s)).isoformat()
    year = int(text[:4]) + cycles * _CYCLE_YEARS
    if not -1 <= year <= 10_000:  # what four digits and an offset can lead to
        raise ValueError("year outside of range [-1,10000]")
    return f"{'-' if year < 0 else ''}{abs(year):04d}{text[4:]}"


def _epoch_us(text: str) -> int:
    year = int(text[:4])
    near = _CYCLE_YEARS * 5 + year % _CYCLE_YEARS
    try:
        if text[11:13] != "24":  # since 3.14 Python takes that for the next midnight
            moment = datetime.fromisoformat(f"{near}{text[4:]}")
            return _microseconds(moment) + (year - near) // _CYCLE_YEARS * _CYCLE_S * 1_000_000
    except ValueError:
        pass
    raise ValueError(f'parsing time "{text}": {_out_of_range(text)} out of range')


def _out_of_range(text: str) -> str:
    for name, at, low, high in _RANGES:
        if not low <= int(text[at : at + 2]) <= high:
            return name
    if not text.endswith("Z") and int(text[-5:-3]) > 23:
        return "time zone offset hour"
    return "day"


def _complaint(text: str, layout: str, elements: tuple[tuple[str, str], ...]) -> str:
    rest = text
    for name, pattern in elements:
        found = re.match(pattern, rest, re.ASCII)
        if found is None:
            return f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{name}"'
        rest = rest[found.end() :]
    return f'parsing time "{text}": extra text: "{rest}"'
