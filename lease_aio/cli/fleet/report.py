"""How a fleet does, for people and for programs. Pure."""

from __future__ import annotations

from typing import Any

from lease_aio.cli.numbers import rate, spread_of, spread_text
from lease_aio.heartbeat import FleetReport


def fields_of(report: FleetReport) -> dict[str, Any]:
    """The report for programs; histograms run from the start."""
    return {
        "nodes": report.nodes,
        "fresh": report.fresh,
        "late": report.late,
        "pending": report.pending,
        "states": dict(report.states),
        "renewals": report.renewals,
        "renewals_per_s": round(report.renewals_per_s, 1),
        "lateness_s": spread_of(report.lateness),
        "gap_s": spread_of(report.gap),
        "errors": sum(report.errors.values()),
        "errors_by_kind": dict(report.errors),
    }


def report_text(elapsed_s: float, report: FleetReport) -> str:
    """The report for people, on one line."""
    errors = ", ".join(f"{count} {kind}" for kind, count in report.errors.items()) or "none"
    nodes = f"{report.fresh} of {report.nodes} nodes fresh, {report.late} late, {report.pending} pending"
    named = {"fresh", "late", "pending"}
    nodes += "".join(f", {count} {state}" for state, count in report.states.items() if count and state not in named)
    return (
        f"{elapsed_s:5.0f} s  {nodes}"
        f" · {rate(report.renewals_per_s)} renewals/s · late by {spread_text(report.lateness)}"
        f" · gap {spread_text(report.gap)} · errors: {errors}"
    )
