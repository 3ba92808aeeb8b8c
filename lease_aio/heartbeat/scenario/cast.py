"""Which nodes each step and expectation means while a scenario is played. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from lease_aio.heartbeat.scenario.model import Again, Choice, Step
from lease_aio.heartbeat.scenario.plan import Action

Select = Callable[[str], Sequence[str]]
"""The names of those nodes of the fleet that a selector means now."""


class Cast:
    """Remembers whom each step has chosen, so that it is undone for the same nodes, and others can speak of them.

    Args:
        seed: The same names, steps and seed give the same choices, whatever happened in between.
        select: Asks the fleet.
    """

    def __init__(self, seed: int, select: Select) -> None:
        self._seed, self._select = seed, select
        self._chosen: dict[tuple[int, int], Sequence[str]] = {}
        self._of_step: dict[str, dict[str, None]] = {}

    def of_action(self, action: Action) -> Sequence[str]:
        """Those whom this action is about; some may have left the fleet meanwhile."""
        step, turn = action.step, action.turn if action.step.again is Again.OTHERS else 0
        names = self._chosen.get((action.number, turn))
        if names is None:
            names = self._chosen[action.number, turn] = self._choose(step, f"{self._seed}/{action.number}/{turn}")
            self.joined(step, names)
        return action.share_of(names)

    def joined(self, step: Step, names: Iterable[str]) -> None:
        """These are nodes of that step, for others to speak of."""
        if step.name:
            self._of_step.setdefault(step.name, {}).update(dict.fromkeys(names))

    def among(self, choice: Choice) -> list[str]:
        """Those whom it may choose of, or counts, in the fleet's order."""
        names: Iterable[str] = self._select(choice.select)
        if choice.of:
            wanted = self._of_step.get(choice.of, {})
            names = [name for name in names if name in wanted]
        unwanted = self._of_step.get(choice.without, {})
        return [name for name in names if name not in unwanted]

    def _choose(self, step: Step, seed: str) -> Sequence[str]:
        among, choice = self.among(step.choice), step.choice
        count = choice.count if choice.fraction is None else round(choice.fraction * len(among))
        if count is None or count >= len(among):
            return among
        chosen = set(random.Random(seed).sample(among, count))
        return [name for name in among if name in chosen]
