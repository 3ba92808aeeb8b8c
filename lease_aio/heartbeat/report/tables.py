"""The tables of the page, as HTML. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from lease_aio.heartbeat.record.history import TimelineSnapshot
from lease_aio.heartbeat.record.tally import FleetReport
from lease_aio.heartbeat.report.summary import Finding, Level, number
from lease_aio.scheduler import HistogramSnapshot
from lease_aio.words import length, span

_LEVELS = {Level.SEEN: "· seen", Level.GOOD: "✓ good", Level.NOTICE: "! look", Level.BAD: "✗ bad"}
_ROWS_SHOWN = 200
_ROWS_UNFOLDED = 12


def findings_table(rows_seen: Sequence[Finding]) -> str:
    """The summary, one row a finding."""
    rows = "".join(
        f'<tr><th scope="row">{escape(row.about)}</th><td class="text">{escape(row.text)}</td>'
        f'<td class="how"><span class="level {row.level.value}">{_LEVELS[row.level]}</span></td></tr>'
        for row in rows_seen
    )
    return f'<div class="table"><table class="findings"><tbody>{rows}</tbody></table></div>'


def percentile_list(histogram: HistogramSnapshot) -> str:
    """Where the values of a histogram lie."""
    values = {
        "shortest": histogram.min_s,
        "mean": histogram.mean_s,
        **{f"p{percent:g}": histogram.percentile(percent) for percent in (50, 90, 99, 99.9)},
        "longest": histogram.max_s,
    }
    return _pairs({name: span(value) for name, value in values.items()}, "percentiles")


def _pairs(values: Mapping[str, str], kind: str) -> str:
    pairs = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in values.items())
    return f'<dl class="{kind}">{pairs}</dl>'


def step_table(timeline: TimelineSnapshot) -> str:
    """The steps of the scenario and its expectations, numbered as in the plot; folded if there are many."""
    if not timeline.marks:
        return ""
    rows = [(str(place), length(mark.at_s), mark.text) for place, mark in enumerate(timeline.marks, start=1)]
    heads = ("", "After", "What was done, and what was expected")
    if len(rows) <= _ROWS_UNFOLDED:
        return _table(heads, rows)
    return _folded(f"{number(len(rows) + timeline.marks_left_out)} steps", heads, rows, timeline.marks_left_out)


def verdict_table(timeline: TimelineSnapshot) -> str:
    """Who and when, folded."""
    rows = [
        (
            f"{each.at_s:.1f} s",
            each.node,
            each.verdict,
            "" if each.since_renewal_s is None else f"{each.since_renewal_s:.1f} s",
        )
        for each in timeline.verdicts
    ]
    what = f"Who and when: {number(len(rows) + timeline.verdicts_left_out)} verdicts"
    heads = ("After", "Node", "Verdict", "Since its last renewal")
    return _folded(what, heads, rows, timeline.verdicts_left_out)


def _folded(what: str, heads: Sequence[str], rows: Sequence[Sequence[str]], left_out: int) -> str:
    """A table that opens when it is asked for; of very many rows the first."""
    if left_out or len(rows) > _ROWS_SHOWN:
        what = f"{what}, of which the first {_ROWS_SHOWN} are listed"
    return f"<details><summary>{what}</summary>{_table(heads, rows[:_ROWS_SHOWN])}</details>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="table"><table class="rows"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def parameter_list(report: FleetReport, grace_s: float) -> str:
    """How the fleet was set up."""
    rules = report.parameters
    longest_s = rules.renew_interval_s * (1 + rules.jitter)
    values: Mapping[str, str] = {
        "Fleet": rules.name,
        "Nodes at the end": number(report.nodes),
        "Length of the run": length(report.timeline.length_s) if report.timeline else "not known",
        "Lease duration": f"{rules.lease_duration_s:g} s",
        "Renewed every": f"{rules.renew_interval_s:g} to {longest_s:g} s",
        "Grace of the control plane, assumed": f"{grace_s:g} s",
        "First renewals": "spread over one interval" if rules.spread_start else "all at once",
        "Nodes registered": "yes" if rules.registered else "no, leases only",
        "Node status reported": "yes" if rules.status else "no",
        "Namespace of the leases": rules.namespace,
    }
    if report.timeline:
        values = {**values, "Resolution of the timeline": f"{report.timeline.slot_s:g} s"}
    return _pairs(values, "parameters")
