"""How fast those catch up that are behind: the pure bucket, and the queue that asks it."""

import math

import pytest

from lease_aio.errors import ConfigurationError
from lease_aio.scheduler.pace import FACTOR, Pace
from lease_aio.scheduler.queue import RenewalQueue
from lease_aio.scheduler.renewal import Priority, Renewal, Verdict

PERIOD_S = 10.0
NODES = 1_000
STEADY_PER_S = NODES / PERIOD_S


async def not_called() -> Verdict:
    raise AssertionError


def renewal(
    due: float = 0.0, period_s: float | None = PERIOD_S, priority: Priority = Priority.BEAT, deadline: float = math.inf
) -> Renewal:
    return Renewal(not_called, priority=priority, due=due, period_s=period_s, deadline=deadline)


def queue_of(*renewals: Renewal) -> RenewalQueue:
    queue = RenewalQueue(max_in_flight=100_000, reserved=0)
    for one in renewals:
        queue.add(one)
    return queue


def starts(queue: RenewalQueue, now: float, until: float) -> list[float]:
    """When attempts start if somebody looks whenever the queue asks for it; each ends at once, and comes no more."""
    found: list[float] = []
    while now <= until:
        for one in queue.take(now):
            found.append(now)
            queue.finished(one, now, Verdict(due=math.inf, renewed=True))
        wake = queue.next_wakeup(now)
        if wake is None:
            break
        assert wake > now, "after a take there is no reason to look again at once"
        now = wake
    return found


def most_in_a_second(found: list[float]) -> int:
    return max(sum(1 for other in found if one <= other < one + 1) for one in found)


# Bad input


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_period_that_is_none_is_refused(value: float):
    with pytest.raises(ConfigurationError, match="period_s="):
        renewal(period_s=value)


# What is behind


def test_after_a_long_hold_those_that_were_due_come_at_less_than_three_times_the_steady_rate():
    told_off, *others = (renewal(due=number / STEADY_PER_S) for number in range(NODES))
    queue = queue_of(told_off, *others)
    queue.take(0.0)
    queue.finished(told_off, 0.0, Verdict(due=0.0, renewed=False, failed=True, retry_after_s=20.0))
    found = starts(queue, 0.0, 60.0)
    assert len(found) == NODES
    assert found[0] == pytest.approx(20, abs=0.01)
    assert found[-1] == pytest.approx(20 + NODES / (FACTOR * STEADY_PER_S), rel=0.02)
    assert most_in_a_second(found) <= 3 * STEADY_PER_S


def by_removal(queue: RenewalQueue, now: float, one: Renewal) -> None:
    queue.finished(one, now, Verdict(due=now, renewed=True))
    queue.remove(one)


def by_removal_meanwhile(queue: RenewalQueue, now: float, one: Renewal) -> None:
    queue.remove(one)
    queue.finished(one, now, Verdict(due=now, renewed=True))


def by_its_own_verdict(queue: RenewalQueue, now: float, one: Renewal) -> None:
    queue.finished(one, now, Verdict(due=None, renewed=True))


@pytest.mark.parametrize("leave", [by_removal, by_removal_meanwhile, by_its_own_verdict])
def test_the_rate_follows_what_is_in_the_lane(leave):
    stay, gone = ([renewal() for _ in range(NODES // 2)] for _ in range(2))
    queue = queue_of(*gone)
    for one in queue.take(0.0):
        leave(queue, 0.0, one)
    for one in stay:
        queue.add(one)
    found = starts(queue, 100.0, 200.0)
    assert found[-1] - found[0] == pytest.approx(len(stay) / (FACTOR * STEADY_PER_S / 2), rel=0.1)
    for one in stay:
        queue.remove(one)
    queue.add(last := renewal(due=200.0))
    assert queue.take(300.0) == [last]


def test_what_failed_waits_for_tokens_and_never_holds_up_what_is_on_time():
    failed, fine = ([renewal() for _ in range(NODES)] for _ in range(2))
    queue = queue_of(*failed)
    for one in queue.take(0.0):
        queue.finished(one, 0.0, Verdict(due=5.0, renewed=False, failed=True, deadline=50.0))
    for one in fine:
        queue.add(one)
        queue.change(one, due=5.0, deadline=40.0)
    taken = queue.take(5.0)
    assert set(fine) <= set(taken)
    assert 0 < len(taken) - len(fine) < 30, "of those that failed, as many as the full bucket lets"
    assert queue.take(6.0) == [], "the tokens of those on time are spent, too"
    assert 0 < len(queue.take(7.0)) < 600


@pytest.mark.parametrize("end", [Verdict(due=1.0, renewed=True), Verdict(due=2.0, renewed=False)])
def test_a_renewal_or_a_rest_ends_what_a_failure_began_and_a_read_does_not(end: Verdict):
    queue = queue_of(node := renewal())
    seen = []
    for verdict in (Verdict(due=1.0, renewed=False, failed=True), Verdict(due=1.0, renewed=False), end):
        queue.take(1.0)
        queue.finished(node, 1.0, verdict)
        seen.append(node.retries)
    assert seen == [True, True, False]


def test_elections_are_never_paced():
    queue = queue_of(*(renewal(priority=Priority.ELECTION) for _ in range(NODES)))
    assert len(queue.take(1_000.0)) == NODES


def test_nothing_is_paced_whose_period_nobody_knows():
    queue = queue_of(*(renewal(period_s=None) for _ in range(NODES)))
    assert len(queue.take(1_000.0)) == NODES


def test_a_start_of_all_at_once_is_left_as_it_is():
    assert len(queue_of(*(renewal(due=5.0) for _ in range(NODES))).take(5.5)) == NODES


def test_the_five_attempts_of_a_single_kubelet_are_made_at_once():
    queue = queue_of(node := renewal())
    for _ in range(11):  # five updates, a read, five updates
        assert queue.take(0.0) == [node]
        queue.finished(node, 0.0, Verdict(due=0.0, renewed=False, failed=True))


@pytest.mark.parametrize(("sent", "attempts"), [(False, 1_000), (True, 12)])
def test_what_never_reached_the_server_costs_nothing(sent, attempts):
    queue = queue_of(node := renewal())
    made = 0
    while made < 1_000 and queue.take(0.0) == [node]:
        made += 1
        queue.finished(node, 0.0, Verdict(due=0.0, renewed=False, failed=True, sent=sent))
    assert made == attempts


def test_after_hours_on_time_a_full_bucket_waits_for_the_first_that_fails():
    pace, one = Pace(), renewal()
    pace.joined(one)
    for beat in range(10_000):
        pace.spend()
        pace.settle(beat * PERIOD_S)
    assert pace.has_token(10_000 * PERIOD_S)


def test_tokens_do_not_gather_while_nothing_happens():
    pace, one = Pace(), renewal()
    pace.joined(one)
    count = 0
    while pace.has_token(1_000_000.0):
        pace.spend()
        count += 1
    assert count == 12


# While nobody listens


UNSENT = Verdict(due=0.0, renewed=False, failed=True, sent=False)


def in_flight_after(*verdicts: Verdict, room: int = 100) -> int:
    """How many beats run at once, of many that are due, after attempts that ended so."""
    queue = RenewalQueue(max_in_flight=room, reserved=0)
    for _ in range(1_000):
        queue.add(renewal(period_s=None))
    for verdict in verdicts:
        (one,) = queue.take(0.0, 1)
        queue.finished(one, 0.0, verdict)
    return len(queue.take(0.0))


def test_while_nobody_listens_few_are_tried_at_once():
    assert in_flight_after(*[UNSENT] * 7) == 100
    assert in_flight_after(*[UNSENT] * 8) == in_flight_after(*[UNSENT] * 500) == 8
    assert in_flight_after(*[UNSENT] * 500, room=5) == 5


def test_one_that_reaches_the_server_makes_room_for_all_even_if_it_fails():
    assert in_flight_after(*[UNSENT] * 500, Verdict(due=0.0, renewed=False, failed=True)) == 100


def test_what_had_nothing_to_send_says_nothing_of_who_listens():
    nothing = Verdict(due=0.0, renewed=False, sent=False)
    assert in_flight_after(*[nothing] * 500) == 100
    assert in_flight_after(*[UNSENT] * 8, nothing) == 8


def test_elections_are_all_tried_though_nobody_listens():
    queue = RenewalQueue(max_in_flight=100, reserved=0)
    for _ in range(1_000):
        queue.add(renewal(period_s=None, priority=Priority.ELECTION))
    for _ in range(50):
        (one,) = queue.take(0.0, 1)
        queue.finished(one, 0.0, UNSENT)
    assert len(queue.take(0.0)) == 100
