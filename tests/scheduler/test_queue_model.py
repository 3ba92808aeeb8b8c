"""The queue against a naive model: a plain list, searched from end to end."""

import math
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from lease_aio.scheduler.queue import RenewalQueue
from lease_aio.scheduler.renewal import Priority, Renewal, Verdict

MAX_IN_FLIGHT, RESERVED = 4, 1
TIMES = st.integers(0, 40).map(float) | st.integers(0, 40_000).map(lambda ms: ms / 1000)
DEADLINES = TIMES | st.just(math.inf)


def woken_at(priority: Priority, due: float) -> float:
    """Beats are woken at the next multiple of 1/128 s."""
    return math.ceil(due * 128) / 128 if priority is Priority.BEAT else due


@dataclass
class Known:
    """What the model knows of one renewal that is in the queue."""

    priority: Priority
    due: float
    deadline: float
    in_flight: bool = False
    leaving: bool = False
    asked_due: float = math.inf
    asked_deadline: float = math.inf


async def not_called() -> Verdict:
    raise AssertionError


class QueueAgainstModel(RuleBasedStateMachine):
    renewals = Bundle("renewals")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.held_until = -math.inf
        self.known: dict[Renewal, Known] = {}
        self.queue = RenewalQueue(max_in_flight=MAX_IN_FLIGHT, reserved=RESERVED, longest_hold_s=20.0)

    @rule(target=renewals, priority=st.sampled_from(Priority), due=TIMES, deadline=DEADLINES)
    def add(self, priority: Priority, due: float, deadline: float) -> Renewal:
        renewal = Renewal(not_called, priority=priority, due=due, deadline=deadline)
        self.queue.add(renewal)
        self.known[renewal] = Known(priority, due, deadline)
        return renewal

    @rule(renewal=renewals)
    def remove(self, renewal: Renewal) -> None:
        known = self.known.get(renewal)
        assert self.queue.remove(renewal) == (known is not None and not known.leaving)
        if known is not None and known.in_flight:
            known.leaving = True
        elif known is not None:
            del self.known[renewal]

    @rule(renewal=renewals, due=st.none() | TIMES, deadline=st.none() | DEADLINES)
    def change(self, renewal: Renewal, due: float | None, deadline: float | None) -> None:
        known = self.known.get(renewal)
        changed = self.queue.change(renewal, due=due, deadline=deadline)
        assert changed == (known is not None and not known.leaving)
        if known is None or known.leaving:
            return
        if known.in_flight:
            known.asked_due = min(known.asked_due, math.inf if due is None else due)
            known.asked_deadline = min(known.asked_deadline, math.inf if deadline is None else deadline)
        else:
            known.due = known.due if due is None else due
            known.deadline = known.deadline if deadline is None else deadline

    @rule(passes_s=st.integers(0, 10).map(float) | st.just(0.001))
    def time_passes(self, passes_s: float) -> None:
        self.now += passes_s

    @rule(limit=st.none() | st.integers(0, 3))
    def take(self, limit: int | None) -> None:
        for renewal in (taken := self.queue.take(self.now, limit)):
            best = self.best_to_start()
            known = self.known[renewal]
            assert best is not None
            assert (known.priority, known.deadline, known.due) == (best.priority, best.deadline, best.due)
            known.in_flight = True
        if limit is None or len(taken) < limit:
            assert self.best_to_start() is None, "all that may start was taken"
            wake = self.queue.next_wakeup(self.now)
            assert wake is None or wake > self.now, "after a take there is no reason to look again at once"

    @precondition(lambda self: any(known.in_flight for known in self.known.values()))
    @rule(
        pick=st.randoms(use_true_random=False),
        due=st.none() | TIMES,
        deadline=DEADLINES,
        rest=st.none() | st.none() | st.integers(0, 30).map(float),
    )
    def finish(self, pick, due: float | None, deadline: float, rest: float | None) -> None:
        renewal = pick.choice([renewal for renewal, known in self.known.items() if known.in_flight])
        self.queue.finished(
            renewal, self.now, Verdict(due=due, deadline=deadline, renewed=rest is None, retry_after_s=rest)
        )
        known = self.known.pop(renewal)
        if rest is not None:
            self.held_until = max(self.held_until, self.now + min(rest, 20.0))
        if due is not None and not known.leaving:
            self.known[renewal] = Known(known.priority, min(due, known.asked_due), min(deadline, known.asked_deadline))

    @invariant()
    def room_is_kept(self) -> None:
        beats, elections = self.in_flight(Priority.BEAT), self.in_flight(Priority.ELECTION)
        assert (self.queue.in_flight(Priority.BEAT), self.queue.in_flight(Priority.ELECTION)) == (beats, elections)
        assert beats <= MAX_IN_FLIGHT - RESERVED
        assert beats + elections <= MAX_IN_FLIGHT

    @invariant()
    def nothing_is_lost(self) -> None:
        for priority in Priority:
            queued = [known for known in self.known.values() if known.priority is priority and not known.in_flight]
            assert self.queue.queued(priority) == len(queued)

    @invariant()
    def what_may_start_is_never_overslept(self) -> None:
        wake = self.queue.next_wakeup(self.now)
        starts = self.earliest_start()
        if starts == math.inf:
            return
        assert wake is not None
        assert wake <= starts

    def in_flight(self, priority: Priority) -> int:
        return sum(known.in_flight for known in self.known.values() if known.priority is priority)

    def startable(self, known: Known, now: float) -> bool:
        in_flight = self.in_flight(Priority.BEAT), self.in_flight(Priority.ELECTION)
        if known.in_flight or woken_at(known.priority, known.due) > now or sum(in_flight) >= MAX_IN_FLIGHT:
            return False
        if known.priority is Priority.BEAT and in_flight[0] >= MAX_IN_FLIGHT - RESERVED:
            return False
        urgent = known.priority is Priority.ELECTION and known.deadline <= self.held_until
        return now >= self.held_until or urgent

    def best_to_start(self) -> Known | None:
        able = [known for known in self.known.values() if self.startable(known, self.now)]
        return min(able, key=lambda known: (known.priority, known.deadline, known.due), default=None)

    def earliest_start(self) -> float:
        """When the first renewal may start if nothing but time passes."""
        moments = {self.now, self.held_until, *(woken_at(known.priority, known.due) for known in self.known.values())}
        for moment in sorted(moment for moment in moments if self.now <= moment < math.inf):
            if any(self.startable(known, moment) for known in self.known.values()):
                return moment
        return math.inf


QueueAgainstModel.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestQueueAgainstModel = QueueAgainstModel.TestCase
