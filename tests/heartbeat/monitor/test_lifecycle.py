"""The stand-in for node-lifecycle-controller, on a server in memory, in virtual time."""

from contextlib import asynccontextmanager

import anyio
import pytest

from lease_aio.api.memory import MemoryApi, Moment
from lease_aio.api.protocol import NODES
from lease_aio.errors import Conflict, Refused
from lease_aio.heartbeat import Fleet
from lease_aio.heartbeat.monitor import UNREACHABLE
from lease_aio.heartbeat.monitor.lifecycle import NodeLifecycle
from tests.heartbeat.stage import refusing, staged

pytestmark = pytest.mark.virtual_time


@asynccontextmanager
async def controlled(nodes=3):
    """A fleet whose Nodes are watched over."""
    async with (
        staged() as stage,
        Fleet(*stage.fleet_parts, nodes=nodes, register=True) as fleet,
        NodeLifecycle(stage.api, stage.clock, stage.fleet_parts[-1]),
    ):
        yield stage, fleet


async def condition(stage, name, kind="Ready"):
    return (await stage.node(name)).status.condition(kind)


async def taints(stage, name):
    return [(taint.key, taint.effect) for taint in (await stage.node(name)).spec.taints]


async def test_it_cannot_begin_where_leases_may_not_be_listed():
    async with staged() as stage:
        stage.faults = refusing
        with pytest.raises(Refused, match="list leases"):
            async with NodeLifecycle(stage.api, stage.clock, stage.fleet_parts[-1]):
                pytest.fail("entered")


async def test_a_write_that_meets_another_is_made_again():
    async with controlled() as (stage, fleet):
        met = []

        async def conflicting(moment, call):
            if moment is Moment.BEFORE and call.verb == "patch" and len(met) < 4:
                met.append(call)
                raise Conflict(call, "the object has been modified", status=409)

        fleet.nodes["node-0"].silence()
        stage.faults = conflicting
        await anyio.sleep(70)
        assert len(met) == 4
        assert (await condition(stage, "node-0")).status == "Unknown"


async def test_a_verdict_that_cannot_be_written_is_logged_and_the_next_is_written(caplog):
    async with controlled() as (stage, fleet):
        refused = []

        async def forbidding(moment, call):
            if call.verb == "patch" and len(refused) < 5:
                refused.append(call)
                raise Refused(call, "no", status=403)

        fleet.nodes["node-0"].silence()
        stage.faults = forbidding
        await anyio.sleep(70)
        assert (await condition(stage, "node-0")).status == "True"
        assert "lifecycle.unwritten" in caplog.text
        assert (UNREACHABLE, "NoSchedule") in await taints(stage, "node-0")


async def test_a_node_that_is_deleted_before_its_verdict_is_written_needs_none():
    async with controlled() as (stage, fleet):
        fleet.nodes["node-0"].silence()

        async def deleted(moment, call):
            if moment is Moment.BEFORE and call.verb == "get" and call.name == "node-0" and call.resource == "nodes":
                stage.faults = None
                await MemoryApi(stage.store).delete(NODES, "node-0")

        stage.faults = deleted
        await anyio.sleep(70)
        assert await stage.node("node-0") is None


async def test_a_silent_node_becomes_unknown_and_out_of_reach_and_the_others_do_not():
    async with controlled() as (stage, fleet):
        await anyio.sleep(20)
        fleet.nodes["node-0"].silence()
        await anyio.sleep(39)
        assert (await condition(stage, "node-0")).status == "True"
        await anyio.sleep(17)
        unknown = await condition(stage, "node-0")
        assert (unknown.status, unknown.reason) == ("Unknown", "NodeStatusUnknown")
        assert (await condition(stage, "node-0", "DiskPressure")).status == "Unknown"
        assert set(await taints(stage, "node-0")) == {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")}
        for name in ("node-1", "node-2"):
            assert (await condition(stage, name)).status == "True"
            assert await taints(stage, name) == []
