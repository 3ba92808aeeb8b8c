"""What the control plane has written on Nodes, kept and told."""

import pytest

from lease_aio.heartbeat.scenario.board import NodeBoard
from lease_aio.model import Node, NodeCondition, NodeSpec, NodeStatus, ObjectMeta, Taint

UNREACHABLE = "node.kubernetes.io/unreachable"


def node(ready="True", *taints):
    conditions = (NodeCondition(type="Ready", status=ready),) if ready else ()
    return Node(
        metadata=ObjectMeta(name="n"),
        spec=NodeSpec(taints=tuple(Taint(key=key, effect=effect) for key, effect in taints)),
        status=NodeStatus(conditions=conditions),
    )


def told(*nodes):
    board = NodeBoard()
    return [board.saw(one) for one in nodes]


@pytest.mark.parametrize("ready", ["", "True"])
def test_a_node_that_is_well_when_it_is_first_seen_is_no_news(ready):
    assert told(node(ready)) == [[]]


def test_each_change_of_readiness_is_told_once():
    assert told(node(), node("Unknown"), node("Unknown"), node(), node("False"), node()) == [
        [], ["unknown"], [], ["ready"], ["not_ready"], ["ready"],
    ]  # fmt: skip


def test_a_node_that_is_unknown_when_it_is_first_seen_is_told():
    assert told(node("Unknown")) == [["unknown"]]


def test_the_two_taints_are_told_apart_by_their_effects_and_others_are_not_told():
    plain, execute = (UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")
    assert told(node("True", ("gpu", "NoSchedule")), node("True", plain), node("True", plain, execute), node()) == [
        [], ["tainted"], ["evicting"], ["untainted", "sparing"],
    ]  # fmt: skip


def test_a_swap_of_the_two_keys_is_no_news():
    first, second = (node("True", (key, "NoExecute")) for key in (UNREACHABLE, "node.kubernetes.io/not-ready"))
    assert told(node(), first, second) == [[], ["evicting"], []]


def test_who_was_unknown_is_remembered_after_it_is_gone():
    board = NodeBoard()
    board.saw(node("Unknown"))
    board.gone("n")
    assert board.were_unknown == {"n"}
    assert board.ready == {}
    assert board.saw(node()) == []
