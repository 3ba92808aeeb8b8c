"""A stream of events, and the ways in which it goes wrong."""

import asyncio
import contextlib
import json
from typing import Any

import anyio
import pytest
from aiohttp import web

from lease_aio.api import LEASES, EventType
from lease_aio.api.watching import read_event
from lease_aio.errors import ApiError, Call, Expired, Refused, Throttled, Unavailable
from tests.api.servers import LEASE, answer_with, lease_text, read_request, reset, rest, serving, status_text, talking

CALL = Call(verb="watch", resource="leases.coordination.k8s.io", namespace="b")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
ADDED = f'{{"type":"ADDED","object":{lease_text()}}}\n'.encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[]",
        b"{}",
        b'{"type":"ADDED"}',
        b'{"type":"RENAMED","object":{"metadata":{}}}',
        b'{"type":"ADDED","object":null}',
        b'{"type":"ADDED","object":{"spec":{}}}',
        b'{"type":"BOOKMARK","object":{}}',
        b'{"type":"ERROR","object":[]}',
    ],
)
def test_a_line_that_is_no_event_is_an_error_and_no_crash(line: bytes) -> None:
    with pytest.raises(Unavailable, match=r"^watch leases\.coordination\.k8s\.io b: .*no watch event"):
        read_event(CALL, line, LEASES)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ({"reason": "Expired", "code": 410}, Expired),
        ({"code": 410}, Expired),
        ({"reason": "Gone", "code": 410}, Expired),
        ({"reason": "InternalError", "code": 500}, Unavailable),
        ({"reason": "Forbidden", "code": 403}, Refused),
        ({"reason": "TooManyRequests", "code": 429, "details": {"retryAfterSeconds": 3}}, Throttled),
        ({}, Unavailable),
    ],
)
def test_an_error_event_is_the_error_of_its_status(status: dict[str, Any], kind: type[ApiError]) -> None:
    line = json.dumps({"type": "ERROR", "object": {"kind": "Status", "message": "words", **status}}).encode()
    with pytest.raises(kind, match="words") as caught:
        read_event(CALL, line, LEASES)
    assert type(caught.value) is kind
    assert caught.value.retry_after_s == (3 if kind is Throttled else None)


def test_an_event_carries_the_object_and_where_to_resume() -> None:
    event = read_event(CALL, ADDED, LEASES)
    assert (event.type, event.object, event.resource_version) == (EventType.ADDED, LEASE, "7")


def test_a_bookmark_carries_only_where_to_resume() -> None:
    line = b'{"type":"BOOKMARK","object":{"kind":"Lease","metadata":{"resourceVersion":"9"},"spec":{}}}'
    event = read_event(CALL, line, LEASES)
    assert (event.type, event.object, event.resource_version) == (EventType.BOOKMARK, None, "9")


async def test_a_watch_that_is_refused_is_an_error_at_its_opening() -> None:
    handler = answer_with(403, status_text(403, "Forbidden", "no watching"))
    async with serving(handler) as url, rest(url) as api:
        with pytest.raises(Refused, match=r"watch leases\.coordination\.k8s\.io b: 403 Forbidden: no watching"):
            await api.watch(LEASES, "b")


async def test_a_page_in_place_of_a_watch_is_an_error_at_its_opening() -> None:
    async with serving(answer_with(200, "<html>hello</html>", "text/html")) as url, rest(url) as api:
        with pytest.raises(Unavailable, match="is it a Kubernetes API server"):
            await api.watch(LEASES, "b")


async def test_a_page_that_never_ends_in_place_of_a_watch_is_given_up() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD.replace(b"application/json", b"text/html") + chunk(b"<html>"))
        await reader.read()

    async with talking(talk) as port, rest(f"http://127.0.0.1:{port}", timeout_s=0.1) as api:
        with pytest.raises(Unavailable, match="no answer in time"):
            await api.watch(LEASES, "b")


async def test_a_stream_that_breaks_tells_what_came_and_then_fails() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD + chunk(ADDED * 2) + chunk(ADDED[:20]))
        await writer.drain()
        await asyncio.sleep(0.05)
        reset(writer)

    async with talking(talk) as port, rest(f"http://127.0.0.1:{port}") as api, await api.watch(LEASES, "b") as watch:
        events = aiter(watch)
        assert [(await anext(events)).object for _ in range(2)] == [LEASE, LEASE]
        with pytest.raises(Unavailable, match="the connection broke"):
            await anext(events)


async def test_a_stream_that_ends_in_the_middle_of_a_line_did_not_end_well() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD + chunk(ADDED[:20]) + chunk(b""))
        await writer.drain()

    async with talking(talk) as port, rest(f"http://127.0.0.1:{port}") as api, await api.watch(LEASES, "b") as watch:
        with pytest.raises(Unavailable, match="in the middle of a line"):
            await anext(aiter(watch))


async def test_a_connection_that_died_in_silence_is_noticed() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD + chunk(ADDED))
        await reader.read()

    began = anyio.current_time()
    async with (
        talking(talk) as port,
        rest(f"http://127.0.0.1:{port}") as api,
        await api.watch(LEASES, "b", timeout_s=10) as watch,
    ):
        events = aiter(watch)
        assert (await anext(events)).object == LEASE
        assert began + 20 <= watch._dead_at <= anyio.current_time() + 20, "10 s after its announced end"
        watch._dead_at = anyio.current_time() + 0.1
        with anyio.fail_after(9), pytest.raises(Unavailable, match="no answer in time"):
            await anext(events)


async def test_a_line_without_end_is_given_up_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lease_aio.api.http._MAX_LINE", 100_000)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD)
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(chunk(b"x" * 10_000))
                await writer.drain()

    async with talking(talk) as port, rest(f"http://127.0.0.1:{port}") as api, await api.watch(LEASES, "b") as watch:
        with pytest.raises(Unavailable, match=r"the answer is too long \(a line of more than 100000 bytes\)"):
            await anext(aiter(watch))


async def test_events_are_whole_however_the_bytes_come() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD)
        data = ADDED * 3 + b"\n"
        for start in range(0, len(data), 7):
            writer.write(chunk(data[start : start + 7]))
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(chunk(b""))
        await writer.drain()

    async with talking(talk) as port, rest(f"http://127.0.0.1:{port}") as api, await api.watch(LEASES, "b") as watch:
        assert [event.object async for event in watch] == [LEASE] * 3


async def test_a_watch_asks_for_bookmarks_selectors_and_an_end() -> None:
    asked: list[dict[str, str]] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        return web.Response(text="", content_type="application/json")

    async with (
        serving(handle) as url,
        rest(url) as api,
        await api.watch(LEASES, "b", resource_version="7", label_selector="a=b", timeout_s=61.4) as watch,
    ):
        assert [event async for event in watch] == []
    assert asked == [
        {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "61",
            "resourceVersion": "7",
            "labelSelector": "a=b",
        }
    ]


async def test_a_watch_that_is_left_gives_up_its_connection() -> None:
    closed = anyio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD + chunk(ADDED))
        await reader.read()
        closed.set()

    async with talking(talk) as port, rest(f"http://127.0.0.1:{port}") as api:
        async with await api.watch(LEASES, "b") as watch:
            await anext(aiter(watch))
        with anyio.fail_after(30):
            await closed.wait()
