"""Which renewal is tried next, and when to look again. Pure: time is an argument, nothing here awaits or keeps a clock.

Each class of renewals (see `Priority`) has two heaps: those that wait, by due time, and those that are due, by
deadline. A change or removal only marks the old heap item as stale; it is dropped when it surfaces, or when the stale
ones outnumber the live. So add, change and remove cost O(log n), amortised, and memory stays within a factor of what is
live.

The queue is bounded by its renewals: each is in it at most once.
"""

import heapq
import math
from typing import Generic, TypeVar

from lease_aio.errors import ConfigurationError
from lease_aio.scheduler.renewal import Priority, Renewal, State, Verdict, check_times

_COMPACT_BELOW = 64  # too few stale items to be worth a sweep

_Key = TypeVar("_Key", float, tuple[float, float])


class RenewalQueue:
    """Decides which renewals start.

    - Elections before beats; within a class the earliest deadline first, then the longest due.
    - At most `max_in_flight` attempts run. Beats use at most `max_in_flight - reserved` of them: the rest is always
      free of beats, so no number of heartbeats delays an election. Elections may use all, and may so starve beats.
    - After a `Retry-After` nothing starts until it has passed, but for one kind: an election whose deadline would pass
      within it. A rest for the server is not worth a leader; such an election asks again in its own retry rhythm.
    - Wake-ups for beats come `slack_s` after the first that is due, so that neighbours share one. Nothing starts early.

    Args:
        max_in_flight: Attempts that may run at once.
        reserved: How many of them are kept for elections.
        slack_s: How much later than due a beat may be woken.
        longest_hold_s: The longest `Retry-After` that is honoured: a wild value must not let every Lease expire.

    Raises:
        ConfigurationError: the numbers leave no room, or are out of range.
    """

    def __init__(
        self,
        *,
        max_in_flight: int,
        reserved: int,
        slack_s: float = 0.005,
        longest_hold_s: float = 30.0,
    ) -> None:
        if not 0 <= reserved < max_in_flight:
            raise ConfigurationError(
                f"max_in_flight={max_in_flight!r} must exceed reserved={reserved!r}, which must be zero or more: "
                "beats need room too"
            )
        for name, value in (("slack_s", slack_s), ("longest_hold_s", longest_hold_s)):
            if not 0 <= value < math.inf:
                raise ConfigurationError(f"{name}={value!r} must be zero or more seconds")
        self._max_in_flight = max_in_flight
        self._longest_hold_s = longest_hold_s
        self._held_until = -math.inf
        self._tickets = 0
        self._running = 0
        self._lanes = (
            _Lane(room=max_in_flight, slack_s=0.0),
            _Lane(room=max_in_flight - reserved, slack_s=slack_s),
        )

    @property
    def held_until(self) -> float:
        """Until when the server asked for rest; minus infinity if it never did."""
        return self._held_until

    def queued(self, priority: Priority) -> int:
        """How many renewals of that class wait or are due."""
        lane = self._lanes[priority]
        return lane.waiting.live + lane.due.live

    def overdue(self, priority: Priority) -> int:
        """How many of them were due at the last `take` and found no room."""
        return self._lanes[priority].due.live

    def in_flight(self, priority: Priority) -> int:
        """How many attempts of that class run."""
        return len(self._lanes[priority].in_flight)

    def add(self, renewal: Renewal) -> None:
        """Put it in. What it was before, in this queue or another, is forgotten.

        Raises:
            ConfigurationError: it is in a queue already, or an attempt from before its removal still runs.
        """
        if renewal.state is not State.IDLE:
            raise ConfigurationError(
                f"a renewal that is {renewal.state.name} cannot be added: add it once, and after its removal drain it"
            )
        renewal.last_success = None
        self._wait(renewal)

    def remove(self, renewal: Renewal) -> bool:
        """Take it out; False if it was not in. An attempt that runs goes on to its end, and its verdict is dropped."""
        match renewal.state:
            case State.WAITING | State.DUE:
                self._lanes[renewal.priority].discard(renewal)
                renewal.state = State.IDLE
            case State.IN_FLIGHT:
                renewal.state = State.LEAVING
            case State.IDLE | State.LEAVING:
                return False
        return True

    def change(self, renewal: Renewal, *, due: float | None = None, deadline: float | None = None) -> bool:
        """Set when it is tried next, its deadline, or both; False if it is not in the queue.

        While an attempt runs, the change is kept for its end, and there the earlier of it and the verdict counts: it
        can bring the next attempt forward, not put it off, because the attempt may know of an expiry that the caller
        does not.

        Raises:
            ConfigurationError: a value is not a number; nothing was changed.
        """
        check_times(due=due, deadline=deadline)
        if renewal.state is State.IN_FLIGHT:
            renewal.asked_due = min(renewal.asked_due, math.inf if due is None else due)
            renewal.asked_deadline = min(renewal.asked_deadline, math.inf if deadline is None else deadline)
            return True
        if renewal.state not in {State.WAITING, State.DUE}:
            return False
        self._lanes[renewal.priority].discard(renewal)
        renewal.due = renewal.due if due is None else due
        renewal.deadline = renewal.deadline if deadline is None else deadline
        self._wait(renewal)
        return True

    def take(self, now: float, limit: int | None = None) -> list[Renewal]:
        """Those to start now, in order, at most `limit`; each then counts as in flight until it is `finished`."""
        for each in self._lanes:
            self._promote(each, now)
        taken: list[Renewal] = []
        while limit is None or len(taken) < limit:
            lane = self._lane_to_start(now)
            if lane is None:
                break
            self._running += 1
            taken.append(lane.start())
        return taken

    def finished(self, renewal: Renewal, now: float, verdict: Verdict) -> None:
        """An attempt has ended: make room, and queue the renewal anew unless it leaves.

        Also of a removed renewal a `Retry-After` is honoured: it is the server that spoke.

        Raises:
            ConfigurationError: the verdict's `due` or `deadline` is not a number; the renewal has left the queue.
        """
        self._lanes[renewal.priority].in_flight.remove(renewal)
        self._running -= 1
        removed, renewal.state = renewal.state is State.LEAVING, State.IDLE
        asked_due, renewal.asked_due = renewal.asked_due, math.inf
        asked_deadline, renewal.asked_deadline = renewal.asked_deadline, math.inf
        if verdict.retry_after_s is not None:
            self._held_until = max(self._held_until, now + min(self._longest_hold_s, verdict.retry_after_s))
        if verdict.renewed:
            renewal.last_success = now
        if verdict.due is None or removed:
            return
        check_times(due=verdict.due, deadline=verdict.deadline)
        renewal.due = min(verdict.due, asked_due)
        renewal.deadline = min(verdict.deadline, asked_deadline)
        self._wait(renewal)

    def clear(self) -> None:
        """Forget all renewals, also those in flight: each is idle then. For the end, when no attempt runs any more."""
        for lane in self._lanes:
            for renewal in lane.members():
                renewal.state = State.IDLE
            lane.clear()
        self._running = 0

    def next_wakeup(self, now: float) -> float | None:
        """When to call `take` again; None: not before something is added, changed or finished. May lie in the past."""
        if self._running >= self._max_in_flight:
            return None
        wake = min(self._lane_wakeup(lane, now) for lane in self._lanes)
        return None if wake == math.inf else wake

    def _wait(self, renewal: Renewal) -> None:
        renewal.state = State.WAITING
        self._ticket(renewal)
        self._lanes[renewal.priority].waiting.push(renewal.due, renewal)

    def _promote(self, lane: "_Lane", now: float) -> None:
        """Move what has become due from the one heap to the other."""
        while (first := lane.waiting.first()) is not None and first.due <= now:
            lane.waiting.pop()
            first.state = State.DUE
            self._ticket(first)
            lane.due.push((first.deadline, first.due), first)

    def _ticket(self, renewal: Renewal) -> None:
        self._tickets += 1
        renewal.ticket = self._tickets

    def _lane_to_start(self, now: float) -> "_Lane | None":
        if self._running >= self._max_in_flight:
            return None
        for lane in self._lanes:
            first = lane.due.first() if lane.has_room() else None
            if first is not None and self._may_start(first, now):
                return lane
        return None

    def _may_start(self, first: Renewal, now: float) -> bool:
        """Whether the server's wish for rest lets the first of its class start: if not the first, then none."""
        if now >= self._held_until:
            return True
        return first.priority is Priority.ELECTION and first.deadline <= self._held_until

    def _lane_wakeup(self, lane: "_Lane", now: float) -> float:
        if not lane.has_room():
            return math.inf
        wake = math.inf
        if (first := lane.due.first()) is not None:
            wake = now if self._may_start(first, now) else self._held_until
        if (first := lane.waiting.first()) is not None:
            when = first.due + lane.slack_s
            # A later election may have the nearer deadline, so elections look at each due time even during a hold.
            wake = min(wake, when if first.priority is Priority.ELECTION else max(when, self._held_until))
        return wake


class _Heap(Generic[_Key]):
    """A heap of renewals with lazy deletion: an item is live while it carries its renewal's present ticket."""

    __slots__ = ("items", "live")

    def __init__(self) -> None:
        self.items: list[tuple[_Key, int, Renewal]] = []
        self.live = 0

    def push(self, key: _Key, renewal: Renewal) -> None:
        heapq.heappush(self.items, (key, renewal.ticket, renewal))
        self.live += 1

    def first(self) -> Renewal | None:
        items = self.items
        while items:
            _, ticket, renewal = items[0]
            if ticket == renewal.ticket:
                return renewal
            heapq.heappop(items)
        return None

    def pop(self) -> None:
        """Drop the item that `first` has just named."""
        heapq.heappop(self.items)
        self.live -= 1

    def renewals(self) -> list[Renewal]:
        return [renewal for _, ticket, renewal in self.items if ticket == renewal.ticket]

    def discard(self, renewal: Renewal) -> None:
        """Make its item stale; sweep when more than half of the items are."""
        renewal.ticket = 0
        self.live -= 1
        if len(self.items) > 2 * self.live + _COMPACT_BELOW:
            self.items = [item for item in self.items if item[1] == item[2].ticket]
            heapq.heapify(self.items)


class _Lane:
    """The renewals of one class."""

    __slots__ = ("due", "in_flight", "room", "slack_s", "waiting")

    def __init__(self, *, room: int, slack_s: float) -> None:
        self.room = room
        self.slack_s = slack_s
        self.waiting: _Heap[float] = _Heap()
        self.due: _Heap[tuple[float, float]] = _Heap()
        self.in_flight: set[Renewal] = set()

    def members(self) -> list[Renewal]:
        return [*self.waiting.renewals(), *self.due.renewals(), *self.in_flight]

    def clear(self) -> None:
        self.waiting, self.due = _Heap(), _Heap()
        self.in_flight.clear()

    def has_room(self) -> bool:
        return len(self.in_flight) < self.room

    def discard(self, renewal: Renewal) -> None:
        heap = self.waiting if renewal.state is State.WAITING else self.due
        heap.discard(renewal)

    def start(self) -> Renewal:
        renewal = self.due.first()
        assert renewal is not None
        self.due.pop()
        renewal.state = State.IN_FLIGHT
        self.in_flight.add(renewal)
        return renewal
