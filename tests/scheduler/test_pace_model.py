"""The queue with periods under any course of events: nothing is lost, nothing overslept, nothing in a burst."""

import math
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from lease_aio.scheduler.pace import FACTOR, LEAST_PER_S, is_behind
from lease_aio.scheduler.queue import RenewalQueue
from lease_aio.scheduler.renewal import Priority, Renewal, State, Verdict

PERIODS = st.none() | st.sampled_from([0.05, 0.5, 10.0])
WAITS = st.sampled_from([-5.0, 0.0, 0.3, 2.0, 30.0, math.inf])
MAX_IN_FLIGHT, RESERVED = 40, 4


async def not_called() -> Verdict:
    raise AssertionError


class PacedQueue(RuleBasedStateMachine):
    renewals = Bundle("renewals")

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.known: set[Renewal] = set()
        self.numbers: dict[Renewal, int] = {}  # by which they are sorted: addresses would differ from run to run
        self.leaving: set[Renewal] = set()
        self.caught_up: list[float] = []
        self.most_per_s = 0.0
        self.queue = RenewalQueue(max_in_flight=MAX_IN_FLIGHT, reserved=RESERVED)

    @rule(target=renewals, priority=st.sampled_from(Priority), wait_s=WAITS, period_s=PERIODS)
    def add(self, priority: Priority, wait_s: float, period_s: float | None) -> Renewal:
        renewal = Renewal(not_called, priority=priority, due=self.now + wait_s, period_s=period_s)
        self.queue.add(renewal)
        self.known.add(renewal)
        self.numbers[renewal] = len(self.numbers)
        return renewal

    @rule(count=st.integers(20, 60), wait_s=WAITS, period_s=PERIODS)
    def add_many(self, count: int, wait_s: float, period_s: float | None) -> None:
        for _ in range(count):
            self.add(Priority.BEAT, wait_s, period_s)

    @rule(renewal=renewals)
    def remove(self, renewal: Renewal) -> None:
        if self.queue.remove(renewal):
            self.known.discard(renewal)
            if renewal.state is State.LEAVING:
                self.leaving.add(renewal)

    @rule(renewal=renewals, wait_s=WAITS)
    def change(self, renewal: Renewal, wait_s: float) -> None:
        assert self.queue.change(renewal, due=self.now + wait_s) == (renewal in self.known)

    @rule(passes_s=st.sampled_from([0.001, 0.1, 1.5, 20.0]))
    def time_passes(self, passes_s: float) -> None:
        self.now += passes_s

    @rule()
    def take(self) -> None:
        self.note_the_rate()
        behind = {renewal for renewal in self.known if is_behind(renewal, self.now)}
        for renewal in self.queue.take(self.now):
            assert renewal in self.known
            assert renewal.due <= self.now
            if renewal in behind:
                self.caught_up.append(self.now)
        wake = self.queue.next_wakeup(self.now)
        assert wake is None or wake > self.now, "after a take there is no reason to look again at once"

    @precondition(lambda self: self.in_flight())
    @rule(
        pick=st.randoms(use_true_random=False),
        count=st.integers(1, MAX_IN_FLIGHT),
        wait_s=WAITS | st.none(),
        outcome=st.sampled_from(["renewed", "failed", "read"]),
        rest_s=st.none() | st.none() | st.sampled_from([0.5, 60.0]),
    )
    def finish(self, pick, count: int, wait_s: float | None, outcome: str, rest_s: float | None) -> None:
        running = self.in_flight()
        for renewal in pick.sample(running, min(count, len(running))):
            due = None if wait_s is None else self.now + wait_s
            verdict = Verdict(due=due, renewed=outcome == "renewed", failed=outcome == "failed", retry_after_s=rest_s)
            self.queue.finished(renewal, self.now, verdict)
            self.leaving.discard(renewal)
            if due is None:
                self.known.discard(renewal)

    @invariant()
    def nothing_is_lost(self) -> None:
        states = Counter((renewal.priority, renewal.state) for renewal in self.known)
        for priority in Priority:
            running = states[priority, State.IN_FLIGHT]
            queued = sum(count for (whose, _), count in states.items() if whose is priority) - running
            assert self.queue.queued(priority) == queued
            leaving = sum(renewal.priority is priority for renewal in self.leaving)
            assert self.queue.in_flight(priority) == running + leaving

    @invariant()
    def those_behind_come_at_a_bounded_rate(self) -> None:
        self.note_the_rate()
        most = self.most_per_s + max(12, 0.05 * self.most_per_s) + 1
        recent = [when for when in self.caught_up if when > self.now - 1.0]
        assert len(recent) <= most

    def note_the_rate(self) -> None:
        beats = (renewal for renewal in {*self.known, *self.leaving} if renewal.priority is Priority.BEAT)
        rate = sum(1 / renewal.period_s for renewal in beats if renewal.period_s is not None)
        self.most_per_s = max(self.most_per_s, LEAST_PER_S, FACTOR * rate)

    def in_flight(self) -> list[Renewal]:
        running = [renewal for renewal in self.known if renewal.state is State.IN_FLIGHT]
        return sorted([*running, *self.leaving], key=self.numbers.__getitem__)

    def teardown(self) -> None:
        """Whoever looks whenever the queue asks for it, starts everything that is due, sooner or later."""
        for renewal in self.in_flight():
            self.queue.finished(renewal, self.now, Verdict(due=None, renewed=False))
            self.known.discard(renewal)
        waiting = {renewal for renewal in self.known if renewal.due < math.inf}
        for _ in range(5_000):
            for renewal in self.queue.take(self.now):
                self.queue.finished(renewal, self.now, Verdict(due=None, renewed=True))
                waiting.discard(renewal)
            wake = self.queue.next_wakeup(self.now)
            if wake is None:
                break
            self.now = max(self.now, wake)
        assert not waiting


TestPacedQueue = PacedQueue.TestCase
TestPacedQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
