"""What must hold at a moment, judged."""

import pytest

from lease_aio.heartbeat.scenario import Scenario
from lease_aio.heartbeat.scenario.expectations import Found, judge

NODES = [f"n{number}" for number in range(10)]


def expecting(text):
    head = "duration: 4m\nsteps: [{at: 60s, silence: zone=b, name: outage}]\nexpect:\n"
    (expectation,) = Scenario.parse(head + "  - {" + text + "}\n").expectations
    return expectation


def judged(text, *, unknown=(), unready=(), were_unknown=(), gap_max_s=10.4, errors=0, nodes=NODES):
    ready = {name: "Unknown" if name in unknown else "False" if name in unready else "True" for name in nodes}
    found = Found(nodes=nodes, ready=ready, were_unknown=were_unknown, gap_max_s=gap_max_s, errors=errors)
    return judge(expecting(text), found)


@pytest.mark.parametrize(
    ("text", "unknown", "held"),
    [
        ("unknown: all", NODES, True),
        ("unknown: all", NODES[1:], False),
        ("ready: all", [], True),
        ("ready: all", NODES[:1], False),
        ("unknown: all, count: 3", NODES[:3], True),
        ("unknown: all, count: 3", NODES[:4], False),
        ("unknown: all, count: 0", [], True),
        ("unknown: all, fraction: 25%", NODES[:2], True),
        ("unknown: all, fraction: 25%", NODES[:3], False),
        ("unknown: all, at_least: 3", NODES[:4], True),
        ("unknown: all, at_least: 55%", NODES[:5], False),
        ("unknown: all, at_most: 3", NODES[:4], False),
        ("unknown: all, at_most: 40%", NODES[:4], True),
        ("not_ready: all, count: 0", NODES, True),
    ],
)
def test_nodes_are_counted_by_what_the_control_plane_wrote(text, unknown, held):
    assert judged(f"at: 2m, {text}", unknown=unknown).held is held


def test_a_node_that_says_itself_that_it_is_not_ready_is_not_unknown():
    assert judged("at: 2m, not_ready: all, count: 2", unready=NODES[:2]).held
    assert judged("at: 2m, unknown: all, count: 0", unready=NODES[:2]).held


def test_a_node_without_a_condition_is_nothing():
    assert not judge(
        expecting("at: 2m, ready: all"), Found(nodes=NODES, ready={}, were_unknown=(), gap_max_s=0, errors=0)
    ).held


def test_who_has_been_unknown_is_remembered_although_it_is_ready_again():
    assert judged("at: end, was_unknown: all, count: 2", were_unknown=NODES[:2]).held
    assert not judged("at: end, was_unknown: all, count: 0", were_unknown=NODES[:2]).held


@pytest.mark.parametrize(("gap_max_s", "held"), [(15, True), (15.1, False)])
def test_the_longest_gap_has_a_bound(gap_max_s, held):
    assert judged("at: end, gap_max: 15s", gap_max_s=gap_max_s).held is held


@pytest.mark.parametrize(("errors", "held"), [(0, True), (1, False)])
def test_failed_requests_have_a_bound(errors, held):
    assert judged("at: end, errors_max: 0", errors=errors).held is held


def test_the_end_is_the_scenarios():
    assert expecting("at: end, ready: all").at_s == 240


@pytest.mark.parametrize(
    ("text", "words", "found"),
    [
        ("unknown: zone=b, of: outage", "all of zone=b among the nodes of 'outage' are Unknown", "3 of 10 (30%)"),
        (
            "was_unknown: all, except: outage, count: 0",
            "none of the nodes but those of 'outage' have been Unknown",
            "0 of 10 (0%)",
        ),
        ("ready: all", "all nodes are Ready", "7 of 10 (70%)"),
        ("ready: all, of: outage", "all of the nodes of 'outage' are Ready", "7 of 10 (70%)"),
        ("unknown: zone=b, count: 2", "2 of zone=b are Unknown", "3 of 10 (30%)"),
        ("ready: all, at_least: 55%", "at least 55% of the nodes are Ready", "7 of 10 (70%)"),
        ("gap_max: 15s", "longest gap at most 15s", "the longest gap was 10.4s"),
        ("errors_max: 0", "at most 0 failed requests", "0 failed"),
    ],
)
def test_an_outcome_says_what_was_expected_and_what_was_found(text, words, found):
    outcome = judged(f"at: 2m, {text}", unknown=NODES[:3])
    assert (outcome.expectation.text, outcome.found) == (words, found)


def test_no_nodes_at_all_fulfil_no_share_worth_the_name():
    assert judged("at: 2m, unknown: all", nodes=[]).found == "0 of 0"
