"""Servers on loopback that answer, or fail to, in every way that a client has to bear."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from kubernetes_asyncio.client import Configuration

from lease_aio.api import AiohttpTransport, RestApi
from lease_aio.model import Lease, LeaseSpec, MicroTime, encode, new_lease

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

TRANSPORT: type[AiohttpTransport] = AiohttpTransport
"""What `rest` speaks through; see the fixture `each_transport`."""

LEASE = new_lease("a", "b", LeaseSpec(holder_identity="me", renew_time=MicroTime(0))).with_metadata(
    resource_version="7"
)


@asynccontextmanager
async def serving(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve every path with one handler; the URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        yield f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[int]:
    """Accept connections and let `talk` do with the bytes as it likes; the port."""
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)


async def read_request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """The head and the body of one HTTP request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next((int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:")), 0)
    return head, await reader.readexactly(length)


def reset(writer: asyncio.StreamWriter) -> None:
    """Hang up without a good-bye."""
    writer.transport.abort()


def answer_with(status: int, text: str, media: str = "application/json", **headers: str) -> Handler:
    async def handle(_request: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, content_type=media, headers=named)

    return handle


def status_text(code: int, reason: str, message: str, **more: Any) -> str:
    return json.dumps(
        {"kind": "Status", "apiVersion": "v1", "reason": reason, "message": message, "code": code, **more}
    )


def rest(url: str, *, timeout_s: float = 5.0, **settings: Any) -> RestApi:
    """A `RestApi` that looks at no proxy variable."""
    configuration = Configuration(host=url)
    for name, value in settings.items():
        setattr(configuration, name, value)
    return RestApi(TRANSPORT(configuration, environ={}), timeout_s=timeout_s)


def lease_text(lease: Lease = LEASE) -> str:
    return encode(lease).decode()
