"""A timeline as columns to draw: one row for each slot, those without events among them. Pure."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lease_aio.heartbeat.record.history import Slot, TimelineSnapshot, halved
from lease_aio.heartbeat.record.tally import FleetParameters, beating
from lease_aio.scheduler import HistogramSnapshot, SparseHistogram

STATES = ("fresh", "unready", "late", "silenced", "paused", "crashed", "pending")
"""The words of `NodeState`, as they are stacked: those that do well lie at the ground."""

VERDICTS = ("unknown", "tainted", "evicting", "ready", "untainted", "sparing")
"""The words for what the control plane writes on Nodes, as they follow each other."""

ENDINGS = frozenset({"ready", "untainted", "sparing"})
"""Those that take another one back: how long they came after a renewal says little."""

_POINTS = 400  # as many as a screen shows

Numbers = list[float | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Columns of equal length; a row is one slot that was over when the fleet was read, or half of it was.

    Attributes:
        slot_s: How long each is.
        start_s: When each begins, in seconds since the start.
        renewals_per_s: Confirmed writes.
        due_per_s: How many were due, by how many nodes should have been renewing; None while that is not known.
        slots: What else happened in it.
    """

    slot_s: float
    start_s: list[float]
    renewals_per_s: Numbers
    due_per_s: Numbers
    slots: list[Slot]

    def each(self, get: Callable[[Slot], float | None]) -> Numbers:
        """Another column."""
        return [get(slot) for slot in self.slots]

    def counts(self, get: Callable[[Slot], Mapping[str, int]]) -> dict[str, list[int]]:
        """A column for each word that is counted, the most frequent first."""
        totals: dict[str, int] = {}
        for slot in self.slots:
            for word, count in get(slot).items():
                totals[word] = totals.get(word, 0) + count
        words = sorted((word for word, total in totals.items() if total), key=lambda word: (-totals[word], word))
        return {word: [get(slot).get(word, 0) for slot in self.slots] for word in words}


def columns_of(timeline: TimelineSnapshot, parameters: FleetParameters, points: int = _POINTS) -> Columns:
    """The timeline with neighbours merged until there are few enough to see."""
    timeline = _coarsened(timeline, points)
    rows = _filled(timeline)
    return Columns(
        slot_s=timeline.slot_s,
        start_s=[slot.number * timeline.slot_s for slot in rows],
        renewals_per_s=[slot.renewals / _covered_s(slot, timeline) for slot in rows],
        due_per_s=[_due_per_s(slot, parameters) for slot in rows],
        slots=rows,
    )


def percentile_of(get: Callable[[Slot], SparseHistogram], percent: float) -> Callable[[Slot], float | None]:
    """A column of percentiles; None where there is no value."""

    def percentile(slot: Slot) -> float | None:
        return get(slot).snapshot().percentile(percent) if get(slot).count else None

    return percentile


def due_in_all(timeline: TimelineSnapshot, parameters: FleetParameters) -> float | None:
    """How many renewals were due since the start; None if it is not known how many nodes there were."""
    dues = [(_due_per_s(slot, parameters), _covered_s(slot, timeline)) for slot in _filled(timeline)]
    known = [due_per_s * covered_s for due_per_s, covered_s in dues if due_per_s is not None]
    return sum(known) if known else None


def grouped(histogram: HistogramSnapshot, edges_s: Sequence[float]) -> list[tuple[float, float, int]]:
    """Lower bound, upper bound and count of coarser buckets, those that hold any.

    Args:
        histogram: Of which.
        edges_s: The bounds of all buckets, ascending. A fine one counts where its upper end falls; what lies beyond
            the edges counts at the ends.
    """
    counts = [0] * (len(edges_s) - 1)
    for _, upper_s, count in histogram.ranges():
        counts[min(max(bisect.bisect_left(edges_s, upper_s) - 1, 0), len(counts) - 1)] += count
    bounds = itertools.pairwise(edges_s)
    return [(lower_s, upper_s, count) for (lower_s, upper_s), count in zip(bounds, counts, strict=True) if count]


def counted_above(histogram: HistogramSnapshot, limit_s: float) -> int:
    """How many values are larger than the limit, but for those in its own bucket."""
    return sum(count for lower_s, _, count in histogram.ranges() if lower_s >= limit_s)


def _coarsened(timeline: TimelineSnapshot, points: int) -> TimelineSnapshot:
    while timeline.length_s / timeline.slot_s > points:
        timeline = replace(timeline, slot_s=timeline.slot_s * 2, slots=tuple(halved(timeline.slots)))
    return timeline


def _filled(timeline: TimelineSnapshot) -> list[Slot]:
    """All slots that are over, and the last one if half of it is; states last until others are seen."""
    there = {slot.number: slot for slot in timeline.slots}
    whole = int(timeline.length_s / timeline.slot_s + 0.5)
    rows: list[Slot] = []
    states: Mapping[str, int] = next((slot.states for slot in timeline.slots if slot.states), dict[str, int]())
    for number in range(max(whole, 1) if there else 0):
        slot = there.get(number, Slot(number=number))
        states = slot.states or states
        rows.append(replace(slot, states=states))
    return rows


def _covered_s(slot: Slot, timeline: TimelineSnapshot) -> float:
    return min(timeline.slot_s, max(timeline.length_s - slot.number * timeline.slot_s, timeline.slot_s / 2))


def _due_per_s(slot: Slot, parameters: FleetParameters) -> float | None:
    if not slot.states:
        return None
    return beating(slot.states) * parameters.due_per_s


def in_order(words: Iterable[str]) -> list[str]:
    """Verdicts as they follow each other; unknown words last."""
    return sorted(words, key=lambda word: (VERDICTS.index(word) if word in VERDICTS else len(VERDICTS), word))


def states_seen(columns: Columns) -> list[str]:
    """The states that any node was in, as they are stacked."""
    seen = {state for slot in columns.slots for state, count in slot.states.items() if count}
    return [*(state for state in STATES if state in seen), *sorted(seen.difference(STATES))]
