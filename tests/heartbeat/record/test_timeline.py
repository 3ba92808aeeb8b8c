"""The timeline against writing everything down."""

import enum
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.record.history import Slot, TimelineSnapshot
from lease_aio.heartbeat.record.timeline import Timeline
from lease_aio.scheduler import SparseHistogram

START = 1000.0


class State(enum.Enum):
    FRESH = "fresh"
    LATE = "late"


SECONDS = st.integers(0, 400)
DURATIONS = st.floats(1e-6, 1e6) | st.none()
EVENTS = st.lists(
    st.tuples(SECONDS, st.just("renewed"), DURATIONS, DURATIONS)
    | st.tuples(SECONDS, st.just("late"), st.floats(1e-6, 1e6))
    | st.tuples(SECONDS, st.just("failed"), st.sampled_from(["conflict", "throttled"]))
    | st.tuples(SECONDS, st.just("verdict"), st.just("node-1"), st.sampled_from(["unknown", "ready"]), DURATIONS)
    | st.tuples(SECONDS, st.just("sample"), st.dictionaries(st.sampled_from(State), st.integers(0, 9), min_size=1)),
    max_size=60,
).map(lambda events: sorted(events, key=lambda event: event[0]))


def told(events, **options) -> TimelineSnapshot:
    timeline = Timeline(START, **options)
    for at_s, verb, *values in events:
        getattr(timeline, verb)(START + at_s, *values)
    return timeline.snapshot(START + 400)


def plain(slot: Slot):
    return (
        slot.number,
        slot.renewals,
        dict(slot.errors),
        slot.states,
        dict(slot.verdicts),
        *(sized(each) for each in (slot.lateness, slot.gap)),
    )


def sized(histogram: SparseHistogram):
    snapshot = histogram.snapshot()
    return (snapshot.count, snapshot.min_s, snapshot.max_s, snapshot.buckets, pytest.approx(snapshot.sum_s))


@pytest.mark.parametrize("every_s", [0.0, -1.0])
def test_a_slot_without_length_is_refused(every_s: float):
    with pytest.raises(ConfigurationError, match=f"every_s={every_s}"):
        Timeline(0.0, every_s)


def test_fewer_than_two_slots_are_refused():
    with pytest.raises(ConfigurationError, match="most=1 must be 2"):
        Timeline(0.0, most=1)


def test_nothing_told_is_nothing_shown():
    snapshot = Timeline(START).snapshot(START + 5)
    assert (snapshot.length_s, snapshot.slots, snapshot.marks, snapshot.verdicts) == (5, (), (), ())


@given(EVENTS, st.integers(2, 40))
def test_merging_neighbours_loses_nothing(events, most: int):
    merged, whole = told(events, most=most), told(events, most=1000)
    assert len(merged.slots) <= most
    assert sum(slot.renewals for slot in merged.slots) == sum(event[1] == "renewed" for event in events)
    kinds = Counter(event[2] for event in events if event[1] == "failed")
    assert sum((Counter(slot.errors) for slot in merged.slots), Counter()) == kinds
    words = Counter(event[3] for event in events if event[1] == "verdict")
    assert sum((Counter(slot.verdicts) for slot in merged.slots), Counter()) == words == merged.verdict_counts
    for name in ("lateness", "gap"):
        totals = [SparseHistogram.of(()), SparseHistogram.of(())]
        for place, snapshot in enumerate((merged, whole)):
            for slot in snapshot.slots:
                totals[place] = totals[place].merged(getattr(slot, name))
        assert sized(totals[0]) == sized(totals[1])


@given(EVENTS, st.integers(2, 40))
def test_merged_slots_are_those_of_a_timeline_that_was_coarse_from_the_start(events, most: int):
    merged = told(events, most=most)
    coarse = told(events, every_s=merged.slot_s, most=1000)
    assert [plain(slot) for slot in merged.slots] == [plain(slot) for slot in coarse.slots]


@given(EVENTS)
def test_every_slot_has_what_happened_within_it(events):
    snapshot = told(events)
    assert [slot.number for slot in snapshot.slots] == sorted({event[0] for event in events})
    for slot in snapshot.slots:
        assert slot.renewals == sum(event[:2] == (slot.number, "renewed") for event in events)


@pytest.mark.parametrize("looks", [[(9, 1), (7, 3), (8, 2)], [(9, 1), (8, 2), (7, 3)], [(7, 3), (8, 2)]])
def test_of_several_looks_at_the_states_the_one_with_the_fewest_fresh_nodes_is_kept(looks):
    events = [(at, "sample", {State.FRESH: fresh, State.LATE: late}) for at, (fresh, late) in enumerate(looks)]
    for length in (1, 4):
        states = [slot.states for slot in told(events, every_s=4 / length, most=1000).slots]
        assert {"fresh": 7, "late": 3} in states


def test_a_pause_of_years_is_no_trouble():
    timeline = Timeline(0.0, most=100)
    timeline.renewed(0.0)
    timeline.renewed(1e9)
    snapshot = timeline.snapshot(1e9)
    assert [slot.renewals for slot in snapshot.slots] == [1, 1]
    assert snapshot.slots[-1].number < 100


def test_a_clock_that_goes_back_counts_in_the_open_slot():
    timeline = Timeline(START)
    timeline.renewed(START + 10)
    timeline.renewed(START - 10)
    assert [(slot.number, slot.renewals) for slot in timeline.snapshot(START).slots] == [(10, 2)]


def test_reading_changes_nothing():
    events = [(second // 3, "renewed", 0.1, 10.0) for second in range(30)]
    timeline = Timeline(START, most=4)
    for at_s, _, *values in events:
        timeline.renewed(START + at_s, *values)
        timeline.snapshot(START + at_s)
    assert [plain(slot) for slot in timeline.snapshot(START + 400).slots] == [
        plain(slot) for slot in told(events, most=4).slots
    ]


def test_marks_and_verdicts_have_their_times_since_the_start():
    timeline = Timeline(START)
    timeline.mark(START + 60, "silence 50 of zone=b")
    timeline.verdict(START + 105, "node-1", "unknown", 44.5)
    timeline.verdict(START + 130, "node-1", "ready")
    snapshot = timeline.snapshot(START + 131)
    assert [(mark.at_s, mark.text, mark.kind) for mark in snapshot.marks] == [(60, "silence 50 of zone=b", "scenario")]
    assert [(each.at_s, each.verdict) for each in snapshot.verdicts] == [(105, "unknown"), (130, "ready")]
    assert snapshot.verdict_counts == {"unknown": 1, "ready": 1}
    assert snapshot.detection["unknown"].max_s == 44.5
    assert "ready" not in snapshot.detection


def test_of_many_verdicts_the_first_and_the_last_are_kept_and_all_are_counted():
    timeline = Timeline(START)
    for second in range(5000):
        timeline.verdict(START + second, f"node-{second}", "unknown", 45.0)
    snapshot = timeline.snapshot(START + 5000)
    assert len(snapshot.verdicts) + snapshot.verdicts_left_out == 5000
    assert (snapshot.verdicts[0].node, snapshot.verdicts[-1].node) == ("node-0", "node-4999")
    assert snapshot.verdict_counts == {"unknown": 5000}
    assert snapshot.detection["unknown"].count == 5000
    assert timeline.last_verdicts == snapshot.verdicts[-500:]


def test_memory_is_bounded_whatever_the_run_is_long():
    timeline = Timeline(0.0, most=50)
    for tenth in range(100_000):
        timeline.renewed(tenth * 10.0, (tenth % 997) / 1000, 10.0 + (tenth % 41) / 100)
    slots = timeline.snapshot(1e6).slots
    assert sum(slot.renewals for slot in slots) == 100_000
    assert len(slots) <= 50
    assert all(sys.getsizeof(slot) < 200 for slot in slots)
