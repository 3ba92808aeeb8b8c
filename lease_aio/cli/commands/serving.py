"""`lease-aio demo` and `serve`: the embedded API server, shown and served."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lease_aio.cli.commands.connected import Work, connection, run_connected
from lease_aio.cli.demo.plan import plan_for
from lease_aio.cli.demo.run import run_demo
from lease_aio.cli.options import Context, Embedded, Json, Kubeconfig, Namespace, Verbose
from lease_aio.cli.output import Output
from lease_aio.cli.runner import execute
from lease_aio.cli.serve import serve_until_stopped


def demo_command(
    *,
    seconds: Annotated[float, typer.Option(help="How long; the timings are scaled to fit.")] = 30.0,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Watch elections, 1,000 node heartbeats and API server identities on one client, one loop, one scheduler.

    Runs on an embedded API server, over HTTP on loopback; with --kubeconfig or --context on that cluster, where it
    deletes in the end what it created. One leader crashes, one resigns, 50 nodes fall silent. The report at the end is
    checked against what the server stored; where they differ, the exit code is 1.

    With --json: events demo, started, crashed, restarted, resigned, lost, handover, silenced, progress, report.
    """
    embedded = embedded or (kubeconfig is None and context is None)

    def prepare() -> Work:
        plan = plan_for(seconds)
        return lambda session, output: run_demo(session, plan, output)

    run_connected(
        lambda: connection(kubeconfig, context, namespace, embedded=embedded), prepare, json=json, verbose=verbose
    )


def serve_command(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free one.")] = 0,
    host: Annotated[str, typer.Option(help="A loopback address.")] = "127.0.0.1",
    kubeconfig_out: Annotated[
        Path | None, typer.Option(help="Write a kubeconfig for kubectl and others there, mode 0600; it is not removed.")
    ] = None,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Let --host be one that other machines reach: nothing protects it.")
    ] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Run the embedded API server until it is stopped."""
    output = Output(json=json)

    async def run() -> int:
        return await serve_until_stopped(
            output, host=host, port=port, kubeconfig_out=kubeconfig_out, allow_remote=allow_remote
        )

    execute(run, output, verbose=verbose)
