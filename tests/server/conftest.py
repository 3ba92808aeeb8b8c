"""A store with a fixed clock and predictable names, and a server on loopback."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import aiohttp
import pytest

from lease_aio.server import EmbeddedServer, Store, serve

NOW = 1_800_000_000_000_000


@pytest.fixture
def store() -> Store:
    numbers = itertools.count(1)
    return Store(now=NOW, new_uid=lambda: f"uid-{next(numbers)}", new_suffix=lambda: f"{next(numbers):05d}")


@pytest.fixture
async def server(store: Store) -> AsyncIterator[EmbeddedServer]:
    async with serve(store=store, now=lambda: NOW) as running:
        yield running


@pytest.fixture
async def http(server: EmbeddedServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.url) as session:
        yield session
