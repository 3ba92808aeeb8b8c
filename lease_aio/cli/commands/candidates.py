"""`lease-aio candidates`: coordinated elections, run in, listed and coordinated."""

from __future__ import annotations

from typing import Annotated

import typer

from lease_aio.cli.candidates import coordinate, list_candidates
from lease_aio.cli.commands.connected import Work, connection, run_connected
from lease_aio.cli.lead import LeadOptions, lead, lead_timing
from lease_aio.cli.options import Context, Embedded, Json, Kubeconfig, Namespace, Verbose
from lease_aio.election import Guard
from lease_aio.election.coordinated import FALLBACK_AFTER_S, OLDEST_EMULATION_VERSION, CandidateInfo

candidates_app = typer.Typer(help="Candidates of coordinated elections (KEP-4355).", no_args_is_help=True)


@candidates_app.command("run")
def candidates_run_command(
    *,
    name: Annotated[str, typer.Argument(help="The Lease to hold.")],
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND", help="Run while leading; else the Lease is held until stopped."),
    ] = None,
    binary_version: Annotated[str, typer.Option(help="What the program is: strict semver, such as 1.31.0.")],
    emulation_version: Annotated[str, typer.Option(help="Which version it behaves as; the binary's by default.")] = "",
    strategy: Annotated[
        str, typer.Option(help="How the coordinator is to choose; one of your own is example.com/name.")
    ] = OLDEST_EMULATION_VERSION,
    fallback_after: Annotated[
        float, typer.Option(help="Seconds to leave a free Lease to the coordinator, before it is simply taken.")
    ] = FALLBACK_AFTER_S,
    identity: Annotated[str | None, typer.Option(help="Written as holder; unique by default.")] = None,
    lease_duration: Annotated[int, typer.Option(help="Seconds that others wait for a silent holder.")] = 15,
    renew_interval: Annotated[float, typer.Option(help="Seconds between two renewals.")] = 3.0,
    grace: Annotated[float, typer.Option(help="Seconds from SIGTERM to SIGKILL for the command.")] = 4.0,
    forever: Annotated[
        bool,
        typer.Option("--forever", help="Contend again when the term is lost, or another is preferred."),
    ] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Be a candidate of a coordinated election, and run a command while leading, as `lead` does.

    Publishes a LeaseCandidate, waits for the coordinator's choice, makes room for whom it prefers. Where nobody
    coordinates, the Lease is taken after --fallback-after as in a plain election. Events as those of `lead`; the event
    started says whether a coordinator chose: appointed.
    """

    def prepare() -> Work:
        timing = lead_timing(lease_duration_s=lease_duration, renew_interval_s=renew_interval, grace_s=grace)
        info = CandidateInfo(
            binary_version=binary_version,
            emulation_version=emulation_version,
            strategy=strategy,
            fallback_after_s=fallback_after,
        )
        options = LeadOptions(
            name=name,
            identity=identity,
            timing=timing,
            command=tuple(command or ()),
            forever=forever,
            coordinated=info,
        )
        return lambda session, output: lead(session.leases, options, output)

    run_connected(
        lambda: connection(kubeconfig, context, namespace, embedded=embedded),
        prepare,
        json=json,
        verbose=verbose,
        guard=Guard(),
    )


@candidates_app.command("list")
def candidates_list_command(
    *,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Those of all namespaces.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """List candidates, what they say of themselves, and where they stand. With --json: one event candidate for each."""

    def prepare() -> Work:
        return lambda session, output: list_candidates(session.leases, output, everywhere=everywhere)

    run_connected(
        lambda: connection(kubeconfig, context, namespace, embedded=embedded), prepare, json=json, verbose=verbose
    )


@candidates_app.command("coordinate")
def candidates_coordinate_command(
    *,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="For all namespaces.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Be the coordinator until stopped, for a cluster that has none: the oldest emulation version leads.

    Of several, one acts at a time. Events: coordinating, asked, appointed, preferred, stuck, unstuck.
    """

    def prepare() -> Work:
        return lambda session, output: coordinate(session.leases, output, everywhere=everywhere)

    run_connected(
        lambda: connection(kubeconfig, context, namespace, embedded=embedded), prepare, json=json, verbose=verbose
    )
