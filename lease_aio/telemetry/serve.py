"""Serves metrics over HTTP while a block runs, for a command that has no server of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from lease_aio.errors import ConfigurationError

_STOP_GRACE_S = 1.0


@asynccontextmanager
async def serve_metrics(*collectors: Collector, port: int = 0) -> AsyncGenerator[str]:
    """Answer `GET /metrics` on loopback with what these collectors tell, until the block is left.

    It is unprotected, and what it tells is no secret; others on this machine can read it.

    Args:
        *collectors: Asked at each scrape, on the event loop.
        port: 0 for any free one.

    Yields:
        The address to scrape, such as `http://127.0.0.1:9095/metrics`.

    Raises:
        ConfigurationError: the port is out of range, taken, or not ours to use.
    """
    if not 0 <= port <= 65_535:
        raise ConfigurationError(f"port={port!r} must lie between 0 and 65535; 0 takes any free one")
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=_STOP_GRACE_S)
    await runner.setup()
    try:
        yield await _listening(runner, port)
    finally:
        await runner.cleanup()


async def _listening(runner: web.AppRunner, port: int) -> str:
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        why = error.strerror or error
        raise ConfigurationError(f"cannot serve metrics on port {port}: {why}; choose another, or 0") from error
    return f"http://127.0.0.1:{runner.addresses[0][1]}/metrics"
