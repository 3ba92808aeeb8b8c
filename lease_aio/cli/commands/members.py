"""`lease-aio members`: groups of processes, joined and listed."""

from __future__ import annotations

from typing import Annotated

import typer

from lease_aio.cli.commands.connected import Work, connection, run_connected
from lease_aio.cli.members import JoinOptions, join, list_members
from lease_aio.cli.options import Context, Embedded, Json, Kubeconfig, Namespace, Verbose

members_app = typer.Typer(help="Groups of processes, each with a Lease of its own.", no_args_is_help=True)


@members_app.command("join")
def members_join_command(
    *,
    group: Annotated[str, typer.Argument(help="The group: a DNS label of at most 36 characters.")],
    member: Annotated[
        str | None, typer.Option(help="The member's name; whoever had it before is superseded. Unique by default.")
    ] = None,
    lease_duration: Annotated[
        int, typer.Option(help="Seconds that others believe in a silent member; renewed every quarter of it.")
    ] = 15,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Be a member of a group until stopped, and leave it then; ends, with code 1, when another has become this member.

    With --json: events joined, superseded, shared, cleared (a crashed member's Lease), leaving.
    """

    def prepare() -> Work:
        options = JoinOptions(group=group, member=member, lease_duration_s=lease_duration)
        return lambda session, output: join(session.leases, options, output)

    run_connected(
        lambda: connection(kubeconfig, context, namespace, embedded=embedded), prepare, json=json, verbose=verbose
    )


@members_app.command("list")
def members_list_command(
    *,
    group: Annotated[str, typer.Argument(help="The group.")],
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Then tell each change, until stopped.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """List whose Leases a group has.

    Who is alive cannot be told at a glance: RENEWED is by the member's clock and this machine's. With --watch it is
    told, by this machine's monotonic clock alone: joined, replaced, lost, returned, left.

    With --json: one event member for each; then, with --watch, watching, and a change for each change.
    """

    def prepare() -> Work:
        return lambda session, output: list_members(session.leases, output, group=group, watch=watch)

    run_connected(
        lambda: connection(kubeconfig, context, namespace, embedded=embedded), prepare, json=json, verbose=verbose
    )
