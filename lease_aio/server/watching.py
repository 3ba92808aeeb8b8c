"""The shell of a watch: pulls events, writes them to a chunked response, keeps bookmarks and the deadline."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import anyio
from aiohttp import web

from lease_aio.server.history import Watch, WatchEvent
from lease_aio.server.status import StatusError

BOOKMARK_INTERVAL_S = 60.0
BOOKMARK_BEFORE_END_S = 2.0
_DEFAULT_TIMEOUT_S = (1800.0, 3600.0)


class Signal:
    """Wakes one waiter; signals that come while nobody waits are not lost."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        """Wake the waiter."""
        self._event.set()

    async def wait(self, timeout_s: float) -> None:
        """Wait until set, at most so long; then start afresh."""
        with anyio.move_on_after(timeout_s):
            await self._event.wait()
        self._event = anyio.Event()


@dataclass(kw_only=True)
class Streaming:
    """One open watch response.

    Attributes:
        watch: where events come from.
        render: the bytes of one event.
        revision: the store's current revision, for bookmarks.
        bookmarks: whether the client allows them.
        timeout_s: after how many seconds the stream ends; None for a random half hour to an hour.
        signal: set by the watch, and by the server when it stops.
        stopping: whether the server stops.
    """

    watch: Watch
    render: Callable[[WatchEvent], bytes]
    revision: Callable[[], int]
    bookmarks: bool
    timeout_s: float | None
    signal: Signal
    stopping: Callable[[], bool]

    async def run(self, response: web.StreamResponse) -> None:
        """Write events until the deadline or the end of the server.

        Raises:
            StatusError: 410, when the watch was read too slowly.
        """
        self.watch.on_ready = self.signal.set
        timeout_s = self.timeout_s if self.timeout_s is not None else random.uniform(*_DEFAULT_TIMEOUT_S)
        deadline = anyio.current_time() + timeout_s
        bookmark_at = bookmark_due(now=anyio.current_time(), deadline=deadline)
        while not self.stopping() and (now := anyio.current_time()) < deadline:
            events = self.watch.pull()
            # Only who has seen all that there is may be told how far that reaches.
            if self.bookmarks and now >= bookmark_at and not events:
                events.append(self.watch.bookmark(self.revision()))
                bookmark_at = bookmark_due(now=now, deadline=deadline)
            if events:
                await response.write(b"".join([self.render(event) for event in events]))
            else:
                await self.signal.wait(min(deadline, bookmark_at) - now)


def bookmark_due(*, now: float, deadline: float) -> float:
    """When the next bookmark is due: in a minute, or shortly before the end; past the deadline if that was the last."""
    last = deadline - BOOKMARK_BEFORE_END_S
    return min(now + BOOKMARK_INTERVAL_S, last) if now < last else deadline + 1


def error_event(error: StatusError) -> WatchEvent:
    """The event in which a watch that is already answered with 200 reports a failure."""
    return WatchEvent("ERROR", error.body())
