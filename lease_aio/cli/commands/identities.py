"""`lease-aio identity`: identities of API servers, published, listed and collected."""

from __future__ import annotations

from typing import Annotated

import typer

from lease_aio.cli.commands.connected import Work, connection, run_connected
from lease_aio.cli.identity import CollectOptions, PublishOptions, collect, list_identities, publish
from lease_aio.cli.options import Context, Embedded, Json, Kubeconfig, Verbose
from lease_aio.naming import KUBE_APISERVER

identity_app = typer.Typer(help="API server identities in kube-system.", no_args_is_help=True)


@identity_app.command("publish")
def identity_publish_command(
    *,
    hostname: Annotated[str | None, typer.Option(help="Of which host; else this one's name.")] = None,
    server: Annotated[str, typer.Option(help="What kind of server; two kinds on one host have two.")] = KUBE_APISERVER,
    peer_address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where other API servers reach it; an annotation.")
    ] = None,
    delete_first: Annotated[
        bool, typer.Option(help="Delete a former process's Lease (as since 1.35), or renew it under its holder.")
    ] = True,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the Lease at the end, to expire and be collected.")
    ] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Publish an API server's identity until stopped, and withdraw it then.

    Tells when a newer process of the host takes the Lease over (superseded) or another renews it, too (shared).

    With --json: events published, superseded, shared, withdrawing (with --keep: leaving).
    """

    def prepare() -> Work:
        options = PublishOptions(
            hostname=hostname, server=server, peer_address=peer_address, delete_first=delete_first, keep=keep
        )
        return lambda session, output: publish(session.leases, options, output)

    run_connected(lambda: connection(kubeconfig, context, None, embedded=embedded), prepare, json=json, verbose=verbose)


@identity_app.command("list")
def identity_list_command(
    *,
    server: Annotated[str, typer.Option(help="Of which kind of server.")] = KUBE_APISERVER,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Then tell each change, until stopped.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """List API server identities, and how fresh each is.

    STATE is fresh, late (missed renewals) or expired (a kube-apiserver would collect it), by this machine's clock.
    Those of Kubernetes 1.20 to 1.26, which have another label, are listed, but not with --watch.

    With --json: one event identity for each; then, with --watch, watching, and a change for each change.
    """

    def prepare() -> Work:
        return lambda session, output: list_identities(session.leases, output, server=server, watch=watch)

    run_connected(lambda: connection(kubeconfig, context, None, embedded=embedded), prepare, json=json, verbose=verbose)


@identity_app.command("collect")
def identity_collect_command(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="One pass, then end; else one every period, until stopped.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be deleted, and delete nothing.")] = False,
    server: Annotated[str, typer.Option(help="Of which kind of server.")] = KUBE_APISERVER,
    period: Annotated[float, typer.Option(help="Seconds from one pass to the next.")] = 3600.0,
    max_skew: Annotated[
        float, typer.Option(help="Seconds that this machine's clock may differ from the API server's.")
    ] = 60.0,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Delete the identities that have expired, as each kube-apiserver does, and nothing that is renewed.

    Whether one has expired is judged by this machine's clock; one that differs too much from the API server's deletes
    nothing.

    With --json: events collected (for each), not-collected, collection (for each pass), failed.
    """

    def prepare() -> Work:
        options = CollectOptions(server=server, once=once, dry_run=dry_run, period_s=period, max_skew_s=max_skew)
        return lambda session, output: collect(session.leases, options, output)

    run_connected(lambda: connection(kubeconfig, context, None, embedded=embedded), prepare, json=json, verbose=verbose)
