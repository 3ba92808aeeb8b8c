"""The faults are real ones, at the level of TCP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import pytest

from tests.torture.proxy import FaultProxy, fault_proxy

SOON_S = 0.15
BROKEN = (anyio.BrokenResourceError, anyio.EndOfStream)


class Echo:
    """A server that answers what it hears, in capitals."""

    def __init__(self) -> None:
        self.heard = b""
        self.peers: list[str] = []

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        self.peers.append(stream.extra(anyio.abc.SocketAttribute.remote_address)[0])
        async with stream:
            try:
                async for data in stream:
                    self.heard += data
                    await stream.send(data.upper())
            except BROKEN:
                pass


@asynccontextmanager
async def scene(source: str | None = None) -> AsyncIterator[tuple[Echo, FaultProxy, anyio.abc.SocketStream]]:
    echo = Echo()
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, echo.serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with (
            fault_proxy("127.0.0.1", port, source=source) as proxy,
            await anyio.connect_tcp("127.0.0.1", proxy.port) as client,
        ):
            await client.send(b"hello")
            assert await client.receive() == b"HELLO"
            yield echo, proxy, client
        tasks.cancel_scope.cancel()


async def nothing_comes(client: anyio.abc.SocketStream) -> bool:
    with anyio.move_on_after(SOON_S) as scope:
        await client.receive()
    return scope.cancelled_caught


async def test_a_server_that_is_away_is_a_connection_that_ends() -> None:
    async with fault_proxy("127.0.0.1", 1) as proxy, await anyio.connect_tcp("127.0.0.1", proxy.port) as client:
        with pytest.raises(BROKEN):
            await client.receive()


async def test_what_is_held_arrives_later() -> None:
    async with scene() as (echo, proxy, client):
        proxy.hold("down")
        await client.send(b"a")
        assert await nothing_comes(client)
        assert echo.heard == b"helloa", "one way only"
        proxy.heal()
        assert await client.receive() == b"A"


async def test_what_falls_into_a_black_hole_never_arrives() -> None:
    async with scene() as (echo, proxy, client):
        proxy.black_hole("up")
        await client.send(b"a")
        assert await nothing_comes(client)
        proxy.heal()
        with pytest.raises(BROKEN):
            await client.receive()
        assert echo.heard == b"hello"


async def test_a_black_hole_for_answers_lets_requests_pass() -> None:
    async with scene() as (echo, proxy, client):
        proxy.black_hole("down")
        for _ in range(2):
            await client.send(b"a")
            assert await nothing_comes(client)
        assert echo.heard == b"helloaa"


async def test_a_lost_answer_is_one_whose_request_arrived() -> None:
    async with scene() as (echo, proxy, client):
        proxy.lose_answers()
        await client.send(b"a")
        with pytest.raises(BROKEN):
            await client.receive()
        assert echo.heard == b"helloa"
        assert proxy.lost_answers == 1


async def test_a_reset_is_seen_as_one_and_the_next_connection_works() -> None:
    async with scene() as (_, proxy, client):
        proxy.reset()
        with pytest.raises(anyio.BrokenResourceError):
            await client.receive()
        async with await anyio.connect_tcp("127.0.0.1", proxy.port) as again:
            await again.send(b"b")
            assert await again.receive() == b"B"
        assert proxy.resets == 1


async def test_while_it_refuses_no_connection_works() -> None:
    async with scene() as (_, proxy, _):
        proxy.refuse()
        async with await anyio.connect_tcp("127.0.0.1", proxy.port) as again:
            with pytest.raises(BROKEN):
                await again.receive()


async def test_a_slow_way_is_slow_in_each_direction() -> None:
    async with scene() as (_, proxy, client):
        proxy.delay(SOON_S)
        start = anyio.current_time()
        await client.send(b"a")
        await client.receive()
        assert anyio.current_time() - start >= 2 * SOON_S - 0.01


async def test_the_server_can_tell_proxies_apart_by_their_address() -> None:
    async with scene(source="127.0.1.7") as (echo, _, _):
        assert echo.peers == ["127.0.1.7"]
