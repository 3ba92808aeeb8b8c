"""`lease-aio monitor`: its words, its picture, its options, and the command itself."""

from __future__ import annotations

import io
import math
import signal

import pytest
from rich.console import Console

from lease_aio.cli.exits import Exit
from lease_aio.cli.monitor.run import MonitorOptions, monitor_settings
from lease_aio.cli.monitor.view import Line, Picture, draw
from lease_aio.cli.monitor.words import Weight, event_of, rate_text, text_of, weight_of
from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat import (
    Availability,
    DisruptionVerdict,
    Finding,
    Mode,
    MonitorSettings,
    NodeVerdict,
    NodeView,
    Sight,
    SightVerdict,
    TaintVerdict,
    Verdict,
    Zone,
    ZoneState,
    ZoneVerdict,
    ZoneView,
)
from lease_aio.heartbeat.monitor import UNREACHABLE, Effect, Reason
from lease_aio.heartbeat.monitor.report import MonitorTally
from tests.cli.rig import Command, invoke

ZONE_B = Zone("eu", "b")


def node_verdict(
    finding: Finding = Finding.UNKNOWN,
    state: Availability = Availability.UNKNOWN,
    reason: Reason = Reason.SILENT,
    zone: Zone = ZONE_B,
) -> NodeVerdict:
    was = None if finding is Finding.NEW else Availability.READY
    return NodeVerdict(
        at=1.0, node="n7", finding=finding, state=state, was=was, reason=reason, zone=zone, silent_s=52.34
    )


# ---------------------------------------------------------------------- words

SAID: list[tuple[Verdict, str, Weight]] = [
    (node_verdict(), "n7 Unknown: silent for 52.3 s in zone eu/b", Weight.BAD),
    (
        node_verdict(reason=Reason.NEVER_POSTED, zone=Zone()),
        "n7 Unknown: never posted a status, and silent for 52.3 s",
        Weight.BAD,
    ),
    (node_verdict(reason=Reason.WRITTEN, zone=Zone()), "n7 Unknown: Unknown was written on its Node", Weight.BAD),
    (
        node_verdict(Finding.RECOVERED, Availability.READY, Reason.HEARD),
        "n7 recovered: heard again in zone eu/b",
        Weight.GOOD,
    ),
    (node_verdict(Finding.NEW, Availability.READY, Reason.STATED), "n7 new, Ready in zone eu/b", Weight.DETAIL),
    (
        node_verdict(Finding.NEW, Availability.UNKNOWN, Reason.WRITTEN, Zone()),
        "n7 new, Unknown: Unknown was written on its Node",
        Weight.NEUTRAL,
    ),
    (node_verdict(Finding.DELETED, reason=Reason.GONE, zone=Zone()), "n7 deleted", Weight.NEUTRAL),
    (
        TaintVerdict(at=1.0, node="n7", key=UNREACHABLE, effect=Effect.NO_EXECUTE, added=True, zone=ZONE_B),
        "n7 + node.kubernetes.io/unreachable:NoExecute",
        Weight.BAD,
    ),
    (
        TaintVerdict(at=1.0, node="n7", key=UNREACHABLE, effect=Effect.NO_EXECUTE, added=False, zone=ZONE_B),
        "n7 - node.kubernetes.io/unreachable:NoExecute",
        Weight.GOOD,
    ),
    (
        TaintVerdict(at=1.0, node="n7", key=UNREACHABLE, effect=Effect.NO_SCHEDULE, added=True, zone=ZONE_B),
        "n7 + node.kubernetes.io/unreachable:NoSchedule",
        Weight.DETAIL,
    ),
    (
        ZoneVerdict(
            at=1.0,
            zone=ZONE_B,
            state=ZoneState.PARTIAL,
            was=ZoneState.NORMAL,
            nodes=60,
            not_ready=40,
            rate_per_s=0.01,
        ),
        "zone eu/b: partial disruption, 40 of 60 not ready; evictions 1 every 100 s",
        Weight.BAD,
    ),
    (
        ZoneVerdict(
            at=1.0,
            zone=Zone(),
            state=ZoneState.NORMAL,
            was=ZoneState.INITIAL,
            nodes=60,
            not_ready=0,
            rate_per_s=0.1,
        ),
        "zone (no zone): normal, 0 of 60 not ready; evictions 1 every 10 s",
        Weight.DETAIL,
    ),
    (
        DisruptionVerdict(at=1.0, stopped=True, nodes=60, not_ready=60),
        "evictions stop everywhere: 60 of 60 nodes are not ready",
        Weight.BAD,
    ),
    (
        DisruptionVerdict(at=1.0, stopped=False, nodes=60, not_ready=59),
        "evictions go on, and every node has a new grace",
        Weight.GOOD,
    ),
    (
        SightVerdict(at=1.0, sight=Sight.BLIND, was=Sight.FULL, why="the connection broke", lasted_s=99.0),
        "blind, so nobody is judged: the connection broke",
        Weight.BAD,
    ),
    (
        SightVerdict(at=1.0, sight=Sight.FULL, was=Sight.BLIND, why="", lasted_s=61.5),
        "seeing again, after 61.5 s",
        Weight.NEUTRAL,
    ),
    (
        SightVerdict(at=1.0, sight=Sight.FULL, was=Sight.OPENING, why="", lasted_s=0.1),
        "all Nodes and Leases are listed",
        Weight.NEUTRAL,
    ),
    (
        SightVerdict(at=1.0, sight=Sight.LEASES_ONLY, was=Sight.OPENING, why="by leases alone: 403", lasted_s=0.1),
        "by leases alone: 403",
        Weight.NEUTRAL,
    ),
]


@pytest.mark.parametrize(("verdict", "text", "weight"), SAID, ids=[text for _, text, _ in SAID])
def test_each_verdict_is_one_line(verdict: Verdict, text: str, weight: Weight) -> None:
    assert text_of(verdict) == text
    assert weight_of(verdict) is weight


def test_programs_get_each_verdict_as_an_event() -> None:
    assert event_of(node_verdict()) == (
        "verdict",
        {
            "node": "n7",
            "finding": "unknown",
            "state": "unknown",
            "was": "ready",
            "reason": "silent",
            "silent_s": 52.34,
            "region": "eu",
            "zone": "b",
        },
    )
    assert {event_of(verdict)[0] for verdict, _, _ in SAID} == {"verdict", "taint", "zone", "disruption", "blind"}


def test_no_rate_is_told_as_such() -> None:
    assert [rate_text(one) for one in (0.1, 0.01, 0.0)] == ["1 every 10 s", "1 every 100 s", "stopped"]


# ---------------------------------------------------------------------- picture


def zone_view(name: str, state: ZoneState = ZoneState.NORMAL, *, not_ready: int = 0, queued: int = 0) -> ZoneView:
    return ZoneView(
        zone=Zone("", name), state=state, nodes=20, not_ready=not_ready, excluded=2, rate_per_s=0.1, queued=queued
    )


def node_view(name: str, silent_s: float) -> NodeView:
    return NodeView(
        name=name,
        state=Availability.READY,
        reason=Reason.STATED,
        since_s=100.0,
        silent_s=silent_s,
        zone=Zone(),
        counts=True,
        no_schedule="",
        no_execute="",
        renew_time=None,
    )


def picture(
    *,
    sight: Sight = Sight.FULL,
    why: str = "",
    zones: tuple[ZoneView, ...] = (zone_view("a"), zone_view("b", ZoneState.PARTIAL, not_ready=12, queued=11)),
    silent: tuple[NodeView, ...] = (node_view("n-slow", 44.0), node_view("n" * 60, 20.0)),
    lines: int = 3,
) -> Picture:
    tally = MonitorTally()
    tally.passed(0.004, held=False)
    return Picture(
        title="the given cluster",
        settings=MonitorSettings(),
        elapsed_s=61.0,
        seconds=math.inf,
        sight=sight,
        why=why,
        stopped=False,
        counts={
            Availability.READY: 27,
            Availability.NOT_READY: 1,
            Availability.UNKNOWN: 12,
            Availability.PENDING: 0,
        },
        zones=zones,
        silent=silent,
        lines=[Line(time="12:00:00", text=f"verdict {number}", weight=Weight.BAD) for number in range(lines)],
        report=tally.report(),
    )


def drawn(shown: Picture, width: int, height: int = 40) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(draw(shown, width, height))
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
@pytest.mark.parametrize("height", [24, 50])
def test_the_picture_fits_and_has_everything(width: int, height: int) -> None:
    lines = drawn(picture(), width, height)
    text = "\n".join(lines)
    assert max(len(line) for line in lines) <= min(width, 140)
    assert len(lines) < height
    for word in ("27 Ready", "12 Unknown", "partial disruption", "8/20 ready", "11 queued", "n-slow", "44 s"):
        assert word in text
    assert "verdict 2" in text
    assert ("1 every 10 s" in text) is (width > 100)


def test_many_zones_and_verdicts_are_cut_and_said_to_be() -> None:
    shown = picture(zones=tuple(zone_view(f"z{number:02}") for number in range(40)), lines=100)
    lines = drawn(shown, 100, 40)
    assert "… and 28 more" in "\n".join(lines)
    assert "verdict 99" in "\n".join(lines)
    assert len(lines) < 40


def test_blindness_is_the_first_thing_to_be_seen() -> None:
    lines = drawn(picture(sight=Sight.BLIND, why="cannot connect to https://127.0.0.1:6443 " * 9), 80)
    assert "blind, so nobody is judged: cannot connect" in lines[1]
    assert max(len(line) for line in lines) == 80


def test_leases_alone_are_said_to_be_that() -> None:
    assert (
        "each Lease stands for one" in drawn(picture(sight=Sight.LEASES_ONLY, why="each Lease stands for one"), 80)[1]
    )


def test_nothing_at_all_is_drawn_too() -> None:
    text = "\n".join(drawn(picture(zones=(), silent=(), lines=0), 80))
    assert text.count("none") == 3


# ---------------------------------------------------------------------- options

NOTHING_GIVEN = {
    "release": None,
    "grace_s": None,
    "startup_grace_s": None,
    "period_s": None,
    "renew_interval_s": 10.0,
    "careful": False,
    "alone": False,
}


def test_without_options_it_judges_as_the_newest_controller_known() -> None:
    assert monitor_settings(**NOTHING_GIVEN) == MonitorSettings()  # type: ignore[arg-type]


@pytest.mark.parametrize("release", ["1.31", "v1.31", "1.31.4"])
def test_a_release_gives_the_defaults_and_options_go_over_them(release: str) -> None:
    given = NOTHING_GIVEN | {"release": release, "period_s": 2.0, "careful": True, "alone": True}
    settings = monitor_settings(**given)  # type: ignore[arg-type]
    assert (settings.grace_s, settings.period_s, settings.live_check) == (40.0, 2.0, False)
    assert (settings.mode, settings.heed_written) == (Mode.CAREFUL, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--grace", "0"), "--grace 0.0 must be a positive number of seconds"),
        (("--grace", "3"), "--period 5 must be less than --grace 3"),
        (("--period", "-1"), "--period -1.0 must be a positive number of seconds"),
        (("--startup-grace", "nan"), "--startup-grace nan must be a positive number of seconds"),
        (("--renew-interval", "0"), "--renew-interval 0.0 must be a positive number of seconds"),
        (("--release", "2.1"), "--release '2.1' is none; give one such as 1.31"),
        (("--release", "1.x"), "--release '1.x' is none; give one such as 1.31"),
        (("--release", "1.12"), "must be 19 or more"),
        (("--seconds", "0"), "--seconds 0 must be more than 0"),
    ],
)
def test_what_cannot_work_is_named_as_the_option_is(arguments: tuple[str, ...], message: str) -> None:
    result = invoke("monitor", "--embedded", *arguments)
    assert result.exit_code == Exit.USAGE
    assert message in result.stderr


def test_some_time_is_needed() -> None:
    with pytest.raises(ConfigurationError, match="--seconds nan"):
        MonitorOptions(seconds=math.nan)


# ---------------------------------------------------------------------- the command


@pytest.mark.slow
def test_a_fleet_that_is_killed_is_told_as_unknown_and_the_end_is_summed_up(served: str) -> None:
    quick = ("--grace", "4", "--period", "0.5", "--renew-interval", "1", "--all")
    with Command("monitor", "--json", "--kubeconfig", served, *quick) as monitor:
        assert monitor.event("monitoring")["grace_s"] == 4
        assert monitor.event("blind")["sight"] == "full"
        options = ("--nodes", "2", "--prefix", "dies-", "--register", "--lease-duration", "4")
        with Command("fleet", "--json", "--kubeconfig", served, *options) as fleet:
            assert monitor.event("verdict")["finding"] == "new"
            fleet.event("progress")
        verdicts = [monitor.event("verdict") for _ in range(3)]
        taint = monitor.event("taint")
        monitor.signal(signal.SIGINT)
        code, seen, errors = monitor.end()

    assert [(one["node"], one["finding"]) for one in verdicts[-2:]] in (
        [("dies-0", "unknown"), ("dies-1", "unknown")],
        [("dies-1", "unknown"), ("dies-0", "unknown")],
    )
    assert taint["key"] == UNREACHABLE
    assert code == Exit.INTERRUPTED
    assert seen[-1]["event"] == "report"
    assert seen[-1]["nodes"]["unknown"] == 2
    assert "warning: --grace 4 is not more than the 45 s" in errors


@pytest.mark.slow
def test_people_get_lines_and_it_ends_when_its_time_is_over(served: str) -> None:
    result = invoke("monitor", "--kubeconfig", served, "--seconds", "1")
    assert result.exit_code == Exit.OK
    first, *_, last = result.stdout.splitlines()
    assert first == "grace 50 s, a pass every 5 s, mode kubernetes"
    assert "became Unknown" in last
    assert "all Nodes and Leases are listed" in result.stdout
