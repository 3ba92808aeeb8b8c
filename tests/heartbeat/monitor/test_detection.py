"""How long it takes until a node that has died is called Unknown: exactly, for the times are those of the rules."""

import heapq
import random

import pytest

from lease_aio.heartbeat.monitor import Finding
from tests.heartbeat.monitor.rig import Cluster

NODES = 3_000
INTERVAL_S, JITTER = 10.0, 0.04
WATCH_LAG_S, PASS_S = 0.05, 0.02


def detection_times(grace_s, seed):
    """From the kill and from the last renewal to Unknown, of nodes that die at random times."""
    rng = random.Random(seed)
    cluster = Cluster(grace_s=grace_s)
    start = cluster.now
    died, last, renewals = {}, {}, []
    for number in range(NODES):
        name = f"n{number}"
        cluster.node(name)
        died[name] = start + 60 + rng.random() * 60
        heapq.heappush(renewals, (start + rng.random() * INTERVAL_S, name))
    unknown = {}
    next_pass = start
    while len(unknown) < NODES:
        while renewals and renewals[0][0] + WATCH_LAG_S <= next_pass:
            at, name = heapq.heappop(renewals)
            if at > died[name]:
                continue
            cluster.now = at + WATCH_LAG_S
            last[name] = at
            cluster.lease(name, told=True)
            heapq.heappush(renewals, (at + INTERVAL_S * (1 + rng.random() * JITTER), name))
        cluster.now = next_pass
        for verdict in cluster.one_pass(ask=True):
            if getattr(verdict, "finding", None) is Finding.UNKNOWN:
                unknown[verdict.node] = verdict.at
        next_pass += 5 + PASS_S
    kill = sorted(unknown[name] - died[name] for name in unknown)
    renewal = sorted(unknown[name] - last[name] for name in unknown)
    return kill, renewal


@pytest.mark.parametrize(
    ("grace_s", "kill_p5_p50_p95", "renewal_p50"),
    [(50, (42.2, 47.6, 53.0), 52.7), (40, (32.2, 37.6, 43.0), 42.7)],
)
def test_a_dead_node_is_found_within_these_times(grace_s, kill_p5_p50_p95, renewal_p50):
    kill, renewal = detection_times(grace_s, seed=1)
    # A sign counts at the first pass after its event; the first beyond the grace is a whole number of passes later.
    passes = int(grace_s / (5 + PASS_S)) + 1
    counted_s = passes * (5 + PASS_S)
    assert WATCH_LAG_S + counted_s <= renewal[0]
    assert renewal[-1] <= WATCH_LAG_S + counted_s + 5 + PASS_S + 1e-6
    assert renewal[0] - INTERVAL_S * (1 + JITTER) <= kill[0]
    assert kill[-1] <= renewal[-1]
    assert (kill[0], kill[-1]) == pytest.approx((grace_s - 10, grace_s + 5.2), abs=0.3)
    found = [kill[int(NODES * part)] for part in (0.05, 0.5, 0.95)]
    assert found == pytest.approx(kill_p5_p50_p95, abs=0.3)
    assert renewal[NODES // 2] == pytest.approx(renewal_p50, abs=0.2)
