"""`lease-aio fleet` in this process, on a server in memory, in virtual time."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

import lease_aio
from lease_aio.api.memory import MemoryApi, Moment
from lease_aio.api.protocol import NAMESPACES, NODES
from lease_aio.cli.connection import Opened
from lease_aio.cli.exits import CommandFailed
from lease_aio.cli.fleet.options import FleetOptions, decide
from lease_aio.cli.fleet.run import run_fleet
from lease_aio.cli.fleet.screen import Painter, Stage
from lease_aio.cli.fleet.telling import Telling
from lease_aio.cli.output import Output
from lease_aio.errors import Call, ConfigurationError, Refused
from lease_aio.heartbeat.report.document import from_json
from lease_aio.model import Namespace, Node, ObjectMeta
from lease_aio.testing import VirtualClock

pytestmark = pytest.mark.virtual_time

FAILING = """
duration: 1m
fleet: {register: true, groups: [{count: 5, zones: [a]}]}
steps: [{at: 10s, silence: all, count: 1}]
expect: [{at: 30s, unknown: all}, {at: end, ready: all}]
"""


@dataclass
class Ran:
    """What a run said."""

    out: io.StringIO = field(default_factory=io.StringIO)
    err: io.StringIO = field(default_factory=io.StringIO)

    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()

    def events(self, name: str) -> list[dict[str, Any]]:
        return [one for one in map(json.loads, self.lines()) if one["event"] == name]


async def run(ran: Ran, clock: VirtualClock, *, as_json: bool = False, **options: Any) -> int:
    async with lease_aio.connect("embedded", clock=clock) as leases:
        output = Output(json=as_json, stream=ran.out, errors=ran.err)
        return await run_fleet(Opened(leases=leases, server=None), decide(FleetOptions(**options)), output)


# ---------------------------------------------------------------------- when things go wrong


async def test_an_expectation_that_does_not_hold_fails_the_command_with_its_place(
    virtual_clock: VirtualClock, tmp_path: Path
) -> None:
    plot = tmp_path / "plot.yaml"
    plot.write_text(FAILING)
    ran = Ran()
    with pytest.raises(CommandFailed) as failed:
        await run(ran, virtual_clock, scenario=str(plot))
    assert str(failed.value) == (
        f"1 of 2 expectations of scenario 'plot' did not hold; the first: {plot}:5:29: "
        "at 30s all nodes are Unknown; found: 0 of 5 (0%)"
    )
    assert "   30 s  ✗ all nodes are Unknown: 0 of 5 (0%)" in ran.lines()


async def test_a_missing_namespace_is_waited_for_with_one_message(
    virtual_clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    ran = Ran()
    async with lease_aio.connect("embedded", clock=virtual_clock) as leases:
        await leases.api.delete(NAMESPACES, "kube-node-lease")

        async def create() -> None:
            await anyio.sleep(40)
            await leases.api.create(NAMESPACES, Namespace(metadata=ObjectMeta(name="kube-node-lease")))

        output = Output(json=True, stream=ran.out, errors=ran.err)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(create)
            fleet = decide(FleetOptions(nodes=5, seconds=60))
            assert await run_fleet(Opened(leases=leases, server=None), fleet, output) == 0
    assert ran.err.getvalue() == ""
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "fleet.namespace_missing" in told
    assert "waiting; kube-apiserver creates kube-node-lease within about a minute of its start" in told
    (report,) = ran.events("report")
    assert (report["fresh"], report["late"]) == (5, 0)


async def test_a_port_that_is_none_is_refused_before_anything_starts(virtual_clock: VirtualClock) -> None:
    ran = Ran()
    with pytest.raises(ConfigurationError, match="--metrics 70000 is no port: give one from 1 to 65535, or 0 for any"):
        await run(ran, virtual_clock, metrics=70_000)
    assert ran.lines() == []


@pytest.mark.parametrize("option", ["report", "report_json"])
async def test_a_report_that_could_not_be_written_is_refused_at_the_start(
    virtual_clock: VirtualClock, option: str
) -> None:
    ran = Ran()
    with pytest.raises(ConfigurationError, match="there is no folder /nonexistent"):
        await run(ran, virtual_clock, **{option: Path("/nonexistent/report")})
    assert ran.lines() == []


async def test_a_run_that_is_stopped_still_reports_and_writes_it(virtual_clock: VirtualClock, tmp_path: Path) -> None:
    ran, document = Ran(), tmp_path / "report.json"
    with anyio.move_on_after(25):
        await run(ran, virtual_clock, as_json=True, nodes=10, report_json=document)
    (report,) = ran.events("report")
    assert report["renewals"] >= 20
    assert from_json(document.read_bytes()).renewals == report["renewals"]


# ---------------------------------------------------------------------- what programs and people are told


async def test_a_scenario_is_told_to_programs_step_by_step(virtual_clock: VirtualClock) -> None:
    ran = Ran()
    assert await run(ran, virtual_clock, as_json=True, scenario="zone-outage", controller=True) == 0
    silence, revival = ran.events("step")
    assert (silence["at_s"], silence["verb"], silence["nodes"], silence["undoes"]) == (60, "silence", 10, False)
    assert silence["what"] == "silence 20% of zone=b for 1m30s"
    assert (revival["at_s"], revival["verb"], revival["names"]) == (150, "revive", silence["names"])
    verdicts = ran.events("verdict")
    assert {one["node"] for one in verdicts if one["verdict"] == "unknown"} == set(silence["names"])
    assert {one["node"] for one in verdicts if one["verdict"] == "ready"} == set(silence["names"])
    assert [one["held"] for one in ran.events("expectation")] == [True] * 4
    (report,) = ran.events("report")
    assert report["expectations"] == {"held": 4, "failed": 0}
    assert report["states"]["fresh"] == 150
    (start,) = ran.events("registering")
    assert start["expected"]["renewals_per_s"] == pytest.approx(14.7)


async def test_a_scenario_is_told_to_people_in_few_lines(virtual_clock: VirtualClock) -> None:
    ran = Ran()
    await run(ran, virtual_clock, scenario="zone-outage", controller=True)
    lines = ran.lines()
    assert lines[:2] == [
        "150 nodes, first renewals spread over 10 s; registering 150 Node objects first",
        "expect 15 renewals/s and 0.5 status patches/s, and 3.8 MB in etcd every 5 min until it is compacted",
    ]
    assert "   60 s  silence 20% of zone=b for 1m30s: 10 nodes" in lines
    assert any(" nodes Unknown: node-" in line for line in lines)
    assert "  180 s  ✓ all nodes are Ready: 150 of 150 (100%)" in lines
    assert lines[-1].startswith("  240 s  150 of 150 nodes fresh, 0 late, 0 pending · 1")
    assert len(lines) < 120


async def test_what_is_to_happen_can_be_said_on_the_command_line(virtual_clock: VirtualClock) -> None:
    ran = Ran()
    steps = ["{at: 20s, silence: all, count: 3}", "{at: 25s, grow: 5}", "{at: 30s, crash: name=node-24}"]
    await run(ran, virtual_clock, as_json=True, nodes=20, steps=steps, seconds=40)
    done = [(one["at_s"], one["verb"], one["nodes"], one["place"]) for one in ran.events("step")]
    assert done == [
        (20, "silence", 3, "--step 1:1:20"),
        (25, "grow", 5, "--step 2:1:17"),
        (30, "crash", 1, "--step 3:1:18"),
    ]
    (report,) = ran.events("report")
    assert report["states"] == {"fresh": 21, "silenced": 3, "crashed": 1}


async def test_without_a_controller_nobody_judges(virtual_clock: VirtualClock) -> None:
    ran = Ran()
    with pytest.raises(CommandFailed):
        await run(ran, virtual_clock, as_json=True, scenario="zone-outage")
    assert ran.events("verdict") == []


async def test_what_was_created_is_deleted_if_asked_for(virtual_clock: VirtualClock) -> None:
    ran = Ran()
    assert await run(ran, virtual_clock, nodes=3, register=True, delete=True, seconds=20) == 0
    assert ran.lines()[-1] == "deleted what was created"


async def test_what_could_not_be_deleted_fails_the_command_with_the_remedy(virtual_clock: VirtualClock) -> None:
    ran = Ran()

    async def refuse_deletes(moment: Moment, call: Call) -> None:
        if call.verb == "delete" and call.resource == "nodes":
            raise Refused(call, "no", status=403)

    async with lease_aio.connect("embedded", clock=virtual_clock) as leases:
        assert isinstance(leases.api, MemoryApi)
        leases.api._faults = refuse_deletes
        output = Output(json=False, stream=ran.out, errors=ran.err)
        options = FleetOptions(nodes=3, register=True, delete=True, seconds=20.0)
        with pytest.raises(CommandFailed) as failed:
            await run_fleet(Opened(leases=leases, server=None), decide(options), output)
    assert str(failed.value) == (
        "what was created for 3 nodes, node-0 first, could not be deleted; "
        "kubectl delete nodes -l lease-aio/fleet=fleet deletes the Nodes, and a cluster their leases after them"
    )
    assert "deleted what was created" not in ran.lines()


# ---------------------------------------------------------------------- what the screen is given


async def test_the_screen_counts_renewals_second_by_second_and_tells_what_is_to_come(
    virtual_clock: VirtualClock,
) -> None:
    async with lease_aio.connect("embedded", clock=virtual_clock) as leases:
        plan = decide(FleetOptions(scenario="rolling-restart", register=True))
        telling = Telling(Output(json=False, stream=io.StringIO()))
        fleet = leases.fleet(plan.nodes, register=True)
        async with fleet:
            telling.start()
            painter = Painter(Stage(run=plan, where="here", fleet=fleet, telling=telling))
            for _ in range(40):
                await anyio.sleep(0.5)
                picture = painter.picture()
    assert len(picture.rates) == 20
    assert sum(picture.rates) == pytest.approx(picture.report.renewals, abs=13)
    assert picture.upcoming == [
        (60.0, "restart, 10s down, all nodes over 2m"),
        (300.0, "expect none of the nodes have been Unknown"),
        (300.0, "expect all nodes are Ready"),
    ]
    assert picture.due_per_s == pytest.approx(5.9, abs=0.1)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_on_a_terminal_the_picture_takes_the_place_of_the_lines(
    virtual_clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"}.items():
        monkeypatch.setenv(name, value)
    ran = Ran(out=Terminal())
    await run(ran, virtual_clock, scenario="sick-nodes", controller=True)
    text = ran.out.getvalue()
    assert "lease-aio fleet" in text
    assert "to come" in text
    assert "nodes NotReady: node-" in text
    lines = ran.lines()
    assert [line for line in lines if line.startswith("   60 s")] == [], "a line of news stands in the picture alone"
    assert lines[-2].startswith("  240 s  ✓ none of the nodes have been Unknown")
    assert lines[-1].startswith("  240 s  60 of 60 nodes fresh")


# ---------------------------------------------------------------------- which nodes, and how they start


async def test_two_parts_have_all_nodes_between_them(virtual_clock: VirtualClock) -> None:
    counts: list[int] = []
    for part in ("0/2", "1/2"):
        ran = Ran()
        await run(ran, virtual_clock, as_json=True, nodes=50, partition=part, seconds=5)
        counts.append(ran.events("report")[0]["nodes"])
        assert ran.events("starting")[0]["expected"]["renewals_per_s"] == pytest.approx(2.5, abs=0.1)
    assert sum(counts) == 50
    assert min(counts) > 10


async def test_nodes_of_somebody_else_are_taken_over_only_if_asked_for(virtual_clock: VirtualClock) -> None:
    async with lease_aio.connect("embedded", clock=virtual_clock) as leases:
        await leases.api.create(NODES, Node(metadata=ObjectMeta(name="node-3")))
        session, ran = Opened(leases=leases, server=None), Ran()
        output = Output(json=True, stream=ran.out, errors=ran.err)
        with pytest.raises(ConfigurationError, match="node-3"):
            await run_fleet(session, decide(FleetOptions(nodes=5, register=True, seconds=5)), output)
        adopting = FleetOptions(nodes=5, register=True, seconds=15, adopt_any=True)
        assert await run_fleet(session, decide(adopting), output) == 0
        node = await leases.api.get(NODES, "node-3")
    ready = node.status.condition("Ready")
    assert ready is not None
    assert ready.status == "True"
    assert len(ran.events("report")) == 1, "who was refused has nothing to report"


async def test_without_a_spread_all_start_at_once(virtual_clock: VirtualClock) -> None:
    ran = Ran()
    await run(ran, virtual_clock, nodes=20, spread=False, seconds=8)
    assert ran.lines()[0] == "20 nodes, all start at once"
    assert ran.lines()[2].startswith("    5 s  20 of 20 nodes fresh")


async def test_a_fleet_file_without_a_scenario_is_played_until_its_time_is_over(
    virtual_clock: VirtualClock, tmp_path: Path
) -> None:
    config, ran = tmp_path / "fleet.yaml", Ran()
    config.write_text("register: true\ngroups: [{count: 3, prefix: big-}, {count: 2, prefix: small-}]\n")
    await run(ran, virtual_clock, as_json=True, config=config, seconds=12)
    (report,) = ran.events("report")
    assert (report["nodes"], report["fresh"]) == (5, 5)
