"""The report at the end of the demo, for people and for programs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lease_aio.cli.demo.plan import Plan
from lease_aio.cli.demo.report import Check
from lease_aio.cli.demo.story import Cause, Handover
from lease_aio.cli.numbers import span, spread_of, spread_text
from lease_aio.heartbeat import FleetReport
from lease_aio.scheduler import SchedulerReport


def summary_fields(
    handovers: Sequence[Handover], fleet: FleetReport, scheduler: SchedulerReport, checks: Sequence[Check]
) -> dict[str, Any]:
    """The report for programs."""
    return {
        "handovers": [
            {"cause": one.cause.value, "old": one.old, "new": one.new, "after_s": round(one.after_s, 6)}
            for one in handovers
        ],
        "renewals": fleet.renewals,
        "errors": sum(fleet.errors.values()),
        "errors_by_kind": dict(fleet.errors),
        "gap_s": spread_of(fleet.gap),
        "lateness_s": spread_of(fleet.lateness),
        "latency_s": spread_of(scheduler.beats.latency),
        "election_writes": scheduler.elections.successes,
        "election_lateness_s": spread_of(scheduler.elections.lateness),
        "checks": [asdict(check) for check in checks],
        "true": all(check.true for check in checks),
    }


def summary(
    handovers: Sequence[Handover],
    fleet: FleetReport,
    scheduler: SchedulerReport,
    checks: Sequence[Check],
    plan: Plan,
) -> RenderableType:
    """The report for people."""
    facts = Table.grid(padding=(0, 2))
    for one in handovers:
        facts.add_row(
            f"hand-over after {_article(one.cause)}", Text(span(one.after_s), "bold"), _handover_note(one, plan)
        )
    facts.add_row(
        "renewals of nodes", Text(f"{fleet.renewals}", "bold"), f"{sum(fleet.errors.values())} requests failed"
    )
    facts.add_row("gap between two of a node", Text(span(fleet.gap.percentile(50)), "bold"), spread_text(fleet.gap))
    facts.add_row("began late by", Text(span(fleet.lateness.percentile(50)), "bold"), spread_text(fleet.lateness))
    latency = scheduler.beats.latency
    facts.add_row("answered within", Text(span(latency.percentile(50)), "bold"), spread_text(latency))
    true = all(check.true for check in checks)
    verdict = (
        Text("All of this is what the server stored.", "bold green")
        if true
        else Text("NOT all of this is what the server stored.", "bold red")
    )
    return Group(Text(), facts, Text(), _checks_table(checks), Text(), verdict)


def _article(cause: Cause) -> str:
    return {Cause.CRASH: "the crash", Cause.RESIGNATION: "the resignation", Cause.LOSS: "a lost term"}[cause]


def _handover_note(one: Handover, plan: Plan) -> str:
    why = f"; a lease lasts {plan.timing.lease_duration_s} s" if one.cause is Cause.CRASH else ""
    return f"{one.old} → {one.new}{why}"


def _checks_table(checks: Sequence[Check]) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for title in ("", "claim", "claimed", "stored"):
        table.add_column(title, header_style="dim")
    for check in checks:
        mark = Text("✓", "green") if check.true else Text("✗", "bold red")
        table.add_row(mark, check.claim, _shown(check.claimed), _shown(check.stored))
    return table


def _shown(value: str) -> str:
    return value or "nobody"
