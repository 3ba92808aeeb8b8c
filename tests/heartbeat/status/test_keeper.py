"""When a kubelet computes and writes its Node's status: the rules, without a clock or a loop."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lease_aio.errors import Call, ConfigurationError, NotFound, Throttled, Unavailable
from lease_aio.heartbeat.node.drift import MISSING, Drift
from lease_aio.heartbeat.status.keeper import Ask, StatusKeeper, StatusRules, status_rules

CALL = Call(verb="patch", resource="nodes/status", name="n1")
DOWN = Unavailable(CALL, "refused")
GONE = NotFound(CALL, "not found", status=404)
UNKNOWN = Drift(conditions=frozenset({"Ready"}), turned=frozenset({"Ready"}))
START = 1000.0


def keeper(*, reported=True, seed=1, now=START, **rules):
    return StatusKeeper(StatusRules(random=random.Random(seed).random, **rules), now, reported=reported)


def computations(kept, until):
    """The times of all computations until then, as an eager kubelet would do them."""
    found = [kept.computation(START + 0.001)]
    while found[-1] < until:
        found.append(kept.computation(found[-1] + 1e-9))
    return found


# When the API server does not do what is asked


def test_a_computation_tries_five_times_at_once_and_reads_from_the_second_on():
    kept = keeper()
    kept.seen(UNKNOWN, START + 3)
    now, asked = kept.due, []
    for _ in range(5):
        asked.append(kept.ask(now, changed=False))
        due = kept.failed(DOWN, now)
    assert asked == [Ask.PATCH] + [Ask.READ] * 4
    assert now + 10 <= due < now + 10.4
    assert kept.ask(due, changed=False) is Ask.PATCH


def test_what_a_second_try_reads_is_what_it_writes():
    kept = keeper()
    kept.seen(UNKNOWN, START + 3)
    now = kept.due
    assert kept.failed(DOWN, now) == now
    assert kept.ask(now, changed=False) is Ask.READ
    assert kept.read(UNKNOWN, now) == now
    assert kept.ask(now, changed=False) is Ask.PATCH
    assert kept.patched(now, UNKNOWN, changed=False) > now + 100
    assert kept.drift is None


def test_a_second_try_that_reads_that_all_is_well_writes_nothing():
    kept = keeper()
    kept.seen(UNKNOWN, START + 3)
    now = kept.due
    kept.failed(DOWN, now)
    kept.read(None, now)
    assert kept.ask(now, changed=False) is Ask.NOTHING
    assert kept.idle(now) > now + 100


def test_a_node_that_the_watch_does_not_show_fails_its_first_try_without_a_request():
    kept = keeper()
    kept.seen(MISSING, START + 3)
    now, asked = kept.due, []
    while kept.due == now:
        asked.append(kept.ask(now, changed=False))
        kept.failed(GONE, now)
    assert asked == [Ask.READ] * 4
    assert now + 10 <= kept.due < now + 10.4


def test_a_throttled_request_takes_no_try():
    kept = keeper()
    kept.seen(UNKNOWN, START + 3)
    now = kept.due
    for _ in range(20):
        assert kept.failed(Throttled(CALL, "slow down", retry_after_s=3), now) == now
        assert kept.ask(now, changed=False) is Ask.PATCH


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"update_frequency_s": 0}, "update_frequency_s=0"),
        ({"report_frequency_s": float("inf")}, "report_frequency_s=inf"),
        ({"request_timeout_s": -1}, "request_timeout_s=-1"),
        ({"jitter": -0.1}, r"jitter=-0\.1"),
    ],
)
def test_what_cannot_work_is_refused(wrong, named):
    with pytest.raises(ConfigurationError, match=named):
        StatusRules(**wrong)


def test_only_the_status_of_registered_nodes_is_kept():
    with pytest.raises(ConfigurationError, match="status without register=True"):
        status_rules(status=True, register=False, random=random.random)
    rules = StatusRules()
    assert status_rules(status=rules, register=True, random=random.random) is rules
    assert status_rules(status=None, register=True, random=random.random) is not None
    assert status_rules(status=None, register=False, random=random.random) is None
    assert status_rules(status=False, register=True, random=random.random) is None


# When all goes well


def test_a_started_kubelet_computes_and_writes_at_once():
    kept = keeper(reported=False)
    assert kept.due == START
    assert kept.ask(START, changed=False) is Ask.PATCH


@given(st.integers(0, 2**32))
def test_computations_come_every_ten_seconds_and_up_to_four_per_cent(seed):
    times = computations(keeper(seed=seed), START + 300)
    waits = [later - earlier for earlier, later in itertools.pairwise([START, *times])]
    assert all(10 <= round(wait, 9) < 10.4 for wait in waits)


def test_computations_are_spread_as_evenly_as_their_jitter():
    waits = [keeper(seed=seed).computation(START + 0.001) - START - 10 for seed in range(2000)]
    for tenth in range(10):
        assert sum(tenth * 0.04 <= wait < tenth * 0.04 + 0.04 for wait in waits) == pytest.approx(200, abs=50)


@given(st.integers(0, 2**32), st.floats(0, 400))
def test_a_change_is_written_by_the_next_computation_and_by_none_before(seed, after_s):
    kept = keeper(seed=seed)
    eager = computations(kept, START + 500)
    unchanged = kept.due
    kept.seen(UNKNOWN, START + after_s)
    assert kept.due == min(unchanged, next(at for at in eager if at >= START + after_s))


@given(st.integers(0, 2**32))
def test_a_report_is_written_by_the_first_computation_after_its_five_minutes(seed):
    kept = keeper(seed=seed)
    kept.patched(START, None, changed=False)
    eager = computations(kept, START + 400)
    assert kept.due == next(at for at in eager if at >= START + 300)


def test_a_change_that_is_over_before_it_is_computed_is_not_written():
    kept = keeper()
    report = kept.due
    kept.seen(UNKNOWN, START + 20)
    assert kept.due < START + 31
    assert kept.seen(None, START + 21) == report


def test_after_a_change_or_a_start_the_next_report_comes_up_to_half_earlier_or_later():
    waits = [keeper(seed=seed).due - START for seed in range(500)]
    assert 150 <= min(waits) < 165
    assert 445 < max(waits) < 462
    for changed, mended in ((True, None), (False, UNKNOWN)):
        kept = keeper(seed=3)
        assert abs(kept.patched(START, mended, changed=changed) - START - 300) > 10.5


def test_a_report_that_tells_nothing_new_keeps_the_cadence_of_five_minutes():
    kept = keeper(seed=3)
    now = kept.due
    for _ in range(20):
        assert kept.ask(now, changed=False) is Ask.PATCH
        due = kept.patched(now, None, changed=False)
        assert 300 <= due - now < 310.4
        now = due


def test_what_the_watch_tells_while_a_patch_is_on_its_way_is_mended_by_the_next_computation():
    kept = keeper()
    kept.seen(UNKNOWN, START + 3)
    now = kept.due
    kept.seen(again := Drift(rest=True), now + 0.01)
    due = kept.patched(now + 0.02, UNKNOWN, changed=False)
    assert kept.drift is again
    assert due < now + 10.5


def test_a_node_that_could_reach_nobody_goes_on_with_its_next_computation():
    kept = keeper()
    kept.seen(UNKNOWN, START + 20)
    due = kept.reconnected(START + 95)
    assert START + 95 <= due < START + 105.4
    assert keeper().reconnected(START + 95) > START + 149, "nothing has changed: at its next report"


def test_days_of_silence_take_no_time_to_count():
    kept = keeper(seed=4)
    due = kept.reconnected(START + 1e7)
    assert START + 1e7 <= due < START + 1e7 + 10.4
