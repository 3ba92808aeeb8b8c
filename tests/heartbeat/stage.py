"""An API server in memory, a running scheduler and a clock, all in virtual time."""

from contextlib import asynccontextmanager

import anyio

from lease_aio.api.memory import MemoryApi, Moment
from lease_aio.api.protocol import LEASES, NODES
from lease_aio.api.transport import Fault, TransportError
from lease_aio.errors import Call, NotFound, Refused
from lease_aio.model import Node, ObjectMeta
from lease_aio.scheduler import Scheduler
from lease_aio.server.store import Store
from lease_aio.testing import VirtualClock

NODE_NAMESPACE = "kube-node-lease"


class Stage:
    """What a test needs of a cluster. `faults` may be set at any time; `calls` notes each request."""

    def __init__(self, tasks, *, latency_s=0.0, max_in_flight=128):
        self.clock = VirtualClock()
        self.store = Store(now=self.clock.wall_us())
        self.faults = None
        self.calls: list[str] = []
        self.latency_s = latency_s
        self.api = MemoryApi(self.store, wall_us=self.clock.wall_us, faults=self._asked)
        self.scheduler = Scheduler(self.clock, max_in_flight=max_in_flight)
        self.parts = (self.api, self.scheduler, self.clock)
        self.fleet_parts = (*self.parts, tasks)

    async def _asked(self, moment, call):
        if moment is Moment.BEFORE:
            self.calls.append(f"{call.verb} {call.resource.split('.')[0]}")
            await anyio.sleep(self.latency_s)
        if self.faults is not None:
            await self.faults(moment, call)

    async def lease(self, name, namespace=NODE_NAMESPACE):
        """The stored Lease, or None."""
        try:
            return await MemoryApi(self.store).get(LEASES, name, namespace)
        except NotFound:
            return None

    async def node(self, name):
        """The stored Node, or None."""
        try:
            return await MemoryApi(self.store).get(NODES, name)
        except NotFound:
            return None

    async def make_node(self, name, **labels):
        """A Node without a status; labels with `_` for each of the other signs of `lease-aio/fleet`."""
        said = {key.replace("__", "/").replace("_", "-"): value for key, value in labels.items()}
        return await MemoryApi(self.store).create(NODES, Node(metadata=ObjectMeta(name=name, labels=said)))

    async def age_s(self, name, namespace=NODE_NAMESPACE):
        """How old the lease's renewTime is."""
        lease = await self.lease(name, namespace)
        return (self.clock.wall_us() - lease.spec.renew_time.epoch_us) / 1e6


@asynccontextmanager
async def staged(**options):
    async with anyio.create_task_group() as tasks:
        stage = Stage(tasks, **options)
        tasks.start_soon(stage.scheduler.run)
        yield stage
        tasks.cancel_scope.cancel()


async def unreachable(moment, call):
    """A fault: nobody answers."""
    if moment is Moment.BEFORE:
        raise TransportError(Fault.REFUSED, "nobody listens", sent=False)


async def answers_lost(moment, call):
    """A fault: everything is done, and no answer comes back."""
    if moment is Moment.AFTER:
        raise TransportError(Fault.BROKEN, "connection reset", sent=True)


async def refusing(moment, call: Call):
    """A fault: no rights."""
    raise Refused(call, "User 'x' cannot do this", status=403)
