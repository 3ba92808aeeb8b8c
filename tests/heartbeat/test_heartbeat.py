"""One node's heartbeat through a scheduler, against a server in memory."""

import anyio
import pytest

from lease_aio.api.memory import Moment
from lease_aio.api.protocol import LEASES
from lease_aio.errors import ConfigurationError, Invalid, Refused, Throttled, Unavailable
from lease_aio.heartbeat import Heartbeat, NodeProfile, Owner
from tests.heartbeat.stage import answers_lost, refusing, staged, unreachable

pytestmark = pytest.mark.virtual_time


async def test_a_node_that_does_not_exist_is_said_so_on_entering_with_the_ways_out():
    async with staged() as stage:
        with pytest.raises(ConfigurationError, match=r"Node 'n1' does not exist.*register=True.*Owner\.NONE"):
            async with Heartbeat(*stage.fleet_parts, node="n1"):
                pytest.fail("entered")
        assert await stage.lease("n1") is None
        assert stage.scheduler.report().beats.queued == 0


@pytest.mark.parametrize("error", [Refused, Invalid])
async def test_what_can_never_work_is_raised_on_entering(error):
    async def fault(moment, call):
        raise error(call, "never", status=403)

    async with staged() as stage:
        stage.faults = fault
        before = stage.clock.now()
        with pytest.raises(error, match="get leases.coordination.k8s.io kube-node-lease/n1: 403: never"):
            async with Heartbeat(*stage.fleet_parts, node="n1"):
                pytest.fail("entered")
        assert stage.clock.now() - before < 0.1


async def test_a_server_that_cannot_be_reached_is_waited_for_and_then_said_so():
    async with staged() as stage:
        stage.faults = unreachable
        before = stage.clock.now()
        with pytest.raises(Unavailable, match="the connection was refused"):
            async with Heartbeat(*stage.fleet_parts, node="n1", owner=Owner.NONE, ready_timeout_s=12):
                pytest.fail("entered")
        assert stage.clock.now() - before == pytest.approx(12)
        assert len(stage.calls) == 6, "0, 0.2, 0.6, 1.4, 3.0, 6.2 s"


async def test_a_scheduler_that_does_not_run_is_suspected():
    async with staged() as stage:
        stage.latency_s = 50
        with pytest.raises(Unavailable, match="no renewal within 5 s; does the scheduler run"):
            async with Heartbeat(*stage.fleet_parts, node="n1", ready_timeout_s=5):
                pytest.fail("entered")


async def test_a_namespace_that_is_not_there_yet_is_waited_for():
    async with staged() as stage:
        with pytest.raises(Exception, match='namespaces "late" not found'):
            async with Heartbeat(*stage.fleet_parts, node="n1", owner=Owner.NONE, namespace="late", ready_timeout_s=2):
                pytest.fail("entered")


async def test_nothing_is_raised_into_the_block_and_the_error_is_there_to_see():
    async with staged() as stage, Heartbeat(*stage.fleet_parts, node="n1", owner=Owner.NONE) as beat:
        stage.faults = refusing
        await anyio.sleep(60)
        assert isinstance(beat.last_error, Refused)
        stage.faults = None
        await anyio.sleep(20)
        assert beat.last_error is None
        assert await stage.age_s("n1") < 10.4


async def test_an_outage_ends_within_seven_seconds_of_the_servers_return():
    async with staged() as stage, Heartbeat(*stage.fleet_parts, node="n1", owner=Owner.NONE) as beat:
        stage.faults = unreachable
        await anyio.sleep(120)
        assert await stage.age_s("n1") > 100
        stage.faults = None
        await anyio.sleep(7.01)
        assert await stage.age_s("n1") < 7.01
        assert beat.renewals == 2


async def test_a_renewal_that_was_done_without_an_answer_is_healed_by_one_read():
    async with staged() as stage, Heartbeat(*stage.fleet_parts, node="n1", owner=Owner.NONE) as beat:

        async def lose_one_answer(moment, call):
            if moment is Moment.AFTER:
                stage.faults = None
                await answers_lost(moment, call)

        stage.faults = lose_one_answer
        stage.calls.clear()
        await anyio.sleep(10.5)
        assert stage.calls == ["update leases", "update leases", "get leases", "update leases"]
        assert beat.last_error is None
        assert await stage.age_s("n1") < 0.5


async def test_a_throttled_renewal_rests_as_long_as_the_server_asks():
    async with staged() as stage, Heartbeat(*stage.fleet_parts, node="n1", owner=Owner.NONE):

        async def throttle(moment, call):
            stage.faults = None
            raise Throttled(call, "slow down", status=429, retry_after_s=5)

        stage.faults = throttle
        stage.calls.clear()
        await anyio.sleep(14.9)
        assert stage.calls == ["update leases"]
        await anyio.sleep(0.6)
        assert stage.calls == ["update leases"] * 2
        assert await stage.age_s("n1") < 0.6


async def test_a_lease_that_somebody_deletes_is_created_again():
    async with staged() as stage, Heartbeat(*stage.fleet_parts, node="n1", owner=Owner.NONE):
        await stage.api.delete(LEASES, "n1", "kube-node-lease")
        await anyio.sleep(10.5)
        assert (await stage.lease("n1")).holder == "n1"


async def test_a_request_that_hangs_ends_after_ten_seconds():
    async with staged() as stage, Heartbeat(*stage.fleet_parts, node="n1", owner=Owner.NONE) as beat:
        stage.latency_s = 100
        await anyio.sleep(21)
        assert isinstance(beat.last_error, Unavailable)
        stage.latency_s = 0


async def test_entering_means_that_the_lease_is_fresh_and_owned_by_the_node():
    async with staged() as stage:
        node = await stage.make_node("n1")
        async with Heartbeat(*stage.fleet_parts, node="n1") as beat:
            lease = await stage.lease("n1")
            assert (lease.holder, lease.spec.lease_duration_seconds) == ("n1", 40)
            (owner,) = lease.metadata.owner_references
            assert (owner.kind, owner.name, owner.uid) == ("Node", "n1", node.metadata.uid)
            assert lease.spec.acquire_time is lease.spec.lease_transitions is None
            assert beat.lease.metadata.uid == lease.metadata.uid
            assert (beat.node, beat.renewals, beat.last_renewed) == ("n1", 1, stage.clock.now())


async def test_an_hour_is_one_update_every_ten_seconds_and_no_read():
    async with staged() as stage, Heartbeat(*stage.fleet_parts, node="n1", owner=Owner.NONE):
        stage.calls.clear()
        await anyio.sleep(3600)
        assert set(stage.calls) == {"update leases"}
        assert 3600 / 10.4 - 1 < len(stage.calls) <= 360


async def test_leaving_leaves_the_lease_as_it_is_and_renews_no_more():
    async with staged() as stage:
        async with Heartbeat(*stage.fleet_parts, node="n1", owner=Owner.NONE):
            left = await stage.lease("n1")
        await anyio.sleep(60)
        assert await stage.lease("n1") == left


async def test_leaving_waits_for_a_request_that_is_on_its_way():
    async with staged() as stage:
        async with Heartbeat(*stage.fleet_parts, node="n1", owner=Owner.NONE):
            stage.latency_s = 2
            await anyio.sleep(10.41)
        assert stage.scheduler.report().beats.in_flight == 0
        assert await stage.age_s("n1") == pytest.approx(2), "it was written, and nothing came after it"


async def test_leaving_also_ends_the_renewals_when_the_block_is_cancelled():
    async with staged() as stage:
        with anyio.move_on_after(30):
            async with Heartbeat(*stage.fleet_parts, node="n1", owner=Owner.NONE):
                await anyio.sleep_forever()
        assert stage.scheduler.report().beats.queued == 0


async def test_a_cancelled_block_too_waits_for_a_request_that_is_on_its_way():
    async with staged() as stage:
        with anyio.move_on_after(11):
            async with Heartbeat(*stage.fleet_parts, node="n1", owner=Owner.NONE):
                stage.latency_s = 5
                await anyio.sleep_forever()
        assert stage.scheduler.report().beats.in_flight == 0
        assert stage.calls[-1] == "update leases"


async def test_a_node_can_be_registered_on_entering():
    profile = NodeProfile(labels={"zone": "b"})
    async with staged() as stage, Heartbeat(*stage.fleet_parts, node="n1", register=True, profile=profile):
        node = await stage.node("n1")
        assert node.status.condition("Ready").status == "True"
        assert node.metadata.labels["zone"] == "b"
        assert (await stage.lease("n1")).metadata.owner_references[0].uid == node.metadata.uid
        assert stage.calls[:3] == ["create nodes", "get leases", "create leases"]


async def test_one_need_not_wait_for_the_first_renewal():
    async with staged() as stage:
        stage.faults = unreachable
        async with Heartbeat(*stage.fleet_parts, node="n1", ready_timeout_s=None) as beat:
            assert beat.renewals == 0
            assert beat.lease is None
            assert beat.last_renewed is None


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"node": "N1"}, "name 'N1'"), ({"node": "n1", "lease_duration_s": 0}, "lease_duration_s=0")],
)
async def test_what_cannot_work_is_refused_at_construction(wrong, named):
    async with staged() as stage:
        with pytest.raises(ConfigurationError, match=named):
            Heartbeat(*stage.fleet_parts, **wrong)
