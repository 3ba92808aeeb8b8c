"""`lease-aio fleet`: the heartbeats of simulated nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lease_aio.cli.commands.connected import Work, connection, run_connected
from lease_aio.cli.fleet.listing import list_scenarios
from lease_aio.cli.fleet.options import FleetOptions, decide
from lease_aio.cli.fleet.run import run_fleet
from lease_aio.cli.options import Context, Embedded, Json, Kubeconfig, Verbose
from lease_aio.cli.output import Output


def fleet_command(
    *,
    nodes: Annotated[int | None, typer.Option(help="How many simulated nodes; 100 by default.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Their names are this and a number; `node-` by default.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A YAML file with groups of nodes, their counts, zones and profiles."),
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE", help="What happens to the nodes: the name of a shipped scenario, or a YAML file."
        ),
    ] = None,
    step: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STEP",
            help="Something else that happens, as a scenario file says it: '{at: 60s, silence: zone=b, fraction: 20%, "
            "for: 90s}'. May be given again and again.",
        ),
    ] = None,
    shipped: Annotated[bool, typer.Option("--list-scenarios", help="List the shipped scenarios, and exit.")] = False,
    register: Annotated[
        bool | None,
        typer.Option(
            "--register/--no-register",
            help="Create the Node objects too, with a Ready status; those that it created before are adopted.",
        ),
    ] = None,
    status: Annotated[
        bool, typer.Option("--status/--no-status", help="Report the status of created Nodes, as a kubelet does.")
    ] = True,
    adopt_any: Annotated[
        bool, typer.Option("--adopt-any", help="Take over Nodes that somebody else created; else they are refused.")
    ] = False,
    controller: Annotated[
        bool | None,
        typer.Option(
            "--controller/--no-controller",
            help="Write on silent Nodes that they are Unknown, as kube-controller-manager does; by default with "
            "--embedded, which has none.",
        ),
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete at the end what was created, and no more.")] = False,
    seconds: Annotated[
        float | None, typer.Option(help="How long; by default until the scenario ends, or until stopped.")
    ] = None,
    lease_duration: Annotated[
        int | None, typer.Option(help="Seconds, 40 by default; renewed every quarter of it.")
    ] = None,
    spread: Annotated[
        bool, typer.Option("--spread/--no-spread", help="Spread the first renewals over one interval.")
    ] = True,
    partition: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only part I of N, for N processes that share a fleet.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write the report there at the end, as one page.")
    ] = None,
    report_json: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Write the report there at the end, as JSON.")
    ] = None,
    metrics: Annotated[
        int | None, typer.Option(metavar="PORT", help="Serve Prometheus metrics on this port of loopback; 0 for any.")
    ] = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Send the heartbeats of many simulated nodes, as their kubelets would, to kube-node-lease.

    Shows how it goes, on a terminal as a picture, else every 5 s in a line, and once more at the end. Lateness is how
    long after its time a renewal began; a gap is the time between two renewals of one node.

    A scenario says what happens to which nodes and when, and what the control plane must have made of it by then: if it
    did not, the exit code is 1.

    With --json: events starting or registering, metrics, step, verdict, expectation, progress, report, written,
    deleted.
    """
    if shipped:
        list_scenarios(Output(json=json))
        raise typer.Exit

    def prepare() -> Work:
        run = decide(
            FleetOptions(
                nodes=nodes,
                prefix=prefix,
                config=config,
                scenario=scenario,
                steps=step or (),
                register=register,
                status=status,
                adopt_any=adopt_any,
                controller=controller,
                delete=delete,
                seconds=seconds,
                lease_duration_s=lease_duration,
                spread=spread,
                partition=partition,
                report=report,
                report_json=report_json,
                metrics=metrics,
            )
        )
        return lambda session, output: run_fleet(session, run, output)

    run_connected(lambda: connection(kubeconfig, context, None, embedded=embedded), prepare, json=json, verbose=verbose)
