"""Coordinated elections on one store in virtual time: who led when, and that never two did."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc

from lease_aio.api import LEASE_CANDIDATES, LEASES
from lease_aio.api.memory import Faults, MemoryApi
from lease_aio.client import LeaseClient
from lease_aio.election import EndReason, Term
from lease_aio.election.coordinated import CandidateInfo
from lease_aio.model import Lease, LeaseCandidate
from lease_aio.server.store import Store
from lease_aio.testing import VirtualClock
from lease_aio.testing.virtual import WALL_START_US
from lease_aio.timing import Timing

TIMING = Timing(
    lease_duration_s=15, renew_interval_s=3, request_timeout_s=2, stop_grace_s=4, clock_error=0.01, retry_interval_s=1
)
STOP_S = 0.5
"""How long the work of a member takes to stop."""


class Stage:
    """One store with the gate on; `client` opens a client of it, `member` a candidate that leads whenever it may.

    Attributes:
        at_work: Who works now.
        terms: Who led, in order.
        reasons: Why each term's work was told to stop.
    """

    def __init__(self, *, gate: bool = True) -> None:
        self.store = Store(now=WALL_START_US, coordinated=gate)
        self.clock = VirtualClock()
        self.admin = MemoryApi(self.store, wall_us=self.clock.wall_us)
        self.at_work: list[str] = []
        self.terms: list[Term] = []
        self.reasons: list[EndReason | None] = []

    @property
    def led(self) -> list[str]:
        return [term.holder for term in self.terms]

    @asynccontextmanager
    async def client(
        self, identity: str, faults: Faults | None = None, *, wall_offset_s: float = 0.0
    ) -> AsyncIterator[LeaseClient]:
        def wall_us() -> int:
            return self.clock.wall_us() + int(wall_offset_s * 1e6)

        clock = VirtualClock() if wall_offset_s else self.clock
        if wall_offset_s:
            clock.wall_us = wall_us  # type: ignore[method-assign]
        api = MemoryApi(self.store, wall_us=self.clock.wall_us, faults=faults, latency_s=0.01)
        async with LeaseClient(api, identity=identity, clock=clock, random=lambda: 0.5) as leases:
            yield leases

    @asynccontextmanager
    async def member(
        self,
        name: str,
        version: str = "1.31.0",
        faults: Faults | None = None,
        *,
        timing: Timing = TIMING,
        wall_offset_s: float = 0.0,
        **info,
    ) -> AsyncIterator[None]:
        """A candidate of that name and version, for as long as the block runs."""
        about = CandidateInfo(binary_version=version, **info)
        client = self.client(name, faults, wall_offset_s=wall_offset_s)
        async with client as leases, anyio.create_task_group() as tasks:
            tasks.start_soon(self._lead_on, leases, about, timing)
            yield
            tasks.cancel_scope.cancel()

    async def _lead_on(self, leases: LeaseClient, about: CandidateInfo, timing: Timing) -> None:
        async for term in leases.terms("x", timing=timing, coordinated=about):
            async with term:
                await self._work(term)
            self.reasons.append(term.reason)

    async def _work(self, term: Term) -> None:
        assert self.at_work == [], "two are at work"
        self.at_work.append(term.holder)
        self.terms.append(term)
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(STOP_S)
            self.at_work.remove(term.holder)

    async def lease(self) -> Lease:
        return await self.admin.get(LEASES, "x", "default")

    async def edit(self, **spec: object) -> Lease:
        return await self.admin.replace(LEASES, (await self.lease()).with_spec(**spec))

    async def candidates(self) -> list[LeaseCandidate]:
        return list((await self.admin.list(LEASE_CANDIDATES, "default")).items)

    async def leader(self, name: str, within_s: float) -> float:
        """Wait until that one works; how long it took."""
        began = self.clock.now()
        with anyio.fail_after(within_s):
            while self.at_work != [name]:  # noqa: ASYNC110 - virtual time: polling costs nothing
                await anyio.sleep(0.05)
        return self.clock.now() - began
