"""Where the renewals of one class stand: those that wait by wake-up time, those that are due by deadline. Pure.

A change or removal only makes the old place stale. Stale places are dropped when they surface, or swept when they
outnumber the live ones: so each change costs O(log n) at most, amortised, and memory stays within a factor of what is
live.
"""

import heapq
import math

from lease_aio.scheduler.pace import Pace, is_behind
from lease_aio.scheduler.renewal import Renewal, State, Verdict

_FAR_S = 2.0**40  # beyond any clock: no need to round such a time up
_SWEEP_ABOVE = 64  # fewer stale places are not worth a sweep


class Agenda:
    """Renewals that wait, in a list for each wake-up time; a heap orders the times.

    With a pace, times are rounded up to its whole slots, of 1/128 or 1/32 s. So 100,000 renewals with a period of 10 s
    stand at 1,280 times: that heap stays within a processor's cache, as one of 100,000 does not.
    """

    __slots__ = ("_pace", "_places", "_slots", "_times", "live")

    def __init__(self, pace: Pace | None) -> None:
        self._pace = pace
        self._slots: dict[float, list[Renewal]] = {}
        self._times: list[float] = []
        self._places = 0
        self.live = 0

    def push(self, renewal: Renewal) -> None:
        """Let it wait until it is due."""
        wake = due = renewal.due
        if self._pace is not None and due < _FAR_S:
            per_s = self._pace.slots_per_s
            wake = math.ceil(due * per_s) / per_s
        renewal.wake = wake
        renewal.state = State.WAITING
        slot = self._slots.get(wake)
        if slot is None:
            self._slots[wake] = [renewal]
            heapq.heappush(self._times, wake)
        else:
            slot.append(renewal)
        self._places += 1
        self.live += 1

    def discard(self, renewal: Renewal) -> None:
        """Let it wait no more."""
        renewal.state = State.IDLE
        self.live -= 1
        if self._places > 2 * self.live + _SWEEP_ABOVE:
            self._sweep()

    def wake(self) -> float:
        """The first time at which any renewal may be woken; infinity if none ever is."""
        return self._times[0] if self.live else math.inf

    def pop(self, now: float) -> list[Renewal]:
        """Those whose time has come, in no particular order; they wait no more."""
        popped: list[Renewal] = []
        while self._times and self._times[0] <= now:
            wake = heapq.heappop(self._times)
            slot = self._slots.pop(wake)
            self._places -= len(slot)
            for renewal in slot:
                # One that left and came back stands here twice; the state tells that it was seen.
                if renewal.state is State.WAITING and renewal.wake == wake:
                    renewal.state = State.DUE
                    popped.append(renewal)
        self.live -= len(popped)
        return popped

    def renewals(self) -> list[Renewal]:
        """All that wait, each once."""
        places = ((wake, renewal) for wake, slot in self._slots.items() for renewal in slot)
        return list(dict.fromkeys(r for wake, r in places if r.state is State.WAITING and r.wake == wake))

    def _sweep(self) -> None:
        live = self.renewals()
        self._slots, self._times, self._places, self.live = {}, [], 0, 0
        for renewal in live:
            self.push(renewal)


class Backlog:
    """Renewals that are due and want room: the earliest deadline first, then the longest due.

    Those that are `behind` the other way round: each comes to the front, whatever fails again and again before it.
    """

    __slots__ = ("_behind", "_items", "_tickets", "live")

    def __init__(self, *, behind: bool = False) -> None:
        self._behind = behind
        self._items: list[tuple[float, float, int, Renewal]] = []
        self._tickets = 0
        self.live = 0

    def push(self, renewal: Renewal) -> None:
        """Let it queue for room."""
        self._tickets += 1
        renewal.ticket = self._tickets
        if self._behind:
            renewal.state = State.BEHIND
            heapq.heappush(self._items, (renewal.due, renewal.deadline, renewal.ticket, renewal))
        else:
            renewal.state = State.DUE
            heapq.heappush(self._items, (renewal.deadline, renewal.due, renewal.ticket, renewal))
        self.live += 1

    def discard(self, renewal: Renewal) -> None:
        """Let it queue no more."""
        renewal.state = State.IDLE
        renewal.ticket = 0
        self.live -= 1
        if len(self._items) > 2 * self.live + _SWEEP_ABOVE:
            self._items = [item for item in self._items if item[2] == item[3].ticket]
            heapq.heapify(self._items)

    def first(self) -> Renewal | None:
        """Whose turn it is."""
        items = self._items
        while items:
            _, _, ticket, renewal = items[0]
            if ticket == renewal.ticket:
                return renewal
            heapq.heappop(items)
        return None

    def pop(self) -> None:
        """Take out whose turn it was, just named by `first`."""
        heapq.heappop(self._items)[3].ticket = 0
        self.live -= 1

    def renewals(self) -> list[Renewal]:
        """All that queue, each once."""
        return [renewal for _, _, ticket, renewal in self._items if ticket == renewal.ticket]


class Lane:
    """All renewals of one class.

    Args:
        room: How many of them may be in flight.
        slotted: Whether they share wake-ups.
        room_unheard: How many once that many attempts in a row have reached nobody, until one does.
    """

    __slots__ = ("_room_unheard", "_unheard", "agenda", "backlog", "behind", "in_flight", "pace", "room", "slotted")

    def __init__(self, *, room: int, slotted: bool, room_unheard: int | None = None) -> None:
        self.room = room
        self._room_unheard = room if room_unheard is None else min(room, room_unheard)
        self._unheard = 0
        self.slotted = slotted
        self.pace = Pace()
        self.agenda = Agenda(self.pace if slotted else None)
        self.backlog, self.behind = Backlog(), Backlog(behind=True)
        self.in_flight: set[Renewal] = set()

    def has_room(self) -> bool:
        """Whether this class may have one more in flight."""
        return len(self.in_flight) < (self.room if self._unheard < self._room_unheard else self._room_unheard)

    def heard(self, verdict: Verdict) -> None:
        """Note whether an attempt has reached the server."""
        if verdict.sent:
            self._unheard = 0
        elif verdict.failed:
            self._unheard += 1

    @property
    def overdue(self) -> int:
        """How many are due and have not started."""
        return self.backlog.live + self.behind.live

    def promote(self, now: float) -> None:
        """Let those whose time has come queue for room."""
        for renewal in self.agenda.pop(now):
            (self.behind if is_behind(renewal, now) else self.backlog).push(renewal)

    def next(self, now: float) -> Renewal | None:
        """Whose turn it is: of those that are behind if the pace lets one start, else of those on time."""
        while (first := self.backlog.first()) is not None and is_behind(first, now):
            self.backlog.pop()
            self.behind.push(first)
        if self.behind.live and self.pace.has_token(now):
            return self.behind.first()
        return first

    def start(self, renewal: Renewal) -> None:
        """Put in flight whose turn it is."""
        (self.behind if renewal.state is State.BEHIND else self.backlog).pop()
        self.pace.spend()
        renewal.state = State.IN_FLIGHT
        self.in_flight.add(renewal)

    def put(self, renewal: Renewal) -> None:
        """Take in one that was not in before; it waits."""
        self.pace.joined(renewal)
        self.agenda.push(renewal)

    def discard(self, renewal: Renewal) -> None:
        """Let one that waits or is due do neither; it is idle then."""
        match renewal.state:
            case State.WAITING:
                self.agenda.discard(renewal)
            case State.BEHIND:
                self.behind.discard(renewal)
            case _:
                self.backlog.discard(renewal)

    def clear(self) -> None:
        """Take out all; they are idle then."""
        queued = (*self.agenda.renewals(), *self.backlog.renewals(), *self.behind.renewals())
        for renewal in (*queued, *self.in_flight):
            renewal.state = State.IDLE
        self.pace = Pace()
        self.agenda = Agenda(self.pace if self.slotted else None)
        self.backlog, self.behind = Backlog(), Backlog(behind=True)
        self.in_flight.clear()
