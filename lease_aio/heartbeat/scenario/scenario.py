"""A scenario: what happens to a fleet, when, and what must hold then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Self

from lease_aio.heartbeat.scenario.document import Item, read_document
from lease_aio.heartbeat.scenario.expectations import read_expectation
from lease_aio.heartbeat.scenario.model import Expectation, Step
from lease_aio.heartbeat.scenario.plan import Action, plan
from lease_aio.heartbeat.scenario.steps import read_step

_KEYS = ("name", "description", "duration", "seed", "fleet", "steps", "expect")
_NEEDED = {"duration": "5m", "steps": "[{at: 60s, silence: zone=b}]"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """A scenario, understood and found possible.

    Attributes:
        name: What it is called; of a file that does not say it, the file's name.
        description: What it shows, in a sentence or two.
        duration_s: How long it runs.
        seed: Of the choice of nodes, which is the same in each run on the same names.
        steps: As written.
        expectations: As written.
    """

    name: str
    description: str = ""
    duration_s: float
    seed: int = 0
    steps: tuple[Step, ...] = ()
    expectations: tuple[Expectation, ...] = ()

    @classmethod
    def parse(cls, text: str, *, source: str = "scenario") -> Self:
        """Read the text of a scenario file; docs/scenarios.md describes it.

        Args:
            text: YAML.
            source: Its name in messages.

        Raises:
            ConfigurationError: it cannot be; the message starts with `source:line:column`, and has the remedy.
        """
        fields = read_document(text, source).fields("a scenario", _KEYS, _NEEDED)
        duration_s = fields["duration"].duration("5m", above_s=0)
        steps, named = _read_steps(fields["steps"], duration_s)
        wanted = fields["expect"].items("expectations") if "expect" in fields else []
        found = cls(
            name=fields["name"].text("zone-outage") if "name" in fields else PurePath(source).stem,
            description=fields["description"].text("what it shows") if "description" in fields else "",
            duration_s=duration_s,
            seed=fields["seed"].whole(0) if "seed" in fields else 0,
            steps=steps,
            expectations=tuple(read_expectation(item, duration_s, named) for item in wanted),
        )
        found.plan()
        return found

    def plan(self) -> tuple[Action, ...]:
        """All single actions, earliest first."""
        return plan(self.steps)


def _read_steps(items: Item, duration_s: float) -> tuple[tuple[Step, ...], Mapping[str, float]]:
    """The steps, and when those that have a name choose their nodes."""
    steps: list[Step] = []
    named: dict[str, float] = {}
    for item in items.items("steps"):
        step = read_step(item, duration_s, named)
        steps.append(step)
        if step.name:
            named[step.name] = step.at_s
    return tuple(steps), named
