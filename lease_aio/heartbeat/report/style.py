"""What the plots have in common: colours, axes, lines for limits. Pure.

Colours stay the same in light and dark; the page sets those of text and grid.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Figure = dict[str, Any]
"""For plotly: `data` and `layout`."""

Trace = dict[str, Any]
"""One of a figure's data."""

STATES = {
    "fresh": "#4c8fd6",
    "unready": "#e3a63b",
    "late": "#d9534f",
    "silenced": "#8f6fc9",
    "paused": "#b79ee3",
    "crashed": "#5f4a94",
    "pending": "#a9b1bc",
}
KINDS = ("#d9534f", "#e3a63b", "#8f6fc9", "#3fa39b", "#a9745b", "#7d8794")
P50, P99, MAX, DUE = "#8bb8e8", "#2f74c0", "#e07b39", "#8a94a3"
LOWEST_S = 1e-6
"""Where logarithmic axes of durations begin."""

_LIMIT = "#cf4a5c"
_VERDICTS = {
    "unknown": "#d9534f",
    "tainted": "#e3a63b",
    "evicting": "#8f6fc9",
    "ready": "#4c8fd6",
    "untainted": "#8bb8e8",
    "sparing": "#3fa39b",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """A line that something should stay below."""

    at_s: float
    text: str


def verdict_colours(words: Iterable[str]) -> dict[str, str]:
    """A colour for each word."""
    others = iter(KINDS[1:] * 10)
    return {word: _VERDICTS.get(word) or next(others) for word in words}


def layout_of(x_title: str, y_title: str) -> dict[str, Any]:
    """What all layouts begin with."""
    return {
        "xaxis": {"title": {"text": x_title}, "zeroline": False},
        "yaxis": {"title": {"text": y_title}, "zeroline": False, "rangemode": "nonnegative", "tickformat": ","},
        "margin": {"l": 58, "r": 12, "t": 30, "b": 44},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
        "showlegend": True,
    }


def add_limit(layout: dict[str, Any], limit: Limit, *, axis: str) -> None:
    """A line across the plot with its name on it."""
    along = {"xref": "paper", "x0": 0, "x1": 1, "y0": limit.at_s, "y1": limit.at_s}
    across = {"yref": "paper", "y0": 0, "y1": 1, "x0": limit.at_s, "x1": limit.at_s}
    line = {
        "type": "line",
        "line": {"color": _LIMIT, "width": 1.2, "dash": "dash"},
        **(along if axis == "y" else across),
    }
    beside: dict[str, Any] = {"xref": "paper", "x": 0, "y": limit.at_s, "xanchor": "left", "yanchor": "bottom"}
    if axis == "x":
        beside = {"yref": "paper", "x": limit.at_s, "y": 1, "xanchor": "right", "yanchor": "top", "textangle": -90}
    layout.setdefault("shapes", []).append(line)
    name = {"text": limit.text, "showarrow": False, "font": {"size": 11, "color": _LIMIT}, **beside}
    layout.setdefault("annotations", []).append(name)


def log_seconds(values: Iterable[float | None]) -> dict[str, Any]:
    """A logarithmic axis with ticks that say `10 ms`, from the decade below the values to that above."""
    seen = [max(value, LOWEST_S) for value in values if value is not None]
    low, high = (min(seen), max(seen)) if seen else (0.001, 1.0)
    powers = [power for power in range(-6, 7) if low / 10 < 10.0**power < high * 10]
    return {
        "type": "log",
        "tickvals": [10.0**power for power in powers],
        "ticktext": [_tick(power) for power in powers],
        "range": [powers[0], powers[-1]] if len(powers) > 1 else None,
    }


def _tick(power: int) -> str:
    number, word = (10 ** (power % 3), {-2: "µs", -1: "ms"}.get(power // 3, "s"))
    return f"{number if word != 's' else 10**power} {word}"
