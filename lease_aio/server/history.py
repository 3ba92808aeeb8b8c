"""What happened to one resource, in order, and the watches that follow it.

The history is bounded: old events are dropped, and whoever asks for them gets 410. A watch holds a bounded
queue of its own, filled only with events of its scope (a namespace, a name); one that does not read its
queue loses its place and gets 410, too. Nothing here knows a clock or a task: a watch tells its owner,
through one callback, that there is something to pull.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from lease_aio.server.selectors import Selector
from lease_aio.server.status import Json, StatusError, expired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Change(NamedTuple):
    """One committed write: the state after it and before it (None where there is none)."""

    revision: int
    key: str
    after: Json | None
    before: Json | None


class WatchEvent(NamedTuple):
    """What a watcher receives: `ADDED`, `MODIFIED`, `DELETED` or `BOOKMARK`, and the object."""

    type: str
    object: Json


class History:
    """The last changes of one resource, at least `limit` of them once there are as many.

    Args:
        limit: how many changes are kept; up to a quarter more may be.
    """

    def __init__(self, limit: int) -> None:
        self._changes: list[Change] = []
        self._limit = limit
        self._ceiling = limit + max(limit // 4, 1)
        self.floor = 0
        """Revision of the last change that was dropped: what came after it is known completely."""

    def append(self, change: Change) -> None:
        """Record a change; drops the oldest ones when there are too many."""
        self._changes.append(change)
        if len(self._changes) > self._ceiling:
            surplus = len(self._changes) - self._limit
            self.floor = self._changes[surplus - 1].revision
            del self._changes[:surplus]

    def since(self, revision: int) -> list[Change]:
        """All changes after a revision, in order.

        Raises:
            StatusError: 410, when some of them are no longer known.
        """
        if revision < self.floor:
            raise expired(f"too old resource version: {revision} ({self.floor})")
        return self._changes[bisect_right(self._changes, revision, key=_revision) :]

    def compact(self, revision: int) -> None:
        """Forget all changes up to and including a revision."""
        del self._changes[: bisect_right(self._changes, revision, key=_revision)]
        self.floor = max(self.floor, revision)


def _revision(change: Change) -> int:
    return change.revision


class Watch:
    """A view on the changes of one resource: those in a scope, as a selector sees them.

    Pull it when `on_ready` was called (or at any time). Closing is final and idempotent; a watch that is not
    closed keeps filling its queue up to its bound.

    Attributes:
        on_ready: called without arguments when the queue turns from empty to filled, and when the place was
            lost.
    """

    def __init__(
        self,
        *,
        scope: tuple[str, str],
        selector: Selector,
        after: int,
        initial: Iterable[Json],
        backlog: Iterable[Change],
        initial_end: Json | None,
        bookmark: Callable[[int], Json],
        release: Callable[[Watch], None],
        capacity: int,
    ) -> None:
        self.scope = scope
        self.on_ready: Callable[[], None] | None = None
        self.closed = False
        self._selector = selector
        self._delivered = after
        self._after = after
        self._initial = deque(initial)
        self._initial_end = initial_end
        self._queue = deque(backlog)
        self._capacity = max(capacity, len(self._queue))
        self._bookmark = bookmark
        self._release = release
        self._lost = False

    def offer(self, change: Change) -> None:
        """Take a change of the scope (the store calls this)."""
        if change.revision <= self._after or self._lost:
            return
        if len(self._queue) >= self._capacity:
            self._lost = True
            self._release(self)
        else:
            self._queue.append(change)
        if self.on_ready is not None and (self._lost or len(self._queue) == 1):
            self.on_ready()

    def pull(self, limit: int = 1_000) -> list[WatchEvent]:
        """The next events, at most about `limit`; empty when there is nothing new.

        Raises:
            StatusError: 410, once all events before the place that was lost are delivered.
        """
        events = [WatchEvent("ADDED", self._initial.popleft()) for _ in range(min(limit, len(self._initial)))]
        if self._initial:
            return events
        if self._initial_end is not None:
            events.append(WatchEvent("BOOKMARK", self._initial_end))
            self._initial_end = None
        while self._queue and len(events) < limit:
            change = self._queue.popleft()
            self._delivered = change.revision
            if (event := _as_seen(change, self._selector)) is not None:
                events.append(event)
        if self._lost and not events:
            raise self._expired()
        return events

    def bookmark(self, revision: int) -> WatchEvent:
        """A bookmark for the place reached: the store's `revision` if all of it is delivered."""
        pending = self._queue or self._initial or self._lost
        return WatchEvent("BOOKMARK", self._bookmark(self._delivered if pending else max(revision, self._delivered)))

    def close(self) -> None:
        """Stop following."""
        if not self.closed:
            self.closed = True
            self._release(self)

    def _expired(self) -> StatusError:
        return expired(f"too old resource version: {self._delivered} (the watch was read too slowly)")


def _as_seen(change: Change, selector: Selector) -> WatchEvent | None:
    """The event in a selector's view of a change: starting to match is an addition, ceasing to is a deletion."""
    after, before = change.after, change.before
    shown = after is not None and (not selector or selector.matches(after))
    was_shown = before is not None and (not selector or selector.matches(before))
    if shown:
        assert after is not None
        return WatchEvent("MODIFIED" if was_shown else "ADDED", after)
    if was_shown:
        assert before is not None
        return WatchEvent("DELETED", at_revision(before, change.revision))
    return None


def at_revision(obj: Json, revision: int) -> Json:
    """The same object under another resourceVersion."""
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(revision)}}
