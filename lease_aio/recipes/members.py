"""The members of a group, told as they come and go."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable, Mapping

from lease_aio.api.protocol import Api
from lease_aio.clock import Clock
from lease_aio.identity.observation import SightObservation
from lease_aio.naming import check_group
from lease_aio.recipes.group import MEMBER_LABEL, Group, Member, MemberChange


class MembersObservation(SightObservation[MemberChange]):
    """Follows a group: `async with` it, then `async for change in` it.

    Entering waits until all whose Leases are there have been seen: they are in `members`, and each is told as JOINED
    first. A member counts as alive for one of its durations from the last renewal that was seen here, by this
    observer's clock; its time begins with the first sight of it, so that the Lease of one that has crashed before
    counts for one duration, too. LOST is told only after a read has confirmed it, and of nobody for a time in which
    the API server could not be reached.

    Nothing runs in between: `members` is as of the last change that was asked for.

    Args:
        api: The API server.
        clock: Measures ages.
        group: The group.
        namespace: Where its Leases are.
        random: Uniform in [0, 1), spreads retries.

    Raises:
        ConfigurationError: at construction, the group's name cannot be one.
        Refused: on entering or from the loop, Leases may not be listed or watched.
    """

    def __init__(
        self,
        api: Api,
        clock: Clock,
        *,
        group: str,
        namespace: str,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._group = Group()
        selector = f"{MEMBER_LABEL}={check_group(group)}"
        super().__init__(api, clock, self._group, namespace=namespace, label_selector=selector, random=random)

    @property
    def members(self) -> Mapping[str, Member]:
        """All whose Leases are there, the lost ones too, by the names of their Leases."""
        return self._group.members

    @property
    def alive(self) -> tuple[Member, ...]:
        """Those that are alive, in order of their names."""
        living = (member for member in self._group.members.values() if member.alive)
        return tuple(sorted(living, key=lambda one: (one.member, one.name)))
