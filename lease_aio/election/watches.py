"""One watch of a namespace's Leases serves all candidates in it: a standby asks for nothing while nothing changes.

The same for LeaseCandidates, where an election is coordinated.
"""

from __future__ import annotations

import random as random_module
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import anyio
import anyio.abc

from lease_aio.api import Api, Change, ChangeType, Resource, follow
from lease_aio.clock import Clock
from lease_aio.errors import ApiError
from lease_aio.log import get_logger
from lease_aio.model import KubeObject

T = TypeVar("T", bound=KubeObject)
T_contra = TypeVar("T_contra", bound=KubeObject, contravariant=True)
ASK_AGAIN_S = 60.0
"""How long after a refusal the watch is asked for again: rights are given late, and a 401 may come in passing."""


class Listener(Protocol[T_contra]):
    """Who wants to know of one object. The calls come from the event loop and must not block."""

    def changed(self, found: T_contra, /, *, listed: bool) -> None:
        """The object has this state now; where a list showed it, earlier changes may have been missed."""

    def gone(self, resource_version: str, /) -> None:
        """The object was deleted; the version is the deletion's, or empty."""

    def watch_refused(self, error: ApiError) -> None:
        """There is no watch for now: poll."""

    def watch_allowed(self) -> None:
        """There is one again."""


@dataclass(eq=False)
class Subscription(Generic[T]):
    """One listener's place; `close` ends it, and with the last one the watch."""

    watch: _NamespaceWatch[T]
    name: str
    listener: Listener[T]
    closed: bool = False

    def close(self) -> None:
        """Stop listening. Harmless when repeated."""
        if not self.closed:
            self.closed = True
            self.watch.unsubscribe(self)


class SharedWatches(Generic[T]):
    """The watches of one client, one for each namespace that has a listener.

    Args:
        api: Where the objects are watched.
        resource: Their kind.
        clock: For back-offs.
        tasks: Owns the watches; they end with it.
        random: Uniform in [0, 1), for jitter.
    """

    def __init__(
        self,
        api: Api,
        resource: Resource[T],
        clock: Clock,
        tasks: anyio.abc.TaskGroup,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._api, self._resource, self._clock, self._tasks, self._random = api, resource, clock, tasks, random
        self._watches: dict[str, _NamespaceWatch[T]] = {}

    def subscribe(self, namespace: str, name: str, listener: Listener[T]) -> Subscription[T]:
        """Hear of every change of one object from now on; what it is now is for the listener to read."""
        watch = self._watches.get(namespace)
        if watch is None or watch.ended:
            self._watches = {other: open_one for other, open_one in self._watches.items() if not open_one.ended}
            watch = _NamespaceWatch(self._api, self._resource, self._clock, namespace, self._random)
            self._watches[namespace] = watch
            self._tasks.start_soon(watch.run, name=f"watch of {self._resource.plural} in {namespace}")
        return watch.subscribe(name, listener)


class _NamespaceWatch(Generic[T]):
    def __init__(
        self, api: Api, resource: Resource[T], clock: Clock, namespace: str, random: Callable[[], float]
    ) -> None:
        self._api, self._resource, self._clock, self._random = api, resource, clock, random
        self._namespace = namespace
        self._scope = anyio.CancelScope()
        self._listeners: dict[str, list[Subscription[T]]] = {}
        self._refusal: ApiError | None = None
        self.ended = False

    def subscribe(self, name: str, listener: Listener[T]) -> Subscription[T]:
        subscription = Subscription(self, name, listener)
        self._listeners.setdefault(name, []).append(subscription)
        if self._refusal is not None:
            listener.watch_refused(self._refusal)
        return subscription

    def unsubscribe(self, subscription: Subscription[T]) -> None:
        listeners = self._listeners[subscription.name]
        listeners.remove(subscription)
        if not listeners:
            del self._listeners[subscription.name]
        if not self._listeners:
            self.ended = True
            self._scope.cancel()

    async def run(self) -> None:
        with self._scope:
            while True:
                try:
                    await self._follow()
                except ApiError as error:
                    self._refuse(error)
                await self._clock.sleep_until(self._clock.now() + ASK_AGAIN_S)

    async def _follow(self) -> None:
        listed = False
        async with follow(
            self._api, self._resource, self._namespace, clock=self._clock, random=self._random
        ) as changes:
            async for change in changes:
                if listed and self._refusal is not None:
                    self._allow()  # what comes after the list came from a watch; to list alone is of no use
                listed = listed or change.type is ChangeType.SYNCED
                self._tell(change)

    def _tell(self, change: Change[T]) -> None:
        for subscription in tuple(self._listeners.get(change.name, ())):
            if subscription.closed:  # by one that was told before it
                continue
            if change.type is ChangeType.GONE:
                subscription.listener.gone(change.resource_version)
            elif change.object is not None:
                subscription.listener.changed(change.object, listed=change.listed)

    def _refuse(self, error: ApiError) -> None:
        """Without the right to watch, candidates poll; said once for the namespace."""
        if self._refusal is not None:
            return
        self._refusal = error
        log = get_logger("election")
        log.warning(
            "election.watch_refused",
            resource=self._resource.plural,
            namespace=self._namespace,
            error=str(error),
            remedy="polling instead",
        )
        for subscription in self._all():
            subscription.listener.watch_refused(error)

    def _allow(self) -> None:
        self._refusal = None
        log = get_logger("election")
        log.info("election.watch_allowed", resource=self._resource.plural, namespace=self._namespace)
        for subscription in self._all():
            subscription.listener.watch_allowed()

    def _all(self) -> list[Subscription[T]]:
        return [subscription for group in self._listeners.values() for subscription in group]
