"""Work in threads: a thread cannot be cancelled, so it matters who waits for it. On a real loop, without a sleep."""

import asyncio
import threading

import anyio.to_thread
import pytest

from lease_aio.api.memory import MemoryApi
from lease_aio.client import LeaseClient
from lease_aio.server.store import Store
from lease_aio.timing import Timing

PATIENCE_S = 20


class Thread:
    """Work in a thread: has its term resigned, and goes on until it may end."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.may_end, self.ended = threading.Event(), threading.Event()

    def work(self, term) -> None:
        self.loop.call_soon_threadsafe(term.resign)
        assert self.may_end.wait(PATIENCE_S)
        self.ended.set()


@pytest.fixture
async def leases():
    async with LeaseClient(MemoryApi(Store(now=0)), identity="a") as leases:
        yield leases


async def test_the_lease_is_not_given_back_under_a_thread_that_anyio_waits_for(leases):
    thread = Thread()

    async def look():
        await term.lost()
        for _ in range(100):
            await asyncio.sleep(0)
        try:
            assert (await leases.get("x")).holder == "a"
        finally:
            thread.may_end.set()

    async with asyncio.TaskGroup() as tasks, leases.lead("x", timing=Timing()) as term:
        tasks.create_task(look())
        await anyio.to_thread.run_sync(thread.work, term)
    assert thread.ended.is_set()
    assert (await leases.get("x")).holder == ""


async def test_it_is_given_back_under_a_thread_that_asyncio_started_and_does_not_wait_for(leases):
    """As the documentation says; nothing in a term can know of that thread."""
    thread = Thread()
    async with leases.lead("x", timing=Timing()) as term:
        await asyncio.to_thread(thread.work, term)
    try:
        assert (await leases.get("x")).holder == ""
        assert not thread.ended.is_set()
    finally:
        thread.may_end.set()
    assert await asyncio.to_thread(thread.ended.wait, PATIENCE_S)
