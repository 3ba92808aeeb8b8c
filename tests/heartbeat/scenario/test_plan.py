"""From a scenario's steps to single actions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lease_aio.heartbeat.scenario import Scenario
from lease_aio.heartbeat.scenario.model import Deed, Step, Verb
from lease_aio.heartbeat.scenario.plan import Action


def planned(*steps, duration="10m"):
    text = f"duration: {duration}\nsteps:\n" + "".join(f"  - {{{step}}}\n" for step in steps)
    return Scenario.parse(text).plan()


def times(actions):
    return [(action.at_s, action.deed.verb.value) for action in actions]


def test_what_has_a_for_is_undone_then():
    assert times(planned("at: 60s, silence: zone=b, fraction: 20%, for: 90s")) == [(60, "silence"), (150, "revive")]


@pytest.mark.parametrize(
    ("step", "undoing"),
    [
        ("silence: all", Deed(verb=Verb.REVIVE)),
        ("pause: all", Deed(verb=Verb.RESUME)),
        ("slow: all, delay: 2s", Deed(verb=Verb.SLOW)),
        ("skew: all, offset: -30s", Deed(verb=Verb.SKEW)),
        ("crash: all", Deed(verb=Verb.RESTART)),
        ("unready: all", Deed(verb=Verb.READY)),
    ],
)
def test_each_trouble_has_its_own_end(step, undoing):
    _, end = planned(f"at: 0s, for: 5s, {step}")
    assert end.deed == undoing


def test_a_step_repeats_itself_as_often_as_it_says():
    assert times(planned("at: 10s, crash: all, every: 30s, times: 3")) == [(10, "crash"), (40, "crash"), (70, "crash")]


def test_without_times_it_repeats_itself_until_the_end_whatever_it_takes():
    actions = planned("at: 10s, silence: all, every: 30s, for: 20s", duration="2m")
    assert times(actions) == [
        (10, "silence"), (30, "revive"), (40, "silence"), (60, "revive"),
        (70, "silence"), (90, "revive"), (100, "silence"), (120, "revive"),
    ]  # fmt: skip


def test_at_one_moment_what_ends_comes_first_then_the_order_of_the_file():
    actions = planned("at: 60s, pause: all", "at: 30s, silence: all, for: 30s", "at: 60s, heal: all")
    assert times(actions) == [(30, "silence"), (60, "revive"), (60, "pause"), (60, "heal")]


def test_what_is_spread_acts_in_parts_and_each_part_ends_after_its_own_time():
    actions = planned("at: 60s, silence: all, over: 1s, for: 5s")
    begun = [action for action in actions if not action.undoes]
    ended = [action for action in actions if action.undoes]
    assert [action.at_s for action in begun] == pytest.approx([60 + part / 10 for part in range(10)])
    assert [action.at_s for action in ended] == pytest.approx([65 + part / 10 for part in range(10)])


@given(nodes=st.integers(0, 500), parts=st.integers(1, 200))
def test_parts_are_disjoint_and_together_all_nodes_in_their_order(nodes, parts):
    names = [f"n{number}" for number in range(nodes)]
    step = Step(place="", deed=Deed(verb=Verb.HEAL), at_s=0)
    actions = [Action(at_s=0, deed=step.deed, step=step, number=0, part=part, parts=parts) for part in range(parts)]
    shares = [action.share_of(names) for action in actions]
    assert [name for share in shares for name in share] == names
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert not nodes or shares[0]


@pytest.mark.parametrize(
    ("step", "texts"),
    [
        (
            "silence: zone=b, fraction: 20%, for: 90s",
            ["silence 20% of zone=b for 1m30s", "silence ends after 1m30s: 20% of zone=b"],
        ),
        ("restart: all, over: 60s, down: 10s", ["restart, 10s down, all nodes over 1m"]),
        ("slow: zone=a, count: 3, delay: 2s", ["slow by 2s 3 of zone=a"]),
        ("skew: all, offset: -30s, drift: 0.5%", ["skew by -30s and 0.5% drift all nodes"]),
        ("grow: 20, over: 10s", ["grow by 20 over 10s"]),
    ],
)
def test_actions_are_told_in_words_once_for_all_parts(step, texts):
    assert [action.text for action in planned(f"at: 5s, {step}") if action.text] == texts
