"""The two watches that a monitor lives on."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable, Collection
from typing import Generic

import anyio

from lease_aio.api.follow_state import Change, ChangeType
from lease_aio.api.following import Follow, follow
from lease_aio.api.protocol import Api, Resource, T
from lease_aio.clock import Clock

_WATCH_TIMEOUT_S = 30.0  # bounds how long a watch that died in silence can go unnoticed


class Feed(Generic[T]):
    """Follows all objects of a kind, and can begin again from a new list without losing a deletion.

    Args:
        api: Where.
        resource: The kind.
        namespace: Empty for all, or for a kind without.
        clock: Measures waits.
        random: Uniform in [0, 1), spreads retries.
        known: Names of those that were told and not taken back, to find what is missing in a new list.
        on_set: Told of each object that exists.
        on_gone: Told the name of each that does not any more.

    Attributes:
        synced: Set once everything that exists has been told.
    """

    def __init__(
        self,
        api: Api,
        resource: Resource[T],
        namespace: str,
        *,
        clock: Clock,
        random: Callable[[], float] = random_module.random,
        known: Callable[[], Collection[str]],
        on_set: Callable[[T], None],
        on_gone: Callable[[str], None],
    ) -> None:
        self._api, self._resource, self._namespace = api, resource, namespace
        self._clock, self._random = clock, random
        self._known, self._on_set, self._on_gone = known, on_set, on_gone
        self._listed: set[str] | None = set()  # since the list began; None after its end
        self._changes: Follow[T] | None = None
        self._scope = anyio.CancelScope()
        self.synced = anyio.Event()

    @property
    def trouble(self) -> str:
        """Why the watch is broken, in words; empty while it is not."""
        changes = self._changes
        if changes is None or not changes.failures:
            return ""
        return str(changes.last_error or "the watch is broken")

    async def run(self) -> None:
        """Follow, for ever.

        Raises:
            ApiError: of a kind that waiting does not mend.
        """
        while True:
            with anyio.CancelScope() as self._scope:
                await self._follow()

    def begin_again(self) -> None:
        """Give up the watch, and list anew."""
        self._scope.cancel()

    async def _follow(self) -> None:
        self._listed = set()
        async with follow(
            self._api,
            self._resource,
            self._namespace,
            clock=self._clock,
            random=self._random,
            watch_timeout_s=_WATCH_TIMEOUT_S,
        ) as self._changes:
            async for change in self._changes:
                self._take(change)

    def _take(self, change: Change[T]) -> None:
        if change.type is ChangeType.SYNCED:
            self._end_list()
        elif change.type is ChangeType.GONE:
            self._on_gone(change.name)
        elif change.object is not None:
            if self._listed is not None:
                self._listed.add(change.name)
            self._on_set(change.object)

    def _end_list(self) -> None:
        listed, self._listed = self._listed, None
        if listed is not None:
            for name in [name for name in self._known() if name not in listed]:
                self._on_gone(name)
        self.synced.set()
