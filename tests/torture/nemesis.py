"""What goes wrong, and when: a plan that a seed determines. Pure."""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass


class Fault(enum.Enum):
    """What can be done to a candidate, or to the API server."""

    FREEZE = "freeze"
    """SIGSTOP, later SIGCONT."""
    KILL = "kill"
    """SIGKILL, later a new process."""
    END = "end"
    """SIGTERM, later a new process."""
    STEP_DOWN = "step down"
    """The process goes on."""
    HOLD = "hold"
    """No byte passes in either direction; later all arrive."""
    HOLD_ANSWERS = "hold answers"
    """Requests pass, answers arrive later."""
    SLOW = "slow"
    """Every chunk takes longer."""
    HOLE_UP = "requests vanish"
    """One way: what the candidate sends is dropped."""
    HOLE_DOWN = "answers vanish"
    """One way: what the API server sends is dropped."""
    RESET = "reset"
    """All connections, once."""
    REFUSE = "refuse"
    """All connections, and each new one."""
    LOSE_ANSWERS = "lose answers"
    """The next request on each connection is forwarded, and its answer lost."""
    SERVER_KILL = "apiserver killed"
    """SIGKILL, later a new process."""
    SERVER_END = "apiserver restarted"
    """SIGTERM, then a new process."""


ON_SERVER = frozenset({Fault.SERVER_KILL, Fault.SERVER_END})
_RARE = (Fault.SERVER_KILL, Fault.SERVER_END)
_FOR_LEADERS = frozenset({Fault.END, Fault.STEP_DOWN, Fault.LOSE_ANSWERS})
"""Those that mean little to a candidate that waits."""
_OFTEN = (Fault.FREEZE, Fault.KILL)
_ONCE_IN = 3
"""In so many decks a rare fault is dealt once, after the first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One fault.

    Attributes:
        at_s: When, since the start.
        for_s: How long it lasts, or how long until the new process.
        at_leader: It is meant for whoever leads then.
        aim: Else for the candidate that stands there in the fleet, from 0 to below 1.
    """

    at_s: float
    fault: Fault
    for_s: float
    at_leader: bool
    aim: float


def plan(*, seed: int, seconds: float, lease_duration_s: float, pace_s: float = 2.5) -> list[Action]:
    """All faults of a run. The same arguments give the same plan, and a longer run begins with a shorter one's.

    Faults are dealt like cards, so that each kind comes up: a run of less than one deck (16 times the pace) leaves
    some out.

    Args:
        seed: Chooses.
        seconds: No fault begins later.
        lease_duration_s: What the lengths of faults are measured by.
        pace_s: The mean time from one fault to the next.
    """
    choose = random.Random(seed)
    actions: list[Action] = []
    deck: list[Fault] = []
    decks, at_s = 0, 0.0
    while True:
        at_s += choose.uniform(0.5, 1.5) * pace_s
        if not deck:
            deck = [fault for fault in Fault if fault not in _RARE or decks % _ONCE_IN == 0]
            deck += _OFTEN
            decks += 1
            choose.shuffle(deck)
        action = _action(choose, deck.pop(), at_s, lease_duration_s)
        if at_s > seconds:
            return actions
        actions.append(action)


def _action(choose: random.Random, fault: Fault, at_s: float, lease_duration_s: float) -> Action:
    shortest, longest = (0.05, 0.5) if fault in ON_SERVER else (0.4, 0.6) if fault in _FOR_LEADERS else (0.05, 1.8)
    return Action(
        at_s=at_s,
        fault=fault,
        for_s=choose.uniform(shortest, longest) * lease_duration_s,
        at_leader=choose.random() < 0.65 or fault in _FOR_LEADERS,
        aim=choose.random(),
    )
