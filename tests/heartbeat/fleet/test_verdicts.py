"""What the control plane has written on Nodes, told once each."""

from lease_aio.heartbeat.fleet.verdicts import Verdicts
from lease_aio.model import Node, NodeCondition, NodeSpec, NodeStatus, ObjectMeta, Taint

UNREACHABLE = "node.kubernetes.io/unreachable"


def node(ready="True", *taints):
    conditions = (NodeCondition(type="Ready", status=ready),) if ready else ()
    spec = NodeSpec(taints=tuple(Taint(key=key, effect=effect) for key, effect in taints))
    return Node(metadata=ObjectMeta(name="n1"), spec=spec, status=NodeStatus(conditions=conditions))


def test_a_node_that_was_condemned_and_recovered_is_told_step_by_step():
    verdicts = Verdicts()
    assert verdicts.of(node()) == ()
    assert verdicts.of(node("Unknown")) == ("unknown",)
    assert verdicts.of(node("Unknown")) == ()
    assert verdicts.of(node("Unknown", (UNREACHABLE, "NoSchedule"))) == ("tainted",)
    assert verdicts.of(node("Unknown", (UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute"))) == ("evicting",)
    assert verdicts.of(node("True", (UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute"))) == ("ready",)
    assert verdicts.of(node()) == ("untainted", "sparing")


def test_a_swap_of_one_taint_for_another_says_nothing():
    verdicts = Verdicts()
    verdicts.of(node("Unknown", (UNREACHABLE, "NoSchedule")))
    assert verdicts.of(node("False", ("node.kubernetes.io/not-ready", "NoSchedule"))) == ("ready",)


def test_what_a_node_carries_when_it_is_first_seen_is_no_verdict():
    verdicts = Verdicts()
    assert verdicts.of(node("True", ("node.kubernetes.io/not-ready", "NoSchedule"))) == ()
    assert verdicts.of(node()) == ("untainted",)


def test_what_a_node_says_of_itself_and_taints_of_others_are_no_verdicts():
    verdicts = Verdicts()
    verdicts.of(node())
    assert verdicts.of(node("False")) == ()
    assert verdicts.of(node("", ("gpu", "NoSchedule"))) == ()


def test_the_next_node_of_a_name_is_another_one():
    verdicts = Verdicts()
    verdicts.of(node())
    verdicts.gone("n1")
    verdicts.gone("n2")
    assert verdicts.of(node("Unknown")) == ()
    assert verdicts.of(node()) == ("ready",)
