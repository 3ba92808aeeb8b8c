"""An open watch on a store, and the faults that strike it as they strike any call to the store."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Generic, Self

import anyio
import anyio.lowlevel
import msgspec

from lease_aio.api.answers import Status, error_from_status, error_from_transport
from lease_aio.api.protocol import EventType, Resource, T, WatchEvent
from lease_aio.api.transport import TransportError
from lease_aio.errors import ApiError, Call
from lease_aio.model import from_dict
from lease_aio.server.history import Watch as StoreWatch
from lease_aio.server.status import Json, StatusError
from lease_aio.server.store import Store

ORIGIN = "memory"


class Moment(enum.Enum):
    """When a fault may strike: before the store is asked, or after it has done the work and before the answer."""

    BEFORE = "before"
    AFTER = "after"


Faults = Callable[[Moment, Call], Awaitable[None]]
"""Asked twice a call. It may wait (the request's timeout goes on), or raise: a `TransportError` becomes what it is
over HTTP, a `StatusError` is the server's answer, an `ApiError` goes through. Raising AFTER loses the answer of what
was done. A watch is asked once more, AFTER, for each event."""


class MemoryWatch(Generic[T]):
    """An open `Watch` on a store."""

    def __init__(
        self,
        opened: StoreWatch | StatusError,
        call: Call,
        resource: Resource[T],
        store: Store,
        faults: Faults | None,
        *,
        timeout_s: float,
    ) -> None:
        self._opened = opened
        self._call = call
        self._resource = resource
        self._store = store
        self._faults = faults
        self._ends_at = anyio.current_time() + timeout_s
        self._ended = False
        self._events: deque[WatchEvent[T]] = deque()
        self._ready = anyio.Event()

    def __aiter__(self) -> AsyncIterator[WatchEvent[T]]:
        return self

    async def __anext__(self) -> WatchEvent[T]:
        try:
            if not self._events:
                await self._fill()
            event = self._events.popleft()
            if self._faults is not None:
                await self._faults(Moment.AFTER, self._call)
        except StatusError as error:
            raise api_error(self._call, error) from error
        except TransportError as error:
            raise error_from_transport(self._call, error, ORIGIN) from error
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        close([self._opened])

    async def _fill(self) -> None:
        """Wait for events; at the end of the time a bookmark, then the end."""
        await anyio.lowlevel.checkpoint()
        if isinstance(self._opened, StatusError):
            raise self._opened
        while not self._pull(self._opened):
            if self._ended or self._opened.closed:
                raise StopAsyncIteration
            await self._wait(self._opened)

    def _pull(self, opened: StoreWatch) -> bool:
        self._events.extend(self._typed(event.type, event.object) for event in opened.pull())
        return bool(self._events)

    async def _wait(self, opened: StoreWatch) -> None:
        self._ready = anyio.Event()
        opened.on_ready = self._ready.set
        with anyio.move_on_after(self._ends_at - anyio.current_time()) as scope:
            await self._ready.wait()
        if scope.cancelled_caught and not self._pull(opened):
            self._ended = True
            bookmark = opened.bookmark(self._store.resource_version)
            self._events.append(self._typed(bookmark.type, bookmark.object))

    def _typed(self, kind: str, found: Json) -> WatchEvent[T]:
        version: str = found["metadata"]["resourceVersion"]
        value = None if kind == "BOOKMARK" else from_dict(found, self._resource.type)
        return WatchEvent(type=EventType(kind), object=value, resource_version=version)


def close(opened: Iterable[StoreWatch | StatusError]) -> None:
    """Close those that are watches."""
    for one in opened:
        if isinstance(one, StoreWatch):
            one.close()


def api_error(call: Call, error: StatusError) -> ApiError:
    """What a refusal of the store is to a client."""
    return error_from_status(call, msgspec.convert(error.body(), Status))
