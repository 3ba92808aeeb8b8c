"""The pure parts of `lease-aio fleet`: what follows from its options, what it says, what it draws."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lease_aio.cli.fleet.digest import Digest, nodes_line
from lease_aio.cli.fleet.load import expected_load, size
from lease_aio.cli.fleet.options import FleetOptions, decide
from lease_aio.cli.fleet.report import report_text
from lease_aio.cli.fleet.view import Picture, draw, rebinned
from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat import FleetReport
from lease_aio.heartbeat.scenario.steps import KEYS
from lease_aio.scheduler import Histogram

FLEET = "groups: [{count: 30, prefix: small-}]\nregister: true\nlease_duration: 20s\nname: mine\n"
SCENARIO = "duration: 2m\nsteps: [{at: 60s, silence: all}]\n"
EXPECTING = SCENARIO + "expect: [{at: end, unknown: all}]\n"
SICK = "duration: 2m\nsteps: [{at: 60s, unready: all}]\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# ---------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nodes": 0}, "--nodes 0 must be 1 or more"),
        ({"seconds": 0.0}, "--seconds 0 must be more than 0; without it, until stopped"),
        ({"partition": "2/2"}, "--partition '2/2' must be I/N with 0 ≤ I < N: 0/2 and 1/2 for two processes"),
        ({"partition": "half"}, "--partition 'half' must be I/N with 0 ≤ I < N: 0/2 and 1/2 for two processes"),
        (
            {"scenario": "zone-outage", "seconds": 60.0},
            "--seconds 60 is less than the 4m of scenario 'zone-outage': leave it out, or give more",
        ),
        (
            {"scenario": "zone-outage", "nodes": 500},
            "--nodes 500 does not go with it: the scenario has a fleet of its own; leave --nodes out",
        ),
        (
            {"scenario": "zone-outage", "register": False},
            "zone-outage.yaml:14:26: unknown is said of Node objects, and there are none: give --register",
        ),
        (
            {"steps": ["at: 3s, silence: all"]},
            "--step 'at: 3s, silence: all' must stand in braces: --step '{at: 60s, silence: all, for: 90s}'",
        ),
        (
            {"steps": ["{at: 3s, silence: all}", "{at: 4s, heel: all}"]},
            f"--step 2:1:10: unknown key 'heel' in a step; did you mean 'heal'? (known: {', '.join(KEYS)})",
        ),
        (
            {"steps": ["{at: 30s, silence: all}"], "seconds": 20.0},
            "--step 1:1:6: at: this step begins at 30s, after the scenario's end at 20s: lower it, or raise 'duration'",
        ),
        (
            {"steps": ["{at: 30s, crash: all, every: 1m}"]},
            "--step 1:1:30: every: '1m' would be for ever: say how often, as times: 10 (10000 at most)",
        ),
        (
            {"steps": ["{at: 30s, unready: all}"]},
            "--step 1:1:20: unready is said of Node objects, and there are none: give --register",
        ),
        (
            {"scenario": "scale-up-and-down", "steps": ["{at: 30s, grow: 5}"]},
            "--step 1:1:17: grow: say which group: group: NAME (groups: base, burst)",
        ),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        decide(FleetOptions(**options))
    assert str(refused.value) == message


def test_a_scenario_that_is_not_shipped_is_told_with_those_that_are() -> None:
    with pytest.raises(ConfigurationError) as refused:
        decide(FleetOptions(scenario="zone-outrage"))
    message = str(refused.value)
    assert message.startswith(
        "no scenario 'zone-outrage' is shipped; did you mean 'zone-outage'? (shipped: clock-drift, "
    )
    assert message.endswith("; a file is named with its suffix: NAME.yaml")


@pytest.mark.parametrize("option", ["config", "scenario"])
def test_a_file_that_cannot_be_read_is_named(option: str, tmp_path: Path) -> None:
    what = "fleet file" if option == "config" else "scenario"
    missing, binary = tmp_path / "missing.yaml", tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError) as refused:
        decide(FleetOptions(**{option: missing}))
    assert str(refused.value) == f"{what} {missing} cannot be read: No such file or directory; check the name"
    with pytest.raises(ConfigurationError) as refused:
        decide(FleetOptions(**{option: binary}))
    assert str(refused.value) == f"{what} {binary} is not UTF-8 text: save it so"


def test_a_fleet_file_says_which_nodes_there_are(tmp_path: Path) -> None:
    config = write(tmp_path / "fleet.yaml", FLEET)
    run = decide(FleetOptions(config=config))
    assert (run.count, run.register, run.lease_duration_s, run.name) == (30, True, 20, "mine")
    with pytest.raises(ConfigurationError) as refused:
        decide(FleetOptions(config=config, prefix="n-"))
    assert str(refused.value) == (
        "--prefix n- does not go with it: --config says which nodes there are; leave --prefix out"
    )


def test_options_go_before_what_a_file_says(tmp_path: Path) -> None:
    config = write(tmp_path / "fleet.yaml", FLEET)
    run = decide(FleetOptions(config=config, register=False, lease_duration_s=60))
    assert (run.register, run.lease_duration_s) == (False, 60)


def test_a_fleet_file_stands_in_for_the_fleet_of_a_scenario(tmp_path: Path) -> None:
    run = decide(FleetOptions(config=write(tmp_path / "fleet.yaml", FLEET), scenario="zone-outage"))
    assert run.count == 30
    assert run.scenario.fleet is not None
    assert run.scenario.fleet.groups == run.nodes


def test_the_group_that_grows_must_be_one_of_the_fleet_that_stands_in(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^scale-up-and-down.yaml:.*grow: no group is named 'burst' \(groups: small\)$"
    ):
        decide(FleetOptions(config=write(tmp_path / "fleet.yaml", FLEET), scenario="scale-up-and-down"))


def test_without_a_scenario_nothing_happens_until_it_is_stopped() -> None:
    run = decide(FleetOptions())
    assert (run.count, run.scenario.duration_s, run.scenario.plan()) == (100, math.inf, ())


def test_steps_can_be_given_one_by_one_and_beside_those_of_a_scenario() -> None:
    steps = ["{at: 10s, silence: all, count: 2, name: out}", "{at: 20s, crash: all, of: out, every: 1m, times: 9}"]
    alone = decide(FleetOptions(steps=steps)).scenario
    assert (alone.name, alone.duration_s) == ("steps of the command line", math.inf)
    assert [one.at_s for one in alone.plan()][:4] == [10, 20, 80, 140]
    outage = decide(FleetOptions(scenario="zone-outage", steps=["{at: 70s, slow: all, except: outage, delay: 1s}"]))
    assert (outage.scenario.name, outage.scenario.duration_s) == ("zone-outage", 240)
    assert [one.at_s for one in outage.scenario.plan()] == [60, 70, 150]


def test_expectations_of_nodes_need_nodes(tmp_path: Path) -> None:
    scenario = str(write(tmp_path / "s.yaml", EXPECTING))
    with pytest.raises(ConfigurationError) as refused:
        decide(FleetOptions(scenario=scenario))
    assert str(refused.value) == (
        f"{scenario}:3:29: unknown is said of Node objects, and there are none: give --register"
    )
    assert decide(FleetOptions(scenario=scenario, register=True)).register


def test_nodes_that_report_that_they_are_unready_need_a_status(tmp_path: Path) -> None:
    scenario = str(write(tmp_path / "s.yaml", SICK))
    with pytest.raises(ConfigurationError) as refused:
        decide(FleetOptions(scenario=scenario, register=True, status=False))
    assert str(refused.value) == f"{scenario}:2:28: unready is told in a Node's status: leave out --no-status"


# ---------------------------------------------------------------------- what is to be expected


def test_the_load_is_told_for_the_part_of_this_process() -> None:
    whole, part = decide(FleetOptions(nodes=5000)).load, decide(FleetOptions(nodes=5000, partition="1/4")).load
    assert whole.renewals_per_s == pytest.approx(490, abs=1)
    assert whole.etcd_bytes == pytest.approx(128e6, rel=0.01)
    assert part.renewals_per_s == pytest.approx(whole.renewals_per_s / 4)


def test_the_load_is_told_in_words() -> None:
    assert expected_load(1000, lease_duration_s=40, status=True).text == (
        "expect 98 renewals/s and 3.3 status patches/s, and 26 MB in etcd every 5 min until it is compacted"
    )


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0 B"), (870, "870 B"), (2610, "2.6 kB"), (25.6e6, "26 MB"), (2.56e9, "2.6 GB")]
)
def test_sizes_have_the_unit_that_fits(amount: float, text: str) -> None:
    assert size(amount) == text


# ---------------------------------------------------------------------- what is said


def test_what_happens_to_many_nodes_within_a_second_is_one_line() -> None:
    digest = Digest()
    for number in range(10):
        digest.add(116.0 + number / 20, f"node-{number}", "unknown")
    digest.add(116.4, "node-77", "ready")
    assert digest.ready(116.9) == []
    assert digest.ready(117.2) == ["  116 s  10 nodes unknown: node-0, node-1, node-2 and 7 more"]
    assert digest.ready(math.inf) == ["  116 s  node-77 ready"]
    assert digest.ready(math.inf) == []


def test_few_nodes_are_all_named() -> None:
    assert nodes_line(5, ["a", "b", "c"], "unknown") == "    5 s  3 nodes unknown: a, b, c"


def report(**states: int) -> FleetReport:
    lateness, gap = Histogram(), Histogram()
    for value in (0.0005, 0.004, 0.004, 0.2):
        lateness.record(value)
    for value in (10.2, 10.3, 14.0, 41.0):
        gap.record(value)
    return FleetReport(
        nodes=sum(states.values()),
        fresh=states.get("fresh", 0),
        late=states.get("late", 0),
        pending=states.get("pending", 0),
        silenced=states.get("silenced", 0),
        renewals=12345,
        renewals_per_s=28.7,
        lateness=lateness.snapshot(),
        gap=gap.snapshot(),
        errors={"throttled": 3, "unavailable": 120},
        states=states,
    )


def test_states_beside_the_usual_ones_are_told_where_there_are_any() -> None:
    text = report_text(65, report(fresh=10, silenced=2, crashed=0))
    assert text.startswith("   65 s  10 of 12 nodes fresh, 0 late, 0 pending, 2 silenced · 29 renewals/s")


# ---------------------------------------------------------------------- what is drawn


def picture(**changes: Any) -> Picture:
    values: dict[str, Any] = {
        "title": "http://127.0.0.1:1",
        "scenario": "zone-outage",
        "now_s": 65.0,
        "duration_s": 240.0,
        "report": report(fresh=140, silenced=10),
        "due_per_s": 14.7,
        "rates": [0, 7, 15, 29, 90],
        "upcoming": [(150.0, "silence ends after 1m30s: 20% of zone=b"), (180.0, "expect all nodes are Ready")],
        "outcomes": (),
        "expected": 3,
        "news": ["   60 s  silence 20% of zone=b for 1m30s: 10 nodes"],
    }
    return Picture(**{**values, **changes})


def drawn(one: Picture, width: int, height: int = 40) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(draw(one, width, height))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
@pytest.mark.parametrize("height", [24, 40])
def test_the_picture_fits_into_the_terminal(width: int, height: int) -> None:
    lines = drawn(picture(news=[f"line {number} {'x' * 200}" for number in range(20)]), width, height)
    assert {len(line) for line in lines} == {min(width, 140)}
    assert len(lines) < height


def test_a_scenarios_name_may_have_brackets() -> None:
    assert "lease-aio fleet · [/b] of [red]" in drawn(picture(scenario="[/b] of [red]"), 120)[0]


def test_the_picture_shows_states_bars_errors_steps_and_news() -> None:
    text = "\n".join(drawn(picture(), 120))
    for shown in (
        "lease-aio fleet · zone-outage · http://127.0.0.1:1",
        "fresh ████",
        "silenced █",
        "29 renewals/s of 14 due",  # ten are silent, and nothing is due of them; so say JSON and metrics
        "failed: 120 unavailable, 3 throttled",
        "▁▂▅█",
        "lateness · p50 4.0 ms p99 200 ms max 200 ms",
        "in 1m25s  silence ends after 1m30s: 20% of zone=b",
        "0 of 3 expectations held",
        "60 s  silence 20% of zone=b for 1m30s: 10 nodes",
        "65 of 240 s",
    ):
        assert shown in text


def test_without_a_scenario_there_is_nothing_to_come() -> None:
    text = "\n".join(drawn(picture(scenario="", duration_s=math.inf, upcoming=[], expected=0), 80))
    assert "to come" not in text
    assert "65 s" in text


def test_a_fleet_that_has_just_started_is_drawn() -> None:
    nothing = Histogram().snapshot()
    empty = FleetReport(
        nodes=0,
        fresh=0,
        late=0,
        pending=0,
        silenced=0,
        renewals=0,
        renewals_per_s=0,
        lateness=nothing,
        gap=nothing,
        errors={},
    )
    assert "nothing yet" in "\n".join(drawn(picture(report=empty, rates=[], upcoming=[]), 80))


def test_values_are_counted_up_to_each_bound_and_beyond_the_last() -> None:
    assert rebinned(report(fresh=1).gap, [10.6, 15.0, 40.0]) == [2, 1, 0, 1]
    assert sum(rebinned(report(fresh=1).lateness, [0.001])) == 4
