"""What a fleet has created for nodes that have left it, until that is deleted."""

from __future__ import annotations

import contextlib
from typing import Any

import anyio

from lease_aio.api.protocol import LEASES, NODES, Resource
from lease_aio.errors import ApiError, Conflict, NotFound, Throttled, Unavailable
from lease_aio.heartbeat.fleet.hollow import Hollow
from lease_aio.heartbeat.node.profile import FLEET_LABEL
from lease_aio.heartbeat.node.register import Registration, for_each, with_patience
from lease_aio.heartbeat.renewal.beat import Beat
from lease_aio.heartbeat.sender import BeatGroup
from lease_aio.log import get_logger

Leftover = Hollow | Registration
"""A node that has left, or a registration that ended before it was known whether it had created a Node."""


class Leftovers:
    """Deletes what this fleet has created, by its uid, and nothing else.

    Args:
        group: What the beats share.
        fleet: The fleet's name.
        namespace: Where its leases are.
        timeout_s: Longest time for one deletion of all.
    """

    def __init__(self, group: BeatGroup, *, fleet: str, namespace: str, timeout_s: float) -> None:
        self._group, self._fleet, self._namespace, self._timeout_s = group, fleet, namespace, timeout_s
        self._left: dict[Leftover, None] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Nodes of which something that was created is still there, or may be."""
        return tuple(one.name for one in self._left if _may_have_created(one))

    def add(self, *leftovers: Leftover) -> None:
        """See to these, too."""
        self._left.update(dict.fromkeys(leftovers))

    async def delete(self) -> None:
        """Delete all, also what could not be deleted earlier; what is left then, the log is told of."""
        with anyio.move_on_after(self._timeout_s):
            await for_each(tuple(self._left), self._delete)
        if left := self.names:
            remedy = f"kubectl delete nodes -l {FLEET_LABEL}={self._fleet}"
            log = get_logger("heartbeat")
            log.warning("fleet.undeleted", fleet=self._fleet, nodes=len(left), first=left[0], remedy=remedy)

    async def _delete(self, leftover: Leftover) -> None:
        try:
            if isinstance(leftover, Hollow):
                await self._delete_one(LEASES, leftover.name, self._namespace, await self._lease_uid(leftover.beat))
                await self._delete_one(NODES, leftover.name, "", leftover.node_uid)
            else:
                await self._delete_one(NODES, leftover.name, "", await leftover.uid_of_unanswered())
        except ApiError as error:
            self._group.failed(leftover.name, self._group.clock.now(), error)
        else:
            self._left.pop(leftover, None)

    async def _lease_uid(self, beat: Beat) -> str:
        """Of the lease that was created, also by a create to which no answer came; empty if there is none."""
        if beat.created_uid or beat.creating is None:
            return beat.created_uid
        with contextlib.suppress(NotFound):
            lease = await self._group.api.get(LEASES, beat.name, self._namespace)
            return lease.metadata.uid if lease.spec.renew_time == beat.creating else ""
        return ""

    async def _delete_one(self, resource: Resource[Any], name: str, namespace: str, uid: str) -> None:
        if not uid:
            return
        with contextlib.suppress(NotFound, Conflict):
            await with_patience(
                lambda: self._group.api.delete(resource, name, namespace, uid=uid),
                over=(Unavailable, Throttled),
                heard=lambda error: self._group.failed(name, self._group.clock.now(), error),
            )


def _may_have_created(leftover: Leftover) -> bool:
    if isinstance(leftover, Hollow):
        return bool(leftover.node_uid or leftover.beat.created_uid or leftover.beat.creating)
    return leftover.unanswered
