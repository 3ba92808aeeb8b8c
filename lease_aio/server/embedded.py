"""Opening and closing the embedded API server."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from lease_aio.server.faults import Faults
from lease_aio.server.rest import MAX_BODY_BYTES, Front
from lease_aio.server.store import Store

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http import RawRequestMessage
    from aiohttp.streams import StreamReader
    from aiohttp.web_protocol import RequestHandler

_STOP_GRACE_S = 2.0


class EmbeddedServer:
    """A running server. Made by `serve`; valid within its block.

    Attributes:
        host: the address that it listens on.
        port: the port that it listens on.
        store: its state, which may be read and written directly as well.
    """

    def __init__(self, *, host: str, port: int, store: Store, front: Front) -> None:
        self.host = host
        self.port = port
        self.store = store
        self._front = front

    @property
    def url(self) -> str:
        """`http://host:port`."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def faults(self) -> Faults | None:
        """What is consulted for every request, to make things go wrong; None for a server that works."""
        return self._front.faults

    @faults.setter
    def faults(self, faults: Faults | None) -> None:
        self._front.faults = faults

    def kubeconfig(self, *, token: str = "", namespace: str = "default") -> str:
        """The text of a kubeconfig file for this server.

        Args:
            token: a bearer token to put in. kubectl and client-go do not send it over plain http; others do.
            namespace: namespace of the context.
        """
        user = f"{{token: {token}}}" if token else "{}"
        return (
            "apiVersion: v1\n"
            "kind: Config\n"
            "current-context: embedded\n"
            "clusters:\n"
            f"- {{name: embedded, cluster: {{server: '{self.url}'}}}}\n"
            "users:\n"
            f"- {{name: embedded, user: {user}}}\n"
            "contexts:\n"
            f"- {{name: embedded, context: {{cluster: embedded, user: embedded, namespace: {namespace}}}}}\n"
        )


@asynccontextmanager
async def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    store: Store | None = None,
    tokens: Mapping[str, str] | None = None,
    allow_remote: bool = False,
    now: Callable[[], int] | None = None,
) -> AsyncGenerator[EmbeddedServer]:
    """Run an API server within an `async with` block; when it is left, watches end and nothing remains.

    It speaks plain http and lets everybody do everything (unless `tokens` are given), which is why it
    listens on loopback only.

    Args:
        host: a loopback address, or `localhost`.
        port: 0 for any free one.
        store: state to serve; a new one with the standard namespaces if None.
        tokens: bearer token -> user. Known users may do everything, others nothing.
        allow_remote: listen on an address that other machines can reach, all the same.
        now: wall clock, epoch microseconds.

    Raises:
        ValueError: for a host that is not loopback.
        OSError: when the port is taken.
    """
    if not allow_remote and not _is_loopback(host):
        raise ValueError(
            f"host {host!r} is not a loopback address: the embedded server is unprotected; "
            "use 127.0.0.1, or allow_remote=True if you mean it"
        )
    clock = now or _wall_clock
    state = store if store is not None else Store(now=clock())
    front = Front(state, now=clock, tokens=tokens)
    runner = web.ServerRunner(_http_server(front), handle_signals=False, shutdown_timeout=_STOP_GRACE_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0][1]
        yield EmbeddedServer(host=host, port=bound, store=state, front=front)
    finally:
        front.stop()
        await runner.cleanup()


def _http_server(front: Front) -> web.Server:
    # The low-level server: routing by hand costs less than an Application's router and middlewares.
    loop = asyncio.get_running_loop()

    def request_of(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY_BYTES)

    return web.Server(front.handle, request_factory=request_of, handler_cancellation=True, access_log=None)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM) if host == "localhost" else []
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(str(one[4][0])).is_loopback for one in found)


def _wall_clock() -> int:
    return time.time_ns() // 1_000
