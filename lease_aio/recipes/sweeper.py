"""Deletes what members of a group have left behind, while another member is there."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import anyio.abc
import structlog

from lease_aio.api.protocol import LEASES, Api
from lease_aio.clock import Clock
from lease_aio.errors import ApiError, Conflict, NotFound
from lease_aio.identity.registry import list_labelled
from lease_aio.model import Lease
from lease_aio.recipes.group import MEMBER_LABEL
from lease_aio.recipes.leftovers import Leftovers


class Sweeper:
    """Looks at the group every now and then; see `Leftovers` for what is deleted, and when.

    Each is deleted only in the version that was looked at: one that is renewed meanwhile stays. What it meets is logged
    and changes nothing.

    Args:
        api: The API server.
        clock: Measures.
        tasks: Runs it.
        group: The group.
        namespace: Where its Leases are.
        leftovers: The rules.
        on_deleted: Told of each. It must not raise.
        log: The member's.
        random: Uniform in [0, 1).
    """

    def __init__(
        self,
        api: Api,
        clock: Clock,
        tasks: anyio.abc.TaskGroup,
        *,
        group: str,
        namespace: str,
        leftovers: Leftovers,
        on_deleted: Callable[[Lease], None],
        log: structlog.typing.FilteringBoundLogger,
        random: Callable[[], float],
    ) -> None:
        self._api, self._clock, self._tasks = api, clock, tasks
        self._group, self._namespace = group, namespace
        self._leftovers, self._on_deleted, self._log, self._random = leftovers, on_deleted, log, random
        self._scope, self._done = anyio.CancelScope(), anyio.Event()
        self._started = False
        self._failing = False  # it was said

    def start(self) -> None:
        """Look from now on."""
        self._started = True
        self._tasks.start_soon(self._run, name=f"sweeper of the group {self._group}")

    async def stop(self) -> None:
        """Look no more; ends with nothing running."""
        if self._started:
            self._scope.cancel()
            with anyio.CancelScope(shield=True):
                await self._done.wait()

    async def _run(self) -> None:
        try:
            with self._scope:
                while True:
                    await self._look()
                    pause_s = self._leftovers.pause_s(self._random())
                    await self._clock.sleep_until(self._clock.now() + pause_s)
        finally:
            self._done.set()

    async def _look(self) -> None:
        try:
            listing = await list_labelled(self._api, self._namespace, f"{MEMBER_LABEL}={self._group}")
            for lease in self._leftovers.look(listing.leases, self._clock.now()):
                await self._delete(lease)
        except ApiError as error:
            if not self._failing:
                self._log.warning("membership.not_swept", error=str(error))
            self._failing = True
        else:
            self._failing = False

    async def _delete(self, lease: Lease) -> None:
        try:
            await self._api.delete(
                LEASES,
                lease.name,
                lease.namespace,
                uid=lease.metadata.uid,
                resource_version=lease.resource_version,
            )
        except (NotFound, Conflict):  # another member was first, or it lives after all
            return
        self._on_deleted(lease)
