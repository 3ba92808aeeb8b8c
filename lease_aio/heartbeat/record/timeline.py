"""What a fleet has done, over time: renewals, lateness, gaps, errors, nodes by state, marks and verdicts. Pure.

A run is cut into slots of equal length. When there would be too many, each two neighbours become one of double length,
so the memory is bounded whatever the run's length, and what is lost is only when within a slot something happened:
counts and histograms add up, exactly.

The fleet writes (`renewed`, `late`, `failed`, `sample`, `verdict`), who plays a scenario marks its steps (`mark`), and
`lease_aio.heartbeat.report` draws `snapshot()`.
"""

from __future__ import annotations

import enum
from array import array
from collections import Counter, deque
from collections.abc import Mapping
from typing import Generic, TypeVar

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.record.history import NO_VALUES, Mark, NodeVerdict, Slot, TimelineSnapshot, halved, worse
from lease_aio.scheduler import SparseHistogram

_COUNT_AT = 4096  # values: enough for a batch to be cheap, too few to hold an event loop up
_ROWS = 500  # marks and verdicts that are kept of the first, and of the last

Row = TypeVar("Row")
State = TypeVar("State", bound=enum.Enum)


class Timeline:
    """Writes down what a fleet does. All times are of one monotonic clock; one that goes back counts as no later.

    Args:
        started: When the run began.
        every_s: How long the first slots are, in seconds.
        most: How many slots there may be.

    Raises:
        ConfigurationError: `every_s` is not more than 0, or `most` less than 2.
    """

    __slots__ = (
        "_before",
        "_detection",
        "_ends",
        "_errors",
        "_gap",
        "_lateness",
        "_marks",
        "_most",
        "_number",
        "_renewals",
        "_slot_s",
        "_slots",
        "_started",
        "_states",
        "_verdict_counts",
        "_verdicts",
        "_verdicts_now",
    )
    _states: Mapping[str, int]

    def __init__(self, started: float, every_s: float = 1.0, most: int = 1200) -> None:
        if not every_s > 0:
            raise ConfigurationError(f"every_s={every_s!r} must be more than 0 seconds")
        if most < 2:
            raise ConfigurationError(f"most={most!r} must be 2 slots or more")
        self._started, self._slot_s, self._most = started, float(every_s), most
        self._slots: list[Slot] = []
        self._marks, self._verdicts = _Ends[Mark](), _Ends[NodeVerdict]()
        self._verdict_counts: Counter[str] = Counter()
        self._detection: dict[str, _Values] = {}
        self._open(0)

    def renewed(self, now: float, lateness_s: float | None = None, gap_s: float | None = None) -> None:
        """Count one confirmed write.

        Args:
            now: When its answer came.
            lateness_s: How late its pass began, unless `late` was told.
            gap_s: Since the node's renewal before this one, if there was one that counts.
        """
        if now >= self._ends:
            self._turn(now)
        self._renewals += 1
        if lateness_s is not None:
            self._lateness.add(lateness_s)
        if gap_s is not None:
            self._gap.add(gap_s)

    def late(self, now: float, lateness_s: float) -> None:
        """Count by how much a pass began after its due time."""
        if now >= self._ends:
            self._turn(now)
        self._lateness.add(lateness_s)

    def failed(self, now: float, kind: str) -> None:
        """Count one failed request."""
        if now >= self._ends:
            self._turn(now)
        self._errors[kind] += 1

    def sample(self, now: float, states: Mapping[State, int]) -> None:
        """Note how many nodes are in each state; none at all says nothing."""
        if now >= self._ends:
            self._turn(now)
        if states:
            self._states = worse(self._states, {str(state.value): count for state, count in states.items()})

    def mark(self, now: float, text: str, kind: str = "scenario") -> None:
        """Note that something was done to the fleet."""
        self._marks.add(Mark(at_s=self._since_start(now), text=text, kind=kind))

    def verdict(self, now: float, node: str, verdict: str, since_renewal_s: float | None = None) -> None:
        """Note what the control plane wrote on a Node, and how long after the node's last renewal."""
        if now >= self._ends:
            self._turn(now)
        at_s = self._since_start(now)
        self._verdicts.add(NodeVerdict(at_s=at_s, node=node, verdict=verdict, since_renewal_s=since_renewal_s))
        self._verdict_counts[verdict] += 1
        self._verdicts_now[verdict] += 1
        if since_renewal_s is not None:
            self._detection.setdefault(verdict, _Values()).add(since_renewal_s)

    @property
    def last_verdicts(self) -> tuple[NodeVerdict, ...]:
        """The latest verdicts, ascending: all, or 500 of more."""
        return self._verdicts.latest()

    @property
    def verdict_counts(self) -> dict[str, int]:
        """How many verdicts there were, by word."""
        return dict(self._verdict_counts)

    def snapshot(self, now: float) -> TimelineSnapshot:
        """All of it up to now, frozen. Cheap: what is over is shared."""
        current = self._current()
        return TimelineSnapshot(
            slot_s=self._slot_s,
            length_s=self._since_start(now),
            slots=(*self._slots, current) if current.holds_any else tuple(self._slots),
            marks=self._marks.rows(),
            marks_left_out=self._marks.left_out,
            verdicts=self._verdicts.rows(),
            verdicts_left_out=self._verdicts.left_out,
            verdict_counts=self.verdict_counts,
            detection={word: values.counted().snapshot() for word, values in self._detection.items()},
        )

    def _since_start(self, now: float) -> float:
        return max(0.0, now - self._started)

    def _turn(self, now: float) -> None:
        """Close the open slot and open that of this time."""
        number = max(self._number + 1, int((now - self._started) / self._slot_s))
        if (current := self._current()).holds_any:
            self._slots.append(current)
        while number >= self._most:
            self._slots, self._slot_s = halved(self._slots), self._slot_s * 2
            number //= 2
        self._open(number)

    def _open(self, number: int) -> None:
        """Begin a slot, or go on with the last one, if halving has made that of this time one with it."""
        goes_on = bool(self._slots) and self._slots[-1].number == number
        self._before = self._slots.pop() if goes_on else Slot(number=number)
        self._number = number
        self._ends = self._started + (number + 1) * self._slot_s
        self._renewals = 0
        self._errors: Counter[str] = Counter()
        self._lateness, self._gap = _Values(), _Values()
        self._states = {}
        self._verdicts_now: Counter[str] = Counter()

    def _current(self) -> Slot:
        return self._before.merged(
            Slot(
                number=self._number,
                renewals=self._renewals,
                errors=dict(self._errors),
                lateness=self._lateness.counted(),
                gap=self._gap.counted(),
                states=self._states,
                verdicts=dict(self._verdicts_now),
            )
        )


class _Values:
    """Gathers durations, and counts many at once, which is cheaper."""

    __slots__ = ("_counted", "_waiting")

    def __init__(self) -> None:
        self._waiting = array("d")
        self._counted = NO_VALUES

    def add(self, value_s: float) -> None:
        self._waiting.append(value_s)
        if len(self._waiting) >= _COUNT_AT:
            self.counted()

    def counted(self) -> SparseHistogram:
        if self._waiting:
            self._counted = self._counted.merged(SparseHistogram.of(self._waiting))
            self._waiting = array("d")
        return self._counted


class _Ends(Generic[Row]):
    """The first and the last of many rows."""

    __slots__ = ("_first", "_last", "left_out")

    def __init__(self) -> None:
        self._first: list[Row] = []
        self._last: deque[Row] = deque(maxlen=_ROWS)
        self.left_out = 0

    def add(self, row: Row) -> None:
        if len(self._first) < _ROWS:
            self._first.append(row)
            return
        self.left_out += len(self._last) == _ROWS
        self._last.append(row)

    def rows(self) -> tuple[Row, ...]:
        return (*self._first, *self._last)

    def latest(self) -> tuple[Row, ...]:
        return self.rows()[-_ROWS:]
