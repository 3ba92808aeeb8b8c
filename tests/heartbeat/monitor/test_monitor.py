"""The monitor over an API server in memory, with a fleet beside it, in virtual time."""

import itertools
from contextlib import asynccontextmanager

import anyio
import pytest

import lease_aio
from lease_aio.api.memory import Moment
from lease_aio.api.protocol import LEASES, NODES, PatchType
from lease_aio.errors import Refused
from lease_aio.heartbeat import Finding, Fleet, Mode, Monitor, MonitorSettings, NodeGroup, NodeVerdict, Sight
from lease_aio.heartbeat.monitor import (
    Availability,
    DisruptionVerdict,
    Reason,
    SightVerdict,
    TaintVerdict,
    ZoneVerdict,
    shell,
    unknown_conditions,
)
from lease_aio.model import to_dict
from lease_aio.testing import VirtualClock
from tests.heartbeat.stage import NODE_NAMESPACE, staged, unreachable

pytestmark = pytest.mark.virtual_time

MODES = pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.value)


class Seen:
    """What a reader of the monitor has been told, with the time at which it was."""

    def __init__(self, monitor, clock):
        self.monitor, self.clock, self.told = monitor, clock, []

    async def read(self):
        async for verdict in self.monitor:
            self.told.append((self.clock.now(), verdict))

    def of(self, kind):
        return [one for _, one in self.told if isinstance(one, kind)]

    @property
    def findings(self):
        return [(one.node, one.finding) for one in self.of(NodeVerdict) if one.finding is not Finding.NEW]

    @property
    def sights(self):
        return [one.sight for one in self.of(SightVerdict)]

    def when(self, node, finding):
        return next(
            at for at, one in self.told if isinstance(one, NodeVerdict) and (one.node, one.finding) == (node, finding)
        )


@asynccontextmanager
async def watched(stage, **options):
    """A monitor of the stage, and its reader."""
    settings = MonitorSettings(**options)
    async with (
        Monitor(stage.api, stage.clock, stage.fleet_parts[-1], settings=settings) as monitor,
        anyio.create_task_group() as readers,
    ):
        seen = Seen(monitor, stage.clock)
        readers.start_soon(seen.read)
        yield seen
        readers.cancel_scope.cancel()


def only(verb, resource, fault):
    """A fault that strikes these requests alone."""

    async def strike(moment, call):
        if (verb, resource) == (call.verb, call.resource.split(".")[0]):
            await fault(moment, call)

    return strike


async def forbidden(moment, call):
    if moment is Moment.BEFORE:
        raise Refused(call, f'User "x" cannot {call.verb} resource', status=403)


async def stands_still(moment, call):
    """A watch that is open, and brings nothing any more."""
    if moment is Moment.AFTER:
        await anyio.sleep(10_000)


# Rights


async def test_without_the_right_to_list_leases_entering_fails():
    async with staged() as stage:
        stage.faults = only("list", "leases", forbidden)
        with pytest.raises(Refused, match="list leases.coordination.k8s.io kube-node-lease"):
            async with Monitor(stage.api, stage.clock, stage.fleet_parts[-1]):
                pass


@pytest.mark.parametrize("turns", range(8))
async def test_who_may_list_neither_is_told_of_the_leases_whichever_answer_comes_first(turns):
    async def forbidden_later(moment, call):
        for _ in range(turns if call.resource == "nodes" else 4):
            await anyio.lowlevel.checkpoint()
        await forbidden(moment, call)

    async with staged() as stage:
        stage.faults = forbidden_later
        with pytest.raises(Refused, match="list leases.coordination.k8s.io kube-node-lease"):
            async with Monitor(stage.api, stage.clock, stage.fleet_parts[-1]):
                pass


async def test_a_right_that_is_taken_away_later_reaches_the_reader():
    async with staged() as stage, Monitor(stage.api, stage.clock, stage.fleet_parts[-1]) as monitor:
        assert (await anext(monitor)).sight is Sight.FULL
        stage.faults = only("watch", "leases", forbidden)
        assert (await anext(monitor)).sight is Sight.BLIND
        with pytest.raises(Refused, match="watch leases"):
            await anext(monitor)


async def test_without_the_right_to_list_nodes_leases_stand_for_them_and_it_is_said_once(caplog):
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=3) as fleet:
        stage.faults = only("list", "nodes", forbidden)
        await anyio.sleep(12)
        async with watched(stage) as seen:
            assert len(seen.monitor.nodes) == 3
            fleet.nodes["node-1"].silence()
            await anyio.sleep(300)
            assert seen.findings == [("node-1", Finding.UNKNOWN)]
            fleet.nodes["node-1"].revive()
            await anyio.sleep(20)
            assert seen.findings[1:] == [("node-1", Finding.RECOVERED)]
            assert seen.sights == [Sight.LEASES_ONLY]
            assert "cannot list" in seen.monitor.why
    assert caplog.text.count("monitor.leases_only") == 1
    assert "allow list and watch of nodes" in caplog.text


async def test_without_the_right_to_get_leases_it_judges_without_asking(caplog):
    async with (
        staged() as stage,
        Fleet(*stage.fleet_parts, nodes=3, register=True) as fleet,
        watched(stage) as seen,
    ):
        await anyio.sleep(20)
        stage.faults = only("get", "leases", forbidden)  # the fleet has read its own by now
        fleet.nodes["node-1"].silence()
        await anyio.sleep(70)
        assert seen.findings == [("node-1", Finding.UNKNOWN)]
        assert seen.sights == [Sight.FULL]
    assert caplog.text.count("monitor.leases_unread") == 1


# Broken watches


@MODES
async def test_an_api_server_that_is_away_makes_blind_and_nobody_unknown(mode):
    async with (
        staged() as stage,
        Fleet(*stage.fleet_parts, nodes=20, register=True) as fleet,
        watched(stage, mode=mode) as seen,
    ):
        await anyio.sleep(30)
        stage.faults = unreachable
        await anyio.sleep(40)
        assert seen.monitor.sight is Sight.BLIND
        assert "nobody listens" in seen.monitor.why
        stage.faults = None
        await anyio.sleep(60)
        assert seen.findings == []
        assert seen.sights == [Sight.FULL, Sight.BLIND, Sight.FULL]
        assert fleet.report().late == 0


async def test_an_outage_longer_than_the_grace_counts_against_nobody_in_mode_careful():
    async with (
        staged() as stage,
        Fleet(*stage.fleet_parts, nodes=20, register=True),
        watched(stage, mode=Mode.CAREFUL) as seen,
    ):
        await anyio.sleep(30)
        stage.faults = unreachable
        await anyio.sleep(600)
        stage.faults = None
        await anyio.sleep(120)
        assert seen.findings == []


@MODES
async def test_a_watch_that_died_in_silence_is_noticed_and_makes_nobody_unknown(mode):
    async with (
        staged() as stage,
        Fleet(*stage.fleet_parts, nodes=20, register=True),
        watched(stage, mode=mode) as seen,
    ):
        await anyio.sleep(30)
        stage.faults = only("watch", "leases", stands_still)
        await anyio.sleep(25)
        assert seen.monitor.sight is Sight.BLIND
        assert "of which the watch has not told" in seen.monitor.why
        await anyio.sleep(60)
        stage.faults = None
        await anyio.sleep(60)
        assert seen.monitor.sight is Sight.FULL, "a watch that stays behind is given up for a new list"
        assert seen.findings == []


async def test_a_new_list_tells_what_was_deleted_meanwhile():
    async with (
        staged() as stage,
        Fleet(*stage.fleet_parts, nodes=20, register=True) as fleet,
        watched(stage) as seen,
    ):
        await anyio.sleep(30)
        stage.faults = only("watch", "leases", stands_still)
        fleet.nodes["node-0"].silence()
        await stage.api.delete(LEASES, "node-0", NODE_NAMESPACE)
        await anyio.sleep(60)
        stage.faults = None
        await anyio.sleep(60)
        assert seen.monitor.nodes["node-0"].renew_time is None
        assert seen.findings == [("node-0", Finding.UNKNOWN)]


@MODES
async def test_when_all_are_silent_the_server_is_asked_so_that_it_is_not_taken_for_blindness(mode):
    async with (
        staged() as stage,
        Fleet(*stage.fleet_parts, nodes=20, register=True) as fleet,
        watched(stage, mode=mode) as seen,
    ):
        await anyio.sleep(30)
        fleet.select().silence()
        await anyio.sleep(70)
        assert seen.findings == [(name, Finding.UNKNOWN) for name in sorted(fleet.names, key=_order(seen))]
        assert seen.sights == [Sight.FULL]
        assert [one.stopped for one in seen.of(DisruptionVerdict)] == [True]


def _order(seen):
    order = [name for name, _ in seen.findings]
    return order.index


async def test_a_server_that_leaves_questions_open_makes_blind_until_it_answers():
    async with (
        staged() as stage,
        Fleet(*stage.fleet_parts, nodes=1, register=True) as fleet,
        watched(stage) as seen,
    ):
        await anyio.sleep(30)
        fleet.select().silence()
        stage.faults = only("get", "leases", unreachable)
        await anyio.sleep(120)
        assert seen.findings == []
        assert seen.monitor.sight is Sight.BLIND
        stage.faults = None
        await anyio.sleep(10)
        assert seen.findings == [("node-0", Finding.UNKNOWN)]
        assert seen.monitor.sight is Sight.FULL


async def test_a_stale_watch_is_not_believed_where_the_server_is_asked():
    async def late(moment, call):
        if moment is Moment.AFTER:
            await anyio.sleep(30)

    async with (
        staged() as stage,
        Fleet(*stage.fleet_parts, nodes=2, register=True) as fleet,
        watched(stage, grace_s=20, renew_interval_s=1000) as seen,  # the latter: no doubt from quiet
    ):
        await anyio.sleep(30)
        stage.faults = only("watch", "leases", late)
        await anyio.sleep(60)
        assert seen.findings == []
        assert Sight.BLIND in seen.sights
        assert seen.monitor.report().refuted > 0
        assert fleet.report().late == 0


async def test_once_it_is_known_to_be_stale_the_server_is_not_asked_about_everybody():
    async with (
        staged() as stage,
        Fleet(*stage.fleet_parts, nodes=200, register=True, spread_start=False),
        watched(stage, renew_interval_s=1000) as seen,  # no doubt from quiet
    ):
        await anyio.sleep(30)
        stage.faults = only("watch", "leases", stands_still)
        await anyio.sleep(60)
        assert seen.monitor.sight is Sight.BLIND
        assert 1 <= seen.monitor.report().asked <= 8


# Verdicts


@MODES
async def test_silenced_nodes_become_unknown_and_tainted_and_others_never(mode):
    zones = [NodeGroup(count=60, zones=("a", "b", "c"))]
    async with (
        staged() as stage,
        Fleet(*stage.fleet_parts, nodes=zones, register=True) as fleet,
        watched(stage, mode=mode) as seen,
    ):
        await anyio.sleep(30)
        gone = set(fleet.select("zone=b").sample(count=5).silence())
        silenced_at = stage.clock.now()
        await anyio.sleep(120)
        assert {name for name, _ in seen.findings} == gone
        assert {finding for _, finding in seen.findings} == {Finding.UNKNOWN}
        for name in gone:
            assert 39.5 <= seen.when(name, Finding.UNKNOWN) - silenced_at <= 56
            node = seen.monitor.nodes[name]
            assert (node.state, node.reason) == (Availability.UNKNOWN, Reason.SILENT)
            assert node.no_schedule == "node.kubernetes.io/unreachable"
        assert {(str(one.zone), one.state.value) for one in seen.of(ZoneVerdict)} == {
            ("a", "normal"),
            ("b", "normal"),
            ("c", "normal"),
        }
        report = seen.monitor.report()
        assert report.findings == {Finding.NEW: 60, Finding.UNKNOWN: 5}
        assert 50 <= report.silence_s.min_s <= report.silence_s.max_s <= 60.1
        assert report.passes == pytest.approx(150 / 5, abs=2)


async def test_an_eviction_is_told_when_its_time_comes_between_two_passes():
    async with (
        staged() as stage,
        Fleet(*stage.fleet_parts, nodes=20, register=True) as fleet,
        watched(stage, eviction_rate_per_s=0.4) as seen,
    ):
        await anyio.sleep(30)
        fleet.select().sample(count=5).silence()
        await anyio.sleep(120)
        evictions = [
            (at, one)
            for at, one in seen.told
            if isinstance(one, TaintVerdict) and one.key and one.effect.value == "NoExecute"
        ]
        assert len(evictions) == 5
        assert all(at - one.at < 0.01 for at, one in evictions)
        gaps = [later.at - one.at for (_, one), (_, later) in itertools.pairwise(evictions)]
        assert min(gaps) >= 2.5 - 1e-6


async def test_beside_a_controller_a_node_recovers_when_its_kubelet_says_so():
    async with (
        staged() as stage,
        Fleet(*stage.fleet_parts, nodes=3, register=True, status=False) as fleet,
        watched(stage) as seen,
    ):
        await anyio.sleep(30)
        fleet.nodes["node-1"].silence()
        await anyio.sleep(70)
        node = await stage.node("node-1")
        conditions = [to_dict(one) for one in unknown_conditions(node, stage.clock.wall_us())]
        body = {"status": {"conditions": conditions}}
        await stage.api.patch(NODES, "node-1", body=body, type=PatchType.MERGE, subresource="status")
        fleet.nodes["node-1"].revive()
        await anyio.sleep(20)
        assert seen.findings == [("node-1", Finding.UNKNOWN)]
        body["status"]["conditions"] = [to_dict(one) for one in node.status.conditions]
        await stage.api.patch(NODES, "node-1", body=body, type=PatchType.MERGE, subresource="status")
        await anyio.sleep(1)
        assert seen.findings == [("node-1", Finding.UNKNOWN)], "the same heartbeat as before is nobody's word"
        for condition in body["status"]["conditions"]:
            condition["lastHeartbeatTime"] = "2030-01-01T00:00:00Z"
        await stage.api.patch(NODES, "node-1", body=body, type=PatchType.MERGE, subresource="status")
        await anyio.sleep(1)
        assert seen.findings[1:] == [("node-1", Finding.RECOVERED)]


async def test_nodes_that_come_and_go_are_told():
    async with (
        staged() as stage,
        Fleet(*stage.fleet_parts, nodes=2, register=True, delete_on_exit=True) as fleet,
        watched(stage) as seen,
    ):
        await anyio.sleep(10)
        await fleet.grow(1)
        await fleet.shrink(2)
        await anyio.sleep(10)
        findings = [(one.node, one.finding) for one in seen.of(NodeVerdict)]
        assert findings[:3] == [(f"node-{number}", Finding.NEW) for number in range(3)]
        assert set(findings[3:]) == {("node-1", Finding.DELETED), ("node-2", Finding.DELETED)}
        assert list(seen.monitor.nodes) == ["node-0"]


async def test_a_restarted_monitor_gives_everybody_a_new_grace():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=3, register=True) as fleet:
        async with watched(stage) as before:
            await anyio.sleep(30)
            fleet.nodes["node-1"].silence()
            await anyio.sleep(35)
            assert before.findings == []
        async with watched(stage) as after:
            restarted = stage.clock.now()
            await anyio.sleep(50)
            assert after.findings == []
            await anyio.sleep(70)
            assert after.findings == [("node-1", Finding.UNKNOWN)]
            assert 50 < after.when("node-1", Finding.UNKNOWN) - restarted <= 56


# The reader


async def test_outside_of_its_block_it_is_not_iterated():
    async with staged() as stage:
        monitor = Monitor(stage.api, stage.clock, stage.fleet_parts[-1])
        with pytest.raises(RuntimeError, match="not open"):
            await anext(monitor)
        async with monitor:
            await anext(monitor)
        with pytest.raises(RuntimeError, match="not open"):
            await anext(monitor)


async def test_a_reader_that_does_not_ask_loses_the_oldest_and_is_told_how_many(monkeypatch):
    monkeypatch.setattr(shell, "_KEPT", 100)
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1, register=True):
        node = await stage.node("node-0")
        async with Monitor(stage.api, stage.clock, stage.fleet_parts[-1]) as monitor:
            for number in range(300):
                ready = {"type": "Ready", "status": "False" if number % 2 else "True"}
                await stage.api.patch(NODES, node.name, body={"status": {"conditions": [ready]}}, subresource="status")
            await anyio.sleep(1)
            assert monitor.report().dropped > 0
            first = await anext(monitor)
            assert not (isinstance(first, NodeVerdict) and first.finding is Finding.NEW)


async def test_without_a_reader_the_state_goes_on():
    async with (
        staged() as stage,
        Fleet(*stage.fleet_parts, nodes=3, register=True) as fleet,
        Monitor(stage.api, stage.clock, stage.fleet_parts[-1]) as monitor,
    ):
        await anyio.sleep(30)
        fleet.nodes["node-1"].silence()
        await anyio.sleep(60)
        assert monitor.nodes.by_state() == {
            Availability.PENDING: 0,
            Availability.READY: 2,
            Availability.NOT_READY: 0,
            Availability.UNKNOWN: 1,
        }
        assert monitor.nodes.most_silent(5, longer_than_s=20) == [], "the Unknown do not count"
        fleet.nodes["node-2"].silence()
        await anyio.sleep(30)
        assert [one.name for one in monitor.nodes.most_silent(5, longer_than_s=20)] == ["node-2"]
        with pytest.raises(KeyError):
            monitor.nodes["nobody"]


async def test_settings_that_are_likely_to_be_wrong_are_warned_of(caplog):
    async with staged() as stage, watched(stage, grace_s=40):
        pass
    assert "grace_s=40 is not more than the 45 s" in caplog.text


async def test_it_is_reached_through_the_client():
    clock = VirtualClock()
    async with (
        lease_aio.connect("embedded", clock=clock) as leases,
        leases.fleet(2, register=True),
        leases.monitor(MonitorSettings(period_s=1)) as monitor,
    ):
        nodes = [(await anext(monitor)).node for _ in range(2)]
        assert nodes == ["node-0", "node-1"]
        assert monitor.settings.period_s == 1


async def test_an_error_in_the_block_leaves_it_as_it_is_and_nothing_runs_on():
    async with staged() as stage:
        with pytest.raises(ValueError, match="mine"):
            async with Monitor(stage.api, stage.clock, stage.fleet_parts[-1]):
                raise ValueError("mine")
        stage.calls.clear()
        await anyio.sleep(600)
        assert stage.calls == []
