"""One lease, kept alive on its own: started with a first renewal, stopped with no request left."""

from __future__ import annotations

import anyio

from lease_aio.api.protocol import LEASES, NODES, Api
from lease_aio.clock import Clock
from lease_aio.errors import ApiError, Call, Invalid, NotFound, Refused, Unavailable
from lease_aio.heartbeat.renewal.beat import Beat
from lease_aio.heartbeat.renewal.renewer import Next, Renewer
from lease_aio.heartbeat.sender import BeatGroup, Observer
from lease_aio.model import Lease
from lease_aio.scheduler import Scheduler


class Solo:
    """Starts and stops the renewals of one lease.

    Args:
        api: The API server.
        scheduler: Drives the renewals; its `run()` must be running.
        clock: The scheduler's.
        renewer: The rules.
        ready_timeout_s: Longest wait for the first renewal, in seconds; None does not wait.
        observer: Told of each answer, if given.
    """

    def __init__(
        self,
        api: Api,
        scheduler: Scheduler,
        clock: Clock,
        renewer: Renewer,
        *,
        ready_timeout_s: float | None,
        observer: Observer | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._renewer = renewer
        self._ready_timeout_s = ready_timeout_s
        self._observer = observer
        self._group = BeatGroup(api, clock, self._observe)
        self._beat: Beat | None = None
        self._decided = anyio.Event()
        self._fatal: ApiError | None = None

    @property
    def lease(self) -> Lease | None:
        """The lease as last confirmed, but for renewTime and duration; None before that."""
        return self._renewer.lease

    @property
    def renewals(self) -> int:
        """Confirmed writes so far."""
        return self._group.tally.renewals

    @property
    def last_renewed(self) -> float | None:
        """When a write was last confirmed, on the clock's `now()`."""
        return self._beat.renewal.last_success if self._beat else None

    @property
    def last_error(self) -> ApiError | None:
        """What the last request met, if it failed; None again after one that did not."""
        return self._beat.last_error if self._beat else None

    async def start(self) -> None:
        """Start to renew, and wait for the first renewal.

        Raises:
            ApiError: asking again would change nothing (no rights, an invalid object, no Node to own the lease); or
                what the last request met, if there was no renewal in time. Nothing is left running then.
        """
        self._beat = Beat(self._group, self._renewer, due=self._group.clock.now())
        self._scheduler.add(self._beat.renewal)
        try:
            if self._ready_timeout_s is not None:
                await self._first_renewal(self._ready_timeout_s)
        except BaseException:
            await self.stop()
            raise

    def cease(self) -> None:
        """Renew no more; an attempt that runs goes on to its answer, which `stop` waits for. `start` waits no more."""
        self._decided.set()
        if self._beat is not None:
            self._scheduler.remove(self._beat.renewal)

    async def stop(self) -> None:
        """Renew no more; ends with no attempt running. Waits for one no longer than a request may take."""
        if self._beat is None:
            return
        with anyio.move_on_after(self._renewer.rules.request_timeout_s + 1, shield=True):
            await self._scheduler.drain(self._beat.renewal)

    async def _first_renewal(self, timeout_s: float) -> None:
        with anyio.move_on_after(timeout_s):
            await self._decided.wait()
        if self._fatal is not None:
            raise self._fatal
        if not self._decided.is_set():
            raise self.last_error or self._no_answer(timeout_s)

    def _no_answer(self, timeout_s: float) -> Unavailable:
        place = {"namespace": self._renewer.rules.namespace, "name": self._renewer.name}
        call = Call(verb="update", resource=LEASES.label, **place)
        return Unavailable(call, f"no renewal within {timeout_s:g} s; does the scheduler run?")

    def _observe(self, beat: Beat, step: Next, error: ApiError | None) -> None:
        if error is not None and step.failed and _is_fatal(error):
            self._fatal = error
            self._decided.set()
        elif step.renewed:
            self._decided.set()
        if self._observer is not None:
            self._observer(beat, step, error)


def _is_fatal(error: ApiError) -> bool:
    """Asking again changes nothing. A namespace that is missing is not of that kind: it is made within a minute."""
    no_node = isinstance(error, NotFound) and error.call.resource == NODES.label
    return no_node or isinstance(error, (Refused, Invalid))
