"""The API servers that are there, told as they come and go."""

from __future__ import annotations

import math
import random as random_module
from collections.abc import Callable, Mapping
from typing import Self

import anyio

from lease_aio.api import LEASES, Api, Change, ChangeType, Follow, follow
from lease_aio.clock import Clock
from lease_aio.errors import NotFound, Throttled, Unavailable
from lease_aio.identity.presence import IdentityChange, Presence
from lease_aio.identity.record import IDENTITY_LABEL, IDENTITY_NAMESPACE, Identity
from lease_aio.model import Lease
from lease_aio.naming import KUBE_APISERVER, check_label_value

_ASK_AGAIN_S = 5.0


class IdentityObservation:
    """Follows the identities of servers of one name: `async with` it, then `async for change in` it.

    Entering waits until all that are there have been seen: `identities` holds them, and each is told as APPEARED
    first. A renewal is no change. That one is late or expired is told only after a read has confirmed it, so that a
    watch which has died in silence makes nobody late; nor does an API server that cannot be reached: when it is back,
    all have the time anew.

    Nothing runs in between: `identities` is as of the last change that was asked for.

    Args:
        api: The API server.
        clock: Measures ages.
        server: The name of the servers; the value of their label.
        namespace: Where to look.
        random: Uniform in [0, 1), spreads retries.

    Raises:
        ConfigurationError: at construction, the server's name cannot be a label.
        Refused: on entering or from the loop, Leases may not be listed or watched.
    """

    def __init__(
        self,
        api: Api,
        clock: Clock,
        *,
        server: str = KUBE_APISERVER,
        namespace: str = IDENTITY_NAMESPACE,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        selector = f"{IDENTITY_LABEL}={check_label_value('server', server)}"
        self._api, self._clock, self._namespace = api, clock, namespace
        self._follow: Follow[Lease] = follow(
            api, LEASES, namespace, label_selector=selector, clock=clock, random=random
        )
        self._presence = Presence()
        self._ask_at = -math.inf  # no use in asking earlier
        self._blind = False  # the last question was not answered, nor has the watch told anything since

    @property
    def identities(self) -> Mapping[str, Identity]:
        """All that are there, by the names of their Leases."""
        return self._presence.identities

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

    async def __anext__(self) -> IdentityChange:
        while (change := self._presence.next_change()) is None:
            name, at = self._presence.next_to_age()
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
            self._presence.gone(change.name)
        elif change.object is not None:
            self._presence.show(change.object, self._clock.now(), self._clock.wall_us())

    async def _confirm(self, name: str) -> None:
        """It seems to have missed a renewal, unless it is the watch that has missed something: look."""
        try:
            lease = await self._api.get(LEASES, name, self._namespace)
        except NotFound:
            self._presence.gone(name)
        except (Unavailable, Throttled) as error:
            self._ask_at, self._blind = self._clock.now() + (error.retry_after_s or _ASK_AGAIN_S), True
        else:
            self._answered()
            self._presence.show(lease, self._clock.now(), self._clock.wall_us())
            self._presence.age(name, self._clock.now())

    def _answered(self) -> None:
        """The API server is there. If it was not, nobody could renew until now."""
        if self._blind:
            self._blind = False
            self._presence.pardon(self._clock.now())
