"""Which renewal is tried next, and when to look again. Pure: time is an argument, and nothing here awaits."""

import math

from lease_aio.errors import ConfigurationError
from lease_aio.scheduler.lane import Lane
from lease_aio.scheduler.renewal import Priority, Renewal, State, Verdict, check_times

_BEATS_UNHEARD = 8


class RenewalQueue:
    """Decides which renewals start. It is bounded by them: each is in it at most once.

    - Elections before beats; within a class the earliest deadline first, then the longest due.
    - At most `max_in_flight` attempts run. Beats use at most `max_in_flight - reserved` of them: the rest is always
      free of beats, so no number of heartbeats delays an election. Elections may use all, and may so starve beats.
    - After a `Retry-After` nothing starts until it has passed, but for one kind: an election whose deadline would pass
      within it. A rest for the server is not worth a leader; such an election asks again in its own retry rhythm.
    - While nobody listens few beats are tried at once: those that hang then would reach a server that is back together.
    - Beats that are behind, after an outage or a hold, catch up at a bounded rate, see `Pace`, the longest due first.
    - Nothing starts early. An election is woken when it is due; a beat up to 1/128 s later, with its neighbours, or up
      to 1/32 s where 64 to 2,048 of known period are due in a second.

    Args:
        max_in_flight: Attempts that may run at once.
        reserved: How many of them are kept for elections.
        longest_hold_s: The longest `Retry-After` that is honoured: a wild value must not let every Lease expire.

    Raises:
        ConfigurationError: the numbers leave no room, or are out of range.
    """

    def __init__(self, *, max_in_flight: int, reserved: int, longest_hold_s: float = 30.0) -> None:
        if not 0 <= reserved < max_in_flight:
            raise ConfigurationError(
                f"max_in_flight={max_in_flight!r} must exceed reserved={reserved!r}, which must be zero or more: "
                "beats need room too"
            )
        if not 0 <= longest_hold_s < math.inf:
            raise ConfigurationError(f"longest_hold_s={longest_hold_s!r} must be zero or more seconds")
        self._max_in_flight = max_in_flight
        self._longest_hold_s = longest_hold_s
        self._held_until = -math.inf
        self._running = 0
        self._elections = Lane(room=max_in_flight, slotted=False)
        self._beats = Lane(room=max_in_flight - reserved, slotted=True, room_unheard=_BEATS_UNHEARD)

    @property
    def held_until(self) -> float:
        """Until when the server asked for rest; minus infinity if it never did."""
        return self._held_until

    def queued(self, priority: Priority) -> int:
        """How many renewals of that class wait or are due."""
        lane = self._lane(priority)
        return lane.agenda.live + lane.overdue

    def overdue(self, priority: Priority) -> int:
        """How many of them were due at the last `take` and could not start."""
        return self._lane(priority).overdue

    def in_flight(self, priority: Priority) -> int:
        """How many attempts of that class run."""
        return len(self._lane(priority).in_flight)

    def add(self, renewal: Renewal) -> None:
        """Put it in. What it was before, in this queue or in one that was cleared, is forgotten.

        Not to be added: one that was removed from another queue that goes on. Its place there is only stale.

        Raises:
            ConfigurationError: it is in a queue already, or an attempt from before its removal still runs.
        """
        if renewal.state is not State.IDLE:
            raise ConfigurationError(
                f"a renewal that is {renewal.state.name} cannot be added: add it once, and after its removal drain it"
            )
        renewal.last_success = None
        renewal.retries = False
        self._lane(renewal.priority).put(renewal)

    def remove(self, renewal: Renewal) -> bool:
        """Take it out; False if it was not in. An attempt that runs goes on to its end, and its verdict is dropped."""
        match renewal.state:
            case State.WAITING | State.DUE | State.BEHIND:
                lane = self._lane(renewal.priority)
                lane.discard(renewal)
                lane.pace.left(renewal)
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
        check_times(due, deadline)
        if renewal.state is State.IN_FLIGHT:
            renewal.asked_due = min(renewal.asked_due, math.inf if due is None else due)
            renewal.asked_deadline = min(renewal.asked_deadline, math.inf if deadline is None else deadline)
            return True
        if renewal.state not in {State.WAITING, State.DUE, State.BEHIND}:
            return False
        lane = self._lane(renewal.priority)
        lane.discard(renewal)
        renewal.due = renewal.due if due is None else due
        renewal.deadline = renewal.deadline if deadline is None else deadline
        lane.agenda.push(renewal)
        return True

    def take(self, now: float, limit: int | None = None) -> list[Renewal]:
        """Those to start now, in order, at most `limit`; each then counts as in flight until it is `finished`."""
        room = self._max_in_flight - self._running
        if limit is not None:
            room = min(room, limit)
        taken: list[Renewal] = []
        for lane in (self._elections, self._beats):
            lane.promote(now)
            while len(taken) < room and lane.has_room() and (first := self._next(lane, now)) is not None:
                lane.start(first)
                taken.append(first)
            lane.pace.settle(now)
        self._running += len(taken)
        return taken

    def finished(self, renewal: Renewal, now: float, verdict: Verdict) -> None:
        """An attempt has ended: make room, and queue the renewal anew unless it leaves.

        Also of a removed renewal a `Retry-After` is honoured: it is the server that spoke.

        Raises:
            ConfigurationError: the verdict's `due` or `deadline` is not a number; the renewal has left the queue.
        """
        lane = self._lane(renewal.priority)
        lane.in_flight.remove(renewal)
        self._running -= 1
        removed, renewal.state = renewal.state is State.LEAVING, State.IDLE
        asked_due, renewal.asked_due = renewal.asked_due, math.inf
        asked_deadline, renewal.asked_deadline = renewal.asked_deadline, math.inf
        if verdict.retry_after_s is not None:
            self._held_until = max(self._held_until, now + min(self._longest_hold_s, verdict.retry_after_s))
        lane.heard(verdict)
        if not verdict.sent:
            lane.pace.refund()
        if verdict.renewed:
            renewal.last_success = now
        if verdict.due is None or removed:
            lane.pace.left(renewal)
            return
        renewal.retries = verdict.failed or (renewal.retries and not verdict.renewed and verdict.due <= now)
        check_times(verdict.due, verdict.deadline)
        renewal.due = min(verdict.due, asked_due)
        renewal.deadline = min(verdict.deadline, asked_deadline)
        lane.agenda.push(renewal)

    def clear(self) -> None:
        """Forget all renewals, also those in flight: each is idle then. For the end, when no attempt runs any more."""
        self._elections.clear()
        self._beats.clear()
        self._running = 0

    def next_wakeup(self, now: float) -> float | None:
        """When to call `take` again; None: not before something is added, changed or finished. May lie in the past."""
        if self._running >= self._max_in_flight:
            return None
        # A later election may have the nearer deadline, so elections look at each due time even during a hold.
        wake = self._lane_wakeup(self._elections, now, not_before=-math.inf)
        wake = min(wake, self._lane_wakeup(self._beats, now, not_before=self._held_until))
        return None if wake == math.inf else wake

    def _lane_wakeup(self, lane: Lane, now: float, *, not_before: float) -> float:
        if not lane.has_room():
            return math.inf
        wake = max(lane.agenda.wake(), not_before)
        if not lane.overdue:
            return wake
        if self._next(lane, now) is not None:
            return min(wake, now)
        return min(wake, max(self._held_until, lane.pace.next_token(now)))

    def _next(self, lane: Lane, now: float) -> Renewal | None:
        """Whose turn it is, if any is due and may start now. If not the first of its class, then none."""
        if now >= self._held_until:
            return lane.next(now)
        first = lane.backlog.first()
        if first is None or first.priority is not Priority.ELECTION or first.deadline > self._held_until:
            return None
        return first

    def _lane(self, priority: Priority) -> Lane:
        return self._elections if priority is Priority.ELECTION else self._beats
