"""Fleets of simulated nodes, against a server in memory."""

import contextlib
import random
import tracemalloc
import uuid
from collections import Counter

import anyio
import msgspec
import pytest

from lease_aio.api.memory import MemoryApi, Moment
from lease_aio.api.protocol import LEASES, NODES, Page
from lease_aio.api.transport import Fault, TransportError
from lease_aio.errors import Call, ConfigurationError, Conflict, NotFound, Refused, Throttled, Unavailable
from lease_aio.heartbeat import Fleet, NodeProfile, Owner
from lease_aio.heartbeat.node.description import new_node
from lease_aio.heartbeat.node.profile import NodeKind
from lease_aio.model import (
    Lease,
    LeaseSpec,
    NodeCondition,
    NodeStatus,
    Time,
    decode,
    encode,
    new_lease,
    to_dict,
)
from tests.heartbeat.stage import NODE_NAMESPACE, answers_lost, refusing, staged, unreachable

pytestmark = pytest.mark.virtual_time


async def stored_names(stage, resource=LEASES, namespace=NODE_NAMESPACE):
    page = await MemoryApi(stage.store).list(resource, namespace)
    return [item.name for item in page.items]


def by_second(stage, count):
    """The number of calls that a fault plan saw in each second."""
    start = stage.clock.now()

    async def note(moment, call):
        if moment is Moment.BEFORE:
            count[int(stage.clock.now() - start)] += 1

    stage.faults = note


# When things go wrong


async def test_a_fleet_goes_on_through_an_outage_and_counts_what_it_met():
    failures = Counter()

    def note(name, error):
        failures[name, type(error)] += 1

    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=20, on_failure=note) as fleet:
        await anyio.sleep(15)
        stage.faults = unreachable
        await anyio.sleep(60)
        down = fleet.report()
        assert (down.fresh, down.late) == (0, 20)
        assert down.errors == {"unavailable": failures.total()}
        assert failures.keys() == {(name, Unavailable) for name in fleet.names}
        assert down.errors["unavailable"] >= 20 * 5
        stage.faults = None
        await anyio.sleep(8)
        up = fleet.report()
        assert (up.fresh, up.late) == (20, 0)
        assert up.gap.max_s > 60
        assert up.lateness.count < 20 * 8, "only the start of a pass counts, not its repetitions"


async def test_a_failure_hook_that_raises_is_logged_and_ends_nothing(caplog):
    def raising(name, error):
        raise RuntimeError(name)

    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=2, on_failure=raising) as fleet:
        stage.faults = unreachable
        await anyio.sleep(5)
        stage.faults = None
        await anyio.sleep(20)
        assert fleet.report().fresh == 2
    assert "fleet.on_failure_raised" in caplog.text


async def test_a_node_that_cannot_be_registered_is_raised_on_entering():
    async with staged() as stage:
        stage.faults = refusing
        with pytest.raises(Refused, match=r'list nodes: 403.*ClusterRole with the rule \{apiGroups.*"list".*"create"'):
            async with Fleet(*stage.fleet_parts, nodes=50, register=True):
                pytest.fail("entered")
        assert stage.scheduler.report().beats.queued == 0


async def test_a_create_that_is_refused_is_raised_with_the_rule_to_grant():
    async def refuse_creates(moment, call):
        if call.verb == "create":
            await refusing(moment, call)

    async with staged() as stage:
        stage.faults = refuse_creates
        with pytest.raises(Refused, match=r"create nodes node-.*ClusterRole with the rule"):
            async with Fleet(*stage.fleet_parts, nodes=50, register=True):
                pytest.fail("entered")
        assert stage.scheduler.report().beats.queued == 0


async def test_registration_outlasts_a_short_outage():
    async with staged() as stage:
        stage.faults = unreachable

        async def come_back():
            await anyio.sleep(5)
            stage.faults = None

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(come_back)
            async with Fleet(*stage.fleet_parts, nodes=3, register=True):
                assert len(await stored_names(stage, NODES, "")) == 3


async def test_once_the_server_has_answered_registration_waits_for_it_as_long_as_it_takes():
    """As a kubelet, which never gives up; each failure is told and counted."""
    heard = Counter()

    async with staged() as stage:

        async def gone_after_the_look(moment, call):
            if call.verb != "list":
                await unreachable(moment, call)

        async def come_back():
            await anyio.sleep(300)
            stage.faults = None

        stage.faults, before = gone_after_the_look, stage.clock.now()
        fleet = Fleet(*stage.fleet_parts, nodes=3, register=True, on_failure=lambda name, _: heard.update([name]))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(come_back)
            async with fleet:
                assert 300 <= stage.clock.now() - before < 307
                assert len(await stored_names(stage, NODES, "")) == 3
        assert set(heard) == {"node-0", "node-1", "node-2"}
        assert fleet.report().errors == {"unavailable": heard.total()}
        assert heard.total() == 3 * (7 + 42), "0.1 to 6.4 s, then each 7 s"


async def test_without_a_look_before_a_server_that_never_answered_is_given_up():
    async with staged() as stage:
        stage.faults, before = unreachable, stage.clock.now()
        with pytest.raises(Unavailable):
            async with Fleet(*stage.fleet_parts, nodes=3, register=True, adopt="any"):
                pytest.fail("entered")
        assert stage.clock.now() - before == pytest.approx(26.7)


async def test_registration_rests_as_long_as_the_server_asks():
    async with staged() as stage:

        async def throttle(moment, call):
            stage.faults = None
            raise Throttled(call, "slow down", status=429, retry_after_s=9)

        stage.faults = throttle
        before = stage.clock.now()
        async with Fleet(*stage.fleet_parts, nodes=1, register=True):
            assert stage.clock.now() - before == pytest.approx(9)


async def test_a_node_that_changes_while_it_is_adopted_is_looked_at_again():
    async with staged() as stage:
        await stage.make_node("node-0", lease_aio__fleet="fleet")

        async def mark_and_conflict(moment, call):
            if call.verb == "patch" and moment is Moment.BEFORE:
                stage.faults = None
                body = {"status": {"conditions": [{"type": "Late", "status": "True"}]}}
                await MemoryApi(stage.store).patch(NODES, "node-0", body=body, subresource="status")
                raise Conflict(call, "the object has been modified", status=409)

        stage.faults = mark_and_conflict
        async with Fleet(*stage.fleet_parts, nodes=1, register=True):
            status = (await stage.node("node-0")).status
            assert (status.condition("Late").status, status.condition("Ready").status) == ("True", "True")


async def test_registration_gives_up_after_half_a_minute_of_silence():
    async with staged() as stage:
        stage.faults, before = unreachable, stage.clock.now()
        with pytest.raises(Unavailable):
            async with Fleet(*stage.fleet_parts, nodes=3, register=True):
                pytest.fail("entered")
        assert stage.clock.now() - before == pytest.approx(26.7)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"nodes": -1}, "nodes=-1"),
        ({"nodes": "n1"}, "nodes='n1' is one string"),
        ({"nodes": 2.5}, "nodes=2.5 must be a whole number, a NodeGroup, or a list"),
        ({"nodes": ["ok", "Not_ok"]}, "name 'Not_ok'"),
        ({"nodes": 1, "prefix": "-"}, "name '-0'"),
        ({"nodes": 1, "renew_interval_s": 50}, "renew_interval_s=50"),
        ({"nodes": 1, "namespace": "A"}, "namespace 'A'"),
    ],
)
async def test_what_cannot_work_is_refused_at_construction(wrong, named):
    async with staged() as stage:
        with pytest.raises(ConfigurationError, match=named):
            Fleet(*stage.fleet_parts, **wrong)


async def test_a_name_that_is_there_already_is_refused():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=["a", "b"]) as fleet:
        with pytest.raises(ConfigurationError, match=r"there twice: \['b'\]"):
            await fleet.grow(["c", "b"])
        with pytest.raises(ConfigurationError, match=r"there twice: \['d'\]"):
            await fleet.grow(["d", "d"])
        assert fleet.names == ("a", "b")


async def test_deleting_what_another_has_made_anew_is_left_alone():
    async with staged() as stage:
        async with Fleet(*stage.fleet_parts, nodes=1, delete_on_exit=True):
            await anyio.sleep(11)
            await stage.api.delete(LEASES, "node-0", NODE_NAMESPACE)
            other = new_lease("node-0", NODE_NAMESPACE, LeaseSpec(holder_identity="other"))
            lease = await MemoryApi(stage.store).create(LEASES, other)
        assert await stage.lease("node-0") == lease


async def test_leaving_takes_no_longer_than_allowed_when_nothing_answers():
    async with staged() as stage:
        async with Fleet(*stage.fleet_parts, nodes=100, delete_on_exit=True, exit_timeout_s=3):
            await anyio.sleep(11)
            stage.latency_s = 9
            before = stage.clock.now()
        assert stage.clock.now() - before <= 15


async def test_a_failed_deletion_is_counted_not_raised():
    heard = []

    def note(name, error):
        heard.append((name, type(error)))

    async with staged() as stage:
        async with Fleet(*stage.fleet_parts, nodes=2, delete_on_exit=True, on_failure=note) as fleet:
            await anyio.sleep(11)
            stage.faults = refusing
        assert heard == [("node-0", Refused), ("node-1", Refused)]
        assert fleet.report().errors == {"refused": 2}


async def test_what_could_not_be_deleted_in_time_is_told_with_the_remedy(caplog):
    async with staged() as stage:
        async with Fleet(*stage.fleet_parts, nodes=100, register=True, delete_on_exit=True, exit_timeout_s=3) as fleet:
            await anyio.sleep(11)
            assert fleet.undeleted == ()
            stage.latency_s = 1
        left = await stored_names(stage, NODES, "")
        assert 40 < len(left) < 90
        assert set(left) <= set(fleet.undeleted)
    assert f"nodes={len(fleet.undeleted)}" in caplog.text
    assert "kubectl delete nodes -l lease-aio/fleet=fleet" in caplog.text


async def test_a_deletion_that_meets_what_passes_is_tried_again():
    async with staged() as stage:

        async def throttle_deletes(moment, call):
            if call.verb == "delete" and moment is Moment.BEFORE and stage.clock.now() < before + 5:
                raise Throttled(call, "slow down", status=429, retry_after_s=1)

        async with Fleet(*stage.fleet_parts, nodes=5, register=True, delete_on_exit=True) as fleet:
            await anyio.sleep(11)
            before, stage.faults = stage.clock.now(), throttle_deletes
        assert await stored_names(stage) == await stored_names(stage, NODES, "") == []
        assert fleet.undeleted == ()
        assert fleet.report().errors == {"throttled": 5 * 5}


async def test_what_could_not_be_deleted_earlier_is_deleted_at_the_end():
    async with staged() as stage:
        async with Fleet(*stage.fleet_parts, nodes=3, delete_on_exit=True) as fleet:
            await anyio.sleep(11)
            stage.faults = refusing
            await fleet.shrink(2)
            assert sorted(fleet.undeleted) == ["node-1", "node-2"]
            stage.faults = None
        assert (fleet.undeleted, await stored_names(stage)) == ((), [])


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_while_it_grows_and_shrinks_nothing_of_a_fleet_is_left(seed):
    chance = random.Random(seed)
    options = {"nodes": 8, "register": bool(seed % 2), "delete_on_exit": True, "random": chance.random}
    async with staged(latency_s=(0.05, 1.5)[seed // 2]) as stage:
        await anyio.sleep(0.3)
        async with Fleet(*stage.fleet_parts, **options) as fleet:
            for _ in range(40):
                with anyio.move_on_after(chance.choice([0.05, 1, 5, 50])), contextlib.suppress(Unavailable):
                    if chance.random() < 0.6:
                        await fleet.grow(chance.randrange(1, 5))
                    else:
                        await fleet.shrink(min(len(fleet), chance.randrange(4)))
                everybody = fleet.select()
                some = everybody.sample(count=2)
                chance.choice([some.crash, some.restart, some.silence, everybody.heal])()
                stage.faults = chance.choice([unreachable, answers_lost, None, None, None])
                await anyio.sleep(chance.choice([0, 1, 10]))
            stage.faults = None
            fleet.select().heal()
            await anyio.sleep(45)
            assert fleet.report().fresh == len(fleet)
        assert await stored_names(stage) == await stored_names(stage, NODES, "") == []
        assert fleet.undeleted == ()


# What a fleet does


async def test_every_node_holds_its_own_lease():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=10) as fleet:
        await anyio.sleep(11)
        for name in fleet.names:
            assert (await stage.lease(name)).holder == name
        report = fleet.report()
        assert (report.nodes, report.fresh, report.late, report.pending) == (10, 10, 0, 0)


async def test_first_renewals_are_spread_over_the_interval():
    async with staged() as stage:
        count = Counter()
        by_second(stage, count)
        async with Fleet(*stage.fleet_parts, nodes=1000):
            await anyio.sleep(9.99)
        assert [count[second] // 2 for second in range(10)] == pytest.approx([100] * 10, abs=2)


async def test_a_synchronous_start_can_be_asked_for():
    async with staged() as stage:
        count = Counter()
        by_second(stage, count)
        async with Fleet(*stage.fleet_parts, nodes=1000, spread_start=False):
            await anyio.sleep(0.5)
        assert count[0] == 2000 + 1, "a look at the Nodes comes first"


async def test_a_report_says_how_fast_how_late_and_how_far_apart():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=500, random=random.Random(1).random) as fleet:
        assert fleet.report().pending == 500
        await anyio.sleep(120)
        report = fleet.report()
        assert report.renewals_per_s == pytest.approx(500 / 10.2, rel=0.05)
        assert 10 <= report.gap.percentile(50) <= report.gap.max_s < 10.5
        assert report.lateness.percentile(99) < 0.02
        assert report.errors == {}
        plain = report.to_dict()
        assert plain["nodes"] == 500
        assert plain["gap"]["max_s"] == pytest.approx(report.gap.max_s, abs=1e-6)


async def test_a_fleet_grows_and_shrinks_while_it_runs():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=2, prefix="n", first=7) as fleet:
        assert await fleet.grow(2) == ("n9", "n10")
        await anyio.sleep(11)
        assert await stored_names(stage) == ["n10", "n7", "n8", "n9"]
        fleet.nodes["n10"].silence()
        assert await fleet.shrink(2) == ("n9", "n10")
        assert (fleet.names, fleet.report().silenced, len(fleet)) == (("n7", "n8"), 0, 2)
        await anyio.sleep(60)
        assert await stage.age_s("n9") > 50
        assert await stage.age_s("n7") < 10.5
        with pytest.raises(ConfigurationError, match="count=3 must lie between 0 and the fleet's 2 nodes"):
            await fleet.shrink(3)


async def test_registered_nodes_are_ready_and_own_their_leases():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=5, register=True):
        await anyio.sleep(11)
        for name in ("node-0", "node-4"):
            node, lease = await stage.node(name), await stage.lease(name)
            assert node.status.condition("Ready").status == "True"
            assert lease.metadata.owner_references[0].uid == node.metadata.uid
        assert "get nodes" not in stage.calls, "the uid is known from the registration"


async def test_an_existing_node_is_adopted_and_made_ready():
    async with staged() as stage:
        made = await stage.make_node("node-0", lease_aio__fleet="fleet")
        unknown = (
            NodeCondition(type="Ready", status="Unknown", reason="NodeStatusUnknown"),
            NodeCondition(type="NetworkUnavailable", status="False"),
        )
        body = {"status": to_dict(NodeStatus(conditions=unknown))}
        await stage.api.patch(NODES, "node-0", body=body, subresource="status")
        async with Fleet(*stage.fleet_parts, nodes=1, register=True, delete_on_exit=True):
            await anyio.sleep(11)
            node = await stage.node("node-0")
            assert node.metadata.uid == made.metadata.uid
            assert node.status.condition("Ready").status == "True"
            assert node.status.condition("NetworkUnavailable").status == "False"
        assert await stage.node("node-0") is not None, "it was there before"
        assert await stage.lease("node-0") is None


async def test_a_fleet_takes_away_what_it_created_and_no_more_if_told_to():
    async with staged() as stage:
        async with Fleet(*stage.fleet_parts, nodes=["mine"], owner=Owner.NONE):
            await anyio.sleep(1)
        async with Fleet(*stage.fleet_parts, nodes=["mine", "new"], register=True, delete_on_exit=True) as fleet:
            await anyio.sleep(11)
            await fleet.grow(1)
            await anyio.sleep(11)
            assert await stored_names(stage) == ["mine", "new", "node-0"]
            await fleet.shrink(1)
            assert await stored_names(stage) == ["mine", "new"]
        assert await stored_names(stage) == ["mine"]
        assert await stored_names(stage, NODES, "") == []


async def test_leaving_leaves_the_leases_as_they_are_and_renews_no_more():
    async with staged() as stage:
        async with Fleet(*stage.fleet_parts, nodes=5):
            await anyio.sleep(11)
        stage.calls.clear()
        await anyio.sleep(60)
        assert stage.calls == []
        assert len(await stored_names(stage)) == 5


async def lose_creates(moment, call):
    """A fault: what is created is there, and nobody is told."""
    if call.verb == "create":
        await answers_lost(moment, call)


async def test_what_was_created_without_an_answer_is_taken_away_too():
    async with staged() as stage:

        async def answer_again():
            await anyio.sleep(1)
            stage.faults = None

        await anyio.sleep(0.3)  # what is written on a Node has whole seconds
        stage.faults = lose_creates
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer_again)
            async with Fleet(*stage.fleet_parts, nodes=5, register=True, delete_on_exit=True):
                stage.faults = lose_creates
                await anyio.sleep(11)
                assert len(await stored_names(stage)) == 5
                assert stage.calls.count("create leases") == 5
        assert await stored_names(stage) == await stored_names(stage, NODES, "") == []


async def test_what_a_cancelled_grow_may_have_created_is_taken_away_at_the_end():
    async def lose_creates_and_answer_no_question(moment, call):
        await (unreachable if call.verb == "get" else lose_creates)(moment, call)

    async with staged() as stage:
        async with Fleet(*stage.fleet_parts, nodes=1, register=True, delete_on_exit=True) as fleet:
            await anyio.sleep(0.3)
            stage.faults = lose_creates_and_answer_no_question
            with anyio.move_on_after(1):
                await fleet.grow(3)
            assert len(await stored_names(stage, NODES, "")) == 4
            assert (fleet.names, sorted(fleet.undeleted)) == (("node-0",), ["node-1", "node-2", "node-3"])
            stage.faults = None
        assert (await stored_names(stage, NODES, ""), fleet.undeleted) == ([], ())


async def test_what_a_cancelled_shrink_has_not_deleted_is_deleted_at_the_end():
    async with staged() as stage:
        async with Fleet(*stage.fleet_parts, nodes=10, register=True, delete_on_exit=True) as fleet:
            await anyio.sleep(11)
            stage.latency_s = 2
            with anyio.move_on_after(1):
                await fleet.shrink(9)
            assert len(fleet.undeleted) == 9
        assert await stored_names(stage) == await stored_names(stage, NODES, "") == []


async def test_what_was_there_before_is_left_although_a_create_had_no_answer():
    async with staged() as stage:
        async with Fleet(*stage.fleet_parts, nodes=2, register=True):
            await anyio.sleep(11)

        async def lose_once(moment, call):
            if call.verb == "create":
                raise TransportError(Fault.BROKEN, "connection reset", sent=True)

        async def let_through():
            await anyio.sleep(0.05)
            stage.faults = None

        stage.faults = lose_once
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(let_through)
            async with Fleet(*stage.fleet_parts, nodes=2, register=True, delete_on_exit=True):
                await anyio.sleep(11)
        assert len(await stored_names(stage)) == len(await stored_names(stage, NODES, "")) == 2


async def test_what_another_fleet_created_in_the_second_of_a_create_without_an_answer_is_left():
    async def others_come_first(moment, call):
        if call.verb == "create" and call.resource == "nodes" and moment is Moment.BEFORE:
            stage.faults = None
            other = new_node("node-0", NodeKind(NodeProfile(), fleet="theirs"), stage.clock.wall_us())
            await stage.api.create(NODES, other)
            raise TransportError(Fault.BROKEN, "connection reset", sent=True)

    async with staged() as stage:
        stage.faults = others_come_first
        async with Fleet(*stage.fleet_parts, nodes=1, register=True, adopt="any", delete_on_exit=True):
            await anyio.sleep(11)
        assert await stored_names(stage, NODES, "") == ["node-0"]


async def test_a_block_cancelled_while_nodes_are_created_knows_which_were():
    async with staged(latency_s=2) as stage:
        with anyio.move_on_after(3):  # the look takes 2 s, so creates are on their way
            async with Fleet(*stage.fleet_parts, nodes=40, register=True, delete_on_exit=True):
                pytest.fail("entered")
        assert 0 < stage.calls.count("create nodes") < 40
        assert await stored_names(stage, NODES, "") == []


async def test_a_cancelled_block_still_takes_away_what_was_created():
    async with staged() as stage:
        with anyio.move_on_after(15):
            async with Fleet(*stage.fleet_parts, nodes=5, register=True, delete_on_exit=True):
                await anyio.sleep_forever()
        assert await stored_names(stage) == []
        assert await stored_names(stage, NODES, "") == []


class ForgetfulApi:
    """Takes every Lease and keeps none, so that what is left in memory is the fleet's own."""

    def __init__(self):
        self.version = 10**7

    async def get(self, *_args, **_options):
        raise NotFound(Call(verb="get", resource="leases"), "not found", status=404)

    async def list(self, *_args, **_options):
        return Page(items=(), resource_version="1")

    async def create(self, resource, value, **_options):
        return await self.replace(resource, value.with_metadata(uid=str(uuid.uuid4()), creation_timestamp=Time(10**15)))

    async def replace(self, _resource, value, **_options):
        self.version += 1
        stored = value.with_metadata(resource_version=str(self.version))
        return decode(encode(stored), Lease)


class ForgetfulOfNodes(ForgetfulApi):
    """The same for Nodes, which it takes too."""

    async def create(self, resource, value, **_options):
        if resource is LEASES:
            return await super().create(resource, value)
        metadata = msgspec.structs.replace(value.metadata, uid=str(uuid.uuid4()))
        return msgspec.structs.replace(value, metadata=metadata)

    async def watch(self, *_args, **_options):
        await anyio.sleep_forever()


async def test_a_node_with_a_status_needs_less_than_two_and_a_half_kilobytes():
    nodes = 1000
    async with staged() as stage:
        parts = (ForgetfulOfNodes(), *stage.fleet_parts[1:])
        async with Fleet(*parts, nodes=10, register=True):
            await anyio.sleep(25)
        tracemalloc.start()
        try:
            async with Fleet(*parts, nodes=nodes, register=True) as fleet:
                await anyio.sleep(25)
                assert fleet.report().renewals > 2 * nodes
                assert tracemalloc.get_traced_memory()[0] / nodes < 2500
        finally:
            tracemalloc.stop()


async def test_a_node_needs_less_than_two_kilobytes():
    nodes = 2000
    async with staged() as stage:
        parts = (ForgetfulApi(), *stage.fleet_parts[1:])
        async with Fleet(*parts, nodes=10):
            await anyio.sleep(25)  # what is made once, is made
        tracemalloc.start()
        try:
            async with Fleet(*parts, nodes=nodes) as fleet:
                await anyio.sleep(25)
                assert fleet.report().renewals > 2 * nodes
                assert tracemalloc.get_traced_memory()[0] / nodes < 1500
        finally:
            tracemalloc.stop()
