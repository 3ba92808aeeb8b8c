"""Following a collection: list, then watch, for ever, without losing a change."""

from __future__ import annotations

import random as random_module
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, Self

import anyio

from lease_aio.api.backoff import Backoff
from lease_aio.api.follow_state import Change, FollowState
from lease_aio.api.protocol import Api, Resource, T, Watch, WatchEvent
from lease_aio.clock import Clock, SystemClock
from lease_aio.errors import ApiError, Expired, Throttled, Unavailable

PAGE_LIMIT = 500
_LONG_ENOUGH_S = 1.0  # a watch that ends sooner, with nothing in it, was of no use: no busy loop


def follow(
    api: Api,
    resource: Resource[T],
    namespace: str = "",
    *,
    label_selector: str = "",
    field_selector: str = "",
    clock: Clock | None = None,
    random: Callable[[], float] = random_module.random,
    backoff: Backoff | None = None,
    watch_timeout_s: float = 60.0,
) -> Follow[T]:
    """Follow all objects of a kind in one namespace (or all), by one watch.

    Args:
        api: Where.
        resource: The kind.
        namespace: Empty for all.
        label_selector: Only what matches; what ceases to match is GONE.
        field_selector: Only what matches.
        clock: Measures waits.
        random: Uniform in [0, 1): spreads them.
        backoff: How they grow, 0.5 to 30 s unless given.
        watch_timeout_s: A watch is ended by the server after this to twice this; it bounds how long a connection that
            died in silence can go unnoticed.
    """
    return Follow(
        api,
        resource,
        namespace,
        label_selector=label_selector,
        field_selector=field_selector,
        clock=clock or SystemClock(),
        random=random,
        backoff=backoff or Backoff(),
        watch_timeout_s=watch_timeout_s,
    )


class Follow(Generic[T]):
    """The changes of a collection: enter it, then iterate it. It never ends by itself.

    First a SET for each object and one SYNCED; then each change as it comes. A broken watch is resumed where it
    was; when the server has forgotten that place, a new list is compared with what was told. The objects told are
    the server's words in the server's order, but of several changes while disconnected perhaps only the last.

    Iterating raises `Refused`, `Invalid` and `NotFound`, which waiting does not mend; everything else is waited out.
    The connection is only read as far as the iteration goes.

    Attributes:
        failures: Attempts in a row that have failed; 0 while all is well.
        last_error: Why the last of them did.
    """

    def __init__(
        self,
        api: Api,
        resource: Resource[T],
        namespace: str,
        *,
        label_selector: str,
        field_selector: str,
        clock: Clock,
        random: Callable[[], float],
        backoff: Backoff,
        watch_timeout_s: float,
    ) -> None:
        self._api = api
        self._resource = resource
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._clock = clock
        self._random = random
        self._backoff = backoff
        self._watch_timeout_s = watch_timeout_s
        self._state: FollowState[T] = FollowState()
        self._told: deque[Change[T]] = deque()
        self._watch: Watch[T] | None = None
        self._events: AsyncIterator[WatchEvent[T]] | None = None
        self._watch_opened = 0.0
        self._continue: str | None = None  # None: no list has begun
        self._page_limit = PAGE_LIMIT
        self._delays = 0  # consecutive ends and failures of which no watch was of any use
        self._entered = False
        self.failures = 0
        self.last_error: ApiError | None = None

    async def __aenter__(self) -> Self:
        self._entered = True
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._entered = False
        await self._close_watch()

    def __aiter__(self) -> AsyncIterator[Change[T]]:
        return self

    async def __anext__(self) -> Change[T]:
        if not self._entered:
            raise RuntimeError("the follower is not open: iterate it inside `async with`")
        while not self._told:
            try:
                await self._step()
            except (Unavailable, Throttled) as error:
                await self._on_failure(error)
            except Expired as error:
                await self._on_expired(error)
        return self._told.popleft()

    async def _step(self) -> None:
        """One request or one event, by what comes next."""
        if self._events is not None:
            await self._next_event(self._events)
        elif self._state.resume_from:
            await self._open_watch(self._state.resume_from)
        else:
            await self._list_page()

    async def _list_page(self) -> None:
        if self._continue is None:
            self._state.begin_list()
        # no resourceVersion on any page: with a continue token it is refused (kubernetes/kubernetes#85221)
        page = await self._api.list(
            self._resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            limit=self._page_limit,
            continue_token=self._continue or "",
        )
        self._on_success()
        self._told.extend(self._state.on_page(page))
        self._continue = page.continue_token
        if not page.continue_token:
            self._continue, self._page_limit = None, PAGE_LIMIT
            self._told.extend(self._state.end_list(page.resource_version))

    async def _open_watch(self, resource_version: str) -> None:
        self._watch = await self._api.watch(
            self._resource,
            self._namespace,
            resource_version=resource_version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            timeout_s=self._watch_timeout_s * (1.0 + self._random()),
        )
        self._events = aiter(self._watch)
        self._watch_opened = self._clock.now()
        self._on_success()

    async def _next_event(self, events: AsyncIterator[WatchEvent[T]]) -> None:
        try:
            event = await anext(events)
        except StopAsyncIteration:
            await self._on_end()
            return
        change = self._state.on_event(event)
        if change is not None:
            self._delays = 0
            self._told.append(change)

    async def _on_end(self) -> None:
        await self._close_watch()
        if self._delays:
            await self._wait(None)
        self._delays += 1

    def _on_success(self) -> None:
        self.failures = 0
        self.last_error = None

    async def _on_failure(self, error: ApiError) -> None:
        if self._continue is None:
            self._page_limit = PAGE_LIMIT  # all in one was too much: pages again
        self.failures += 1
        self.last_error = error
        await self._close_watch()
        self._delays += 1
        await self._wait(error.retry_after_s)

    async def _on_expired(self, error: Expired) -> None:
        """List again, at once the first time; when the pages of a list expired, all in one, which cannot."""
        self.failures += 1
        self.last_error = error
        if self._continue is not None:
            self._continue, self._page_limit = None, 0
        await self._close_watch()
        self._state.on_expired()
        if self._delays:
            await self._wait(error.retry_after_s)
        self._delays += 1

    async def _wait(self, retry_after_s: float | None) -> None:
        delay_s = self._backoff.delay_s(max(1, self._delays), self._random, retry_after_s=retry_after_s)
        await self._clock.sleep_until(self._clock.now() + delay_s)

    async def _close_watch(self) -> None:
        watch, self._watch, self._events = self._watch, None, None
        if watch is None:
            return
        if self._clock.now() - self._watch_opened >= _LONG_ENOUGH_S:
            self._delays = 0
        with anyio.CancelScope(shield=True):
            await watch.__aexit__(None, None, None)
