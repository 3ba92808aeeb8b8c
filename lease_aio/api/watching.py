"""One open watch over a transport: lines to typed events."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, Self

import anyio
import msgspec

from lease_aio.api.answers import (
    Status,
    error_from_answer,
    error_from_status,
    error_from_transport,
    unintelligible,
)
from lease_aio.api.protocol import EventType, Resource, T, WatchEvent
from lease_aio.api.transport import Answer, Stream, Transport, TransportError
from lease_aio.errors import Call, Unavailable
from lease_aio.model import decode
from lease_aio.model.wire import read

DEAD_AFTER_S = 10.0
"""How long after its announced end a stream that neither ended nor broke counts as dead."""


class _Frame(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Versioned(msgspec.Struct, rename="camel"):
    resource_version: str = ""


class _Bookmark(msgspec.Struct):
    metadata: _Versioned


_frames = msgspec.json.Decoder(_Frame)
_bookmarks = msgspec.json.Decoder(_Bookmark)
_statuses = msgspec.json.Decoder(Status)


def read_event(call: Call, line: bytes, resource: Resource[T]) -> WatchEvent[T]:
    """The event in one line of a watch.

    Raises:
        ApiError: the line is an ERROR event (`Expired` for a resourceVersion that is too old), or no event at all.
    """
    try:
        frame = read(_frames, line, "event")
        if frame.type == "ERROR":
            raise error_from_status(call, read(_statuses, frame.object, "Status"))
        kind = EventType(frame.type)
        if kind is EventType.BOOKMARK:
            version = read(_bookmarks, frame.object, "bookmark").metadata.resource_version
            return WatchEvent(type=kind, object=None, resource_version=version)
        found = decode(bytes(frame.object), resource.type)
    except ValueError as error:  # a MalformedObject is one, and so is what an unknown type raises
        raise Unavailable(call, f"the stream holds something that is no watch event: {error}") from error
    return WatchEvent(type=kind, object=found, resource_version=found.resource_version)


class RestWatch(Generic[T]):
    """An open `Watch`. It owns one connection until it is closed, by leaving it or by `aclose`."""

    def __init__(self, stream: Stream, call: Call, resource: Resource[T], *, origin: str, timeout_s: float) -> None:
        self._stream = stream
        self._call = call
        self._resource = resource
        self._origin = origin
        self._dead_at = anyio.current_time() + timeout_s + DEAD_AFTER_S
        self._lines: deque[bytes] = deque()

    def __aiter__(self) -> AsyncIterator[WatchEvent[T]]:
        return self

    async def __anext__(self) -> WatchEvent[T]:
        if not self._lines:
            await self._read()
        return read_event(self._call, self._lines.popleft(), self._resource)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give up the connection."""
        await self._stream.aclose()

    async def _read(self) -> None:
        try:
            lines = await self._stream.read_lines(timeout_s=max(0.0, self._dead_at - anyio.current_time()))
        except TransportError as error:
            raise error_from_transport(self._call, error, self._origin) from error
        if not lines:
            raise StopAsyncIteration
        self._lines.extend(lines)


async def open_watch(
    transport: Transport, call: Call, resource: Resource[T], target: str, *, open_timeout_s: float, timeout_s: float
) -> RestWatch[T]:
    """Ask for a watch and return once the server has accepted it.

    Raises:
        ApiError: it was not accepted.
    """
    try:
        stream = await transport.stream(target, headers={"Accept": "application/json"}, timeout_s=open_timeout_s)
    except TransportError as error:
        raise error_from_transport(call, error, transport.origin) from error
    try:
        await _require_watch(stream, call, transport.origin, open_timeout_s)
    except BaseException:
        await stream.aclose()
        raise
    return RestWatch(stream, call, resource, origin=transport.origin, timeout_s=timeout_s)


async def _require_watch(stream: Stream, call: Call, origin: str, timeout_s: float) -> None:
    media = stream.headers.get("Content-Type", "")
    if stream.status == 200 and media.startswith("application/json"):
        return
    try:
        answer = Answer(stream.status, stream.headers, await stream.read_all(timeout_s=timeout_s))
    except TransportError as error:
        raise error_from_transport(call, error, origin) from error
    if stream.status == 200:
        raise unintelligible(call, answer, origin, "not a stream of events")
    raise error_from_answer(call, answer, origin)
