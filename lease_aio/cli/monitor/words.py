"""Verdicts as people and programs read them. Pure."""

from __future__ import annotations

import enum
from typing import Any

from lease_aio.cli.numbers import span
from lease_aio.heartbeat import (
    DisruptionVerdict,
    Finding,
    MonitorReport,
    NodeVerdict,
    Sight,
    SightVerdict,
    TaintVerdict,
    Verdict,
    Zone,
    ZoneState,
    ZoneVerdict,
)
from lease_aio.heartbeat.monitor import Availability, Effect, NodesView, Reason, ZoneView

FINDINGS = {
    Finding.NEW: "new",
    Finding.PENDING: "pending",
    Finding.READY: "Ready",
    Finding.NOT_READY: "NotReady",
    Finding.UNKNOWN: "Unknown",
    Finding.RECOVERED: "recovered",
    Finding.DELETED: "deleted",
}
STATES = {
    Availability.READY: "Ready",
    Availability.NOT_READY: "NotReady",
    Availability.UNKNOWN: "Unknown",
    Availability.PENDING: "pending",
}
ZONE_STATES = {
    ZoneState.INITIAL: "not judged yet",
    ZoneState.NORMAL: "normal",
    ZoneState.PARTIAL: "partial disruption",
    ZoneState.FULL: "full disruption",
}
_REASONS = {
    Reason.SILENT: "silent for {silent}",
    Reason.NEVER_POSTED: "never posted a status, and silent for {silent}",
    Reason.WRITTEN: "Unknown was written on its Node",
    Reason.HEARD: "heard again",
}


class Weight(enum.Enum):
    """How much a verdict matters to somebody who looks."""

    DETAIL = "detail"
    """Only for those who want everything."""

    GOOD = "good"
    BAD = "bad"
    NEUTRAL = "neutral"


_WEIGHTS = {
    Finding.READY: Weight.GOOD,
    Finding.RECOVERED: Weight.GOOD,
    Finding.NOT_READY: Weight.BAD,
    Finding.UNKNOWN: Weight.BAD,
}


def zone_text(zone: Zone) -> str:
    """A zone for people; nodes without a zone form one too."""
    return str(zone) or "(no zone)"


def rate_text(per_s: float) -> str:
    """An eviction rate for people: the inverse, which is what the numbers mean."""
    return f"1 every {1 / per_s:g} s" if per_s else "stopped"


def text_of(verdict: Verdict) -> str:
    """One line for people, without the time."""
    match verdict:
        case NodeVerdict():
            return _node_text(verdict)
        case TaintVerdict():
            sign = "+" if verdict.added else "-"
            return f"{verdict.node} {sign} {verdict.key}:{verdict.effect.value}"
        case ZoneVerdict():
            return (
                f"zone {zone_text(verdict.zone)}: {ZONE_STATES[verdict.state]}, {verdict.not_ready} of {verdict.nodes} "
                f"not ready; evictions {rate_text(verdict.rate_per_s)}"
            )
        case DisruptionVerdict(stopped=True):
            return f"evictions stop everywhere: {verdict.not_ready} of {verdict.nodes} nodes are not ready"
        case DisruptionVerdict():
            return "evictions go on, and every node has a new grace"
        case SightVerdict():
            return _sight_text(verdict)


def _node_text(verdict: NodeVerdict) -> str:
    place = f" in zone {verdict.zone}" if str(verdict.zone) else ""
    silent = "–" if verdict.silent_s is None else span(verdict.silent_s)
    why = _REASONS.get(verdict.reason, "").format(silent=silent)
    what = FINDINGS[verdict.finding]
    if verdict.finding is Finding.NEW:
        what += f", {STATES[verdict.state]}"
    return f"{verdict.node} {what}{f': {why}' if why else ''}{place}"


def _sight_text(verdict: SightVerdict) -> str:
    match verdict.sight:
        case Sight.BLIND:
            return f"blind, so nobody is judged: {verdict.why}"
        case Sight.LEASES_ONLY:
            return verdict.why
        case Sight.FULL if verdict.was is Sight.BLIND:
            return f"seeing again, after {span(verdict.lasted_s)}"
        case _:
            return "all Nodes and Leases are listed"


def weight_of(verdict: Verdict) -> Weight:
    """How much it matters."""
    match verdict:
        case NodeVerdict():
            return _node_weight(verdict)
        case TaintVerdict(effect=Effect.NO_SCHEDULE):
            return Weight.DETAIL
        case TaintVerdict():
            return Weight.BAD if verdict.added else Weight.GOOD
        case ZoneVerdict():
            return _zone_weight(verdict)
        case DisruptionVerdict():
            return Weight.BAD if verdict.stopped else Weight.GOOD
        case SightVerdict():
            return Weight.BAD if verdict.sight is Sight.BLIND else Weight.NEUTRAL


def _node_weight(verdict: NodeVerdict) -> Weight:
    if verdict.finding is Finding.NEW and verdict.state is Availability.READY:
        return Weight.DETAIL
    return _WEIGHTS.get(verdict.finding, Weight.NEUTRAL)


def _zone_weight(verdict: ZoneVerdict) -> Weight:
    if verdict.state is not ZoneState.NORMAL:
        return Weight.BAD
    return Weight.DETAIL if verdict.was is ZoneState.INITIAL else Weight.GOOD


def event_of(verdict: Verdict) -> tuple[str, dict[str, Any]]:
    """The name of its event, and its fields for programs."""
    match verdict:
        case NodeVerdict():
            return "verdict", {
                "node": verdict.node,
                "finding": verdict.finding.value,
                "state": verdict.state.value,
                "was": None if verdict.was is None else verdict.was.value,
                "reason": verdict.reason.value,
                "silent_s": None if verdict.silent_s is None else round(verdict.silent_s, 3),
                **_place(verdict.zone),
            }
        case TaintVerdict():
            return "taint", {
                "node": verdict.node,
                "key": verdict.key,
                "effect": verdict.effect.value,
                "added": verdict.added,
                **_place(verdict.zone),
            }
        case ZoneVerdict():
            return "zone", {
                **_place(verdict.zone),
                "state": verdict.state.value,
                "was": verdict.was.value,
                "nodes": verdict.nodes,
                "not_ready": verdict.not_ready,
                "rate_per_s": verdict.rate_per_s,
            }
        case DisruptionVerdict():
            return "disruption", {
                "stopped": verdict.stopped,
                "nodes": verdict.nodes,
                "not_ready": verdict.not_ready,
            }
        case SightVerdict():
            return "blind", {
                "blind": verdict.sight is Sight.BLIND,
                "sight": verdict.sight.value,
                "was": verdict.was.value,
                "why": verdict.why,
                "lasted_s": round(verdict.lasted_s, 3),
            }


def _place(zone: Zone) -> dict[str, str]:
    return {"region": zone.region, "zone": zone.name}


def counts_text(counts: dict[Availability, int]) -> str:
    """How many nodes are what, for people; what there is none of is left out, but for Ready."""
    shown = [
        f"{counts[state]} {word}" for state, word in STATES.items() if counts[state] or state is Availability.READY
    ]
    return ", ".join(shown)


def summary_text(nodes: NodesView, report: MonitorReport) -> str:
    """The last line."""
    unknown, recovered = (report.findings.get(one, 0) for one in (Finding.UNKNOWN, Finding.RECOVERED))
    return (
        f"{len(nodes)} nodes: {counts_text(nodes.by_state())}; {unknown} became Unknown, {recovered} recovered in "
        f"{report.passes} passes" + (f", {report.held} of them blind" if report.held else "")
    )


def summary_fields(nodes: NodesView, zones: tuple[ZoneView, ...], report: MonitorReport) -> dict[str, Any]:
    """The same for programs."""
    return {
        "nodes": {state.value: count for state, count in nodes.by_state().items()},
        "zones": [
            {
                **_place(one.zone),
                "state": one.state.value,
                "nodes": one.nodes,
                "not_ready": one.not_ready,
                "excluded": one.excluded,
                "rate_per_s": one.rate_per_s,
                "queued": one.queued,
            }
            for one in zones
        ],
        "findings": {finding.value: count for finding, count in report.findings.items()},
        "passes": report.passes,
        "held": report.held,
        "pass_s": {"mean": round(report.pass_s.mean_s, 6), "max": round(report.pass_s.max_s, 6)},
        "asked": report.asked,
        "refuted": report.refuted,
    }
