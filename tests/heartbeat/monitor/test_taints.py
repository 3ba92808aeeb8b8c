"""Which taints nodes would get, when, and when they lose them."""

import pytest

from lease_aio.heartbeat.monitor import NOT_READY as NOT_READY_TAINT
from lease_aio.heartbeat.monitor import UNREACHABLE, Effect, TaintVerdict
from lease_aio.heartbeat.monitor.evictions import Evictions
from tests.heartbeat.monitor.rig import NOT_READY, READY, START, UNKNOWN, Cluster


def times(cluster, effect, *, added=True):
    """Of each node's taints of that effect, seconds from the start."""
    return {one.node: one.at - START for one in cluster.of(TaintVerdict) if one.effect is effect and one.added is added}


def with_spare(**options):
    """A cluster with a node that is always ready, so that not everything is disrupted."""
    cluster = Cluster(**options)
    cluster.node("spare", READY)
    return cluster


def alive(cluster):
    return lambda: cluster.lease("spare")


# At once, and one after another


def test_an_unknown_node_is_not_scheduled_to_at_once_and_is_evicted_in_the_same_pass():
    cluster = with_spare()
    cluster.node("n0")
    cluster.passes()
    cluster.passes(55, each=alive(cluster))
    assert cluster.taints == {"n0": [("NoExecute", "unreachable"), ("NoSchedule", "unreachable")]}
    assert times(cluster, Effect.NO_SCHEDULE) == times(cluster, Effect.NO_EXECUTE) == {"n0": 55}


def test_before_1_29_it_was_evicted_one_pass_later():
    cluster = with_spare(evict_in_next_pass=True)
    cluster.node("n0")
    cluster.passes()
    cluster.passes(60, each=alive(cluster))
    assert times(cluster, Effect.NO_SCHEDULE) == {"n0": 55}
    assert times(cluster, Effect.NO_EXECUTE) == {"n0": 60}


def test_of_several_one_is_evicted_every_ten_seconds_in_each_zone():
    cluster = Cluster()
    for zone in "ab":
        for number in range(10):
            cluster.node(f"{zone}{number}", NOT_READY if number < 3 else READY, zone=zone)
    cluster.passes()
    cluster.passes(40)
    evicted = times(cluster, Effect.NO_EXECUTE)
    assert sorted(evicted.values()) == pytest.approx([0, 0, 10, 10, 20, 20])
    assert {name[0] for name, at in evicted.items() if at == pytest.approx(10)} == {"a", "b"}


def test_a_taint_is_dated_when_its_time_came_and_told_when_asked_for():
    cluster = Cluster(eviction_rate_per_s=0.3)
    for number in range(8):
        cluster.node(f"n{number}", NOT_READY if number < 2 else READY)
    cluster.passes()
    assert cluster.judge.next_eviction == pytest.approx(START + 1 / 0.3)
    cluster.quiet(4)
    told = cluster.hear(cluster.judge.evict(now=cluster.now))
    assert [one.at for one in told] == pytest.approx([START + 1 / 0.3])
    assert cluster.judge.next_eviction == float("inf")


# Which of the two


def test_a_node_that_says_it_is_not_ready_gets_the_other_taint():
    cluster = with_spare()
    cluster.node("n0", NOT_READY)
    cluster.passes()
    assert cluster.taints == {"n0": [("NoExecute", "not-ready"), ("NoSchedule", "not-ready")]}


def test_the_two_exclude_each_other_and_are_swapped_at_once_whatever_the_rate():
    cluster = with_spare(eviction_rate_per_s=0.001)
    cluster.node("n0", NOT_READY, heartbeat_s=0)
    cluster.passes()
    cluster.passes(55, each=alive(cluster))
    assert cluster.taints == {"n0": [("NoExecute", "unreachable"), ("NoSchedule", "unreachable")]}
    cluster.node("n0", NOT_READY)
    cluster.passes(5, each=alive(cluster))
    assert cluster.taints == {"n0": [("NoExecute", "not-ready"), ("NoSchedule", "not-ready")]}


# Ready again


def test_a_node_that_is_ready_again_is_scheduled_to_at_once_and_has_no_taint_after_the_next_pass():
    cluster = with_spare()
    cluster.node("n0", NOT_READY)
    cluster.passes()
    cluster.quiet(1)
    cluster.node("n0", READY)
    assert cluster.taints == {"n0": [("NoExecute", "not-ready")]}
    cluster.passes(5)
    assert cluster.taints == {}


def test_one_that_is_ready_again_before_its_turn_leaves_the_queue():
    cluster = Cluster()
    for number in range(8):
        cluster.node(f"n{number}", NOT_READY if number < 3 else READY)
    cluster.passes()
    cluster.node("n1", READY)
    cluster.passes(60)
    assert times(cluster, Effect.NO_EXECUTE).keys() == {"n0", "n2"}


def test_one_that_is_ready_when_its_turn_comes_takes_the_token_and_gets_no_taint():
    cluster = Cluster()
    for number in range(8):
        cluster.node(f"n{number}", NOT_READY if number < 3 else READY)
    cluster.passes()
    cluster.quiet(9)
    cluster.node("n1", READY)  # no pass comes before its turn
    cluster.quiet(3)
    cluster.passes()
    cluster.passes(20)
    assert times(cluster, Effect.NO_EXECUTE) == pytest.approx({"n0": 0, "n2": 20})


def test_one_that_is_gone_when_its_turn_comes_takes_the_token_too():
    cluster = Cluster()
    for number in range(8):
        cluster.node(f"n{number}", NOT_READY if number < 3 else READY)
    cluster.passes()
    cluster.node_gone("n1")
    cluster.passes(30)
    assert times(cluster, Effect.NO_EXECUTE) == pytest.approx({"n0": 0, "n2": 20})


def test_one_that_moves_waits_in_its_new_zone():
    cluster = Cluster()
    for zone in "ab":
        for number in range(8):
            cluster.node(f"{zone}{number}", NOT_READY if number < 2 else READY, zone=zone)
    cluster.passes()
    cluster.node("a1", NOT_READY, zone="b")
    cluster.passes(40)
    assert times(cluster, Effect.NO_EXECUTE) == pytest.approx({"a0": 0, "b0": 0, "b1": 10, "a1": 20})


# What is on the Nodes already


def test_after_a_restart_nodes_lose_their_eviction_and_are_queued_anew():
    cluster = with_spare()
    for number in range(2):
        taints = [(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")]
        cluster.node(f"n{number}", UNKNOWN, taints=taints)
    assert times(cluster, Effect.NO_EXECUTE, added=False).keys() == {"n0", "n1"}
    cluster.passes()
    cluster.passes(10)
    assert times(cluster, Effect.NO_EXECUTE) == pytest.approx({"n0": 0, "n1": 10})
    assert times(cluster, Effect.NO_SCHEDULE) == {}


def test_a_taint_that_does_not_fit_is_put_right_at_first_sight():
    cluster = with_spare()
    cluster.node("n0", READY, taints=[(NOT_READY_TAINT, "NoSchedule"), ("other", "NoSchedule")])
    cluster.node("n1", UNKNOWN, taints=[(NOT_READY_TAINT, "NoSchedule")])
    told = [(one.node, one.key, one.added) for one in cluster.of(TaintVerdict)]
    assert told == [("n0", NOT_READY_TAINT, False), ("n1", NOT_READY_TAINT, False), ("n1", UNREACHABLE, True)]


# The bucket


def test_a_bucket_of_no_rate_lets_nobody_out():
    queue = Evictions(0.0, 0.0)
    queue.add("a", 0.0)
    assert list(queue.due(1e9)) == []


def test_a_bucket_saves_one_token_and_no_more():
    queue = Evictions(0.1, 0.0)
    for name in "abc":
        queue.add(name, 1000.0)
    assert list(queue.due(1015.0)) == [("a", 1000.0), ("b", 1010.0)]


def test_one_that_waits_keeps_its_place():
    queue = Evictions(0.1, 0.0)
    for name, at in (("a", 0.0), ("b", 1.0), ("a", 2.0)):
        queue.add(name, at)
    assert [name for name, _ in queue.due(60.0)] == ["a", "b"]


@pytest.mark.parametrize(("used", "first"), [(False, 5.0), (True, 105.0)])
def test_a_new_rate_begins_with_a_full_bucket_unless_the_old_one_was_empty(used, first):
    queue = Evictions(0.1, 0.0)
    if used:
        queue.add("before", 4.0)
        list(queue.due(4.0))
    queue.swap_rate(0.01, 5.0)
    queue.add("a", 5.0)
    assert queue.next_at == first


def test_the_same_rate_again_changes_nothing():
    queue = Evictions(0.1, 0.0)
    queue.add("before", 4.0)
    list(queue.due(4.0))
    queue.swap_rate(0.1, 5.0)
    queue.add("a", 5.0)
    assert queue.next_at == 14.0
