"""The live picture of a fleet. Pure: from what is known to what rich draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lease_aio.cli.drawing import frame, section
from lease_aio.cli.numbers import rate, span
from lease_aio.heartbeat import FleetReport
from lease_aio.heartbeat.scenario.expectations import Outcome
from lease_aio.heartbeat.scenario.units import duration_text
from lease_aio.scheduler import HistogramSnapshot

_STYLES = {
    "fresh": "green",
    "pending": "grey62",
    "late": "yellow",
    "unready": "magenta",
    "silenced": "bold red",
    "paused": "blue",
    "crashed": "red",
}
"""Of the states of nodes; one that is not here is drawn in white."""

_SPARKS = "▁▂▃▄▅▆▇█"
_LATENESS_UP_TO_S = (0.001, 0.01, 0.1, 1.0, 10.0)
_GAP_INTERVALS = (1.06, 1.25, 1.5, 2.0, 4.0)  # the last is a lease's duration
_MOST_NEWS = 8
_MOST_STEPS = 3
_WIDEST = 140
_NARROWEST = 60
_ROOM_FOR_THREE = 48
_BAR = "█"


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """All that is drawn.

    Attributes:
        title: Where.
        scenario: Its name; empty for none.
        now_s: Seconds from the start.
        duration_s: How long it takes; may be infinity.
        report: The fleet.
        due_per_s: Renewals that are due in a second while all nodes renew.
        rates: Renewals in each of the last seconds, the newest last.
        upcoming: What will happen: when, and in words.
        outcomes: Of the expectations so far.
        expected: How many expectations there are.
        news: Lines, the newest last.
    """

    title: str
    scenario: str
    now_s: float
    duration_s: float
    report: FleetReport
    due_per_s: float
    rates: Sequence[int]
    upcoming: Sequence[tuple[float, str]]
    outcomes: Sequence[Outcome]
    expected: int
    news: Sequence[str]


def draw(picture: Picture, width: int, height: int) -> RenderableType:
    """The picture for a terminal of that size."""
    inner = max(_NARROWEST, min(width, _WIDEST)) - 4
    half = (inner - 3) // 2
    charts = _beside(inner, _lateness(picture.report, half), _gap(picture.report, half))
    states = _beside(inner, _states(picture.report, half), _renewals(picture, half))
    steps = _steps(picture) if picture.scenario else None
    rows = 2 + 6 + 1 + 6 + 2 + (_MOST_STEPS + 1 if steps is not None else 0)
    lines = max(1, min(_MOST_NEWS, height - 1 - rows))
    news = [*picture.news][-lines:]
    parts = [
        states,
        charts,
        *([section("to come", _expected(picture)), steps] if steps is not None else []),
        section("what happened"),
        Text("\n".join([*news, *[""] * (lines - len(news))]), no_wrap=True, overflow="ellipsis"),
    ]
    footer = f"{_clock(picture)} · Ctrl-C ends it in order"
    return frame(Group(*parts), "fleet", picture.scenario, picture.title, footer=footer, width=inner + 4)


def _clock(picture: Picture) -> str:
    if picture.duration_s == float("inf"):
        return f"{picture.now_s:.0f} s"
    return f"{min(picture.now_s, picture.duration_s):.0f} of {picture.duration_s:.0f} s"


def _beside(width: int, left: RenderableType, right: RenderableType) -> RenderableType:
    half = (width - 3) // 2
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column(width=half)
    table.add_column(width=width - 3 - half)
    table.add_row(left, right)
    return table


# -------------------------------------------------------------------------- the nodes


def _states(report: FleetReport, width: int) -> RenderableType:
    counts = {state: report.states.get(state, 0) for state in _STYLES}
    counts.update({state: count for state, count in report.states.items() if state not in _STYLES})
    shown = [state for state, count in counts.items() if count or state in {"fresh", "late"}]
    bars = _bars([(state, counts[state], _STYLES.get(state, "white")) for state in shown[:5]], width, report.nodes)
    return Group(section("nodes", f"{report.nodes:,} by state"), *bars, *[Text()] * (5 - len(bars)))


def _renewals(picture: Picture, width: int) -> RenderableType:
    report = picture.report
    line = Text.assemble(
        (f"{rate(report.renewals_per_s)}", "bold"),
        (f" renewals/s of {rate(report.due_per_s)} due", "dim"),
        no_wrap=True,
    )
    total = Text.assemble(("in all ", "dim"), (f"{report.renewals:,}", "bold"), no_wrap=True)
    errors = sorted(report.errors.items(), key=lambda one: -one[1])
    failed = Text("no request failed", "dim", no_wrap=True)
    if errors:
        failed = Text("failed: ", "dim", no_wrap=True, overflow="ellipsis")
        failed.append(", ".join(f"{count:,} {kind}" for kind, count in errors), "bold red")
    sparks = Text(_sparkline(picture.rates, width, picture.due_per_s), "green", no_wrap=True)
    return Group(section("renewals", "second by second"), sparks, line, total, failed, Text())


def _sparkline(values: Sequence[int], width: int, due_per_s: float) -> str:
    """Each value as a bar; twice as many as are due fill the height."""
    most = max(2 * due_per_s, 1.0)
    return "".join(_SPARKS[min(len(_SPARKS) - 1, int(value / most * len(_SPARKS)))] for value in values[-width:])


# -------------------------------------------------------------------------- histograms


def _lateness(report: FleetReport, width: int) -> RenderableType:
    return Group(
        section("lateness", _spread(report.lateness, width)), *_histogram(report.lateness, _LATENESS_UP_TO_S, width)
    )


def _gap(report: FleetReport, width: int) -> RenderableType:
    bounds = [step * report.parameters.renew_interval_s for step in _GAP_INTERVALS]
    return Group(section("gap", _spread(report.gap, width)), *_histogram(report.gap, bounds, width))


def _spread(histogram: HistogramSnapshot, width: int) -> str:
    if not histogram.count:
        return "nothing yet"
    values = [("p50", histogram.percentile(50)), ("p99", histogram.percentile(99)), ("max", histogram.max_s)]
    shown = values if width >= _ROOM_FOR_THREE else values[1:]
    return " ".join(f"{name} {span(value)}" for name, value in shown)


def _histogram(histogram: HistogramSnapshot, bounds: Sequence[float], width: int) -> list[Text]:
    counts = rebinned(histogram, bounds)
    names = [f"≤ {span(bound)}" for bound in bounds] + [f"> {span(bounds[-1])}"]
    last = len(bounds) - 1
    styles = ["green" if at < last - 1 else "yellow" if at <= last else "bold red" for at in range(len(names))]
    return _bars(list(zip(names, counts, styles, strict=True)), width, histogram.count)


def rebinned(histogram: HistogramSnapshot, bounds: Sequence[float]) -> list[int]:
    """How many values lie up to each bound, and beyond the last; those of a bucket go where the bucket ends."""
    counts = [0] * (len(bounds) + 1)
    for upper_s, count in histogram.buckets:
        counts[next((at for at, bound in enumerate(bounds) if min(upper_s, histogram.max_s) <= bound), -1)] += count
    return counts


def _bars(rows: Sequence[tuple[str, int, str]], width: int, total: int) -> list[Text]:
    """A line for each: name, bar, number. What is there at all has a bar."""
    names = max((len(name) for name, _, _ in rows), default=0)
    room = max(4, width - names - 2 - 8)
    lines: list[Text] = []
    for name, count, style in rows:
        length = max(1, round(room * count / total)) if count and total else 0
        lines.append(
            Text.assemble(
                (f"{name:>{names}} ", "dim"),
                (f"{_BAR * length:<{room}}", style),
                (f" {count:>7,}", "bold"),
                no_wrap=True,
            )
        )
    return lines


# -------------------------------------------------------------------------- the scenario


def _expected(picture: Picture) -> str:
    if not picture.expected:
        return ""
    failed = sum(not outcome.held for outcome in picture.outcomes)
    words = f"{len(picture.outcomes) - failed} of {picture.expected} expectations held"
    return f"{words}, {failed} did not" if failed else words


def _steps(picture: Picture) -> RenderableType:
    lines = [
        Text.assemble(
            (f"in {duration_text(max(0.0, round(at_s - picture.now_s)))}".rjust(9), "bold"), f"  {text}", no_wrap=True
        )
        for at_s, text in picture.upcoming[:_MOST_STEPS]
    ]
    if not lines:
        lines = [Text("nothing more but its end" if picture.duration_s != float("inf") else "nothing more", "dim")]
    return Group(*lines, *[Text()] * (_MOST_STEPS - len(lines)))
