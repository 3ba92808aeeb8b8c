"""The monitor's live picture. Pure: from what is known to what rich draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lease_aio.cli.drawing import frame, gauge, section
from lease_aio.cli.monitor.words import STATES, ZONE_STATES, Weight, rate_text, zone_text
from lease_aio.cli.numbers import span
from lease_aio.heartbeat import Availability, MonitorReport, MonitorSettings, NodeView, Sight, ZoneState, ZoneView

COLOURS = {
    Availability.READY: "green",
    Availability.NOT_READY: "yellow",
    Availability.UNKNOWN: "red",
    Availability.PENDING: "blue",
}
_ZONE_COLOURS = {
    ZoneState.INITIAL: "dim",
    ZoneState.NORMAL: "green",
    ZoneState.PARTIAL: "yellow",
    ZoneState.FULL: "red",
}
_WEIGHT_STYLES = {Weight.BAD: "red", Weight.GOOD: "green", Weight.NEUTRAL: "", Weight.DETAIL: "dim"}
_WIDEST = 140
_NARROW = 100  # no room for rates
_RATE_WIDTH = 13
_MOST_ZONES = 12
_MOST_LINES = 12
_FIXED_ROWS = 10  # all rows but those of zones, silent nodes and verdicts


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A verdict as it is shown: the time of day, the words, how much it matters."""

    time: str
    text: str
    weight: Weight


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """All that is drawn.

    Attributes:
        title: Where.
        settings: What is judged by.
        elapsed_s: Seconds from the start.
        seconds: How long it goes; infinity until stopped.
        sight: What can be seen.
        why: Why not all.
        stopped: Evictions have stopped everywhere.
        counts: How many nodes are what.
        zones: All of them.
        silent: Those that have missed a renewal without being Unknown, the most silent first.
        lines: Verdicts, the newest last.
        report: What was done so far.
    """

    title: str
    settings: MonitorSettings
    elapsed_s: float
    seconds: float
    sight: Sight
    why: str
    stopped: bool
    counts: dict[Availability, int]
    zones: Sequence[ZoneView]
    silent: Sequence[NodeView]
    lines: Sequence[Line]
    report: MonitorReport


def draw(picture: Picture, width: int, height: int) -> RenderableType:
    """The picture for a terminal of that size."""
    inner = max(40, min(width, _WIDEST) - 4)
    zones = picture.zones[:_MOST_ZONES]
    rows = _FIXED_ROWS + len(zones) + max(1, len(picture.silent)) + (len(picture.zones) > len(zones))
    lines = max(1, min(_MOST_LINES, height - 1 - rows))
    parts = Group(
        _sight(picture),
        _nodes(picture, inner),
        section("zones", "evictions stopped everywhere" if picture.stopped else ""),
        _zones(zones, inner),
        *([Text(f"… and {len(picture.zones) - len(zones)} more", "dim")] if len(picture.zones) > len(zones) else []),
        section("missing renewals", f"Unknown after {picture.settings.grace_s:g} s"),
        _silent(picture, inner),
        section("verdicts"),
        _lines(picture.lines, lines),
    )
    until = f" of {picture.seconds:g} s" if picture.seconds < float("inf") else " s"
    passes = f"{picture.report.passes} passes, the longest {span(picture.report.pass_s.max_s)}"
    footer = f"{picture.elapsed_s:.0f}{until} · {passes} · Ctrl-C ends"
    border = "red" if picture.sight is Sight.BLIND else "grey50"
    return frame(parts, "monitor", picture.title, footer=footer, width=inner + 4, border=border)


def _sight(picture: Picture) -> Text:
    match picture.sight:
        case Sight.BLIND:
            return Text(f"● blind, so nobody is judged: {picture.why}", "bold red", no_wrap=True, overflow="ellipsis")
        case Sight.LEASES_ONLY:
            return Text(f"● {picture.why}", "yellow", no_wrap=True, overflow="ellipsis")
        case Sight.OPENING:
            return Text("● listing Nodes and Leases", "dim")
        case _:
            mode = picture.settings.mode.value
            return Text(f"● sees all Nodes and Leases, judges as in mode {mode}", "green", no_wrap=True)


def _nodes(picture: Picture, width: int) -> RenderableType:
    total = sum(picture.counts.values())
    words = Text.assemble(
        (f"{total} nodes  ", "bold"),
        *((f"● {picture.counts[state]} {word}  ", COLOURS[state]) for state, word in STATES.items()),
        no_wrap=True,
    )
    return Group(words, _shares([(picture.counts[state], COLOURS[state]) for state in STATES], width))


def _zones(zones: Sequence[ZoneView], width: int) -> RenderableType:
    if not zones:
        return Text("none", "dim")
    wide = width > _NARROW
    columns = [max(8, min(30, width // 5)), 18, 13, 11]
    bar = width - sum(columns) - len(columns) - (_RATE_WIDTH + 1 if wide else 0)
    table = Table.grid(padding=(0, 1))
    for column in (*columns, bar, *([_RATE_WIDTH] if wide else [])):
        table.add_column(width=column, no_wrap=True, overflow="ellipsis")
    for one in zones:
        ready = one.nodes - one.not_ready
        table.add_row(
            zone_text(one.zone),
            Text(ZONE_STATES[one.state], _ZONE_COLOURS[one.state]),
            Text(f"{ready}/{one.nodes} ready"),
            Text(f"{one.queued} queued" if one.queued else "", "yellow"),
            _shares([(ready, "green"), (one.not_ready, "red"), (one.excluded, "grey37")], bar),
            *([Text(rate_text(one.rate_per_s), "dim")] if wide else []),
        )
    return table


def _silent(picture: Picture, width: int) -> RenderableType:
    if not picture.silent:
        return Text("none", "dim")
    columns = [max(12, min(40, width // 3)), 9, 6]
    bar = width - sum(columns) - len(columns)
    table = Table.grid(padding=(0, 1))
    for column in (*columns, bar):
        table.add_column(width=column, no_wrap=True, overflow="ellipsis")
    for one in picture.silent:
        silent_s = one.silent_s or 0.0
        part = min(1.0, silent_s / picture.settings.grace_s)
        table.add_row(
            one.name,
            Text(STATES[one.state], COLOURS[one.state]),
            Text(f"{silent_s:.0f} s", "yellow" if part < 0.75 else "red"),
            gauge(part, bar, "yellow" if part < 0.75 else "red"),
        )
    return table


def _lines(lines: Sequence[Line], most: int) -> RenderableType:
    shown = [_line(line) for line in lines[-most:]] or [Text("none yet", "dim")]
    return Group(*shown, *(Text("") for _ in range(most - len(shown))))


def _line(line: Line) -> Text:
    words = ((f"{line.time}  ", "dim"), (line.text, _WEIGHT_STYLES[line.weight]))
    return Text.assemble(*words, no_wrap=True, overflow="ellipsis")


def _shares(parts: Sequence[tuple[int, str]], width: int) -> Text:
    """One bar of several colours; whatever is there at all has at least one cell."""
    total = sum(count for count, _ in parts)
    if not total:
        return Text("━" * width, "grey23")
    cells = [max(1, count * width // total) if count else 0 for count, _ in parts]
    cells[cells.index(max(cells))] += width - sum(cells)
    return Text.assemble(*(("━" * max(0, number), colour) for number, (_, colour) in zip(cells, parts, strict=True)))
