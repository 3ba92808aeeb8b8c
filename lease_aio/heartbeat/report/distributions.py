"""The plots of what was counted since the start, without regard to when. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lease_aio.heartbeat.report.series import grouped, in_order
from lease_aio.heartbeat.report.style import P99, Figure, Limit, add_limit, layout_of, log_seconds, verdict_colours
from lease_aio.scheduler import HistogramSnapshot
from lease_aio.words import span

_STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)  # of a decade
_EDGES_S = (*(step * 10.0**power for power in range(-6, 6) for step in _STEPS), 1e6)
_BARS = 120


def gap_distribution(gap: HistogramSnapshot, limits: Sequence[Limit]) -> Figure:
    """How many gaps there were of each length, on a logarithmic count axis."""
    figure = _distribution([("gaps", gap.ranges(), P99)], "seconds between two renewals", "gaps")
    figure["layout"]["xaxis"]["rangemode"] = "tozero"
    figure["layout"]["yaxis"].update(_log_counts(gap.ranges()))
    for limit in limits:
        add_limit(figure["layout"], limit, axis="x")
    return figure


def lateness_distribution(lateness: HistogramSnapshot) -> Figure:
    """How many renewals started how late, both axes logarithmic."""
    bars = grouped(lateness, _EDGES_S)
    figure = _distribution([("renewals", bars, P99)], "start after due time", "renewals")
    figure["layout"]["yaxis"].update(_log_counts(bars))
    figure["layout"]["xaxis"].update(log_seconds(edge for lower_s, upper_s, _ in bars for edge in (lower_s, upper_s)))
    return figure


def detection_distribution(detection: Mapping[str, HistogramSnapshot], limits: Sequence[Limit]) -> Figure:
    """How many verdicts came how long after the last renewal, by word."""
    words = in_order(detection)
    colours = verdict_colours(words)
    edges_s = _even(max((each.max_s for each in detection.values()), default=0.0))
    bars = [(word, grouped(detection[word], edges_s), colours[word]) for word in words]
    figure = _distribution(bars, "seconds after the last renewal", "verdicts")
    for trace in figure["data"]:
        del trace["width"]  # beside each other within the second
    figure["layout"].update(barmode="group", bargap=0.1, showlegend=len(bars) > 1)
    figure["layout"]["xaxis"]["rangemode"] = "tozero"
    for limit in limits:
        add_limit(figure["layout"], limit, axis="x")
    return figure


def _log_counts(bars: Sequence[tuple[float, float, int]]) -> dict[str, Any]:
    """A logarithmic axis on which one value can be seen."""
    most = max((count for _, _, count in bars), default=1)
    return {"type": "log", "dtick": 1, "tickformat": ",", "range": [math.log10(0.5), math.log10(most * 2)]}


def _even(most_s: float) -> list[float]:
    """Bounds for bars of whole seconds, of which there are not too many."""
    step_s = max(1, math.ceil(most_s / _BARS))
    return [float(edge_s) for edge_s in range(0, math.ceil(most_s) + 2 * step_s, step_s)]


def _distribution(groups: Sequence[tuple[str, Sequence[tuple[float, float, int]], str]], x: str, y: str) -> Figure:
    traces = [
        {
            "type": "bar",
            "name": name,
            "x": [(lower + upper) / 2 for lower, upper, _ in bars],
            "width": [upper - lower for lower, upper, _ in bars],
            "y": [count for _, _, count in bars],
            "text": [f"{span(lower)} – {span(upper)}" for lower, upper, _ in bars],
            "textposition": "none",
            "hovertemplate": "%{y:,} %{fullData.name}: %{text}<extra></extra>",
            "marker": {"color": colour, "line": {"width": 0}, "opacity": 0.9},
        }
        for name, bars, colour in groups
    ]
    layout = layout_of(x, y)
    layout["showlegend"] = False
    layout["bargap"] = 0
    return {"data": traces, "layout": layout}
