"""The scheduler as its users meet it: on an event loop, in virtual time."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest

from lease_aio.errors import ConfigurationError
from lease_aio.scheduler import Priority, Renewal, Scheduler, Verdict
from lease_aio.testing import VirtualClock

pytestmark = pytest.mark.virtual_time


class Subject:
    """Something to renew: takes `takes_s`, then comes again `period_s` after its end."""

    def __init__(
        self,
        clock: VirtualClock,
        *,
        priority: Priority = Priority.BEAT,
        first_s: float = 0.0,
        period_s: float | None = 10.0,
        takes_s: float = 0.01,
        verdicts: Sequence[Verdict] = (),
    ) -> None:
        self.clock = clock
        self.period_s = period_s
        self.takes_s = takes_s
        self.verdicts = list(verdicts)
        self.starts: list[float] = []
        self.ends = 0
        self.cancelled = 0
        self.renewal = Renewal(self.attempt, priority=priority, due=clock.now() + first_s)

    async def attempt(self) -> Verdict:
        self.starts.append(self.clock.now())
        try:
            await anyio.sleep(self.takes_s)
        except BaseException:
            self.cancelled += 1
            raise
        self.ends += 1
        if self.verdicts:
            return self.verdicts.pop(0)
        due = None if self.period_s is None else self.clock.now() + self.period_s
        return Verdict(due=due, renewed=True)


class SleepingClock(VirtualClock):
    """Sleeps as the system's clock does, by plain timers."""

    async def sleep_until(self, when: float) -> None:
        await anyio.sleep(max(0.0, when - self.now()))


@asynccontextmanager
async def running(scheduler: Scheduler) -> AsyncIterator[Scheduler]:
    async with anyio.create_task_group() as group:
        group.start_soon(scheduler.run)
        yield scheduler
        group.cancel_scope.cancel()


def renewal_of(attempt: Callable[[], Awaitable[Verdict]], due: float, priority: Priority = Priority.BEAT) -> Renewal:
    return Renewal(attempt, priority=priority, due=due)


# What goes wrong


def test_a_scheduler_without_room_for_beats_is_refused():
    with pytest.raises(ConfigurationError, match="max_in_flight=4"):
        Scheduler(VirtualClock(), max_in_flight=4, reserved=4)


async def test_an_attempt_that_raises_ends_the_scheduler_and_is_seen(virtual_clock: VirtualClock):
    bystander = Subject(virtual_clock, takes_s=60)

    async def broken() -> Verdict:
        await anyio.sleep(1)
        raise ZeroDivisionError("a bug in an attempt")

    scheduler = Scheduler(virtual_clock)
    scheduler.add(bystander.renewal)
    scheduler.add(renewal_of(broken, virtual_clock.now() + 1))
    with pytest.raises(ExceptionGroup) as caught:
        await scheduler.run()
    assert caught.group_contains(ZeroDivisionError, match="a bug in an attempt")
    assert (len(bystander.starts), bystander.ends, bystander.cancelled) == (1, 0, 1)


async def test_an_attempt_that_returns_nonsense_ends_the_scheduler_too(virtual_clock: VirtualClock):
    async def nonsense() -> Verdict:
        return Verdict(due=math.nan, renewed=True)

    scheduler = Scheduler(virtual_clock)
    scheduler.add(renewal_of(nonsense, virtual_clock.now()))
    with pytest.raises(ExceptionGroup) as caught:
        await scheduler.run()
    assert caught.group_contains(ConfigurationError, match="due=nan")


async def test_a_drain_is_released_when_the_scheduler_crashes(virtual_clock: VirtualClock):
    async def broken() -> Verdict:
        await anyio.sleep(1)
        raise ZeroDivisionError

    scheduler, renewal = Scheduler(virtual_clock), renewal_of(broken, virtual_clock.now())
    scheduler.add(renewal)
    drained = False

    async def drain() -> None:
        nonlocal drained
        await anyio.sleep(0.5)
        with anyio.CancelScope(shield=True):
            await scheduler.drain(renewal)
            drained = True

    async def both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(scheduler.run)
            group.start_soon(drain)

    with pytest.raises(ExceptionGroup):
        await both()
    assert drained


async def test_a_drain_is_released_even_by_an_attempt_that_returned_no_verdict(virtual_clock: VirtualClock):
    async def forgetful():
        await anyio.sleep(1)

    scheduler, renewal = Scheduler(virtual_clock), renewal_of(forgetful, virtual_clock.now())
    scheduler.add(renewal)
    drained = False

    async def drain() -> None:
        nonlocal drained
        await anyio.sleep(0.5)
        with anyio.CancelScope(shield=True):
            await scheduler.drain(renewal)
            drained = True

    async def both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(scheduler.run)
            group.start_soon(drain)

    with pytest.raises(ExceptionGroup) as caught:
        await both()
    assert caught.group_contains(AttributeError)
    assert drained


async def test_cancelled_in_the_instant_in_which_a_parked_worker_is_needed_it_just_ends():
    clock, began = SleepingClock(), anyio.current_time()
    subject = Subject(clock, priority=Priority.ELECTION, period_s=2.0, takes_s=1.0)
    scheduler = Scheduler(clock)
    scheduler.add(subject.renewal)
    async with anyio.create_task_group() as group:
        group.start_soon(scheduler.run)
        await anyio.sleep(2.5)
        # Set after the scheduler's own timer, it fires behind that in one pass: the nap is over, the worker cancelled.
        group.cancel_scope.deadline = began + 3.0
    assert len(subject.starts) == subject.ends + subject.cancelled
    assert scheduler.report().elections.in_flight == 0


async def test_it_runs_once(virtual_clock: VirtualClock):
    scheduler = Scheduler(virtual_clock)
    with anyio.move_on_after(1):
        await scheduler.run()
    with pytest.raises(RuntimeError, match="runs once"):
        await scheduler.run()


async def test_after_its_end_it_takes_nothing_on_but_letting_go_is_harmless(virtual_clock: VirtualClock):
    subject = Subject(virtual_clock)
    scheduler = Scheduler(virtual_clock)
    scheduler.add(subject.renewal)
    with anyio.move_on_after(0.005):
        await scheduler.run()
    with pytest.raises(RuntimeError, match="has ended"):
        scheduler.add(subject.renewal)
    assert not scheduler.remove(subject.renewal)
    assert not scheduler.change(subject.renewal, due=0.0)
    await scheduler.drain(subject.renewal)


@pytest.mark.parametrize("cancel_after_s", [0.0, 0.001, 0.5, 0.505, 0.51, 0.6, 1.0, 1.005, 1.25])
async def test_cancelled_at_any_moment_it_leaves_nothing_behind(virtual_clock: VirtualClock, cancel_after_s: float):
    subjects = [Subject(virtual_clock, first_s=i / 4, period_s=0.4, takes_s=i / 8) for i in range(8)]
    scheduler = Scheduler(virtual_clock, max_in_flight=3, reserved=1)
    for subject in subjects:
        scheduler.add(subject.renewal)
    tasks_before = asyncio.all_tasks()
    with anyio.move_on_after(cancel_after_s):
        await scheduler.run()
    assert asyncio.all_tasks() == tasks_before
    for subject in subjects:
        assert len(subject.starts) == subject.ends + subject.cancelled
    report = scheduler.report()
    assert (report.beats.in_flight, report.beats.queued) == (0, 0)
    successor = Scheduler(virtual_clock)
    for subject in subjects:
        successor.add(subject.renewal)
    assert successor.report().beats.queued == 8


async def test_cancelled_in_the_very_pass_in_which_attempts_start_it_leaves_nothing_behind(
    virtual_clock: VirtualClock,
):
    for passes in range(12):
        subjects = [Subject(virtual_clock, first_s=-1, period_s=0.0, takes_s=0.0) for _ in range(5)]
        scheduler = Scheduler(virtual_clock, max_in_flight=3, reserved=1)
        for subject in subjects:
            scheduler.add(subject.renewal)
        tasks_before = asyncio.all_tasks()
        async with anyio.create_task_group() as group:
            group.start_soon(scheduler.run)
            for _ in range(passes):
                await asyncio.sleep(0)
            group.cancel_scope.cancel()
        assert asyncio.all_tasks() == tasks_before
        assert scheduler.report().beats.in_flight == 0
        assert all(len(subject.starts) == subject.ends + subject.cancelled for subject in subjects)


async def test_attempts_that_never_wait_do_not_keep_the_loop_from_others(virtual_clock: VirtualClock):
    attempts = 0

    async def greedy() -> Verdict:
        nonlocal attempts
        attempts += 1
        return Verdict(due=virtual_clock.now(), renewed=True)

    scheduler = Scheduler(virtual_clock)
    scheduler.add(renewal_of(greedy, virtual_clock.now()))
    async with running(scheduler):
        for _ in range(50):
            await asyncio.sleep(0)
    assert 5 < attempts <= 60


# Removal and drain


async def test_a_removal_in_flight_lets_the_attempt_end_and_drops_its_verdict(virtual_clock: VirtualClock):
    subject = Subject(virtual_clock, takes_s=5)
    async with running(Scheduler(virtual_clock)) as scheduler:
        scheduler.add(subject.renewal)
        await anyio.sleep(1)
        assert scheduler.remove(subject.renewal)
        await anyio.sleep(60)
    assert (len(subject.starts), subject.ends, subject.cancelled) == (1, 1, 0)


async def test_a_drain_waits_until_the_attempt_has_ended(virtual_clock: VirtualClock):
    subject = Subject(virtual_clock, takes_s=5)
    async with running(Scheduler(virtual_clock)) as scheduler:
        scheduler.add(subject.renewal)
        await anyio.sleep(1)
        began = virtual_clock.now()
        async with anyio.create_task_group() as group:
            group.start_soon(scheduler.drain, subject.renewal)
            group.start_soon(scheduler.drain, subject.renewal)
        assert virtual_clock.now() - began == pytest.approx(4)
        scheduler.add(subject.renewal)
        await anyio.sleep(1)
        assert len(subject.starts) == 2


async def test_a_cancelled_drain_leaves_the_renewal_removed(virtual_clock: VirtualClock):
    subject = Subject(virtual_clock, takes_s=5)
    async with running(Scheduler(virtual_clock)) as scheduler:
        scheduler.add(subject.renewal)
        await anyio.sleep(1)
        with anyio.move_on_after(1) as scope:
            await scheduler.drain(subject.renewal)
        assert scope.cancelled_caught
        await anyio.sleep(60)
        await scheduler.drain(subject.renewal)
    assert (len(subject.starts), subject.ends) == (1, 1)


async def test_a_drain_of_what_is_not_in_flight_returns_at_once(virtual_clock: VirtualClock):
    subject = Subject(virtual_clock, first_s=5)
    scheduler = Scheduler(virtual_clock)
    await scheduler.drain(subject.renewal)
    scheduler.add(subject.renewal)
    await scheduler.drain(subject.renewal)
    with anyio.move_on_after(60):
        await scheduler.run()
    assert subject.starts == []


# When attempts start


async def test_the_period_slides_from_the_end_of_each_attempt(virtual_clock: VirtualClock):
    began, subject = virtual_clock.now(), Subject(virtual_clock, first_s=1, period_s=10, takes_s=2)
    async with running(Scheduler(virtual_clock)) as scheduler:
        scheduler.add(subject.renewal)
        await anyio.sleep(40)
    assert [start - began for start in subject.starts] == pytest.approx([1, 13, 25, 37], abs=0.03)


async def test_what_is_added_earlier_than_all_others_is_not_overslept(virtual_clock: VirtualClock):
    began = virtual_clock.now()
    late, soon = Subject(virtual_clock, first_s=3600), Subject(virtual_clock, first_s=7)
    scheduler = Scheduler(virtual_clock)
    scheduler.add(late.renewal)
    async with running(scheduler):
        await anyio.sleep(5)
        scheduler.add(soon.renewal)
        await anyio.sleep(5)
    assert soon.starts == pytest.approx([began + 7], abs=0.006)


async def test_an_election_brought_forward_starts_at_once(virtual_clock: VirtualClock):
    follower = Subject(virtual_clock, priority=Priority.ELECTION, first_s=math.inf)
    async with running(Scheduler(virtual_clock)) as scheduler:
        scheduler.add(follower.renewal)
        await anyio.sleep(100)
        released = virtual_clock.now()
        assert scheduler.change(follower.renewal, due=released)
        await anyio.sleep(1)
    assert follower.starts[0] == released


async def test_an_election_brought_forward_in_flight_starts_again_at_its_end(virtual_clock: VirtualClock):
    follower = Subject(virtual_clock, priority=Priority.ELECTION, takes_s=2, period_s=100)
    async with running(Scheduler(virtual_clock)) as scheduler:
        scheduler.add(follower.renewal)
        await anyio.sleep(1)
        scheduler.change(follower.renewal, due=virtual_clock.now())
        await anyio.sleep(2)
    assert follower.starts == [follower.starts[0], follower.starts[0] + 2]


async def test_a_suspend_is_followed_by_all_that_is_overdue(virtual_clock: VirtualClock):
    subject = Subject(virtual_clock, first_s=30)
    async with running(Scheduler(virtual_clock)) as scheduler:
        scheduler.add(subject.renewal)
        await anyio.sleep(1)
        virtual_clock.advance_suspended(600)
        resumed = virtual_clock.now()
        await anyio.sleep(2)
    assert resumed <= subject.starts[0] <= resumed + 1.01


async def test_a_full_house_of_slow_beats_does_not_delay_an_election(virtual_clock: VirtualClock):
    beats = [Subject(virtual_clock, takes_s=30) for _ in range(500)]
    leader = Subject(virtual_clock, priority=Priority.ELECTION, period_s=2, takes_s=0.1)
    scheduler = Scheduler(virtual_clock, max_in_flight=20, reserved=2)
    for subject in (*beats, leader):
        scheduler.add(subject.renewal)
    async with running(scheduler):
        await anyio.sleep(59)
        report = scheduler.report()
    assert len(leader.starts) == pytest.approx(59 / 2.1, abs=1)
    assert report.elections.lateness.max_s < 1e-6
    assert report.beats.in_flight == 18
    assert report.beats.lateness.max_s > 25


async def test_room_is_refilled_as_soon_as_an_attempt_ends(virtual_clock: VirtualClock):
    began = virtual_clock.now()
    subjects = [Subject(virtual_clock, period_s=None, takes_s=1) for _ in range(100)]
    scheduler = Scheduler(virtual_clock, max_in_flight=10, reserved=0)
    for subject in subjects:
        scheduler.add(subject.renewal)
    async with running(scheduler):
        await anyio.sleep(9.5)
    assert sum(len(subject.starts) for subject in subjects) == 100
    assert max(subject.starts[0] for subject in subjects) - began == pytest.approx(9, abs=0.01)


async def test_when_two_ends_race_for_one_renewal_the_next_is_not_overslept(virtual_clock: VirtualClock):
    began = virtual_clock.now()
    ending = [Subject(virtual_clock, period_s=None, takes_s=1) for _ in range(2)]
    overdue = Subject(virtual_clock, first_s=0.5, takes_s=60)
    later = Subject(virtual_clock, first_s=3)
    scheduler = Scheduler(virtual_clock, max_in_flight=2, reserved=0)
    for subject in (*ending, overdue, later):
        scheduler.add(subject.renewal)
    async with running(scheduler):
        await anyio.sleep(10)
    assert overdue.starts == pytest.approx([began + 1], abs=0.01)
    assert later.starts[0] == pytest.approx(began + 3, abs=0.01)


async def test_a_retry_after_is_honoured_once_for_all(virtual_clock: VirtualClock):
    began = virtual_clock.now()
    told_off = Subject(virtual_clock, takes_s=0, verdicts=[Verdict(due=began + 1, renewed=False, retry_after_s=8.0)])
    others = [Subject(virtual_clock, first_s=2 + i) for i in range(3)]
    scheduler = Scheduler(virtual_clock)
    for subject in (told_off, *others):
        scheduler.add(subject.renewal)
    async with running(scheduler):
        await anyio.sleep(5)
        report = scheduler.report()
        await anyio.sleep(5)
    assert report.beats.throttles == 1
    assert report.held_for_s == pytest.approx(3, abs=0.01)
    for subject in others:
        assert subject.starts == pytest.approx([began + 8], abs=0.01)
    assert told_off.starts[1:] == pytest.approx([began + 8], abs=0.01)


# What it reports


async def test_the_report_tells_lateness_latency_and_gap_apart(virtual_clock: VirtualClock):
    began = virtual_clock.now()
    failed = Verdict(due=began + 13.0, renewed=False, failed=True)
    subject = Subject(
        virtual_clock, takes_s=0.5, verdicts=[Verdict(due=began + 10.0, renewed=True), failed], period_s=5
    )
    async with running(Scheduler(virtual_clock)) as scheduler:
        scheduler.add(subject.renewal)
        await anyio.sleep(15)
        report = scheduler.report()
    beats = report.beats
    assert (beats.attempts, beats.successes, beats.failures, beats.throttles) == (3, 2, 1, 0)
    assert (beats.queued, beats.overdue, beats.in_flight) == (1, 0, 0)
    assert beats.lateness.count == 3
    assert beats.lateness.max_s <= 0.0051
    assert beats.latency.min_s == pytest.approx(0.5)
    assert beats.gap.count == 1
    assert beats.gap.max_s == pytest.approx(13, abs=0.01), "from success to success, over the failure between"
    assert report.elections.attempts == 0


async def test_the_report_is_plain_data_for_logs(virtual_clock: VirtualClock):
    report = Scheduler(virtual_clock).report().to_dict()
    assert set(report) == {"elections", "beats", "held_for_s"}
    beats = report["beats"]
    assert isinstance(beats, dict)
    assert beats["gap"]["p99_s"] == 0.0


async def test_thousands_share_a_few_workers_and_one_timer(virtual_clock: VirtualClock):
    subjects = [Subject(virtual_clock, first_s=i / 500, period_s=15, takes_s=0.01) for i in range(5_000)]
    tasks_before = len(asyncio.all_tasks())
    async with running(Scheduler(virtual_clock)) as scheduler:
        for subject in subjects:
            scheduler.add(subject.renewal)
        await anyio.sleep(25.5)
        tasks = len(asyncio.all_tasks()) - tasks_before
        assert scheduler.report().beats.lateness.max_s < 0.01
    assert tasks <= 20
    assert all(len(subject.starts) == 2 for subject in subjects)
