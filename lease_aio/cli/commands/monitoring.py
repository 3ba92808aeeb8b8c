"""`lease-aio monitor`: which nodes are available."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from lease_aio.cli.commands.connected import Work, connection, run_connected
from lease_aio.cli.monitor import MonitorOptions, monitor_settings, run_monitor
from lease_aio.cli.options import Context, Embedded, Json, Kubeconfig, Verbose


def monitor_command(
    *,
    release: Annotated[
        str | None, typer.Option(help="Judge as kube-controller-manager of that release, e.g. 1.31.")
    ] = None,
    grace: Annotated[float | None, typer.Option(help="Seconds without a sign of life; 50, before 1.32 40.")] = None,
    startup_grace: Annotated[float | None, typer.Option(help="The same for a Node that never posted a status.")] = None,
    period: Annotated[float | None, typer.Option(help="Seconds between two passes; 5.")] = None,
    renew_interval: Annotated[float, typer.Option(help="How often the leases are renewed.")] = 10.0,
    careful: Annotated[
        bool, typer.Option("--careful", help="Let any change of a Lease count, and no time spent blind.")
    ] = False,
    alone: Annotated[
        bool, typer.Option("--alone", help="Do not take over an Unknown that somebody wrote on a Node.")
    ] = False,
    seconds: Annotated[float | None, typer.Option(help="How long; until stopped by default.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Tell also of new nodes that are Ready, and of NoSchedule taints.")
    ] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Judge which nodes are available, as the control plane does, from their Nodes and Leases; write nothing.

    Shows nodes by state, zones with the rate at which they would be evicted, and each verdict as it comes. Where Nodes
    may not be listed, by their Leases alone.

    With --json: events monitoring, verdict, taint, zone, disruption, blind, report.
    """

    def prepare() -> Work:
        options = MonitorOptions(
            settings=monitor_settings(
                release=release,
                grace_s=grace,
                startup_grace_s=startup_grace,
                period_s=period,
                renew_interval_s=renew_interval,
                careful=careful,
                alone=alone,
            ),
            seconds=math.inf if seconds is None else seconds,
            everything=everything,
        )
        return lambda session, output: run_monitor(session, options, output)

    run_connected(lambda: connection(kubeconfig, context, None, embedded=embedded), prepare, json=json, verbose=verbose)
