"""`lease-aio lead`: a command that runs while a Lease is held."""

from __future__ import annotations

from typing import Annotated

import typer

from lease_aio.cli.commands.connected import Work, connection, run_connected
from lease_aio.cli.lead import LeadOptions, lead, lead_timing
from lease_aio.cli.options import Context, Embedded, Json, Kubeconfig, Namespace, Verbose
from lease_aio.election import Guard


def lead_command(
    *,
    name: Annotated[str, typer.Argument(help="The Lease to hold.")],
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND", help="Run while leading; else the Lease is held until stopped."),
    ] = None,
    identity: Annotated[str | None, typer.Option(help="Written as holder; unique by default.")] = None,
    lease_duration: Annotated[int, typer.Option(help="Seconds that others wait for a silent holder.")] = 15,
    renew_interval: Annotated[float, typer.Option(help="Seconds between two renewals.")] = 3.0,
    grace: Annotated[float, typer.Option(help="Seconds from SIGTERM to SIGKILL for the command.")] = 4.0,
    forever: Annotated[
        bool,
        typer.Option("--forever", help="Contend again when the term is lost, and wait for a server that is away."),
    ] = False,
    guard: Annotated[
        bool,
        typer.Option(
            help="End this process, with code 70, should it be stuck when its term is over; the command dies with it."
        ),
    ] = True,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Contend for a Lease, and run a command while holding it.

    The command has a process group of its own and sees LEASE_AIO_TOKEN, LEASE_AIO_HOLDER and LEASE_AIO_LEASE. When the
    term ends or lease-aio is stopped, the group gets SIGTERM, after the grace SIGKILL, and only then is the Lease
    released. If lease-aio itself is killed or frozen, a guard process kills the group.

    With --json the command's standard output goes to standard error. Events: waiting, started, duplicate, stopped,
    released.
    """

    def prepare() -> Work:
        timing = lead_timing(lease_duration_s=lease_duration, renew_interval_s=renew_interval, grace_s=grace)
        options = LeadOptions(
            name=name, identity=identity, timing=timing, command=tuple(command or ()), forever=forever
        )
        return lambda session, output: lead(session.leases, options, output)

    run_connected(
        lambda: connection(kubeconfig, context, namespace, embedded=embedded),
        prepare,
        json=json,
        verbose=verbose,
        guard=Guard() if guard else None,
    )
