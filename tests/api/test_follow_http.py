"""Following over real connections that break, die in silence, and lose their place in the middle: nothing is missed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest

import lease_aio.api.watching
from lease_aio.api import LEASES, Backoff, Change, ChangeType, Follow, follow
from lease_aio.model import Lease, LeaseSpec, encode, new_lease
from tests.api.servers import read_request, reset, rest, status_text, talking

pytestmark = pytest.mark.usefixtures("each_transport")

SET, GONE, SYNCED = ChangeType.SET, ChangeType.GONE, ChangeType.SYNCED
Scene = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def lease(name: str, version: int) -> str:
    stored = new_lease(name, "b", LeaseSpec(holder_identity=f"v{version}"))
    return encode(stored.with_metadata(resource_version=str(version))).decode()


def event(kind: str, name: str, version: int) -> bytes:
    line = f'{{"type":"{kind}","object":{lease(name, version)}}}\n'.encode()
    return b"%x\r\n%s\r\n" % (len(line), line)


def forgotten() -> bytes:
    line = b'{"type":"ERROR","object":%s}\n' % status_text(410, "Expired", "too old resource version").encode()
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(line), line)


class Server:
    """Answers a list with what there is, and each watch with the next scene."""

    def __init__(self, *scenes: Scene) -> None:
        self.leases: dict[str, int] = {}
        self.version = 1
        self.scenes = list(scenes)
        self.asked: list[str] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        query = parse_qs(urlsplit(head.split()[1]).query)
        if "watch" not in query:
            self.asked.append("list")
            self._list(writer)
            return
        self.asked.append(f"watch from {query['resourceVersion'][0]}")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        await (self.scenes.pop(0) if self.scenes else silence)(reader, writer)

    def _list(self, writer: asyncio.StreamWriter) -> None:
        items = ",".join(lease(name, version) for name, version in self.leases.items())
        body = f'{{"metadata":{{"resourceVersion":"{self.version}"}},"items":[{items}]}}'.encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % len(body) + body)


async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """A dead connection: the other side is gone and nobody says so."""
    await reader.read()


def telling(*chunks: bytes, then: Callable[[asyncio.StreamWriter], None] | None = None) -> Scene:
    async def scene(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for chunk in chunks:
            writer.write(chunk)
        await writer.drain()
        await asyncio.sleep(0.02)
        if then is None:
            await reader.read()
        else:
            then(writer)
            raise ConnectionError

    return scene


def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


@asynccontextmanager
async def following(server: Server, **options: Any) -> AsyncIterator[Follow[Lease]]:
    async with talking(server.talk) as port, rest(f"http://127.0.0.1:{port}") as api:
        quick = Backoff(first_s=0.02, cap_s=0.02)
        async with follow(api, LEASES, "b", backoff=quick, **options) as changes:
            yield changes


async def take(changes: Follow[Lease], count: int) -> list[tuple[ChangeType, str]]:
    with anyio.fail_after(30):
        return [short(await anext(changes)) for _ in range(count)]


def short(change: Change[Lease]) -> tuple[ChangeType, str]:
    return change.type, f"{change.name}{change.object.holder[1:] if change.object else ''}"


async def test_a_reset_in_the_middle_of_a_line_costs_nothing_but_another_watch() -> None:
    half = b"%x\r\n%s" % (200, event("ADDED", "b", 4)[:60])
    server = Server(
        telling(event("ADDED", "a", 2), event("MODIFIED", "a", 3), half, then=reset),
        telling(event("ADDED", "b", 4)),
    )
    async with following(server) as changes:
        assert await take(changes, 4) == [(SYNCED, ""), (SET, "a2"), (SET, "a3"), (SET, "b4")]
        assert (changes.failures, changes.last_error) == (0, None)
    assert server.asked == ["list", "watch from 1", "watch from 3"]


async def test_a_place_that_is_lost_in_the_middle_of_a_watch_costs_a_list_and_tells_the_difference() -> None:
    server = Server(
        telling(event("ADDED", "a", 2), event("ADDED", "b", 3), forgotten(), then=hang_up),
        telling(event("ADDED", "d", 10)),
    )
    async with following(server) as changes:
        assert await take(changes, 3) == [(SYNCED, ""), (SET, "a2"), (SET, "b3")]
        server.leases, server.version = {"b": 3, "c": 7}, 9
        assert await take(changes, 4) == [(SET, "c7"), (GONE, "a"), (SYNCED, ""), (SET, "d10")]
    assert server.asked == ["list", "watch from 1", "list", "watch from 9"]


async def test_a_connection_that_dies_in_silence_is_left_and_the_watch_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_aio.api.watching, "DEAD_AFTER_S", 1.0)
    server = Server(telling(event("ADDED", "a", 2)), telling(event("MODIFIED", "a", 5)))
    async with following(server, watch_timeout_s=0.1) as changes:
        assert await take(changes, 3) == [(SYNCED, ""), (SET, "a2"), (SET, "a5")]
    assert server.asked == ["list", "watch from 1", "watch from 2"]


async def test_a_server_that_ends_a_watch_in_order_is_asked_again_from_there() -> None:
    server = Server(telling(event("ADDED", "a", 2), b"0\r\n\r\n", then=hang_up), telling(event("DELETED", "a", 3)))
    async with following(server) as changes:
        assert await take(changes, 3) == [(SYNCED, ""), (SET, "a2"), (GONE, "a3")]
    assert server.asked == ["list", "watch from 1", "watch from 2"]


async def test_garbage_in_the_stream_is_waited_out() -> None:
    garbage = b"14\r\n<html>oops</html>\xff\n\r\n"
    server = Server(telling(event("ADDED", "a", 2), garbage), telling(event("ADDED", "b", 3)))
    async with following(server) as changes:
        assert await take(changes, 3) == [(SYNCED, ""), (SET, "a2"), (SET, "b3")]
    assert server.asked == ["list", "watch from 1", "watch from 2"]
