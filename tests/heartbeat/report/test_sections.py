"""Whatever a run was, its report can be drawn, and draws what it was."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lease_aio.heartbeat.record.tally import FleetParameters, FleetReport, Tally
from lease_aio.heartbeat.record.timeline import Timeline
from lease_aio.heartbeat.report.sections import sections_of
from lease_aio.heartbeat.report.series import columns_of, due_in_all
from lease_aio.heartbeat.states import NodeState
from lease_aio.scheduler import Histogram

SECONDS = st.floats(0, 2000) | st.just(0.0)
DURATIONS = st.floats(0, 1e7)
EVENTS = st.lists(
    st.tuples(SECONDS, st.just("renewed"), DURATIONS | st.none(), DURATIONS | st.none())
    | st.tuples(SECONDS, st.just("failed"), st.sampled_from(["conflict", "namespace_missing"]))
    | st.tuples(SECONDS, st.just("sample"), st.dictionaries(st.sampled_from(NodeState), st.integers(0, 9)))
    | st.tuples(SECONDS, st.just("mark"), st.text(max_size=5))
    | st.tuples(SECONDS, st.just("verdict"), st.just("n"), st.sampled_from(["unknown", "odd"]), DURATIONS | st.none()),
    max_size=30,
).map(lambda events: sorted(events, key=lambda event: event[0]))


def report_of(events, length_s: float, most: int = 1200) -> FleetReport:
    timeline, tally = Timeline(0.0, most=most), Tally()
    for at_s, verb, *values in events:
        getattr(timeline, verb)(at_s, *values)
        if verb == "renewed":
            tally.renewals += 1
            for histogram, value in zip((tally.lateness, tally.gap), values, strict=True):
                if value is not None:
                    histogram.record(value)
    return replace(tally.report(length_s, {NodeState.FRESH: 3}), timeline=timeline.snapshot(length_s))


@given(EVENTS, st.floats(0, 1000), st.integers(2, 1200))
def test_any_run_can_be_drawn(events, rest_s: float, most: int):
    report = report_of(events, max((event[0] for event in events), default=0.0) + rest_s, most)
    for section in sections_of(report, 50.0):
        assert section.to_html().startswith("<section>")
        for plot in section.plots:
            for trace in plot.figure["data"]:
                assert len(trace["x"]) == len(trace["y"])


@given(st.lists(DURATIONS, max_size=50))
def test_no_value_is_lost_in_the_distributions(values_s: list[float]):
    histogram = Histogram()
    for value_s in values_s:
        histogram.record(value_s)
    report = replace(report_of([], 1.0), gap=histogram.snapshot(), lateness=histogram.snapshot())
    figures = {plot.name: plot.figure for section in sections_of(report, 50.0) for plot in section.plots}
    for name in ("gap-distribution", "lateness-distribution"):
        if values_s:
            assert sum(figures[name]["data"][0]["y"]) == len(values_s)
        else:
            assert name not in figures


@pytest.mark.parametrize("length_s", [100, 1000, 10_000])
def test_a_column_is_what_happened_whatever_the_resolution(length_s: int):
    events = [(float(second), "renewed", None, None) for second in range(length_s)]
    columns = columns_of(report_of(events, float(length_s)).timeline, FleetParameters())
    assert len(columns.start_s) <= 401
    assert columns.renewals_per_s[:-1] == [1.0] * (len(columns.start_s) - 1)


def test_what_is_due_follows_the_states():
    events = [
        (0.0, "sample", {NodeState.FRESH: 102}),
        (50.0, "sample", {NodeState.FRESH: 51, NodeState.CRASHED: 51}),
    ]
    timeline = report_of(events, 100.0).timeline
    assert due_in_all(timeline, FleetParameters()) == pytest.approx(50 * 10 + 50 * 5)
