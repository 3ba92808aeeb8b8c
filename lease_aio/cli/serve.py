"""`lease-aio serve`: the embedded API server on its own."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import anyio

from lease_aio.cli.output import Output
from lease_aio.errors import ConfigurationError
from lease_aio.server import serve


async def serve_until_stopped(
    output: Output, *, host: str, port: int, kubeconfig_out: Path | None, allow_remote: bool
) -> int:
    """Serve until cancelled.

    Args:
        output: Where the URL is told.
        host: A loopback address, unless `allow_remote`.
        port: 0 for any free one.
        kubeconfig_out: Written with mode 0600; not removed at the end.
        allow_remote: Listen where other machines can reach it.

    Raises:
        ConfigurationError: the address cannot be listened on, or the file cannot be written.
    """
    try:
        async with serve(host=host, port=port, allow_remote=allow_remote) as server:
            if kubeconfig_out is not None:
                write_private(kubeconfig_out, server.kubeconfig())
            where = str(kubeconfig_out) if kubeconfig_out else None
            output.event("serving", _how_to_use(server.url, where), url=server.url, kubeconfig=where)
            await anyio.sleep_forever()
    except ConfigurationError:
        raise
    except ValueError as error:
        raise ConfigurationError(f"--host: {error}; on the command line: --allow-remote") from error
    except OSError as error:
        other = "--port" if error.errno == errno.EADDRINUSE else "--host or --port"
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}; choose another {other}") from error
    return 0


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in place of what is there.

    Raises:
        ConfigurationError: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ConfigurationError(f"--kubeconfig-out {path}: {error.strerror}; choose another file") from error


def _how_to_use(url: str, kubeconfig: str | None) -> str:
    kubectl = f"kubectl --kubeconfig {kubeconfig}" if kubeconfig else f"kubectl --server {url}"
    ours = f"lease-aio fleet --nodes 100 --kubeconfig {kubeconfig}" if kubeconfig else ""
    lines = [
        f"embedded API server: {url} (plain http, no login, all in memory)",
        f"  {kubectl} get leases -A",
        *([f"  {ours}"] if ours else []),
        "Ctrl-C stops it; what it stores is gone then.",
    ]
    return "\n".join(lines)
