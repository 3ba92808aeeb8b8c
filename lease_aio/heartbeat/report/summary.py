"""What a report says, in plain words, and how it is to be taken. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from lease_aio.heartbeat.record.history import TimelineSnapshot
from lease_aio.heartbeat.record.tally import FleetReport, beating
from lease_aio.heartbeat.report.series import counted_above, due_in_all, in_order
from lease_aio.words import rate, span

GRACE_S = 50.0
"""How long Kubernetes waits for a sign of life before it calls a node Unknown, by default since 1.32."""

_LATE_PART = 0.025  # of the renew interval: a start that is later than this shows
_DUE_PART = 0.95  # of what is due: below it renewals fall behind


class Level(enum.Enum):
    """How a finding is to be taken; what was seen is neither good nor bad."""

    SEEN = "seen"
    GOOD = "good"
    NOTICE = "notice"
    BAD = "bad"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One row of the summary.

    Attributes:
        about: What was looked at.
        text: What was seen, in words, with what it is measured against.
        level: How that is to be taken.
    """

    about: str
    text: str
    level: Level


def findings(report: FleetReport, grace_s: float = GRACE_S) -> list[Finding]:
    """What there is to say of a report, the most important first.

    Args:
        report: Of which fleet.
        grace_s: How long the control plane waits for a node.
    """
    if not report.nodes and not report.renewals:
        return [Finding(about="Nodes", text="the fleet has no nodes, and nothing was renewed", level=Level.NOTICE)]
    rows = [_nodes(report), _renewals(report), _gap(report, grace_s), _lateness(report), _errors(report)]
    return [*rows, *_verdicts(report)]


def number(count: float) -> str:
    """A count with thousands apart."""
    return f"{count:,.0f}"


def _nodes(report: FleetReport) -> Finding:
    states = report.states or {
        "fresh": report.fresh,
        "late": report.late,
        "silenced": report.silenced,
        "pending": report.pending,
    }
    others = [f"{number(count)} {state}" for state, count in states.items() if count and state != "fresh"]
    text = f"{number(states.get('fresh', 0))} of {number(report.nodes)} are fresh at the end"
    level = Level.BAD if report.late else Level.GOOD
    if level is Level.GOOD and beating(states) and not states.get("fresh") and not states.get("unready"):
        level = Level.NOTICE
    return Finding(about="Nodes", text=", ".join([text, *others]), level=level)


def _renewals(report: FleetReport) -> Finding:
    length_s = report.timeline.length_s if report.timeline else 0.0
    due = due_in_all(report.timeline, report.parameters) if report.timeline else None
    text = f"{number(report.renewals)} in all"
    if not due or not length_s:
        return Finding(about="Renewals", text=text, level=Level.GOOD if report.renewals else Level.NOTICE)
    text += f", {rate(report.renewals / length_s)} a second where {rate(due / length_s)} were due"
    return Finding(
        about="Renewals", text=text, level=Level.GOOD if report.renewals >= _DUE_PART * due - 1 else Level.NOTICE
    )


def _gap(report: FleetReport, grace_s: float) -> Finding:
    gap, allowed_s = report.gap, report.parameters.lease_duration_s
    if not gap.count:
        return Finding(about="Longest gap", text="no node has renewed twice yet", level=Level.NOTICE)
    text = f"{span(gap.max_s)} of {allowed_s:g} s allowed, 99 % within {span(gap.percentile(99))}"
    if gap.max_s > grace_s:
        text = f"{span(gap.max_s)}, longer than the {grace_s:g} s that the control plane waits"
        return Finding(about="Longest gap", text=f"{text}; {_longer(report, grace_s)}", level=Level.BAD)
    if gap.max_s > allowed_s:
        text = f"{span(gap.max_s)} where {allowed_s:g} s are allowed; {_longer(report, allowed_s)}"
    return Finding(about="Longest gap", text=text, level=Level.NOTICE if gap.max_s > allowed_s else Level.GOOD)


def _longer(report: FleetReport, limit_s: float) -> str:
    count = max(1, counted_above(report.gap, limit_s))
    return f"{number(count)} of {number(report.gap.count)} gaps are longer than that"


def _lateness(report: FleetReport) -> Finding:
    lateness, interval_s = report.lateness, report.parameters.renew_interval_s
    if not lateness.count:
        return Finding(about="Lateness", text="no renewal has started yet", level=Level.NOTICE)
    p99_s = lateness.percentile(99)
    text = f"99 % of renewals start within {span(p99_s)} of their time, the latest {span(lateness.max_s)} after it"
    if p99_s > _LATE_PART * interval_s:
        return Finding(about="Lateness", text=f"{text}: this process is the slow part", level=Level.NOTICE)
    return Finding(about="Lateness", text=text, level=Level.GOOD)


def _errors(report: FleetReport) -> Finding:
    if not report.errors:
        return Finding(about="Errors", text="no request failed", level=Level.GOOD)
    kinds = listed(report.errors)
    part = sum(report.errors.values()) / (sum(report.errors.values()) + report.renewals)
    return Finding(about="Errors", text=f"{kinds}: {part:.1%} of requests", level=Level.NOTICE)


def listed(counts: Mapping[str, int]) -> str:
    """`12 throttled, 3 conflict`: the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{number(count)} {word.replace('_', ' ')}" for word, count in ordered)


def _verdicts(report: FleetReport) -> list[Finding]:
    if report.timeline is None or not report.timeline.verdict_counts:
        return []
    return [Finding(about="Verdicts", text=f"{verdicts_text(report.timeline)} by the control plane", level=Level.SEEN)]


def verdicts_text(timeline: TimelineSnapshot) -> str:
    """`100 unknown (50.1–55.0 s after the last renewal), 100 tainted, 100 ready`."""
    counts, unknown = timeline.verdict_counts, timeline.detection.get("unknown")
    words = {word: f"{number(counts[word])} {word}" for word in in_order(counts)}
    if unknown is not None:
        low, high = f"{unknown.min_s:.1f}", f"{unknown.max_s:.1f}"
        words["unknown"] += f" ({low if low == high else f'{low}–{high}'} s after the last renewal)"
    return ", ".join(words.values())
