"""Who holds a Lease, told as it changes, without contending for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import anyio

from lease_aio.api import LEASES
from lease_aio.election.engine import Engine
from lease_aio.election.watches import Subscription
from lease_aio.errors import ApiError, ConfigurationError, NotFound, Throttled, Unavailable
from lease_aio.model import Lease, MicroTime
from lease_aio.timing import Timing


@dataclass(frozen=True, kw_only=True, slots=True)
class Holding:
    """Who holds the Lease.

    Attributes:
        holder: The identity; empty where nobody holds it: released, deleted, or silent for longer than its duration.
        since: When that holder acquired it, by the holder's own wall clock; None where it does not say.
        transitions: How often the Lease changed hands, as the Lease says.
        expired: The Lease still names a holder (`last_holder`), who did not renew in time by this observer's clock.
        last_holder: Whom the Lease names; empty if none.
    """

    holder: str
    since: MicroTime | None
    transitions: int
    expired: bool = False
    last_holder: str = ""


NOBODY = Holding(holder="", since=None, transitions=0)


def read_holding(lease: Lease | None, *, expired: bool) -> Holding:
    """What the record says. Pure."""
    if lease is None:
        return NOBODY
    return Holding(
        holder="" if expired else lease.holder,
        since=lease.spec.acquire_time if lease.holder and not expired else None,
        transitions=lease.spec.lease_transitions or 0,
        expired=expired and bool(lease.holder),
        last_holder=lease.holder,
    )


class Observation:
    """The holders of one Lease, one after another: `async with` it, then `async for holding in` it.

    The first comes at once, each further one when it differs from the last told; of changes that come faster than they
    are asked for, the last. Like a contender it judges silence by its own clock: D(1+ρ) after it first saw the current
    resourceVersion. Shares the watch of the namespace's elections; without the right to watch it reads every
    `timing.renew_interval_s`.

    Raises from the loop:
        Refused: the Lease cannot be read.
        ConfigurationError: the LeaseClient was left meanwhile, and shows nothing more.
    """

    def __init__(self, engine: Engine, *, name: str, namespace: str, timing: Timing) -> None:
        self._engine, self._name, self._namespace, self._timing = engine, name, namespace, timing
        self._lease: Lease | None = None
        self._version = -1
        self._seen_at = -math.inf
        self._read = False  # something is known
        self._polling = False
        self._client_closed = False
        self._told: Holding | None = None
        self._news = anyio.Event()
        self._subscription: Subscription[Lease] | None = None

    async def __aenter__(self) -> Self:
        self._engine.roster.join(self)
        self._subscription = self._engine.watches.subscribe(self._namespace, self._name, self)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._engine.roster.leave(self)
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Holding:
        if self._subscription is None:
            raise RuntimeError("the observation is not open: iterate it inside `async with`")
        while True:
            while not self._read and not self._client_closed:
                await self._look()
            if self._client_closed:
                raise ConfigurationError(
                    f"the LeaseClient was left, and shows nothing more of {self._namespace}/{self._name}: observe "
                    "inside its block"
                )
            holding = read_holding(self._lease, expired=self._engine.clock.now() >= self._expires_at())
            if holding != self._told:
                self._told = holding
                return holding
            await self._wait()

    # ------------------------------------------------------------------ see `watches.Listener`

    def changed(self, found: Lease, *, listed: bool) -> None:
        """See `watches.Listener`."""
        del listed
        self._note(found)

    def gone(self, resource_version: str) -> None:
        """See `watches.Listener`."""
        if not resource_version or int(resource_version) > self._version:
            self._version = int(resource_version or self._version)
            self._lease, self._read = None, True
            self._news.set()

    def watch_refused(self, error: ApiError) -> None:
        """See `watches.Listener`."""
        del error
        self._polling = True
        self._news.set()

    def watch_allowed(self) -> None:
        """See `watches.Listener`."""
        self._polling, self._read = False, False
        self._news.set()

    def client_closed(self) -> None:
        """See `engine.Contender`."""
        self._client_closed = True
        self._news.set()

    # ------------------------------------------------------------------ inside

    def _note(self, lease: Lease) -> None:
        version = int(lease.resource_version)
        if version > self._version:
            self._version, self._lease = version, lease
            self._seen_at = self._engine.clock.now()
        self._read = True
        self._news.set()

    def _expires_at(self) -> float:
        if self._lease is None or not self._lease.holder:
            return math.inf
        return self._seen_at + self._timing.takeover_after_s(self._lease.spec.lease_duration_seconds)

    async def _look(self) -> None:
        """Read it; what can pass is waited out."""
        api, timeout_s = self._engine.api, self._timing.request_timeout_s
        try:
            self._note(await api.get(LEASES, self._name, self._namespace, timeout_s=timeout_s))
        except NotFound:
            self._lease, self._read = None, True
        except (Unavailable, Throttled) as error:
            await anyio.sleep(error.retry_after_s or self._timing.retry_interval_s)

    async def _wait(self) -> None:
        """Until there may be something new: told by the watch, silent for too long, or time to read again."""
        self._news = anyio.Event()
        now = self._engine.clock.now()
        patience_s = self._timing.renew_interval_s if self._polling else math.inf
        expires_in_s = self._expires_at() - now
        wait_s = min(patience_s, expires_in_s if expires_in_s > 0 else math.inf)
        with anyio.move_on_after(wait_s if wait_s < math.inf else None):
            await self._news.wait()
        self._read = self._read and not self._polling
