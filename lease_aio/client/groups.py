"""Groups: being a member of one, and seeing who is."""

from __future__ import annotations

from lease_aio.client.base import ClientBase
from lease_aio.recipes import Membership, MembershipObserver, MembersObservation


class Groups(ClientBase):
    """The group memberships of a client."""

    def member_of(
        self,
        group: str,
        member: str | None = None,
        *,
        namespace: str | None = None,
        lease_duration_s: int = 15,
        ready_timeout_s: float | None = 30.0,
        observer: MembershipObserver | None = None,
    ) -> Membership:
        """Be a member of a group for the body: a Lease of one's own says that this process is alive.

        See `Membership` for what each parameter means, and for two processes of one name.
        """
        return Membership(
            self.api,
            self._scheduler,
            self._clock,
            self.engine.tasks,
            group=group,
            member=member,
            namespace=self._namespace(namespace),
            lease_duration_s=lease_duration_s,
            ready_timeout_s=ready_timeout_s,
            observer=observer,
            random=self._random,
        )

    def members(self, group: str, *, namespace: str | None = None) -> MembersObservation:
        """Follow who of a group is alive: `async with` it, then `async for change in` it."""
        return MembersObservation(
            self.api, self._clock, group=group, namespace=self._namespace(namespace), random=self._random
        )
