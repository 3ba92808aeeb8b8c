"""What holds whatever happens."""

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lease_aio.heartbeat.monitor import NOT_READY as NOT_READY_TAINT
from lease_aio.heartbeat.monitor import UNREACHABLE, Availability, Cause, Effect, Finding, Mode, NodeVerdict
from lease_aio.heartbeat.monitor import TaintVerdict as Taint
from tests.heartbeat.monitor.rig import NOT_READY, PENDING, READY, START, UNKNOWN, Cluster

GRACE_S = 50.0
MODES = pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.value)
gaps = st.lists(st.floats(0.01, GRACE_S), min_size=1, max_size=30)
seeds = st.integers(0, 2**32)
LONGEST_WAIT_S = 9.0


def play(mode, gaps, seed, *, until_s, ask, steps=None):
    """A node that renews after those gaps, and passes at random times until so long after its last renewal."""
    rng = random.Random(seed)
    renewals = list(itertools.accumulate(gaps))
    events = [(START + at, 0, number) for number, at in enumerate(renewals)]
    at = 0.0
    while at <= renewals[-1] + until_s:
        events.append((START + at, 1, 0))
        at += rng.uniform(5.0, LONGEST_WAIT_S)
    cluster = Cluster(mode=mode)
    cluster.node()
    cluster.lease()
    for when, is_pass, number in sorted(events):
        cluster.now = when
        if is_pass:
            cluster.one_pass(ask=ask)
        else:
            cluster.wall_step_s = steps[number] if steps else 0.0
            cluster.lease()
    return cluster


@MODES
@given(gaps=gaps, seed=seeds, ask=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_node_that_renews_within_the_grace_is_never_unknown(mode, gaps, seed, ask):
    assert play(mode, gaps, seed, until_s=GRACE_S, ask=ask).findings == []


@MODES
@given(gaps=gaps, seed=seeds, steps=st.lists(st.floats(-1e6, 1e6), min_size=30, max_size=30))
@settings(max_examples=60, deadline=None)
def test_whatever_its_clock_says_if_the_server_is_asked(mode, gaps, seed, steps):
    assert play(mode, gaps, seed, until_s=0.0, ask=True, steps=steps).findings == []


@MODES
@given(gaps=gaps, seed=seeds, ask=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_node_that_renews_no_more_is_unknown_after_the_grace_and_two_passes(mode, gaps, seed, ask):
    cluster = play(mode, gaps, seed, until_s=GRACE_S + 3 * LONGEST_WAIT_S, ask=ask)
    assert cluster.findings == [("n0", Finding.UNKNOWN)]
    (verdict,) = [one for one in cluster.of(NodeVerdict) if one.finding is Finding.UNKNOWN]
    assert GRACE_S < verdict.at - START - sum(gaps) <= GRACE_S + 2 * LONGEST_WAIT_S


# Anything at all

names = st.sampled_from(["n0", "n1", "n2", "n3", "n4"])
deeds = st.one_of(
    st.tuples(
        st.just("node"), names, st.sampled_from(list(Availability)), st.sampled_from(["", "a", "b"]), st.booleans()
    ),
    st.tuples(st.just("node_gone"), names),
    st.tuples(st.just("lease"), names, st.floats(-1000, 1000)),
    st.tuples(st.just("lease_gone"), names),
    st.tuples(st.just("pass"), st.floats(0.1, 80)),
    st.tuples(st.just("blind"), st.sampled_from(list(Cause)[:2])),
    st.tuples(st.just("seeing"), st.sampled_from(list(Cause)[:2])),
)


def do(cluster, deed):
    kind, *rest = deed
    match kind:
        case "node":
            name, state, zone, excluded = rest
            labels = {"node.kubernetes.io__exclude_disruption": ""} if excluded else {}
            cluster.node(name, state, zone=zone, **labels)
        case "lease":
            cluster.wall_step_s = rest[1]
            cluster.lease(rest[0])
        case "pass":
            cluster.quiet(rest[0])
            cluster.one_pass(ask=True)
        case "blind":
            cluster.hear(cluster.judge.blind(rest[0], "because", now=cluster.now))
        case "seeing":
            cluster.hear(cluster.judge.seeing(rest[0], now=cluster.now))
        case _:
            getattr(cluster, kind)(*rest)


@MODES
@given(todo=st.lists(deeds, max_size=60), heed=st.booleans(), late=st.booleans())
@settings(max_examples=200, deadline=None)
def test_counts_taints_and_words_agree_with_the_states(mode, todo, heed, late):
    cluster = Cluster(mode=mode, heed_written=heed, evict_in_next_pass=late)
    for deed in todo:
        blind_before = cluster.judge.outlook.why
        told = len(cluster.told)
        do(cluster, deed)
        if deed[0] == "pass" and blind_before and cluster.judge.outlook.why:
            assert not [one for one in cluster.told[told:] if isinstance(one, NodeVerdict)]
    for cause in (Cause.NODES, Cause.LEASES):
        do(cluster, ("seeing", cause))
    cluster.passes(5)
    cluster.passes(5, ask=True)
    nodes = cluster.judge.nodes
    assert {name: node.state for name, node in nodes.items()} == _last_told(cluster)
    _zones_count_right(cluster)
    _taints_fit(cluster, mode)


def _last_told(cluster):
    states = {}
    for one in cluster.of(NodeVerdict):
        if one.finding is Finding.DELETED:
            assert states.pop(one.node) is one.state
        else:
            assert states.get(one.node) is one.was
            states[one.node] = one.state
    return states


def _zones_count_right(cluster):
    nodes = cluster.judge.nodes.values()
    counted = Counter(one.facts.zone for one in nodes if one.facts.counts)
    not_ready = Counter(one.facts.zone for one in nodes if one.facts.counts and one.state is not READY)
    excluded = Counter(one.facts.zone for one in nodes if not one.facts.counts)
    views = cluster.judge.zones
    assert {one.zone for one in views} == counted.keys() | excluded.keys()
    for one in views:
        assert (one.nodes, one.not_ready, one.excluded) == (counted[one.zone], not_ready[one.zone], excluded[one.zone])


def _taints_fit(cluster, mode):
    keys = {UNKNOWN: UNREACHABLE, NOT_READY: NOT_READY_TAINT, READY: "", PENDING: ""}
    for node in cluster.judge.nodes.values():
        if mode is Mode.KUBERNETES:
            assert node.no_schedule == keys[node.state]
        else:
            assert node.no_schedule == keys[node.state] or cluster.judge.stopped
    standing = {}
    for one in cluster.told:
        if isinstance(one, NodeVerdict) and one.finding is Finding.DELETED:
            standing = {key: held for key, held in standing.items() if key[0] != one.node}
        if not isinstance(one, Taint):
            continue
        held = standing.setdefault((one.node, one.effect), set())
        assert (one.key in held) is not one.added
        (held.add if one.added else held.remove)(one.key)
        assert len(held) <= 1, "the two exclude each other"
    for name, node in cluster.judge.nodes.items():
        assert standing.get((name, Effect.NO_EXECUTE), set()) == {node.no_execute} - {""}
