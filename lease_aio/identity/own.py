"""A Lease that says that one process is alive: written, renewed, watched for others, and deleted by that process."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable

import anyio

from lease_aio.api.protocol import LEASES, Api
from lease_aio.clock import Clock
from lease_aio.errors import ApiError, Call, ConfigurationError, Conflict, NotFound, Unavailable
from lease_aio.heartbeat.renewal.beat import Beat
from lease_aio.heartbeat.renewal.renewer import Next
from lease_aio.heartbeat.renewal.solo import Solo
from lease_aio.identity.succession import IdentityRenewer
from lease_aio.scheduler import Scheduler

DELETE_TIMEOUT_S = 10.0


class News(enum.Enum):
    """What has become of the Lease."""

    PUBLISHED = "published"
    """It is there, and fresh; told once."""
    SUPERSEDED = "superseded"
    """It names another process since; told for each."""
    SHARED = "shared"
    """Another process renews it under the same holder; told once."""
    WITHDRAWN = "withdrawn"
    """The end, of one that was published; whether it is gone says `deleted`."""


class OwnLease:
    """Drives one such Lease.

    Args:
        api: The API server.
        scheduler: Drives the renewals; its `run()` must be running.
        clock: The scheduler's.
        renewer: How it is written, and the judge of whose it is.
        ready_timeout_s: Longest wait for the first renewal, in seconds; None does not wait.
        on_news: Told what becomes of it. It must not raise.

    Attributes:
        published: It was there, and fresh.
        deleted: It is gone.
        delete_error: What kept it from being deleted.
    """

    def __init__(
        self,
        api: Api,
        scheduler: Scheduler,
        clock: Clock,
        renewer: IdentityRenewer,
        *,
        ready_timeout_s: float | None,
        on_news: Callable[[News], None],
    ) -> None:
        self._api, self._renewer, self._on_news = api, renewer, on_news
        self._solo = Solo(api, scheduler, clock, renewer, ready_timeout_s=ready_timeout_s, observer=self._observe)
        self._superseded_by = ""  # as far as it was told
        self._shared = False
        self._told = anyio.Event()  # that it was superseded
        self.published = self.deleted = False
        self.delete_error: ApiError | None = None

    @property
    def name(self) -> str:
        """The Lease's name."""
        return self._renewer.name

    @property
    def holder(self) -> str:
        """This process."""
        return self._renewer.holder

    @property
    def adopted(self) -> str:
        """The holder of a former process whose Lease this is; empty if none."""
        return self._renewer.succession.adopted

    @property
    def superseded_by(self) -> str:
        """The holder of a newer process that the Lease names; empty while there is none."""
        return self._renewer.succession.superseded_by

    @property
    def shared(self) -> bool:
        """Another process was seen to renew the Lease under the same holder."""
        return self._renewer.succession.shared

    @property
    def renewals(self) -> int:
        """Confirmed writes so far."""
        return self._solo.renewals

    @property
    def last_renewed(self) -> float | None:
        """When a write was last confirmed, on the clock's `now()`."""
        return self._solo.last_renewed

    @property
    def last_error(self) -> ApiError | None:
        """What the last request met, if it failed; after the end, what kept the Lease from being deleted."""
        return self.delete_error or self._solo.last_error

    async def taken_over(self) -> str:
        """Wait until a newer process has taken the Lease over; the holder that it names then."""
        while not self.superseded_by:
            await self._told.wait()
        return self.superseded_by

    async def start(self) -> None:
        """Publish it, and wait for that; deletes what may have been on its way if that fails. See `Solo.start`."""
        try:
            await self._solo.start()
        except BaseException:
            await self.end()
            raise

    def cease(self) -> None:
        """Renew no more, from now on; `end` is still due."""
        self._solo.cease()

    async def end(self, *, keep: bool = False) -> None:
        """Wait until no renewal is under way, and delete the Lease if it names this process.

        Bounded, and not to be cancelled.

        Args:
            keep: Leave it to run out.
        """
        await self._solo.stop()
        if not keep:
            with anyio.move_on_after(DELETE_TIMEOUT_S, shield=True) as scope:
                self.deleted = await self._withdraw()
            if scope.cancelled_caught:
                self.delete_error = self._not_done()
        if self.published:
            self._on_news(News.WITHDRAWN)

    def _not_done(self) -> Unavailable:
        call = Call(verb="delete", resource=LEASES.label, namespace=self._renewer.rules.namespace, name=self.name)
        return Unavailable(call, f"not done within {DELETE_TIMEOUT_S:g} s", outcome_unknown=True)

    def _observe(self, beat: Beat, step: Next, error: ApiError | None) -> None:
        """Compare what each answer showed with what was told."""
        del beat, error
        if step.renewed and not self.published:
            self.published = True
            self._on_news(News.PUBLISHED)
        if self.superseded_by != self._superseded_by:
            self._supersede(self.superseded_by)
        if self.shared and not self._shared:
            self._shared = True
            self._on_news(News.SHARED)

    def _supersede(self, by: str) -> None:
        self._superseded_by = by
        if not by:  # that one has withdrawn, and the Lease is this one's again
            self._told = anyio.Event()
            return
        self._on_news(News.SUPERSEDED)
        self._told.set()

    async def _withdraw(self) -> bool:
        """Delete the Lease if it names us. Where the answer to that is lost, look once more."""
        try:
            try:
                return await self._delete()
            except Unavailable as error:
                if not error.outcome_unknown:
                    raise
                return await self._delete()
        except NotFound:
            return True
        except ApiError as error:
            self.delete_error = error
            return False

    async def _delete(self) -> bool:
        """Just the version that was looked at; if that has moved, look again."""
        namespace = self._renewer.rules.namespace
        while True:
            lease = await self._api.get(LEASES, self.name, namespace)
            if not self._renewer.succession.owns(lease):
                return False
            with contextlib.suppress(Conflict):
                await self._api.delete(
                    LEASES, self.name, namespace, uid=lease.metadata.uid, resource_version=lease.resource_version
                )
                return True


class Publisher:
    """What every block that publishes such a Lease says of it. It serves once.

    Args:
        own: Drives the Lease.
    """

    def __init__(self, own: OwnLease) -> None:
        self._own = own
        self._entered = False

    @property
    def name(self) -> str:
        """The Lease's name, the same for every process that publishes the same."""
        return self._own.name

    @property
    def holder(self) -> str:
        """This process: a name, and a part of its own."""
        return self._own.holder

    @property
    def superseded(self) -> bool:
        """The Lease names another, newer process."""
        return bool(self._own.superseded_by)

    @property
    def shared(self) -> bool:
        """Another process was seen to renew the Lease under the same holder, see `Shared`."""
        return self._own.shared

    @property
    def renewals(self) -> int:
        """Confirmed writes so far."""
        return self._own.renewals

    @property
    def last_renewed(self) -> float | None:
        """When a write was last confirmed, on the clock's `now()`."""
        return self._own.last_renewed

    @property
    def last_error(self) -> ApiError | None:
        """What the last request met, if it failed; after the block, what kept the Lease from being deleted."""
        return self._own.last_error

    async def taken_over(self) -> str:
        """Wait until a newer process has taken the Lease over; the holder that it names then."""
        return await self._own.taken_over()

    def _enter(self) -> None:
        if self._entered:
            raise ConfigurationError(f"this {type(self).__name__} of {self.name} was entered before: make a new one")
        self._entered = True
