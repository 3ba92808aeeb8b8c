"""The API servers that are there, told as they come and go."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable, Mapping

from lease_aio.api import Api
from lease_aio.clock import Clock
from lease_aio.identity.observation import SightObservation
from lease_aio.identity.presence import IdentityChange, Presence
from lease_aio.identity.record import IDENTITY_LABEL, IDENTITY_NAMESPACE, Identity
from lease_aio.naming import KUBE_APISERVER, check_label_value


class IdentityObservation(SightObservation[IdentityChange]):
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
        self._presence = Presence()
        super().__init__(api, clock, self._presence, namespace=namespace, label_selector=selector, random=random)

    @property
    def identities(self) -> Mapping[str, Identity]:
        """All that are there, by the names of their Leases."""
        return self._presence.views
