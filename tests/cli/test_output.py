"""What commands say, and how numbers look."""

from __future__ import annotations

import io
import json

import pytest

from lease_aio.cli.numbers import rate, span, spread_of, spread_text
from lease_aio.cli.output import Output
from lease_aio.scheduler import Histogram


def output(*, as_json: bool) -> tuple[Output, io.StringIO, io.StringIO]:
    stream, errors = io.StringIO(), io.StringIO()
    return Output(json=as_json, stream=stream, errors=errors, wall=lambda: 1234.5), stream, errors


def test_programs_get_one_object_a_line_and_nothing_meant_for_people() -> None:
    out, stream, _ = output(as_json=True)

    out.event("started", "leading, at last", token=812)
    out.show("a table")
    out.event("released")

    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"event": "started", "time": 1234.5, "token": 812},
        {"event": "released", "time": 1234.5},
    ]


def test_people_get_words_and_no_empty_lines() -> None:
    out, stream, _ = output(as_json=False)

    out.event("started", "leading", token=812)
    out.event("progress", token=812)

    assert stream.getvalue() == "leading\n"


def test_what_others_have_written_steers_no_terminal() -> None:
    out, stream, errors = output(as_json=False)

    out.event("waiting", "held by \x1b[2J\u202eeve\r\x9b1A")
    out.note("a\tb\nc\x07")

    assert stream.getvalue() == "held by \\x1b[2J\\u202eeve\\r\\x9b1A\n"
    assert errors.getvalue() == "a\tb\nc\\x07\n"


def test_an_error_is_a_line_on_standard_error_and_an_event_for_programs() -> None:
    out, stream, errors = output(as_json=True)

    out.error("no such thing", 2)

    assert errors.getvalue() == "lease-aio: error: no such thing\n"
    assert json.loads(stream.getvalue()) == {
        "event": "error",
        "time": 1234.5,
        "message": "no such thing",
        "exit_code": 2,
    }


@pytest.mark.parametrize("colours", ["", "1"])
def test_nothing_redraws_itself_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch, colours: str) -> None:
    monkeypatch.setenv("FORCE_COLOR", colours)
    assert not output(as_json=False)[0].live


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("columns", "live"), [(59, False), (60, True), (200, True)])
def test_a_terminal_that_is_too_narrow_for_a_picture_gets_lines(
    monkeypatch: pytest.MonkeyPatch, columns: int, *, live: bool
) -> None:
    for name, value in (("COLUMNS", str(columns)), ("LINES", "40"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    assert Output(json=False, stream=Terminal()).live is live


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 µs"),
        (0.000812, "812 µs"),
        (0.0009996, "1.0 ms"),
        (0.0041, "4.1 ms"),
        (0.099, "99 ms"),
        (0.9999, "1.0 s"),
        (10.24, "10.2 s"),
        (3600, "60 min"),
        (-0.5, "-500 ms"),
    ],
)
def test_a_duration_is_shown_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_a_histogram_is_told_by_its_median_its_99th_percentile_and_its_largest_value() -> None:
    histogram = Histogram()
    for value in range(1, 101):
        histogram.record(float(value))

    found = spread_of(histogram.snapshot())

    assert found["p50"] == pytest.approx(50, rel=0.02)
    assert found["p99"] == pytest.approx(99, rel=0.02)
    assert found["max"] == 100
    assert spread_text(histogram.snapshot()).startswith("p50 ")
    assert spread_text(Histogram().snapshot()) == "–"


def test_an_empty_histogram_has_no_values_rather_than_zeros() -> None:
    assert spread_of(Histogram().snapshot()) == {"p50": None, "p99": None, "max": None}


@pytest.mark.parametrize(("per_s", "text"), [(0.0, "0.0"), (0.48, "0.5"), (9.96, "10"), (371.4, "371")])
def test_a_low_rate_is_not_rounded_away(per_s: float, text: str) -> None:
    assert rate(per_s) == text
