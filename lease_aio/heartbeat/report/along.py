"""The plots along the time of a run. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from lease_aio.heartbeat.record.history import Mark, NodeVerdict, Slot, TimelineSnapshot
from lease_aio.heartbeat.report.series import Columns, in_order, percentile_of, states_seen
from lease_aio.heartbeat.report.style import (
    DUE,
    KINDS,
    LOWEST_S,
    MAX,
    P50,
    P99,
    STATES,
    Figure,
    Limit,
    Trace,
    add_limit,
    layout_of,
    log_seconds,
    verdict_colours,
)
from lease_aio.scheduler import SparseHistogram
from lease_aio.words import span

_MOST_LINES = 30  # for marks; more would hide what they explain


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """The axis of time: in seconds, minutes or hours, as the run's length asks for."""

    unit_s: float
    word: str

    @classmethod
    def of(cls, length_s: float) -> Scale:
        """For a run so long."""
        if length_s <= 300:
            return cls(unit_s=1.0, word="seconds")
        return cls(unit_s=60.0, word="minutes") if length_s <= 5 * 3600 else cls(unit_s=3600.0, word="hours")

    def at(self, seconds: Iterable[float]) -> list[float]:
        """Places on the axis."""
        return [second / self.unit_s for second in seconds]


class TimePlots:
    """All plots along the time of one run.

    Args:
        columns: What to draw.
        timeline: Whose marks stand in all of them.
    """

    def __init__(self, columns: Columns, timeline: TimelineSnapshot) -> None:
        self._columns = columns
        self._scale = Scale.of(timeline.length_s)
        self._length = timeline.length_s / self._scale.unit_s
        self._marks = timeline.marks
        self._lines = [_vertical(each) for each in self._scale.at(mark.at_s for mark in self._marks)]
        if len(self._lines) > _MOST_LINES:
            self._lines = []
        self._x = self._scale.at(columns.start_s)
        self._middles = self._scale.at(start_s + columns.slot_s / 2 for start_s in columns.start_s)

    def states(self) -> Figure:
        """Nodes by state, stacked, with the marks numbered."""
        traces = [
            {
                "type": "scatter",
                "mode": "lines",
                "name": state,
                "x": [*self._x, self._length],
                "y": _held([slot.states.get(state, 0) for slot in self._columns.slots]),
                "stackgroup": "states",
                "line": {"width": 0.5, "shape": "hv", "color": STATES.get(state, DUE)},
                "fillcolor": STATES.get(state, DUE),
                "hovertemplate": "%{y:,} %{fullData.name}<extra></extra>",
            }
            for state in states_seen(self._columns)
        ]
        most = max((sum(slot.states.values()) for slot in self._columns.slots), default=0)
        figure = self._figure([*traces, *self._mark_traces(most)], "nodes")
        figure["layout"]["yaxis"]["range"] = [0, most * 1.12 or 1]
        return figure

    def renewals(self) -> Figure:
        """Renewals a second, and how many were due."""
        done = self._line("renewed", self._columns.renewals_per_s, P99, x=self._middles)
        due = self._line(
            "due", _held(self._columns.due_per_s), DUE, x=[*self._x, self._length], shape="hv", dash="dash"
        )
        done["hovertemplate"] = "%{y:,.1f} a second renewed<extra></extra>"
        due["hovertemplate"] = "%{y:,.1f} a second due<extra></extra>"
        figure = self._figure([done, due], "renewals a second")
        figure["layout"]["yaxis"]["rangemode"] = "tozero"
        return figure

    def gap(self, limits: Sequence[Limit]) -> Figure:
        """The gaps that ended in each slot: p50, p99 and the longest."""
        figure = self._figure(self._percentiles(lambda slot: slot.gap), "seconds between two renewals")
        figure["layout"]["yaxis"]["rangemode"] = "tozero"
        for limit in limits:
            add_limit(figure["layout"], limit, axis="y")
        return figure

    def lateness(self) -> Figure:
        """How late renewals started in each slot: p50, p99 and the latest, on a logarithmic axis."""
        traces = self._percentiles(lambda slot: slot.lateness, lowest=LOWEST_S)
        figure = self._figure(traces, "start after due time")
        figure["layout"]["yaxis"].update(log_seconds(value for trace in traces for value in trace["y"]))
        return figure

    def errors(self) -> Figure:
        """Failed requests by kind, stacked."""
        counts = self._columns.counts(lambda slot: slot.errors)
        colours = {kind: KINDS[at % len(KINDS)] for at, kind in enumerate(counts)}
        return self._bars(counts, colours, "failed requests")

    def verdicts(self) -> Figure:
        """Verdicts by word, stacked."""
        found = self._columns.counts(lambda slot: slot.verdicts)
        counts = {word: found[word] for word in in_order(found)}
        return self._bars(counts, verdict_colours(counts), "verdicts")

    def detection(self, verdicts: Sequence[NodeVerdict], limits: Sequence[Limit]) -> Figure:
        """Each verdict: when, and how long after the node's last renewal; the node's name when pointed at."""
        words = in_order({each.verdict for each in verdicts if each.since_renewal_s is not None})
        colours = verdict_colours(words)
        words.reverse()  # the first word is drawn last, and not hidden by those that follow at once
        traces = [_dots([each for each in verdicts if each.verdict == word], self._scale, colours) for word in words]
        figure = self._figure(traces, "seconds after the last renewal")
        figure["layout"]["yaxis"]["rangemode"] = "tozero"
        figure["layout"]["hovermode"] = "closest"
        for limit in limits:
            add_limit(figure["layout"], limit, axis="y")
        return figure

    def _percentiles(self, get: Callable[[Slot], SparseHistogram], lowest: float = 0.0) -> list[Trace]:
        return [
            self._percentile_line(get, percent, name, colour, lowest)
            for percent, name, colour in ((50, "p50", P50), (99, "p99", P99), (100, "max", MAX))
        ]

    def _percentile_line(
        self, get: Callable[[Slot], SparseHistogram], percent: float, name: str, colour: str, lowest: float
    ) -> Trace:
        values = self._columns.each(percentile_of(get, percent))
        drawn = [None if each is None else max(each, lowest) for each in values]
        trace = self._line(name, drawn, colour, x=self._middles)
        trace["text"] = ["" if each is None else span(each) for each in values]
        trace["hovertemplate"] = "%{text} %{fullData.name}<extra></extra>"
        trace["mode"] = "lines+markers" if None in values else "lines"  # one alone between two gaps is no line
        trace["line"]["width"] = 1 if percent == 100 else 2.4
        trace["marker"] = {"size": 3}
        return trace

    def _line(
        self,
        name: str,
        values: Sequence[float | None],
        colour: str,
        *,
        x: Sequence[float],
        shape: str = "linear",
        dash: str = "solid",
    ) -> Trace:
        return {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": list(x),
            "y": list(values),
            "line": {"color": colour, "width": 1.6, "shape": shape, "dash": dash},
        }

    def _bars(self, counts: Mapping[str, Sequence[int]], colours: Mapping[str, str], axis: str) -> Figure:
        traces = [
            {
                "type": "bar",
                "name": word.replace("_", " "),
                "x": self._middles,
                "y": list(column),
                "width": self._columns.slot_s / self._scale.unit_s,
                "marker": {"color": colours[word], "line": {"width": 0}},
                "hovertemplate": "%{y:,} %{fullData.name}<extra></extra>",
            }
            for word, column in counts.items()
        ]
        figure = self._figure(traces, axis)
        figure["layout"]["barmode"] = "stack"
        if max((sum(each) for each in zip(*counts.values(), strict=True)), default=0) < 5:
            figure["layout"]["yaxis"]["dtick"] = 1  # there is no half a request
        return figure

    def _figure(self, traces: list[Trace], y_title: str) -> Figure:
        layout = layout_of(f"{self._scale.word} since the start", y_title)
        layout["xaxis"]["range"] = [0, self._length or 1]
        layout["hovermode"] = "x unified"
        layout["shapes"] = list(self._lines)
        return {"data": traces, "layout": layout}

    def _mark_traces(self, most: int) -> list[Trace]:
        """Their numbers above all, as in the list of steps; what was done when pointed at."""
        if not self._marks:
            return []
        return [
            {
                "type": "scatter",
                "mode": "markers+text" if self._lines else "markers",
                "name": "step",
                "showlegend": False,
                "x": self._scale.at(mark.at_s for mark in self._marks),
                "y": [most * 1.03] * len(self._marks),
                "text": [str(place) for place in range(1, len(self._marks) + 1)],
                "textposition": "top center",
                "hovertext": [_mark_text(mark) for mark in self._marks],
                "hovertemplate": "%{hovertext}<extra></extra>",
                "marker": {"symbol": "triangle-down", "size": 8, "color": DUE},
                "cliponaxis": False,
            }
        ]


def _dots(verdicts: Sequence[NodeVerdict], scale: Scale, colours: Mapping[str, str]) -> Trace:
    known = [each for each in verdicts if each.since_renewal_s is not None]
    word = verdicts[0].verdict
    return {
        "type": "scatter",
        "mode": "markers",
        "name": word,
        "x": scale.at(each.at_s for each in known),
        "y": [each.since_renewal_s for each in known],
        "text": [escape(each.node) for each in known],
        "hovertemplate": "%{text} %{fullData.name}, %{y:.1f} s after its last renewal<extra></extra>",
        "marker": {"color": colours[word], "size": 6, "opacity": 0.75},
    }


def _held(values: Sequence[float | None]) -> list[float | None]:
    """The values of steps, the last one up to the end of the run."""
    return [*values, *values[-1:]]


def _mark_text(mark: Mark) -> str:
    return f"{mark.at_s:.0f} s: {escape(mark.text)}"


def _vertical(at: float) -> dict[str, Any]:
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": at,
        "x1": at,
        "y0": 0,
        "y1": 1,
        "line": {"color": DUE, "width": 1, "dash": "dot"},
    }
