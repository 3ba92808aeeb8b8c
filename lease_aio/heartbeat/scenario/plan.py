"""From steps to single actions in the order of their times. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.scenario.model import Deed, Step, Verb
from lease_aio.heartbeat.scenario.units import duration_text

T = TypeVar("T")
MOST_ACTIONS = 100_000
"""So many may be planned: each is remembered."""

_SHORTEST_PART_S = 0.1
_MOST_PARTS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One thing to do at one moment.

    Attributes:
        at_s: When, in seconds from the start.
        deed: What.
        step: Whose it is.
        number: Which of the scenario's steps that is, from 0.
        turn: Which of its repetitions, from 0.
        part: Which of the `parts` into which its nodes are split, from 0; a step without `over` has one.
        parts: See `part`.
        undoes: Whether it ends what an earlier action of the same part began.
    """

    at_s: float
    deed: Deed
    step: Step
    number: int
    turn: int = 0
    part: int = 0
    parts: int = 1
    undoes: bool = False

    @property
    def text(self) -> str:
        """In words, for the first of its parts; the others follow without a word: their text is empty."""
        if self.part:
            return ""
        over = f" over {duration_text(self.step.over_s)}" if self.step.over_s else ""
        if self.deed.verb in {Verb.GROW, Verb.SHRINK}:
            return f"{self.step.deed.text}{over}"
        if self.undoes:
            return (
                f"{self.step.deed.text} ends after {duration_text(self.step.for_s or 0)}: {self.step.choice.text}{over}"
            )
        for_s = "" if self.step.for_s is None else f" for {duration_text(self.step.for_s)}"
        return f"{self.deed.text} {self.step.choice.text}{over}{for_s}"

    def share_of(self, names: Sequence[T]) -> Sequence[T]:
        """This part's nodes: the parts are disjoint, together all, and spread evenly from the first part on."""
        first, end = (-(-len(names) * part // self.parts) for part in (self.part, self.part + 1))
        return names[first:end]


def plan(steps: Sequence[Step]) -> tuple[Action, ...]:
    """All actions, earliest first; at one moment what ends comes before what begins, then the order of the steps.

    Raises:
        ConfigurationError: there are more than `MOST_ACTIONS`.
    """
    actions: list[Action] = []
    for number, step in enumerate(steps):
        actions += _actions(number, step)
        if len(actions) > MOST_ACTIONS:
            raise ConfigurationError(
                f"{step.place}: up to this step there are {len(actions)} actions, more than the {MOST_ACTIONS} "
                "that can be planned: lower 'times', or leave out 'over'"
            )
    actions.sort(key=lambda one: (one.at_s, not one.undoes, one.number, one.turn, one.part))
    return tuple(actions)


def _actions(number: int, step: Step) -> Iterator[Action]:
    parts = max(1, min(_MOST_PARTS, math.ceil(step.over_s / _SHORTEST_PART_S)))
    undoing = step.deed.undoing
    for turn in range(step.times):
        for part in range(parts):
            at_s = step.at_s + turn * step.every_s + step.over_s * part / parts
            action = Action(at_s=at_s, deed=step.deed, step=step, number=number, turn=turn, part=part, parts=parts)
            yield action
            if step.for_s is not None and undoing is not None:
                yield replace(action, at_s=at_s + step.for_s, deed=undoing, undoes=True)
