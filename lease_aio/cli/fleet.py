"""`lease-aio fleet`: the heartbeats of many simulated nodes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import anyio

from lease_aio.cli.collector import rarely_collecting
from lease_aio.cli.connection import probe
from lease_aio.cli.numbers import rate, spread_of, spread_text
from lease_aio.cli.output import Output
from lease_aio.client import LeaseClient
from lease_aio.errors import ApiError, ConfigurationError, Invalid, NotFound, Refused
from lease_aio.heartbeat import Fleet, FleetReport
from lease_aio.heartbeat.rules import NODE_LEASES
from lease_aio.naming import check_lease_name

REPORT_EVERY_S = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetOptions:
    """What `fleet` was asked for.

    Attributes:
        nodes: How many.
        prefix: Of their names.
        register: Create the Nodes too, with a Ready status.
        delete: Delete at the end what was created.
        seconds: How long; infinity until stopped.
        lease_duration_s: Whole seconds; renewed every quarter of it.

    Raises:
        ConfigurationError: a number is out of range.
    """

    nodes: int
    prefix: str
    register: bool
    delete: bool
    seconds: float = math.inf
    lease_duration_s: int = 40

    def __post_init__(self) -> None:
        if self.nodes < 1:
            raise ConfigurationError(f"--nodes {self.nodes} must be 1 or more")
        try:
            check_lease_name(f"{self.prefix}0")
        except ConfigurationError as error:
            raise ConfigurationError(f"--prefix {self.prefix!r}: {error}") from error
        if not self.seconds > 0:
            raise ConfigurationError(f"--seconds {self.seconds:g} must be more than 0; without it, until stopped")


class _Failures:
    """Remembers the last error, and tells people about the first of each kind."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._told: set[tuple[type[ApiError], int]] = set()
        self.last: ApiError | None = None

    def hear(self, node: str, error: ApiError) -> None:
        self.last = error
        kind = type(error), error.status
        if kind not in self._told:
            self._told.add(kind)
            self._output.note(f"lease-aio: warning: node {node}: {error} (told once for each kind of error)")


async def run_fleet(leases: LeaseClient, options: FleetOptions, output: Output) -> int:
    """Renew until the time is over or the command is cancelled; say every 5 s how it goes, and once more at the end.

    Raises:
        ApiError: the server refuses for good, or cannot be reached at the start.
    """
    await probe(leases, namespace=NODE_LEASES)
    failures = _Failures(output)
    fleet = leases.fleet(
        nodes=options.nodes,
        prefix=options.prefix,
        register=options.register,
        delete_on_exit=options.delete,
        lease_duration_s=options.lease_duration_s,
        on_failure=failures.hear,
    )
    output.event(
        "registering" if options.register else "starting",
        f"{options.nodes} nodes, first renewals spread over {options.lease_duration_s / 4:g} s"
        + (f"; registering {options.nodes} Node objects first" if options.register else ""),
        nodes=options.nodes,
        namespace=NODE_LEASES,
    )
    with rarely_collecting() as all_are_there:
        async with fleet:
            all_are_there()
            await _report_until_over(fleet, options.seconds, failures, output)
    if options.delete:
        output.event("deleted", "deleted what was created")
    return 0


async def _report_until_over(fleet: Fleet, seconds: float, failures: _Failures, output: Output) -> None:
    elapsed_s = 0.0
    start = anyio.current_time()
    try:
        while elapsed_s < seconds:
            await anyio.sleep_until(start + min(elapsed_s + REPORT_EVERY_S, seconds))
            elapsed_s = min(elapsed_s + REPORT_EVERY_S, seconds)
            report = fleet.report()
            give_up_if_hopeless(report, failures.last)
            if elapsed_s < seconds:
                _tell(output, "progress", elapsed_s, report)
    finally:
        _tell(output, "report", anyio.current_time() - start, fleet.report())


def give_up_if_hopeless(report: FleetReport, error: ApiError | None) -> None:
    """Raise the error of a fleet in which nothing was ever renewed, and which waiting does not mend."""
    hopeless = isinstance(error, Refused | Invalid) or (isinstance(error, NotFound) and error.namespace_missing)
    if not report.renewals and error is not None and hopeless:
        raise error


def fields_of(report: FleetReport) -> dict[str, Any]:
    """The report for programs; histograms run from the start."""
    return {
        "nodes": report.nodes,
        "fresh": report.fresh,
        "late": report.late,
        "pending": report.pending,
        "renewals": report.renewals,
        "renewals_per_s": round(report.renewals_per_s, 1),
        "lateness_s": spread_of(report.lateness),
        "gap_s": spread_of(report.gap),
        "errors": sum(report.errors.values()),
        "errors_by_kind": dict(report.errors),
    }


def _tell(output: Output, event: str, elapsed_s: float, report: FleetReport) -> None:
    output.event(event, report_text(elapsed_s, report), elapsed_s=round(elapsed_s, 1), **fields_of(report))


def report_text(elapsed_s: float, report: FleetReport) -> str:
    """The report for people, on one line."""
    errors = ", ".join(f"{count} {kind}" for kind, count in report.errors.items()) or "none"
    nodes = f"{report.fresh} of {report.nodes} nodes fresh, {report.late} late, {report.pending} pending"
    return (
        f"{elapsed_s:5.0f} s  {nodes}"
        f" · {rate(report.renewals_per_s)} renewals/s · late by {spread_text(report.lateness)}"
        f" · gap {spread_text(report.gap)} · errors: {errors}"
    )
