"""A scenario, played on a fleet in virtual time."""

import re
from collections import defaultdict
from contextlib import asynccontextmanager

import anyio
import pytest

from lease_aio.api.memory import MemoryApi
from lease_aio.api.protocol import NODES, PatchType
from lease_aio.errors import ConfigurationError, Refused
from lease_aio.heartbeat import Fleet, NodeGroup
from lease_aio.heartbeat.monitor.lifecycle import NodeLifecycle
from lease_aio.heartbeat.scenario import Acted, Judged, Scenario, Wrote, play
from lease_aio.heartbeat.states import NodeState
from tests.heartbeat.stage import refusing, staged

pytestmark = pytest.mark.virtual_time

ZONED = NodeGroup(count=20, zones=("a", "b"))


def scenario(*steps, expect="", duration="4m", fleet=""):
    text = f"duration: {duration}\n{fleet}\nsteps:\n" + "".join(f"  - {{{step}}}\n" for step in steps)
    return Scenario.parse(text + (f"expect:\n  - {{{expect}}}\n" if expect else ""), source="plot.yaml")


class Playing:
    """A fleet on which scenarios are played, and what they told."""

    def __init__(self, stage, fleet):
        self.stage, self.fleet, self.told = stage, fleet, []

    async def play(self, plot):
        return await play(plot, self.fleet, **self.parts(), on_event=self.told.append)

    def parts(self):
        return {"api": self.stage.api, "clock": self.stage.clock}

    def acted(self):
        return [(one.at_s, one.action.deed.verb.value, len(one.nodes)) for one in self.told if isinstance(one, Acted)]

    def states(self, selector=""):
        return {self.fleet.nodes[name].state for name in self.fleet.select(selector)}


@asynccontextmanager
async def playing(nodes=ZONED, **options):
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=nodes, **options) as fleet:
        yield Playing(stage, fleet)


async def played_in_parts(plot, nodes, of):
    """By so many processes, or as if, beside a control plane that judges: what was done to whom, and the outcomes."""
    told, outcomes = [], []

    async def one(stage, index):
        partition = (index, of) if of > 1 else None
        async with Fleet(*stage.fleet_parts, nodes=nodes, register=True, partition=partition) as fleet:
            await anyio.sleep(1)  # until all are there
            played = await play(plot, fleet, api=stage.api, clock=stage.clock, on_event=told.append)
            outcomes.extend(outcome.text for outcome in played.outcomes)

    async with (
        staged() as stage,
        NodeLifecycle(stage.api, stage.clock, stage.fleet_parts[-1]),
        anyio.create_task_group() as processes,
    ):
        for index in range(of):
            processes.start_soon(one, stage, index)
    done = defaultdict(list)
    for event in told:
        if isinstance(event, Acted):
            done[event.action.deed.verb.value, event.at_s] += event.nodes
    return {key: sorted(names) for key, names in done.items()}, outcomes


# ---------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("plot", "message"),
    [
        (
            scenario("at: 60s, silence: zone=d"),
            "4:24: silence: 'zone=d' means no node of this fleet; did you mean 'zone=b'?",
        ),
        (
            scenario("at: 60s, heal: name=node-99"),
            "4:21: heal: 'name=node-99' means no node of this fleet; did you mean 'name=node-9'?",
        ),
        (
            scenario("at: 60s, shrink: 21"),
            "4:23: shrink: 21 is more than the 20 nodes that there are then: lower it",
        ),
        (
            scenario("at: 60s, shrink: 5, every: 30s, times: 5"),
            "4:23: shrink: 5 is more than the 0 nodes that there are then: lower it",
        ),
        (
            scenario("at: 60s, grow: 5, group: small"),
            "4:21: grow: no group is named 'small': this scenario has no fleet of its own, so leave 'group' out",
        ),
        (
            scenario("at: 60s, heal: all", expect="at: end, ready: zone=d"),
            "6:22: ready: 'zone=d' means no node of this fleet; did you mean 'zone=b'?",
        ),
    ],
)
async def test_what_means_nothing_on_this_fleet_is_refused_before_anything_is_done(plot, message):
    async with playing(register=True) as on:
        with pytest.raises(ConfigurationError) as refused:
            await on.play(plot)
    assert str(refused.value) == f"plot.yaml:{message}"
    assert on.told == []


@pytest.mark.parametrize(
    ("plot", "options", "message"),
    [
        (
            scenario("at: 60s, heal: all", expect="at: end, ready: all"),
            {"register": False},
            "6:22: ready is said of Node objects, and this fleet has none: make it with register=True",
        ),
        (
            scenario("at: 60s, unready: all"),
            {"status": False},
            (
                "4:24: unready is told in a Node's status, and this fleet reports none: "
                "make it with register=True, and without status=False"
            ),
        ),
    ],
)
async def test_what_is_said_of_nodes_needs_nodes(plot, options, message):
    async with playing(**{"register": True, **options}) as on:
        with pytest.raises(ConfigurationError) as refused:
            await on.play(plot)
    assert str(refused.value) == f"plot.yaml:{message}"


async def test_nodes_that_come_later_may_be_spoken_of_later():
    async with playing() as on:
        await on.play(scenario("at: 10s, grow: 10", "at: 20s, crash: name=node-25"))
    assert on.acted() == [(10, "grow", 10), (20, "crash", 1)]


async def test_an_expectation_of_nodes_that_may_not_be_watched_is_refused_with_the_verb():
    async with playing(register=True) as on:
        on.stage.faults = refusing
        with pytest.raises(Refused, match="list nodes"):
            await on.play(scenario("at: 60s, silence: zone=b", expect="at: end, ready: all"))


async def test_without_such_expectations_it_goes_on_without_seeing_nodes():
    async with playing() as on:
        on.stage.faults = refusing
        played = await on.play(scenario("at: 60s, silence: zone=b"))
    assert played.held
    assert on.acted() == [(60, "silence", 10)]


async def test_what_a_listener_raises_ends_the_play():
    async with playing() as on:

        def raising(event):
            raise ConfigurationError("enough")

        with pytest.raises(ConfigurationError, match="enough"):
            await play(
                scenario("at: 60s, silence: all"), on.fleet, api=on.stage.api, clock=on.stage.clock, on_event=raising
            )


async def test_a_play_that_is_cancelled_leaves_the_fleet_as_it_is():
    async with playing() as on:
        with anyio.move_on_after(70):
            await on.play(scenario("at: 60s, silence: zone=b, for: 90s"))
        assert on.states("zone=b") == {NodeState.SILENCED}
        await anyio.sleep(100)
        assert on.states("zone=b") == {NodeState.SILENCED}


# ---------------------------------------------------------------------- what is done


async def test_each_step_is_done_at_its_time_and_undone_for_the_same_nodes():
    async with playing() as on, anyio.create_task_group() as tasks:
        tasks.start_soon(on.play, scenario("at: 60s, silence: zone=b, fraction: 30%, for: 90s"))
        await anyio.sleep(59)
        assert on.told == []
        await anyio.sleep(2)
        assert on.acted() == [(60, "silence", 3)]
        assert len(on.fleet.select("zone=b").in_state(NodeState.SILENCED)) == 3
        assert len(on.fleet.select("zone=a").in_state(NodeState.SILENCED)) == 0
    assert on.acted()[1:] == [(150, "revive", 3)]
    assert on.told[0].nodes == on.told[1].nodes


async def test_the_same_seed_and_names_choose_the_same_nodes():
    chosen = []
    for _ in range(2):
        async with playing() as on:
            await on.play(scenario("at: 60s, silence: all, count: 5"))
            chosen.append(on.told[0].nodes)
    async with playing() as on:
        await on.play(scenario("at: 60s, silence: all, count: 5", fleet="seed: 1"))
        chosen.append(on.told[0].nodes)
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize(("choose", "different"), [("once", 1), ("each", 4)])
async def test_a_step_that_repeats_itself_takes_the_same_nodes_or_others(choose, different):
    async with playing() as on:
        await on.play(scenario(f"at: 0s, silence: all, count: 5, every: 60s, for: 20s, times: 4, choose: {choose}"))
    assert len({one.nodes for one in on.told if not one.action.undoes}) == different
    assert all(len(one.nodes) == 5 for one in on.told)


async def test_a_rolling_restart_takes_one_node_after_another():
    async with playing() as on:
        await on.play(scenario("at: 60s, restart: zone=a, over: 20s, down: 5s"))
    assert [(one.at_s, len(one.nodes)) for one in on.told] == [(60 + 2 * number, 1) for number in range(10)]
    assert [one.nodes[0] for one in on.told] == [f"node-{number}" for number in range(0, 20, 2)]


async def test_steps_can_speak_of_the_nodes_of_another():
    async with playing() as on:
        await on.play(
            scenario(
                "at: 10s, silence: all, count: 6, name: outage",
                "at: 20s, heal: zone=a, of: outage",
                "at: 30s, pause: all, except: outage",
            )
        )
        outage, healed, paused = (set(one.nodes) for one in on.told)
        assert healed == outage & set(on.fleet.select("zone=a"))
        assert paused == set(on.fleet.names) - outage


async def test_a_fleet_grows_by_its_group_while_the_scenario_goes_on():
    fleet = "fleet: {groups: [{count: 4, prefix: small-, zones: [a, b]}, {count: 1, prefix: big-}]}"
    plot = scenario("at: 10s, grow: 2, group: small, name: more", "at: 20s, silence: zone=b, of: more", fleet=fleet)
    async with playing(plot.fleet.groups) as on:
        await on.play(plot)
        assert on.fleet.names[-2:] == ("small-4", "small-5")
    assert [one.nodes for one in on.told] == [("small-4", "small-5"), ("small-5",)]


async def test_nodes_that_have_left_are_passed_over():
    async with playing() as on:
        await on.play(scenario("at: 10s, silence: all, for: 60s", "at: 30s, shrink: 15"))
    assert on.acted() == [(10, "silence", 20), (30, "shrink", 15), (70, "revive", 5)]


# ---------------------------------------------------------------------- what the control plane wrote


async def write(stage, name, **spec):
    await MemoryApi(stage.store).patch(NODES, name, body={"spec": spec}, type=PatchType.MERGE)


async def test_what_was_written_before_is_no_news_and_what_is_written_now_is_told_with_its_time():
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    async with playing(register=True) as on, anyio.create_task_group() as tasks:
        await write(on.stage, "node-3", taints=[taint])
        tasks.start_soon(on.play, scenario("at: 60s, heal: all"))
        await anyio.sleep(20)
        await write(on.stage, "node-3", taints=[])
        await write(on.stage, "node-4", taints=[taint])
    told = [(round(one.at_s), one.node, one.words) for one in on.told if isinstance(one, Wrote)]
    assert told == [(20, "node-3", "untainted"), (20, "node-4", "tainted")]


async def test_what_is_written_on_nodes_of_others_is_not_told():
    async with playing(register=True) as on, anyio.create_task_group() as tasks:
        tasks.start_soon(on.play, scenario("at: 60s, heal: all"))
        await anyio.sleep(20)
        await on.stage.make_node("somebodys")
        await write(on.stage, "somebodys", taints=[{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}])
    assert [one for one in on.told if isinstance(one, Wrote)] == []


# ---------------------------------------------------------------------- what must hold


async def test_expectations_of_the_fleet_are_judged_at_their_times():
    async with playing() as on:
        played = await on.play(scenario("at: 60s, heal: all", expect="at: end, gap_max: 11s"))
        assert played.held
        (judged,) = [one for one in on.told if isinstance(one, Judged)]
        marks = on.fleet.timeline.snapshot(on.stage.clock.now()).marks
    assert judged.at_s == 240
    assert re.fullmatch(r"the longest gap was 10\.[234]\d*s", judged.outcome.found)
    assert [(round(mark.at_s), mark.kind, mark.text) for mark in marks] == [
        (60, "scenario", "heal all nodes"),
        (240, "expectation", f"✓ longest gap at most 11s: {judged.outcome.found}"),
    ]


# ---------------------------------------------------------------------- in several processes


async def test_processes_that_share_a_fleet_do_between_them_what_one_would():
    plot = scenario(
        "at: 20s, silence: zone=a, count: 6, for: 90s, name: out",
        "at: 25s, crash: name=node-7, for: 100s, name: one",
        "at: 30s, grow: 12, over: 12s, name: new",
        "at: 50s, unready: all, of: new, fraction: 50%, reason: Sick",
        "at: 150s, shrink: 5",
        expect="at: 85s, unknown: all, of: out}\n"
        "  - {at: 85s, unknown: all, of: one}\n"
        "  - {at: 85s, not_ready: all, count: 6}\n"
        "  - {at: 85s, ready: all, at_least: 18}\n"
        "  - {at: end, ready: all, except: new",
    )
    alone, found_alone = await played_in_parts(plot, ZONED, 1)
    shared, found_shared = await played_in_parts(plot, ZONED, 3)
    assert shared == alone
    assert len(alone["silence", 20.0]) == 6
    assert len(alone["shrink", 150.0]) == 5
    assert all(text.startswith("✓") for text in found_alone)
    assert sorted(found_shared) == sorted(found_alone * 3)
