"""What a timeline has written down: slots of time, marks, verdicts. Frozen records. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from lease_aio.scheduler import HistogramSnapshot, SparseHistogram

NO_VALUES = SparseHistogram.of(())


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """Something that was done to the fleet.

    Attributes:
        at_s: When, in seconds since the timeline's start.
        text: What, for people.
        kind: `scenario`, or another word to tell sources apart.
    """

    at_s: float
    text: str
    kind: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeVerdict:
    """What the control plane wrote on a Node.

    Attributes:
        at_s: When it was seen, in seconds since the timeline's start.
        node: Whose.
        verdict: One of a few words, such as `unknown`, `ready`, `tainted`.
        since_renewal_s: How long after the node's last renewal; None if there was none, or it does not matter.
    """

    at_s: float
    node: str
    verdict: str
    since_renewal_s: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """What happened within one slot of time.

    Attributes:
        number: Its place: it starts at `number * slot_s` seconds after the start.
        renewals: Confirmed writes.
        errors: Failed requests, by kind.
        lateness: Starts of passes, less their due times.
        gap: Times between the ends of two successive renewals of a node, counted where they end.
        states: How many nodes were in each state; of several looks the one with the smallest part of fresh nodes, so
            that no trouble is lost where slots are long. Empty if nobody looked.
        verdicts: What the control plane wrote on Nodes, by word.
    """

    number: int
    renewals: int = 0
    errors: Mapping[str, int] = field(default_factory=dict[str, int])
    lateness: SparseHistogram = NO_VALUES
    gap: SparseHistogram = NO_VALUES
    states: Mapping[str, int] = field(default_factory=dict[str, int])
    verdicts: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def holds_any(self) -> bool:
        """Whether anything happened in it."""
        counts = self.renewals or self.lateness.count or self.gap.count
        return bool(counts or self.errors or self.states or self.verdicts)

    def merged(self, later: Slot) -> Slot:
        """Both as one, at this one's place."""
        return Slot(
            number=self.number,
            renewals=self.renewals + later.renewals,
            errors=Counter(self.errors) + Counter(later.errors),
            lateness=self.lateness.merged(later.lateness),
            gap=self.gap.merged(later.gap),
            states=worse(self.states, later.states),
            verdicts=Counter(self.verdicts) + Counter(later.verdicts),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TimelineSnapshot:
    """A timeline at one moment.

    Attributes:
        slot_s: The length of each slot, in seconds.
        length_s: From the start to this moment; the last slot may not be over.
        slots: Ascending; those in which nothing happened are left out.
        marks: Ascending. Of very many the first and the last.
        marks_left_out: How many are missing between those.
        verdicts: Ascending. Of very many the first and the last.
        verdicts_left_out: How many are missing between those.
        verdict_counts: All verdicts, by word.
        detection: How long after the node's last renewal the verdicts came, by word; all of them.
    """

    slot_s: float
    length_s: float
    slots: tuple[Slot, ...] = ()
    marks: tuple[Mark, ...] = ()
    marks_left_out: int = 0
    verdicts: tuple[NodeVerdict, ...] = ()
    verdicts_left_out: int = 0
    verdict_counts: Mapping[str, int] = field(default_factory=dict[str, int])
    detection: Mapping[str, HistogramSnapshot] = field(default_factory=dict[str, HistogramSnapshot])


def worse(states: Mapping[str, int], later: Mapping[str, int]) -> Mapping[str, int]:
    """Those with the smaller part of fresh nodes; of equal ones the later."""
    if not states or not later:
        return states or later
    return states if _fresh(states) < _fresh(later) else later


def _fresh(states: Mapping[str, int]) -> float:
    return states.get("fresh", 0) / (sum(states.values()) or 1)


def halved(slots: Iterable[Slot]) -> list[Slot]:
    """Slots of double length."""
    longer: list[Slot] = []
    for slot in slots:
        moved = replace(slot, number=slot.number // 2)
        if longer and longer[-1].number == moved.number:
            longer[-1] = longer[-1].merged(moved)
        else:
            longer.append(moved)
    return longer
