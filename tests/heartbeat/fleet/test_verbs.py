"""What can be done to the nodes of a fleet while it runs, against a server in memory."""

import math
import random
from collections import Counter

import anyio
import pytest

from lease_aio.api.memory import Moment
from lease_aio.errors import ConfigurationError, Unavailable
from lease_aio.heartbeat import Fleet, NodeGroup, NodeState
from tests.heartbeat.stage import answers_lost, staged, unreachable

pytestmark = pytest.mark.virtual_time


def by_second(stage, count):
    """Count the requests of each second from now."""
    start = stage.clock.now()

    async def note(moment, call):
        if moment is Moment.BEFORE:
            count[int(stage.clock.now() - start)] += 1

    stage.faults = note


async def skewed_s(stage, name):
    """By how much the newest renewTime is off, if it was written just now."""
    return -(await stage.age_s(name))


# Whom


async def test_an_unknown_node_is_a_key_error_and_one_that_has_left_is_passed_over():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=2) as fleet:
        with pytest.raises(KeyError, match="node-2"):
            fleet.nodes["node-2"]
        gone, everybody = fleet.nodes["node-1"], fleet.select()
        await fleet.shrink(1)
        assert gone.silence() == ()
        assert everybody.silence() == ("node-0",)
        with pytest.raises(KeyError):
            gone.state  # noqa: B018
        assert list(fleet.nodes) == ["node-0"]


async def test_a_selector_that_cannot_be_parsed_is_refused_with_an_example():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=2) as fleet:
        with pytest.raises(ConfigurationError, match=r"selector 'zone in': .*zone in \(a,b\)"):
            fleet.select("zone in")


async def test_a_large_selection_can_be_taken_in_parts():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=25) as fleet:
        with pytest.raises(ConfigurationError, match="most=0"):
            fleet.select().parts(0)
        parts = list(fleet.select().parts(10))
        assert [len(part) for part in parts] == [10, 10, 5]
        assert [name for part in parts for name in part] == list(fleet.names)
        assert list(fleet.select("zone=x").parts()) == []
        assert [len(part.crash()) for part in parts] == [10, 10, 5]
        assert fleet.report().states == {"crashed": 25}


async def test_nodes_are_selected_by_label_with_short_words_for_long_ones():
    groups = [NodeGroup(count=4, prefix="web-", zones=("a", "b")), NodeGroup(count=2, prefix="gpu-", name="big")]
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=groups, name="f1") as fleet:
        assert fleet.select("zone=b").names == ("web-1", "web-3")
        assert fleet.select("topology.kubernetes.io/zone in (a,b),name!=web-0").names == ("web-1", "web-2", "web-3")
        assert fleet.select("group=big").names == ("gpu-0", "gpu-1")
        assert fleet.select("!zone,name notin (gpu-0)").names == ("gpu-1",)
        assert len(fleet.select("lease-aio/fleet=f1")) == len(fleet.select()) == 6
        assert fleet.nodes["web-3"].labels["topology.kubernetes.io/zone"] == "b"


async def test_a_sample_is_a_part_of_a_selection_and_a_seeded_one_repeats():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=10, random=iter([0.5, 0.1, 0.9] * 9).__next__) as f:
        assert f.select("name in (node-1,node-2,node-3)").sample(count=2).names == ("node-2", "node-1")
        assert len(f.select().sample(fraction=0.3)) == 3
        with pytest.raises(ConfigurationError, match="exactly one way"):
            f.select().sample()


async def test_nodes_are_selected_by_what_was_done_to_them():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=10) as fleet:
        await anyio.sleep(11)
        fleet.select().sample(count=3).silence()
        assert len(fleet.select().in_state(NodeState.SILENCED)) == 3
        assert len(fleet.select().in_state(NodeState.FRESH).sample(count=100)) == 7


# Silence


async def test_the_silent_send_nothing_grow_old_and_are_not_late():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=10) as fleet:
        await anyio.sleep(20)
        chosen = fleet.select().sample(count=3).silence()
        assert len(chosen) == 3
        await anyio.sleep(50)
        for name in fleet.names:
            assert (await stage.age_s(name) > 40) == (name in chosen)
        report = fleet.report()
        assert (report.nodes, report.fresh, report.late, report.silenced) == (10, 7, 0, 3)


async def test_the_revived_read_at_once_and_their_silence_is_no_gap():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=5) as fleet:
        await anyio.sleep(20)
        fleet.select().silence()  # all: by chance another one's renewal would be due among the five
        await anyio.sleep(60)
        calls = Counter()
        stage.calls.clear()
        chosen = fleet.select().revive()
        await anyio.sleep(0.01)
        calls.update(stage.calls)
        assert (calls["get leases"], calls["update leases"]) == (5, 5)
        assert [await stage.age_s(name) < 0.02 for name in chosen] == [True] * 5
        await anyio.sleep(30)
        assert fleet.report().gap.max_s < 11
        assert fleet.report().fresh == 5


async def test_a_revival_can_be_spread():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=100) as fleet:
        await anyio.sleep(20)
        fleet.select().silence()
        count = Counter()
        by_second(stage, count)
        fleet.select().revive(over_s=5)
        await anyio.sleep(4.99)
        assert [count[second] for second in range(5)] == pytest.approx([40] * 5, abs=8)


async def test_one_that_is_silenced_and_revived_while_a_request_is_on_its_way_reads_after_it():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1) as fleet:
        await anyio.sleep(5)
        stage.latency_s = 3
        await anyio.sleep(6)  # the second renewal was sent
        stage.calls.clear()
        fleet.nodes["node-0"].silence()
        assert fleet.nodes["node-0"].revive() == ("node-0",)
        await anyio.sleep(30)
        assert stage.calls[:2] == ["get leases", "update leases"]
        assert fleet.report().fresh == 1
        assert stage.scheduler.report().beats.queued == 1


async def test_a_request_that_was_on_its_way_when_the_node_fell_silent_is_its_last():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1) as fleet:
        await anyio.sleep(5)
        stage.latency_s = 3
        await anyio.sleep(6)
        fleet.nodes["node-0"].silence()
        stage.calls.clear()
        await anyio.sleep(60)
        assert stage.calls == []
        assert await stage.age_s("node-0") > 50


# Verbs in general


async def test_what_is_so_already_is_not_changed():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=3) as fleet:
        node = fleet.nodes["node-1"]
        assert (node.revive(), node.resume(), node.slow(0), node.skew(0), node.heal()) == ((),) * 5
        for verb in (node.silence, node.crash, lambda: node.slow(1), lambda: node.skew(5)):
            assert verb() == ("node-1",)
            assert verb() == ()
        assert node.heal() == ("node-1",)
        assert node.heal() == ()


@pytest.mark.parametrize("over_s", [-1, math.inf, math.nan])
async def test_a_time_that_cannot_be_waited_for_is_refused(over_s):
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1) as fleet:
        for verb in (
            lambda node: node.revive(over_s=over_s),
            lambda node: node.restart(down_s=over_s),
            lambda node: node.slow(over_s),
        ):
            with pytest.raises(ConfigurationError, match="must be zero or more seconds"):
                verb(fleet.nodes["node-0"])
        with pytest.raises(ConfigurationError, match="offset_s=inf must be a finite number"):
            fleet.select().skew(math.inf)


async def test_each_thing_that_was_done_is_undone_by_its_own_counterpart():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1) as fleet:
        await anyio.sleep(11)
        node = fleet.nodes["node-0"]
        node.silence()
        node.pause()
        assert node.state is NodeState.PAUSED
        node.resume()
        assert node.state is NodeState.SILENCED
        await anyio.sleep(60)
        node.revive()
        await anyio.sleep(0.1)
        assert node.state is NodeState.FRESH


async def test_a_healed_fleet_forgets_that_anything_was_wrong():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=20) as fleet:
        await anyio.sleep(11)
        everybody = fleet.select()
        everybody.sample(count=5).silence()
        everybody.sample(count=5).pause()
        everybody.sample(count=5).crash()
        everybody.sample(count=5).restart(down_s=600)
        everybody.slow(3)
        everybody.skew(-60, drift=0.1)
        await anyio.sleep(60)
        everybody.heal()
        await anyio.sleep(15)
        assert fleet.report().fresh == 20
        assert [await stage.age_s(name) < 11 for name in fleet.names] == [True] * 20
        assert fleet._group.troubles == fleet._group.held == {}


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 8, 75])
async def test_after_any_course_of_events_a_healed_fleet_is_as_a_new_one(seed):
    chance = random.Random(seed)
    options = {"nodes": 20, "register": bool(seed % 2), "random": chance.random}
    async with staged(latency_s=(0.0, 0.05, 1.5)[seed % 3]) as stage, Fleet(*stage.fleet_parts, **options) as fleet:
        for _ in range(150):
            some = fleet.select().sample(count=chance.randrange(1, 10))
            deeds = [some.silence, some.pause, some.crash, some.revive, some.resume, some.restart, some.heal]
            deeds += [lambda: some.slow(chance.choice([0, 1, 12])), lambda: some.skew(chance.choice([0, -50]))]  # noqa: B023
            deeds += [lambda: some.restart(down_s=20 * chance.random(), over_s=5), lambda: some.revive(over_s=5)]  # noqa: B023
            deeds += [some.unready, some.ready] if seed % 2 else []
            chance.choice(deeds)()
            stage.faults = chance.choice([unreachable, answers_lost, *[stage.faults] * 30, *[None] * 8])
            await anyio.sleep(chance.choice([0, 0.1, 1, 3, 11]))
        stage.faults = None
        fleet.select().heal()
        await anyio.sleep(60)
        assert fleet.report().states == {"fresh": 20}
        assert fleet._group.troubles == fleet._group.held == {}
        senders = {sender.renewal for hollow in fleet._hollows.values() for sender in hollow.senders}
        beats = stage.scheduler.report().beats
        assert beats.queued + beats.in_flight == len(senders) == (40 if seed % 2 else 20)


# Pause


async def test_the_paused_stand_still_and_go_on_with_an_update():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1) as fleet:
        await anyio.sleep(11)
        assert fleet.nodes["node-0"].pause() == ("node-0",)
        await anyio.sleep(60)
        assert fleet.nodes["node-0"].state is NodeState.PAUSED
        assert await stage.age_s("node-0") > 59
        stage.calls.clear()
        fleet.nodes["node-0"].resume()
        await anyio.sleep(0.01)
        assert stage.calls == ["update leases"]
        assert fleet.report().gap.max_s < 11
        assert fleet.report().lateness.max_s < 0.01, "that it was told to stand still is not this process's lateness"


async def test_a_pause_that_ends_before_a_renewal_is_due_changes_nothing():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1) as fleet:
        await anyio.sleep(1)
        fleet.nodes["node-0"].pause()
        await anyio.sleep(5)
        fleet.nodes["node-0"].resume()
        stage.calls.clear()
        await anyio.sleep(3.9)
        assert stage.calls == []
        await anyio.sleep(0.6)
        assert stage.calls == ["update leases"]


async def test_a_pause_within_a_row_of_failed_attempts_goes_on_within_that_row():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1) as fleet:
        await anyio.sleep(1)
        stage.faults = unreachable
        await anyio.sleep(11.5)  # five updates failed, and it reads with growing pauses
        fleet.nodes["node-0"].pause()
        await anyio.sleep(60)
        stage.faults = None
        stage.calls.clear()
        fleet.nodes["node-0"].resume()
        await anyio.sleep(0.01)
        assert stage.calls == ["get leases", "update leases"]


# Slowness


async def test_a_slow_request_is_sent_late_with_the_time_at_which_it_was_made():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1) as fleet:
        await anyio.sleep(1)
        fleet.nodes["node-0"].slow(4)
        stage.calls.clear()
        await anyio.sleep(12.9)
        assert stage.calls == []
        await anyio.sleep(0.6)  # made at 10.0 to 10.4 s, sent at 14.0 to 14.4 s
        assert stage.calls == ["update leases"]
        assert 4 <= await stage.age_s("node-0") < 4.6
        assert fleet.report().lateness.max_s < 0.01
        assert fleet.report().errors == {}


async def test_slow_nodes_take_nobodys_room():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1000) as fleet:
        await anyio.sleep(11)
        fleet.select().sample(count=999).slow(9)
        await anyio.sleep(15)
        beats = stage.scheduler.report().beats
        assert beats.in_flight < 20, "about as many start at one instant; 999 are held"
        assert beats.overdue == 0
        assert fleet.report().lateness.max_s <= 1 / 32, "no later than wake-ups are shared"


async def test_a_request_that_is_held_for_longer_than_it_may_take_is_a_timeout_and_never_sent():
    heard = []

    def note(name, error):
        heard.append((stage.clock.now() - start, error))

    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1, on_failure=note) as fleet:
        await anyio.sleep(1)
        fleet.nodes["node-0"].slow(25)
        stage.calls.clear()
        start = stage.clock.now()
        await anyio.sleep(55)
        assert stage.calls == []
        assert all(isinstance(error, Unavailable) for _, error in heard)
        assert [at - heard[0][0] for at, _ in heard] == pytest.approx([0, 10, 20, 30], abs=0.1)
        assert "not sent within 10 s" in str(heard[0][1])
        fleet.nodes["node-0"].slow(0)
        await anyio.sleep(30)
        assert fleet.report().fresh == 1


async def test_a_slow_answer_and_a_slow_node_share_the_ten_seconds_of_a_request():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1) as fleet:
        await anyio.sleep(1)
        fleet.nodes["node-0"].slow(4)
        stage.latency_s = 7
        await anyio.sleep(20.5)
        assert fleet.report().errors == {"unavailable": 1}


async def test_what_is_held_when_a_node_falls_silent_is_never_sent():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1) as fleet:
        await anyio.sleep(1)
        fleet.nodes["node-0"].slow(4)
        await anyio.sleep(11)  # one is held
        fleet.nodes["node-0"].silence()
        stage.calls.clear()
        await anyio.sleep(20)
        fleet.nodes["node-0"].revive()
        await anyio.sleep(8.5)
        assert stage.calls == ["get leases", "update leases"]


# Clocks


async def test_a_skewed_clock_shows_in_the_lease_and_not_in_the_cadence():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=2) as fleet:
        await anyio.sleep(11)
        fleet.nodes["node-0"].skew(-3600)
        await anyio.sleep(20)
        assert 3600 < await stage.age_s("node-0") < 3611
        assert await stage.age_s("node-1") < 11
        assert fleet.report().gap.max_s < 10.5
        fleet.nodes["node-0"].skew(0)
        await anyio.sleep(11)
        assert await stage.age_s("node-0") < 11


async def test_a_drifting_clock_is_off_by_more_with_each_second():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1) as fleet:
        await anyio.sleep(11)
        fleet.nodes["node-0"].skew(5, drift=0.01)
        await anyio.sleep(1000)
        ahead_s = -(await stage.age_s("node-0"))
        assert 5 + 0.01 * 980 - 11 < ahead_s < 5 + 0.01 * 1000


@pytest.mark.parametrize(
    ("offset_s", "drift", "shown"),
    [(-1e300, 0.0, "0001-01-01T00:00:01"), (1e300, 0.0, "9999-12-31T23:59:59"), (0.0, 1e300, "9999-12-31T23:59:59")],
)
async def test_a_clock_shows_no_time_that_cannot_be_written(offset_s, drift, shown):
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=2, register=True) as fleet:
        await anyio.sleep(11)
        fleet.nodes["node-0"].skew(offset_s, drift=drift)
        await anyio.sleep(460)  # a status is written, too
        assert str((await stage.lease("node-0")).spec.renew_time).startswith(shown)
        assert str((await stage.node("node-0")).status.condition("Ready").last_heartbeat_time).startswith(shown)
        assert fleet.report().fresh == 2


# Crashes


async def test_the_crashed_send_nothing_and_start_again_with_a_read():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=2) as fleet:
        await anyio.sleep(11)
        node = fleet.nodes["node-0"]
        node.crash()
        assert node.lease is None, "it has forgotten"
        await anyio.sleep(60)
        assert (node.state, fleet.report().states) == (NodeState.CRASHED, {"crashed": 1, "fresh": 1})
        assert await stage.age_s("node-0") > 60
        stage.calls.clear()
        assert node.restart() == ("node-0",)
        await anyio.sleep(0.01)
        assert stage.calls == ["get leases", "update leases"]
        assert node.state is NodeState.FRESH


async def test_a_rolling_restart_takes_each_down_for_a_while_and_spreads_the_starts():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=100) as fleet:
        await anyio.sleep(11)
        assert len(fleet.select().restart(down_s=10, over_s=20)) == 100
        assert fleet.report().states == {"crashed": 100}
        count = Counter()
        by_second(stage, count)
        await anyio.sleep(9.99)
        assert count.total() == 0
        await anyio.sleep(10)
        assert fleet.report().states["crashed"] == pytest.approx(50, abs=2)
        await anyio.sleep(10.1)
        assert fleet.report().states == {"fresh": 100}
        assert fleet._group.troubles == {}


async def test_one_that_crashes_while_a_request_is_on_its_way_knows_nothing_of_the_answer():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1) as fleet:
        await anyio.sleep(5)
        stage.latency_s = 3
        await anyio.sleep(6)
        fleet.nodes["node-0"].restart(down_s=1)
        stage.calls.clear()
        await anyio.sleep(3.5)
        assert fleet.nodes["node-0"].lease is None
        await anyio.sleep(25)
        assert stage.calls[:2] == ["get leases", "update leases"]
        assert stage.scheduler.report().beats.queued == 1


async def test_a_fleet_leaves_with_nothing_under_way_even_for_those_that_crashed():
    async with staged() as stage:
        async with Fleet(*stage.fleet_parts, nodes=1) as fleet:
            await anyio.sleep(5)
            stage.latency_s = 3
            await anyio.sleep(6)
            fleet.nodes["node-0"].crash()
            assert stage.scheduler.report().beats.in_flight == 1
        assert stage.scheduler.report().beats.in_flight == 0


async def test_what_is_cut_off_stays_so_over_a_restart():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1) as fleet:
        await anyio.sleep(11)
        node = fleet.nodes["node-0"]
        node.silence()
        node.restart()
        stage.calls.clear()
        await anyio.sleep(30)
        assert (node.state, stage.calls) == (NodeState.SILENCED, [])
        node.revive()
        await anyio.sleep(0.01)
        assert stage.calls == ["get leases", "update leases"]


@pytest.mark.parametrize("after", [lambda node: node.restart(down_s=5), lambda node: node.crash()])
async def test_a_lease_whose_create_was_on_its_way_at_a_crash_is_taken_away_too(after):
    async with staged(latency_s=2) as stage:
        async with Fleet(*stage.fleet_parts, nodes=1, delete_on_exit=True) as fleet:
            await anyio.sleep(3)
            assert stage.calls[-1] == "create leases"
            after(fleet.nodes["node-0"])
            await anyio.sleep(20)
            assert stage.calls.count("create leases") == 1
            assert await stage.lease("node-0") is not None
        assert await stage.lease("node-0") is None
        assert fleet.undeleted == ()


async def test_a_lease_created_before_a_crash_is_still_taken_away_at_the_end():
    async with staged() as stage:
        async with Fleet(*stage.fleet_parts, nodes=2, delete_on_exit=True) as fleet:
            await anyio.sleep(11)
            fleet.nodes["node-0"].crash()
            fleet.nodes["node-1"].silence()
        assert await stage.lease("node-0") is None
        assert await stage.lease("node-1") is None


# Readiness


async def test_readiness_means_nothing_where_no_status_is_reported():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1) as fleet:
        with pytest.raises(ConfigurationError, match="status=True"):
            fleet.nodes["node-0"].unready("DiskBroken")
        with pytest.raises(ConfigurationError, match="reason='disk broken' must be one word"):
            fleet.select().unready("disk broken")
