"""What the commands share that speak with an API server: the common options as one value, and a client for the work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from lease_aio.cli.connection import Connection, Opened, opened
from lease_aio.cli.output import Output
from lease_aio.cli.runner import execute
from lease_aio.election import Guard

Work = Callable[[Opened, Output], Awaitable[int]]


def connection(kubeconfig: Path | None, context: str | None, namespace: str | None, *, embedded: bool) -> Connection:
    """The common options as one value."""
    return Connection(
        kubeconfig=None if kubeconfig is None else str(kubeconfig),
        context=context,
        namespace=namespace,
        embedded=embedded,
    )


def run_connected(
    where: Callable[[], Connection],
    prepare: Callable[[], Work],
    *,
    json: bool,
    verbose: bool,
    guard: Guard | None = None,
) -> None:
    """Prepare a command, open the client, run the one with the other; a bad value is told before anything starts."""
    output = Output(json=json)

    async def run() -> int:
        work = prepare()
        async with opened(where(), guard=guard) as session:
            if session.server is not None:
                output.note(f"embedded API server: {session.server.url}")
            return await work(session, output)

    execute(run, output, verbose=verbose)
