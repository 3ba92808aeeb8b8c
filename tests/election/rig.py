"""Several clients of one store, each with its own clock and its own faults, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from lease_aio.api import LEASES
from lease_aio.api.memory import Faults, MemoryApi, Moment
from lease_aio.api.transport import Fault, TransportError
from lease_aio.client import LeaseClient
from lease_aio.errors import Call
from lease_aio.model import Lease, LeaseSpec, MicroTime, new_lease
from lease_aio.server.store import Store
from lease_aio.testing import VirtualClock
from lease_aio.testing.virtual import WALL_START_US
from lease_aio.timing import Timing

TIMING = Timing(
    lease_duration_s=15, renew_interval_s=3, request_timeout_s=2, stop_grace_s=4, clock_error=0.01, retry_interval_s=1
)


class Network:
    """The way of one client to the server: whole, cut, losing answers, or silent until the time-out."""

    def __init__(self) -> None:
        self.cut = self.hang = self.lose_answers = False
        self.calls: list[Call] = []

    async def __call__(self, moment: Moment, call: Call) -> None:
        if moment is Moment.AFTER:
            if self.lose_answers and call.verb in {"create", "update"}:
                await anyio.sleep_forever()
            return
        self.calls.append(call)
        if self.hang:
            await anyio.sleep_forever()
        if self.cut:
            raise TransportError(Fault.REFUSED, "cut", sent=False)

    def sent(self, verb: str) -> int:
        return sum(call.verb == verb for call in self.calls)

    @property
    def requests(self) -> list[str]:
        return [call.verb for call in self.calls if call.verb != "watch"]


class Rig:
    """One store; `client` opens one more client of it."""

    def __init__(self) -> None:
        self.store = Store(now=WALL_START_US)
        self.clock = VirtualClock()
        self.admin = MemoryApi(self.store, wall_us=self.clock.wall_us)

    @asynccontextmanager
    async def client(
        self, identity: str, faults: Faults | None = None, clock: VirtualClock | None = None
    ) -> AsyncIterator[LeaseClient]:
        clock = clock or self.clock
        api = MemoryApi(self.store, wall_us=clock.wall_us, faults=faults)
        async with LeaseClient(api, identity=identity, clock=clock, random=lambda: 0.5) as leases:
            yield leases

    async def lease(self) -> Lease:
        return await self.admin.get(LEASES, "x", "default")

    async def held_by(self, holder: str, *, duration_s: int = 15) -> Lease:
        at = MicroTime(self.clock.wall_us())
        spec = LeaseSpec(
            holder_identity=holder,
            lease_duration_seconds=duration_s,
            acquire_time=at,
            renew_time=at,
            lease_transitions=4,
        )
        return await self.admin.create(LEASES, new_lease("x", "default", spec))

    async def edit(self, **spec: object) -> Lease:
        return await self.admin.replace(LEASES, (await self.lease()).with_spec(**spec))
