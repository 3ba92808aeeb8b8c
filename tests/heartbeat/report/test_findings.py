"""What the summary of a report says in words, and what it makes of it."""

from dataclasses import replace

from lease_aio.heartbeat.record.tally import FleetParameters, FleetReport
from lease_aio.heartbeat.record.timeline import Timeline
from lease_aio.heartbeat.report import Finding, Level, findings
from lease_aio.heartbeat.states import NodeState as State
from lease_aio.scheduler import Histogram, HistogramSnapshot
from tests.heartbeat.report.runs import empty, made_up


def counted(*values_s: float) -> HistogramSnapshot:
    histogram = Histogram()
    for value_s in values_s:
        histogram.record(value_s)
    return histogram.snapshot()


def seen(report: FleetReport, about: str, **options) -> tuple[str, Level]:
    found = {finding.about: finding for finding in findings(report, **options)}
    return found[about].text, found[about].level


SMALL = replace(empty(), nodes=10, fresh=10, renewals=100, states={"fresh": 10}, timeline=None)


def test_a_good_run_is_good_in_all():
    report = replace(made_up(), errors={})
    assert {finding.level for finding in findings(report)} == {Level.GOOD, Level.SEEN}


def test_a_fleet_without_nodes_has_one_thing_to_say():
    assert findings(empty()) == [
        Finding(about="Nodes", text="the fleet has no nodes, and nothing was renewed", level=Level.NOTICE)
    ]


def test_the_longest_gap_is_measured_against_the_lease():
    report = replace(SMALL, gap=counted(10.1, 10.6))
    assert seen(report, "Longest gap") == ("10.6 s of 40 s allowed, 99 % within 10.6 s", Level.GOOD)


def test_a_gap_longer_than_the_lease_is_to_be_looked_at():
    text, level = seen(replace(SMALL, gap=counted(10.1, 43.0, 44.0)), "Longest gap")
    assert text == "44.0 s where 40 s are allowed; 2 of 3 gaps are longer than that"
    assert level is Level.NOTICE


def test_a_gap_longer_than_the_grace_is_bad():
    text, level = seen(replace(SMALL, gap=counted(10.1, 57.0)), "Longest gap")
    assert text == "57.0 s, longer than the 50 s that the control plane waits; 1 of 2 gaps are longer than that"
    assert level is Level.BAD


def test_another_grace_is_taken():
    assert seen(replace(SMALL, gap=counted(42.0)), "Longest gap", grace_s=41)[1] is Level.BAD


def test_a_gap_just_above_the_limit_is_counted_as_one():
    text, _ = seen(replace(SMALL, gap=counted(10.0, 40.001)), "Longest gap")
    assert text.endswith("1 of 2 gaps are longer than that")


def test_nodes_that_are_late_at_the_end_are_bad():
    report = replace(SMALL, fresh=7, late=2, silenced=1, states={"fresh": 7, "late": 2, "silenced": 1})
    assert seen(report, "Nodes") == ("7 of 10 are fresh at the end, 2 late, 1 silenced", Level.BAD)


def test_a_fleet_that_was_never_fresh_is_to_be_looked_at():
    report = replace(SMALL, fresh=0, pending=10, states={"pending": 10})
    assert seen(report, "Nodes") == ("0 of 10 are fresh at the end, 10 pending", Level.NOTICE)


def test_a_report_without_states_by_name_still_counts_them():
    assert seen(replace(SMALL, fresh=9, silenced=1, states={}), "Nodes")[0] == (
        "9 of 10 are fresh at the end, 1 silenced"
    )


def run_of(renewals: int) -> FleetReport:
    """102 nodes for 100 s: 1,000 renewals are due."""
    timeline = Timeline(0.0)
    for second in range(100):
        timeline.sample(float(second), {State.FRESH: 102})
    report = replace(SMALL, nodes=102, fresh=102, renewals=renewals, states={"fresh": 102})
    return replace(report, parameters=FleetParameters(), timeline=timeline.snapshot(100.0))


def test_renewals_are_measured_against_what_was_due():
    assert seen(run_of(1000), "Renewals") == ("1,000 in all, 10 a second where 10 were due", Level.GOOD)


def test_renewals_that_fall_behind_are_to_be_looked_at():
    assert seen(run_of(700), "Renewals") == ("700 in all, 7.0 a second where 10 were due", Level.NOTICE)


def test_silent_nodes_owe_no_renewals():
    timeline = Timeline(0.0)
    timeline.sample(0.0, {State.FRESH: 51, State.SILENCED: 51})
    report = replace(run_of(500), timeline=timeline.snapshot(100.0))
    assert seen(report, "Renewals") == ("500 in all, 5.0 a second where 5.0 were due", Level.GOOD)


def test_late_starts_are_this_process_doing():
    text, level = seen(replace(SMALL, lateness=counted(1.0)), "Lateness")
    assert text.endswith("the latest 1.0 s after it: this process is the slow part")
    assert level is Level.NOTICE


def test_errors_are_named_by_kind_the_most_frequent_first():
    report = replace(SMALL, errors={"conflict": 2, "namespace_missing": 8})
    assert seen(report, "Errors") == ("8 namespace missing, 2 conflict: 9.1% of requests", Level.NOTICE)


def test_verdicts_say_how_long_they_took():
    timeline = Timeline(0.0)
    for node, since_s in enumerate((51.2, 54.9)):
        timeline.verdict(60.0, f"node-{node}", "unknown", since_s)
    timeline.verdict(60.0, "node-0", "ready")
    timeline.verdict(60.0, "node-0", "tainted")
    text, level = seen(replace(SMALL, timeline=timeline.snapshot(61.0)), "Verdicts")
    assert text == "2 unknown (51.2–54.9 s after the last renewal), 1 tainted, 1 ready by the control plane"
    assert level is Level.SEEN
