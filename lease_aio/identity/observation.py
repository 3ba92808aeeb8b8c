"""Following Leases that come and go, each kept alive by its process."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Generic, Self

import anyio

from lease_aio.api import LEASES, Api, Change, ChangeType, Follow, follow
from lease_aio.clock import Clock
from lease_aio.errors import NotFound, Throttled, Unavailable
from lease_aio.identity.sightings import Sightings, Told
from lease_aio.model import Lease

_ASK_AGAIN_S = 5.0


class SightObservation(Generic[Told]):
    """Follows the Leases of one label and namespace: `async with` it, then `async for change in` it.

    Entering waits until all that are there have been seen. That one is no longer fresh is told only after a read has
    confirmed it, so that a watch which has died in silence makes nobody late; nor does an API server that cannot be
    reached: when it is back, all have the time anew. Nothing runs in between.

    Args:
        api: The API server.
        clock: Measures ages.
        sightings: Judges what is seen.
        namespace: Where to look.
        label_selector: Which Leases.
        random: Uniform in [0, 1), spreads retries.

    Raises:
        Refused: on entering or from the loop, Leases may not be listed or watched.
    """

    def __init__(
        self,
        api: Api,
        clock: Clock,
        sightings: Sightings[Any, Told],
        *,
        namespace: str,
        label_selector: str,
        random: Callable[[], float],
    ) -> None:
        self._api, self._clock, self._namespace = api, clock, namespace
        self._follow: Follow[Lease] = follow(
            api, LEASES, namespace, label_selector=label_selector, clock=clock, random=random
        )
        self._sightings = sightings
        self._ask_at = -math.inf  # no use in asking earlier
        self._blind = False  # the last question was not answered, nor has the watch told anything since

    async def __aenter__(self) -> Self:
        await self._follow.__aenter__()
        try:
            while (change := await anext(self._follow)).type is not ChangeType.SYNCED:
                self._take(change)
        except BaseException:
            await self._follow.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._follow.__aexit__(*exc)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Told:
        while (change := self._sightings.next_change()) is None:
            name, at = self._sightings.next_to_age()
            wait_s = max(at, self._ask_at) - self._clock.now()
            if wait_s <= 0:
                await self._confirm(name)
                continue
            with anyio.move_on_after(wait_s if wait_s < math.inf else None):
                self._take(await anext(self._follow))
        return change

    def _take(self, change: Change[Lease]) -> None:
        self._answered()
        if change.type is ChangeType.GONE:
            self._sightings.gone(change.name)
        elif change.object is not None:
            self._sightings.show(change.object, self._clock.now(), self._clock.wall_us())

    async def _confirm(self, name: str) -> None:
        """It seems to have missed a renewal, unless it is the watch that has missed something: look."""
        try:
            lease = await self._api.get(LEASES, name, self._namespace)
        except NotFound:
            self._sightings.gone(name)
        except (Unavailable, Throttled) as error:
            self._ask_at, self._blind = self._clock.now() + (error.retry_after_s or _ASK_AGAIN_S), True
        else:
            self._answered()
            self._sightings.show(lease, self._clock.now(), self._clock.wall_us())
            self._sightings.age(name, self._clock.now())

    def _answered(self) -> None:
        """The API server is there. If it was not, nobody could renew until now."""
        if self._blind:
            self._blind = False
            self._sightings.pardon(self._clock.now())
