"""Each shipped scenario in simulated time, beside a control plane that judges and writes: who became what, and when."""

import pytest

from lease_aio.heartbeat.monitor import MonitorSettings
from lease_aio.heartbeat.scenario import shipped_scenarios
from tests.heartbeat.scenario.theatre import perform

pytestmark = pytest.mark.virtual_time

GRACE_S = MonitorSettings().grace_s
PASS_S = MonitorSettings().period_s
LONGEST_INTERVAL_S = 10.41
STATUS_S = 10.4 + 0.1  # until a kubelet computes its status again


async def acted_out(name, **options):
    """As `perform`; every expectation must hold."""
    show = await perform(name, **options)
    assert show.failures() == []
    return show


def all_between(times, least_s, most_s):
    return all(least_s <= at_s <= most_s for at_s in times)


def unknown_after(show, since):
    """How long after the moment in `since` each node became Unknown."""
    return {node: at_s - since[node] for node, at_s in show.times("unknown").items()}


@pytest.mark.parametrize("name", shipped_scenarios())
async def test_every_expectation_holds_beside_a_release_that_waits_40_s(name):
    show = await perform(name, minor=31)
    assert show.failures() == []
    assert len(show.played.outcomes) == len(shipped_scenarios()[name].expectations) > 0


async def test_zone_outage_those_20_percent_of_zone_b_alone_become_unknown_and_come_back():
    show = await acted_out("zone-outage")
    silenced = show.changed("silence")
    assert len(silenced) == 10
    assert {show.zones[name] for name in silenced} == {"b"}
    assert show.wrote["unknown"].keys() == silenced.keys()
    assert all_between(unknown_after(show, silenced).values(), GRACE_S - LONGEST_INTERVAL_S, GRACE_S + PASS_S + 0.1)
    assert show.times("tainted").keys() == silenced.keys()
    assert all_between(show.times("ready").values(), 150, 150 + STATUS_S)
    assert show.times("untainted").keys() == silenced.keys()
    assert show.report.states["fresh"] == 150


async def test_rolling_restart_each_node_is_down_once_and_nobody_notices():
    show = await acted_out("rolling-restart")
    restarted = [name for one in show.acted for name in one.nodes]
    assert sorted(restarted) == sorted(show.zones)
    assert [one.at_s for one in show.acted] == sorted(one.at_s for one in show.acted)
    assert show.acted[-1].at_s - show.acted[0].at_s == pytest.approx(118, abs=2)
    assert show.wrote == {}
    assert show.report.states["fresh"] == 60


async def test_correlated_outage_two_zones_fall_and_rise_in_turn_and_the_third_stands():
    show = await acted_out("correlated-outage")
    crashed = show.changed("crash")
    assert show.wrote["unknown"].keys() == crashed.keys()
    assert {show.zones[name] for name in crashed} == {"a", "b"}
    ready = show.times("ready")
    assert max(at_s for name, at_s in ready.items() if show.zones[name] == "a") < min(
        at_s for name, at_s in ready.items() if show.zones[name] == "b"
    )
    back = show.changed("restart")
    assert all(0 <= at_s - back[name] <= STATUS_S for name, at_s in ready.items())


async def test_flapping_nodes_short_absences_stay_unseen_and_long_ones_count_each_time():
    show = await acted_out("flapping-nodes")
    short, long = show.nodes("silence", 0), show.nodes("silence", 1)
    assert show.wrote["unknown"].keys() == long
    assert [len(times) for times in show.wrote["unknown"].values()] == [3] * 5
    assert [len(times) for times in show.wrote["ready"].values()] == [3] * 5
    assert short.isdisjoint(long)


async def test_recovery_storm_everybody_is_lost_and_back_at_once_and_evictions_stop():
    show = await acted_out("recovery-storm")
    assert len(show.wrote["unknown"]) == 100
    assert all_between(show.times("ready").values(), 160, 160 + STATUS_S)
    assert len(show.times("ready")) == len(show.times("untainted")) == 100
    assert show.report.states["fresh"] == 100
    evicting = show.times("evicting")
    assert max(evicting.values()) <= max(show.times("unknown").values())
    assert show.times("sparing").keys() == evicting.keys()
    assert max(show.times("sparing").values()) < 160, "before anybody was back"


async def test_slow_network_three_seconds_are_nothing_and_twelve_are_an_outage():
    show = await acted_out("slow-network")
    merely_slow, stuck = show.nodes("slow", 0), show.nodes("slow", 1)
    assert len(merely_slow) == 20
    assert show.wrote["unknown"].keys() == stuck
    assert all_between(show.times("ready").values(), 180, 180 + 12 + STATUS_S + LONGEST_INTERVAL_S)


async def test_clock_set_back_is_seen_by_nobody_since_1_37():
    show = await acted_out("clock-set-back")
    assert show.wrote == {}
    assert show.report.gap.max_s < LONGEST_INTERVAL_S


async def test_clock_set_back_far_made_unknown_until_the_status_was_written_before_1_37():
    show = await acted_out("clock-set-back", minor=36)
    far, near = show.nodes("skew", 0), show.nodes("skew", 1)
    assert show.wrote["unknown"].keys() == far
    assert all(len(times) == 1 for times in show.wrote["unknown"].values())
    unknown, ready = show.times("unknown"), show.times("ready")
    assert all(0 < ready[name] - unknown[name] <= STATUS_S for name in far)
    assert near.isdisjoint(show.wrote["unknown"])


async def test_clock_drift_is_seen_by_nobody():
    show = await acted_out("clock-drift")
    assert len(show.changed("skew")) == 60
    assert show.wrote == {}


async def test_scale_up_and_down_new_nodes_are_ready_at_once_and_those_that_leave_disturb_nobody():
    show = await acted_out("scale-up-and-down")
    grown, gone = show.changed("grow"), show.changed("shrink")
    assert len(grown) == 60
    assert grown.keys() == gone.keys()
    assert all(name.startswith("burst-") for name in grown)
    assert show.report.nodes == show.report.states["fresh"] == 60
    assert show.wrote == {}


async def test_frozen_machines_that_are_back_within_30_s_go_on_unseen():
    show = await acted_out("frozen-machines")
    short, long = show.nodes("pause", 0), show.nodes("pause", 1)
    assert show.wrote["unknown"].keys() == long
    assert short.isdisjoint(long)
    assert all_between(show.times("ready").values(), 150, 150 + STATUS_S)


async def test_partial_disruption_most_of_a_zone_is_lost_and_evicted_at_a_tenth_of_the_rate():
    show = await acted_out("partial-disruption")
    silenced = show.nodes("silence")
    assert len(silenced) == 36
    assert {show.zones[name] for name in silenced} == {"a"}
    assert show.wrote["unknown"].keys() == silenced
    assert show.wrote["tainted"].keys() == silenced
    evicted = sorted(show.times("evicting").values())
    assert 1 <= len(evicted) <= 4, "one each 100 s, not each 10 s"
    assert all_between(show.times("ready").values(), 240, 240 + STATUS_S)


async def test_sick_nodes_say_so_themselves_and_are_never_unknown():
    show = await acted_out("sick-nodes")
    sick = show.nodes("unready")
    assert show.wrote["not_ready"].keys() == sick
    assert all_between(show.times("not_ready").values(), 60, 60 + STATUS_S)
    assert all_between(show.times("ready").values(), 120, 120 + STATUS_S)
    assert "unknown" not in show.wrote
