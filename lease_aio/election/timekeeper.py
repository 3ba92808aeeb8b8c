"""The end of one term in time: it waits for no request, and tells when the work has not stopped within its grace."""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio
import structlog

from lease_aio.election.engine import Engine
from lease_aio.election.events import EndReason
from lease_aio.election.guard import Ward

_ANOTHER_MAY_LEAD = {EndReason.TAKEN, EndReason.DELETED}


class Timekeeper:
    """Sleeps until one term's end, in a task of its own, and has the client's guard watch it, if there is one.

    Args:
        engine: What the client shares.
        lease: Namespace and name, for messages.
        valid_until: When the term ends unless it is renewed.
        grace_s: How long its work may take to stop.
        expire: Called when that time has come, from the event loop.
        log: Where overruns are told.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        lease: str,
        valid_until: float,
        grace_s: float,
        expire: Callable[[], None],
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._clock, self._guard, self._expire, self._log = engine.clock, engine.guard, expire, log
        self._valid_until, self._grace_s = valid_until, grace_s
        self._told_at = math.inf  # when the work was told to stop
        self._taken_at = math.inf  # since when the Lease is no longer ours, whatever the term's time
        self._scope = anyio.CancelScope()
        self._nap = anyio.CancelScope()  # around the sleep until the term's end
        self._ward = Ward(lease, valid_until, grace_s)
        if self._guard is not None:
            self._guard.add(self._ward)
        engine.tasks.start_soon(self._run, name=f"timer of {lease}")

    def renewed(self, valid_until: float) -> None:
        """The term ends then; also while its work is stopping, as long as the Lease is ours."""
        self._valid_until = valid_until
        self._ward.valid_until = min(valid_until, self._taken_at)

    def told_to_stop(self, reason: EndReason) -> None:
        """The work was told to stop: from now on its grace counts."""
        self._told_at = self._clock.now()
        if reason in _ANOTHER_MAY_LEAD:
            self._taken_at = self._told_at
        self._ward.told = True
        self._nap.cancel()

    def work_stopped(self) -> None:
        """The work has stopped, or never began."""
        self.close()
        overrun_s = self._clock.now() - self._told_at - self._grace_s
        if overrun_s > 0:
            self._log.error("election.work_overran", overrun_s=round(overrun_s, 3), grace_s=self._grace_s)

    def close(self) -> None:
        """Watch no more. Harmless when repeated."""
        self._scope.cancel()
        if self._guard is not None:
            self._guard.discard(self._ward)

    async def _run(self) -> None:
        with self._scope:
            while self._told_at == math.inf:
                with anyio.CancelScope() as self._nap:
                    await self._clock.sleep_until(self._valid_until)
                self._expire()
            await self._clock.sleep_until(self._told_at + self._grace_s)
            self._log.error("election.work_overruns", grace_s=self._grace_s)
