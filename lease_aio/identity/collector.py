"""Deletes the identities of API servers that are no more."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable, Generator
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc

from lease_aio.api import LEASES, Api, Backoff
from lease_aio.clock import Clock
from lease_aio.errors import (
    ApiError,
    ClockSkewed,
    ConfigurationError,
    Conflict,
    Invalid,
    LeaseAioError,
    NotFound,
    Refused,
)
from lease_aio.identity.collecting import Fate, fate, suspects
from lease_aio.identity.events import Collection, CollectionFailed
from lease_aio.identity.listeners import IdentityObserver, tell
from lease_aio.identity.record import IDENTITY_LABEL, IDENTITY_NAMESPACE, read_identity
from lease_aio.identity.registry import Listing, list_labelled
from lease_aio.identity.skew import MAX_SKEW_S, WARN_SKEW_S, Skew, SkewGuard, skew_of
from lease_aio.log import get_logger
from lease_aio.model import Lease
from lease_aio.naming import KUBE_APISERVER, check_label_value
from lease_aio.observers import check_observer

PERIOD_S = 3600.0
"""Of a kube-apiserver: the duration of an identity. A dead one is gone after one to two hours."""

_PAUSES = Backoff(first_s=5.0, cap_s=300.0)


class IdentityCollector:
    """Deletes expired identities: once (`await` it), or every period while its `async with` block runs.

    As every kube-apiserver does, with the same rule: an identity has expired when its renewTime and duration together
    are in the past by this machine's wall clock. Each is read again before it is deleted, and deleted only in that
    very version. What has no such label, or lives elsewhere, is never touched. Any number of collectors may run.

    Because that rule compares two machines' clocks, this one's is held against the API server's first (the header
    Date): a difference is warned of, and beyond `max_skew_s` nothing is deleted. That guards against a wrong clock
    here, which would take the living for dead. It does not see the clock of a server whose renewTime is wrong; such
    an identity is spared if it is renewed between the two looks.

    Entering makes the first pass, and raises what waiting does not mend. What later passes meet is not raised: see
    `last_error` and the log.

    Args:
        api: The API server.
        clock: Its wall clock judges; its `now()` measures the period.
        tasks: Runs the passes; None allows single ones only.
        server: The name of the servers; the value of their label.
        period_s: From one pass to the next.
        dry_run: Tell what would be deleted, and delete nothing.
        warn_skew_s: From which difference of the clocks on it warns, in seconds.
        max_skew_s: From which difference on it deletes nothing.
        observer: Told of each pass, see `IdentityObserver`.
        random: Uniform in [0, 1), spreads retries.

    Attributes:
        passes: How many passes were made to their end.
        last: What the last of them did.
        last_error: What the last pass met, if it came to nothing; None again after one that did not.

    Raises:
        ConfigurationError: at construction, a value cannot work.
        ClockSkewed: the clocks are too far apart.
        ApiError: identities cannot be listed.
    """

    def __init__(
        self,
        api: Api,
        clock: Clock,
        tasks: anyio.abc.TaskGroup | None = None,
        *,
        server: str = KUBE_APISERVER,
        period_s: float = PERIOD_S,
        dry_run: bool = False,
        warn_skew_s: float = WARN_SKEW_S,
        max_skew_s: float = MAX_SKEW_S,
        observer: IdentityObserver | None = None,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        if not period_s > 0:
            raise ConfigurationError(f"period_s={period_s!r} must be a positive number of seconds")
        self._server = check_label_value("server", server)
        self._guard = SkewGuard(warn_s=warn_skew_s, max_s=max_skew_s)
        self._api, self._clock, self._tasks, self._random = api, clock, tasks, random
        check_observer(observer)
        self._period_s, self._dry_run, self._observer = period_s, dry_run, observer
        self._log = get_logger("identity").bind(server=server)
        self._scope, self._done = anyio.CancelScope(), anyio.Event()
        self._failures = 0
        self._entered = False
        self.passes = 0
        self.last: Collection | None = None
        self.last_error: LeaseAioError | None = None

    def __await__(self) -> Generator[Any, Any, Collection]:
        return self.collect().__await__()

    async def __aenter__(self) -> Self:
        if self._tasks is None or self._entered:
            raise ConfigurationError("this collector has no task group, or was entered before: make a new one")
        self._entered = True
        await self._pass()
        if isinstance(self.last_error, (Refused, Invalid, ClockSkewed)):
            raise self.last_error
        self._tasks.start_soon(self._run, name=f"collector of identities of {self._server}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._done.wait()

    async def collect(self) -> Collection:
        """One pass, now.

        Raises:
            ClockSkewed: the clocks are too far apart; nothing was deleted.
            ApiError: identities cannot be listed. What a single deletion meets is in the result.
        """
        sent_us = self._clock.wall_us()
        listing = await list_labelled(self._api, IDENTITY_NAMESPACE, f"{IDENTITY_LABEL}={self._server}")
        skew = self._judge_clock(listing, sent_us)
        wall_us = self._clock.wall_us()
        found = tuple(read_identity(lease, wall_us) for lease in listing.leases)
        result = Collection(server=self._server, found=found, skew=skew, dry_run=self._dry_run)
        for lease in suspects(listing.leases, wall_us):
            result = await self._look_again(lease, result)
        self.passes += 1
        self.last = result
        tell(self._observer, result, self._log)
        return result

    def _judge_clock(self, listing: Listing, sent_us: int) -> Skew | None:
        if listing.date is None:
            self._log.warning("identity.clock_skew_unknown", remedy="the API server's answers carry no Date")
            return None
        skew = skew_of(listing.date, sent_us=sent_us, received_us=self._clock.wall_us())
        if self._guard.warns(skew):
            self._log.warning("identity.clock_skew", skew_s=round(skew.least_s, 1), remedy="set this machine's clock")
        self._guard.require(skew)
        return skew

    async def _look_again(self, lease: Lease, result: Collection) -> Collection:
        """Collect one that looked expired, unless it turns out to be alive."""
        try:
            if not await self._collected(lease):
                return replace(result, spared=(*result.spared, lease.name))
        except ApiError as error:
            self._log.warning("identity.not_collected", lease=lease.name, error=str(error))
            return replace(result, failed=(*result.failed, (lease.name, str(error))))
        identity = read_identity(lease, self._clock.wall_us())
        what = "identity.would_collect" if self._dry_run else "identity.collected"
        self._log.info(what, lease=lease.name, hostname=identity.hostname, renew_time=str(identity.renew_time))
        return replace(result, collected=(*result.collected, identity))

    async def _collected(self, listed: Lease) -> bool:
        """Whether it was deleted (would have been, in a dry run)."""
        try:
            live = await self._api.get(LEASES, listed.name, listed.namespace)
            if fate(listed, live, server=self._server, wall_us=self._clock.wall_us()) is not Fate.COLLECT:
                return False
            if not self._dry_run:
                await self._api.delete(
                    LEASES,
                    live.name,
                    live.namespace,
                    uid=live.metadata.uid,
                    resource_version=live.resource_version,
                )
        except (NotFound, Conflict):  # withdrawn or renewed meanwhile
            return False
        return True

    async def _run(self) -> None:
        try:
            with self._scope:
                while True:
                    await self._clock.sleep_until(self._clock.now() + self._pause_s())
                    await self._pass()
        finally:
            self._done.set()

    def _pause_s(self) -> float:
        """A period; less after a pass that came to nothing."""
        if not self._failures:
            return self._period_s
        retry_after_s = self.last_error.retry_after_s if isinstance(self.last_error, ApiError) else None
        return min(self._period_s, _PAUSES.delay_s(self._failures, self._random, retry_after_s=retry_after_s))

    async def _pass(self) -> None:
        try:
            await self.collect()
            self._failures, self.last_error = 0, None
        except (ApiError, ClockSkewed) as error:
            self._failures += 1
            self.last_error = error
            self._log.warning("identity.collection_failed", error=str(error))
            skewed = isinstance(error, ClockSkewed)
            tell(self._observer, CollectionFailed(server=self._server, error=str(error), skewed=skewed), self._log)
