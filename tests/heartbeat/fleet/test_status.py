"""The status of a fleet's Nodes, beside the leases, against a server in memory."""

import random
from collections import Counter

import anyio
import pytest

from lease_aio.api.memory import Moment
from lease_aio.api.protocol import NODES, PatchType
from lease_aio.errors import Call, ConfigurationError, Expired, NotFound, Refused
from lease_aio.heartbeat import Fleet, Heartbeat, NodeState, StatusRules
from tests.heartbeat.stage import staged, unreachable

pytestmark = pytest.mark.virtual_time

UNREACHABLE = {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}


async def condemn(stage, name):
    """As the node lifecycle controller does with a node of which it has heard nothing."""
    conditions = [
        {"type": kind, "status": "Unknown", "reason": "NodeStatusUnknown", "lastTransitionTime": "2025-06-15T16:00:00Z"}
        for kind in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
    ]
    await patch(stage, name, {"status": {"conditions": conditions}}, subresource="status")
    await patch(stage, name, {"spec": {"taints": [UNREACHABLE]}})


async def patch(stage, name, body, subresource=""):
    await stage.api.patch(NODES, name, body=body, type=PatchType.STRATEGIC, subresource=subresource)


async def ready(stage, name):
    return (await stage.node(name)).status.condition("Ready")


def fleet_of(stage, nodes=1, **options):
    return Fleet(*stage.fleet_parts, nodes=nodes, register=True, random=random.Random(5).random, **options)


async def until_its_patch_is_held(fleet, name):
    while fleet._hollows[name].status not in fleet._group.held:  # noqa: ASYNC110 - nothing tells of it
        await anyio.sleep(0.1)


# When things go wrong


async def test_a_node_that_was_condemned_is_ready_again_within_its_next_computation():
    async with staged() as stage, fleet_of(stage, 20) as fleet:
        await anyio.sleep(60)
        for name in fleet.names:
            await condemn(stage, name)
        started = stage.clock.now()
        back = {}
        while len(back) < 20:
            await anyio.sleep(0.1)
            for name in fleet.names:
                if name not in back and (await ready(stage, name)).status == "True":
                    back[name] = stage.clock.now() - started
        assert min(back.values()) < 2
        assert 8 < max(back.values()) < 10.6
        node = await stage.node("node-3")
        assert [one.status for one in node.status.conditions] == ["False", "False", "False", "True"]
        assert [taint.key for taint in node.spec.taints] == [UNREACHABLE["key"]], "the control plane takes it off"


async def test_verdicts_of_the_control_plane_are_noted_with_the_time_since_the_last_renewal():
    async with staged() as stage, fleet_of(stage, 2) as fleet:
        await anyio.sleep(30)
        fleet.nodes["node-0"].silence()
        fleet.nodes["node-1"].crash()
        await anyio.sleep(50)
        await condemn(stage, "node-0")
        await condemn(stage, "node-1")
        await anyio.sleep(1)
        fleet.select().heal()
        await anyio.sleep(11)
        await patch(stage, "node-0", {"spec": {"taints": [{"$patch": "replace"}]}})
        await anyio.sleep(1)
        told = [(one.node, one.verdict) for one in fleet.timeline.last_verdicts]
        assert sorted(told) == sorted(
            [(name, word) for name in fleet.names for word in ("unknown", "tainted", "ready")]
            + [("node-0", "untainted")]
        )
        assert all(50 <= one.since_renewal_s < 61 for one in fleet.timeline.last_verdicts[:4])


async def test_a_verdict_that_comes_right_after_the_start_is_noted_though_the_watch_begins_late():
    async def slow_list(moment, call):
        if moment is Moment.BEFORE and (call.verb, call.resource) == ("list", "nodes"):
            await anyio.sleep(4)

    async with staged() as stage:
        stage.faults = slow_list
        async with fleet_of(stage, adopt="any", status=StatusRules(update_frequency_s=1)) as fleet:
            await condemn(stage, "node-0")
            await anyio.sleep(5)
            assert [one.verdict for one in fleet.timeline.last_verdicts] == ["unknown", "tainted", "ready"]


async def test_a_verdict_is_noted_though_the_watch_told_of_the_node_before_its_creation_was_answered():
    async def slow_answer(moment, call):
        if moment is Moment.AFTER and (call.verb, call.resource) == ("create", "nodes"):
            await anyio.sleep(1)

    async with staged() as stage:
        stage.faults = slow_answer
        async with fleet_of(stage, status=StatusRules(update_frequency_s=1)) as fleet:
            await condemn(stage, "node-0")
            await anyio.sleep(5)
            assert [one.verdict for one in fleet.timeline.last_verdicts] == ["unknown", "tainted", "ready"]


async def test_entering_does_not_wait_for_ever_for_a_watch_that_does_not_begin():
    async def no_list(moment, call):
        if (call.verb, call.resource) == ("list", "nodes"):
            await anyio.sleep(10_000)

    async with staged() as stage:
        stage.faults = no_list
        started = stage.clock.now()
        async with fleet_of(stage, adopt="any"):
            assert stage.clock.now() - started <= 10


async def test_a_silent_node_does_not_answer_a_verdict_until_it_is_revived():
    async with staged() as stage, fleet_of(stage) as fleet:
        await anyio.sleep(20)
        fleet.nodes["node-0"].silence()
        await condemn(stage, "node-0")
        await anyio.sleep(600)
        assert (await ready(stage, "node-0")).status == "Unknown"
        fleet.nodes["node-0"].revive()
        await anyio.sleep(10.5)
        assert (await ready(stage, "node-0")).status == "True"


async def test_a_restarted_node_reports_at_once():
    async with staged() as stage, fleet_of(stage) as fleet:
        await anyio.sleep(20)
        fleet.nodes["node-0"].crash()
        await condemn(stage, "node-0")
        await anyio.sleep(100)
        stage.calls.clear()
        fleet.nodes["node-0"].restart()
        await anyio.sleep(0.01)
        assert (await ready(stage, "node-0")).status == "True"
        assert Counter(stage.calls) == {"get leases": 1, "update leases": 1, "patch nodes/status": 1}


async def test_a_paused_node_computes_when_it_goes_on():
    async with staged() as stage, fleet_of(stage) as fleet:
        await anyio.sleep(20)
        fleet.nodes["node-0"].pause()
        await condemn(stage, "node-0")
        await anyio.sleep(100)
        assert (await ready(stage, "node-0")).status == "Unknown"
        fleet.nodes["node-0"].resume()
        await anyio.sleep(0.01)
        assert (await ready(stage, "node-0")).status == "True"


async def test_a_slow_node_patches_late_with_the_time_of_its_computation():
    async with staged() as stage, fleet_of(stage) as fleet:
        await anyio.sleep(20)
        fleet.nodes["node-0"].slow(5)
        await condemn(stage, "node-0")
        seen_us = stage.clock.wall_us()
        await anyio.sleep(5)
        assert (await ready(stage, "node-0")).status == "Unknown"
        await anyio.sleep(10.5)
        found = await ready(stage, "node-0")
        assert found.status == "True"
        assert -1e6 < found.last_heartbeat_time.epoch_us - seen_us < 10.5e6, "Time has whole seconds"


async def test_a_held_request_is_not_put_off_by_what_the_watch_tells_meanwhile():
    async with staged() as stage, fleet_of(stage) as fleet:
        await anyio.sleep(20)
        fleet.nodes["node-0"].slow(5)
        as_it_was = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        await patch(stage, "node-0", {"status": {"conditions": [as_it_was | {"status": "Unknown"}]}}, "status")
        await until_its_patch_is_held(fleet, "node-0")
        await patch(stage, "node-0", {"status": {"conditions": [as_it_was]}}, "status")
        stage.calls.clear()
        await anyio.sleep(5.1)
        assert "patch nodes/status" in stage.calls
        fleet.nodes["node-0"].slow(0)
        await anyio.sleep(10)
        assert fleet._group.held == {}


async def test_readiness_that_changes_while_a_patch_is_held_is_told_by_the_next():
    async with staged() as stage, fleet_of(stage) as fleet:
        await anyio.sleep(20)
        node = fleet.nodes["node-0"]
        node.slow(5)
        node.unready()
        await until_its_patch_is_held(fleet, "node-0")
        node.ready()
        await anyio.sleep(5.1)
        assert (await ready(stage, "node-0")).status == "False", "made before"
        node.slow(0)
        await anyio.sleep(21)
        assert (await ready(stage, "node-0")).status == "True"


async def test_a_skewed_clock_shows_in_the_times_of_conditions():
    async with staged() as stage, fleet_of(stage) as fleet:
        await anyio.sleep(20)
        fleet.nodes["node-0"].skew(-3600)
        await condemn(stage, "node-0")
        await anyio.sleep(11)
        found = await ready(stage, "node-0")
        assert (stage.clock.wall_us() - found.last_transition_time.epoch_us) / 1e6 > 3600


async def test_a_deleted_node_is_looked_for_at_each_computation_and_not_made_anew():
    async with staged() as stage, fleet_of(stage) as fleet:
        await anyio.sleep(20)
        await stage.api.delete(NODES, "node-0")
        stage.calls.clear()
        await anyio.sleep(31.5)
        reads = Counter(stage.calls)["get nodes"]
        assert reads in {3 * 4, 4 * 4}, "four of five tries at each of three or four computations"
        assert await stage.node("node-0") is None
        await stage.make_node("node-0", lease_aio__fleet="fleet")
        await anyio.sleep(11)
        assert (await ready(stage, "node-0")).status == "True"
        assert fleet.report().errors["not_found"] in {reads, reads + 4}


async def test_an_outage_delays_a_report_until_it_is_over():
    async with staged() as stage, fleet_of(stage, status=StatusRules(report_frequency_s=60)) as fleet:
        await anyio.sleep(5)
        stage.faults = unreachable
        await anyio.sleep(200)
        stage.faults = None
        await anyio.sleep(11)
        found = await ready(stage, "node-0")
        assert (stage.clock.wall_us() - found.last_heartbeat_time.epoch_us) / 1e6 < 12
        assert fleet.report().fresh == 1


async def test_a_watch_that_is_refused_is_said_once_and_asked_for_again(caplog):
    async def refuse_watch(moment, call):
        if call.verb == "watch":
            raise Refused(Call(verb="watch", resource="nodes"), "no", status=403)

    async with staged() as stage:
        stage.faults = refuse_watch
        async with fleet_of(stage) as fleet:
            await anyio.sleep(200)
            assert caplog.text.count("heartbeat.node_watch_refused") == 1
            assert "ClusterRole" in caplog.text
            stage.faults = None
            await anyio.sleep(61)
            await condemn(stage, "node-0")
            await anyio.sleep(11)
            assert (await ready(stage, "node-0")).status == "True"
            assert len(fleet.timeline.last_verdicts) > 0


async def test_a_watch_that_has_expired_misses_nothing():
    async with staged() as stage, fleet_of(stage):
        await anyio.sleep(20)

        async def expire(moment, call):
            if call.verb == "watch":
                stage.faults = None
                raise Expired(call, "too old", status=410)

        stage.faults = expire
        await anyio.sleep(300)
        await condemn(stage, "node-0")
        await anyio.sleep(11)
        assert (await ready(stage, "node-0")).status == "True"


# What is written


async def test_an_hour_is_one_report_every_five_minutes_and_no_read():
    async with staged() as stage, fleet_of(stage, 30):
        stage.calls.clear()
        await anyio.sleep(3600)
        calls = Counter(stage.calls)
        assert calls["patch nodes/status"] == pytest.approx(30 * 3600 / 305, rel=0.05)
        assert calls["get nodes"] == 0


async def test_reports_of_nodes_that_came_together_do_not_stay_together():
    async with staged() as stage:
        count = Counter()
        start = stage.clock.now()

        async def note(moment, call):
            if moment is Moment.BEFORE and call.resource == "nodes/status":
                count[int((stage.clock.now() - start) / 30)] += 1

        async with fleet_of(stage, 300):
            stage.faults = note
            await anyio.sleep(480)
        assert count[3] == count[4] == 0, "none before half of five minutes"
        assert [count[slot] for slot in range(5, 15)] == pytest.approx([30] * 10, abs=18)


async def test_an_unready_node_says_so_at_its_next_computation_and_takes_it_back():
    async with staged() as stage, fleet_of(stage, 2) as fleet:
        await anyio.sleep(20)
        node = fleet.nodes["node-0"]
        assert node.unready("DiskBroken") == ("node-0",)
        assert node.state is NodeState.UNREADY
        await anyio.sleep(10.5)
        found = await ready(stage, "node-0")
        assert (found.status, found.reason) == ("False", "DiskBroken")
        assert (await ready(stage, "node-1")).status == "True"
        assert node.ready() == ("node-0",)
        await anyio.sleep(10.5)
        assert (await ready(stage, "node-0")).status == "True"
        assert fleet.report().states == {"fresh": 2}


@pytest.mark.parametrize("stop", ["silence", "pause", "crash"])
async def test_readiness_that_changes_while_a_node_is_stopped_is_told_when_it_goes_on(stop):
    goes_on = {"silence": "revive", "pause": "resume", "crash": "restart"}[stop]
    async with staged() as stage, fleet_of(stage) as fleet:
        await anyio.sleep(20)
        node = fleet.nodes["node-0"]
        getattr(node, stop)()
        node.unready("DiskBroken")
        await anyio.sleep(60)
        assert (await ready(stage, "node-0")).status == "True"
        getattr(node, goes_on)()
        await anyio.sleep(10.5)
        assert (await ready(stage, "node-0")).status == "False"


async def test_readiness_that_changes_while_a_patch_is_on_its_way_is_told_by_the_next():
    async with staged() as stage, fleet_of(stage) as fleet:
        await anyio.sleep(20)
        node = fleet.nodes["node-0"]
        stage.latency_s = 2
        node.unready("DiskBroken")
        await anyio.sleep(10.4)
        node.ready()
        stage.latency_s = 0
        await anyio.sleep(13)
        assert (await ready(stage, "node-0")).status == "True"


async def test_another_reason_keeps_the_time_of_the_turn():
    async with staged() as stage, fleet_of(stage) as fleet:
        await anyio.sleep(20)
        fleet.nodes["node-0"].unready("DiskBroken")
        await anyio.sleep(10.5)
        first = await ready(stage, "node-0")
        fleet.nodes["node-0"].unready("StillBroken")
        await anyio.sleep(10.5)
        second = await ready(stage, "node-0")
        assert (second.reason, second.last_transition_time) == ("StillBroken", first.last_transition_time)
        assert second.last_heartbeat_time > first.last_heartbeat_time


async def test_a_status_is_no_gap_and_no_renewal_of_the_schedulers():
    async with staged() as stage, fleet_of(stage, 5):
        await anyio.sleep(1000)
        assert stage.scheduler.report().beats.gap.max_s < 10.5


async def test_nodes_without_a_status_are_left_as_they_were_registered():
    async with staged() as stage, fleet_of(stage, status=False) as fleet:
        stage.calls.clear()
        await anyio.sleep(1000)
        assert "patch nodes/status" not in stage.calls
        with pytest.raises(ConfigurationError, match="status=True"):
            fleet.select().unready()


async def test_status_needs_nodes_that_were_registered():
    async with staged() as stage:
        with pytest.raises(ConfigurationError, match="status without register=True"):
            Fleet(*stage.fleet_parts, nodes=1, status=True)


# One node alone


async def test_one_node_keeps_its_status_too():
    async with staged() as stage, Heartbeat(*stage.fleet_parts, node="n1", register=True) as beat:
        await anyio.sleep(20)
        await condemn(stage, "n1")
        await anyio.sleep(10.5)
        assert (await ready(stage, "n1")).status == "True"
        await stage.api.delete(NODES, "n1")
        await anyio.sleep(11)
        assert isinstance(beat.status_error, NotFound)
        assert beat.last_error is None


async def test_one_node_leaves_with_nothing_running():
    async with staged() as stage:
        async with Heartbeat(*stage.fleet_parts, node="n1", register=True):
            await anyio.sleep(20)
        stage.calls.clear()
        await anyio.sleep(1000)
        assert stage.calls == []
        assert stage.scheduler.report().beats.queued == 0


async def test_one_node_can_do_without():
    async with staged() as stage, Heartbeat(*stage.fleet_parts, node="n1", register=True, status=False) as beat:
        await anyio.sleep(1000)
        assert "patch nodes/status" not in stage.calls
        assert beat.status_error is None
