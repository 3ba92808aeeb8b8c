"""The sections of the page: what was seen as their titles, tables, and places for the plots. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from lease_aio.heartbeat.record.history import TimelineSnapshot
from lease_aio.heartbeat.record.tally import FleetReport
from lease_aio.heartbeat.report.along import TimePlots
from lease_aio.heartbeat.report.distributions import detection_distribution, gap_distribution, lateness_distribution
from lease_aio.heartbeat.report.series import ENDINGS, columns_of
from lease_aio.heartbeat.report.style import Figure, Limit
from lease_aio.heartbeat.report.summary import Finding, Level, findings, listed, number, verdicts_text
from lease_aio.heartbeat.report.tables import (
    findings_table,
    parameter_list,
    percentile_list,
    step_table,
    verdict_table,
)
from lease_aio.scheduler import HistogramSnapshot
from lease_aio.words import length, span


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """One plot.

    Attributes:
        name: Its place in the page.
        caption: What it shows.
        figure: For plotly.
    """

    name: str
    caption: str
    figure: Figure

    def to_html(self, *, captioned: bool) -> str:
        """Its place in the page; with a caption, or with one for those who do not see it."""
        caption = escape(self.caption)
        place = f'<div class="plot" data-figure="{self.name}" role="img" aria-label="{caption}"></div>'
        return f"<figure>{f'<figcaption>{caption}</figcaption>' if captioned else ''}{place}</figure>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One section.

    Attributes:
        topic: What it is about.
        title: What was seen.
        about: How to read it.
        plots: Drawn; two stand beside each other where there is room.
        html: What follows them.
    """

    topic: str
    title: str
    about: str = ""
    plots: Sequence[Plot] = field(default_factory=tuple[Plot, ...])
    html: str = ""

    def to_html(self) -> str:
        """As a part of the page."""
        about = f"<p>{escape(self.about)}</p>" if self.about else ""
        kind = "pair" if len(self.plots) > 1 else "wide"
        plots = "".join(plot.to_html(captioned=len(self.plots) > 1) for plot in self.plots)
        return (
            f"<section><h2><small>{escape(self.topic)}</small>{escape(self.title)}</h2>{about}"
            + (f'<div class="plots {kind}">{plots}</div>' if plots else "")
            + f"{self.html}</section>"
        )


def sections_of(report: FleetReport, grace_s: float) -> list[Section]:
    """All sections, from the summary to the parameters."""
    limits = _limits(report, grace_s)
    timeline = report.timeline
    plots = TimePlots(columns_of(timeline, report.parameters), timeline) if timeline and timeline.slots else None
    seen = findings(report, grace_s)
    return [
        Section(topic="Summary", title=_headline(seen), html=findings_table(seen)),
        *_over_time(report, timeline, plots),
        _gap(report, plots, limits),
        _lateness(report, plots),
        _errors(report, plots),
        _verdicts(timeline, plots, limits[-1:]),
        Section(topic="Parameters", title="How the fleet was set up", html=parameter_list(report, grace_s)),
    ]


def _limits(report: FleetReport, grace_s: float) -> list[Limit]:
    lease_s = report.parameters.lease_duration_s
    lease = Limit(at_s=lease_s, text=f"lease duration {lease_s:g} s")
    return [lease, Limit(at_s=grace_s, text=f"grace of the control plane {grace_s:g} s")]


def _headline(rows: Sequence[Finding]) -> str:
    bad = [row for row in rows if row.level is Level.BAD]
    notices = [row for row in rows if row.level is Level.NOTICE]
    if not bad and not notices:
        return "The fleet renewed as it should"
    worst = bad or notices
    names = ", ".join(row.about.lower() for row in worst)
    return f"{'Not as it should be' if bad else 'Worth a look'}: {names}"


def _over_time(report: FleetReport, timeline: TimelineSnapshot | None, plots: TimePlots | None) -> list[Section]:
    if timeline is None or plots is None:
        why = "No timeline was kept" if timeline is None else "Nothing happened"
        return [Section(topic="Over time", title=f"{why}: there is nothing to draw along the time")]
    return [
        Section(
            topic="Nodes by state",
            title=_states_title(report, timeline),
            about="Every node is in one state; each moment is drawn as it was when fewest were fresh."
            + (" Triangles are steps of the scenario, listed below." if timeline.marks else ""),
            plots=[Plot(name="states", caption="Nodes by state", figure=plots.states())],
            html=step_table(timeline),
        ),
        Section(
            topic="Renewals",
            title=f"{number(report.renewals)} renewals in {length(timeline.length_s)}",
            about="Dashed: how many were due, by how many nodes should have been renewing, at one an interval each.",
            plots=[Plot(name="renewals", caption="Renewals a second", figure=plots.renewals())],
        ),
    ]


def _states_title(report: FleetReport, timeline: TimelineSnapshot) -> str:
    seen: dict[str, int] = {}
    for slot in timeline.slots:
        for state, count in slot.states.items():
            seen[state] = max(seen.get(state, 0), count)
    troubled = {state: count for state, count in seen.items() if count and state not in {"fresh", "pending"}}
    if not troubled:
        return f"No node of {number(report.nodes)} was ever late or in trouble"
    return "At most " + listed(troubled) + " at a time"


def _gap(report: FleetReport, plots: TimePlots | None, limits: Sequence[Limit]) -> Section:
    gap = report.gap
    topic = "Gap between renewals"
    if not gap.count:
        return Section(topic=topic, title="No node has renewed twice yet")
    return Section(
        topic=topic,
        title=f"Half of the gaps are within {span(gap.percentile(50))}, 99 % within {span(gap.percentile(99))}, "
        f"the longest is {span(gap.max_s)}",
        about="Between the ends of two successive renewals of a node: all that the control plane sees of it. "
        "Gaps of nodes that were told to be silent, paused or crashed do not count.",
        plots=[
            *([Plot(name="gap", caption="Over time", figure=plots.gap(limits))] if plots else []),
            Plot(name="gap-distribution", caption=_all(gap, "gaps"), figure=gap_distribution(gap, limits)),
        ],
        html=percentile_list(gap),
    )


def _lateness(report: FleetReport, plots: TimePlots | None) -> Section:
    lateness = report.lateness
    topic = "Lateness"
    if not lateness.count:
        return Section(topic=topic, title="No renewal has started yet")
    return Section(
        topic=topic,
        title=f"99 % of renewals started within {span(lateness.percentile(99))} of their time, "
        f"the latest {span(lateness.max_s)} after it",
        about="From the time at which a renewal was due to its start: what this process adds of its own. "
        "Where it is high, the simulator is the slow part, not the server.",
        plots=[
            *([Plot(name="lateness", caption="Over time", figure=plots.lateness())] if plots else []),
            Plot(
                name="lateness-distribution",
                caption=_all(lateness, "renewals"),
                figure=lateness_distribution(lateness),
            ),
        ],
        html=percentile_list(lateness),
    )


def _all(histogram: HistogramSnapshot, what: str) -> str:
    return f"All {number(histogram.count)} {what} (counts on a logarithmic axis)"


def _errors(report: FleetReport, plots: TimePlots | None) -> Section:
    if not report.errors:
        return Section(topic="Errors", title="No request failed")
    return Section(
        topic="Errors",
        title=f"{number(sum(report.errors.values()))} requests failed: {listed(report.errors)}",
        about="By kind: throttled is a 429, conflict a 409, unavailable a timeout, a broken connection or a 5xx.",
        plots=[Plot(name="errors", caption="Failed requests by kind", figure=plots.errors())] if plots else [],
    )


def _verdicts(timeline: TimelineSnapshot | None, plots: TimePlots | None, limits: Sequence[Limit]) -> Section:
    topic = "Verdicts of the control plane"
    if timeline is None or plots is None or not timeline.verdict_counts:
        return Section(topic=topic, title="None was seen", about="They are read from the Nodes, if the fleet has any.")
    drawn = [Plot(name="verdicts", caption="All verdicts over time", figure=plots.verdicts())]
    detection = {word: each for word, each in timeline.detection.items() if word not in ENDINGS}
    if detection:
        detected = [each for each in timeline.verdicts if each.verdict in detection]
        drawn += [
            Plot(
                name="detection",
                caption="When, and how long after the last renewal of the node",
                figure=plots.detection(detected, limits),
            ),
            Plot(
                name="detection-distribution",
                caption="How long after the last renewal, all of them",
                figure=detection_distribution(detection, limits),
            ),
        ]
    return Section(
        topic=topic,
        title=verdicts_text(timeline),
        about="What the control plane wrote on Nodes. Unknown: no sign of life for the grace period, which it looks "
        "for every few seconds. Tainted: nothing new is scheduled there. Evicting: its pods have to go. Ready, "
        "untainted and sparing: that this is over.",
        plots=drawn,
        html=verdict_table(timeline),
    )
