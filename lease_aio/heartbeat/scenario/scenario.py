"""A scenario: what happens to a fleet, when, and what must hold then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Self

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.node.profile import NodeGroup
from lease_aio.heartbeat.scenario.document import Item, nearest, read_document
from lease_aio.heartbeat.scenario.expectations import read_expectation
from lease_aio.heartbeat.scenario.fleets import FleetSpec, read_fleet
from lease_aio.heartbeat.scenario.model import Expectation, Step, Verb
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
        fleet: What it is to be played on; None where the file does not say.
        seed: Of the choice of nodes, which is the same in each run on the same names.
        steps: As written.
        expectations: As written.
    """

    name: str
    description: str = ""
    duration_s: float
    fleet: FleetSpec | None = None
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
            fleet=read_fleet(fields["fleet"]) if "fleet" in fields else None,
            seed=fields["seed"].whole(0) if "seed" in fields else 0,
            steps=steps,
            expectations=tuple(read_expectation(item, duration_s, named) for item in wanted),
        )
        found.plan()
        if found.fleet is not None:
            found.check_groups()
        return found

    def with_steps(self, texts: Iterable[str], *, source: str = "step") -> Self:
        """The same, and these steps after its own.

        Args:
            texts: Each a step as it stands in a file: `{at: 60s, silence: zone=b, for: 90s}`.
            source: What they are called in messages, each with its number.

        Raises:
            ConfigurationError: one cannot be; the message starts with `source number:line:column`, and has the remedy.
        """
        steps = list(self.steps)
        named = {step.name: step.at_s for step in steps if step.name}
        for number, text in enumerate(texts, start=1):
            _add(steps, named, read_document(text, f"{source} {number}"), self.duration_s)
        found = replace(self, steps=tuple(steps))
        found.plan()
        return found

    def plan(self) -> tuple[Action, ...]:
        """All single actions, earliest first."""
        return plan(self.steps)

    def check_groups(self) -> None:
        """Refuse a `grow` that does not say which of the fleet's groups it means, or means none of them.

        Raises:
            ConfigurationError: with the place in the file, and the remedy.
        """
        labels = [group.label for group in self.fleet.groups] if self.fleet is not None else []
        for step in self.steps:
            group = step.deed.group
            if step.deed.verb is not Verb.GROW or (not group and len(labels) < 2) or group in labels:
                continue
            alone = ": this scenario has no fleet of its own, so leave 'group' out"
            known = f" (groups: {', '.join(labels)})" if labels else alone
            what = f"no group is named {group!r}{nearest(group, labels)}" if group else "say which group: group: NAME"
            raise ConfigurationError(f"{step.place}: grow: {what}{known}")

    def grown(self, step: Step, count: int) -> int | NodeGroup:
        """So many more nodes for `Fleet.grow`, of the group that the step means."""
        groups = self.fleet.groups if self.fleet is not None else ()
        wanted = [group for group in groups if step.deed.group in {"", group.label}]
        return replace(wanted[0], count=count) if wanted else count


def _read_steps(items: Item, duration_s: float) -> tuple[tuple[Step, ...], Mapping[str, float]]:
    """The steps, and when those that have a name choose their nodes."""
    steps: list[Step] = []
    named: dict[str, float] = {}
    for item in items.items("steps"):
        _add(steps, named, item, duration_s)
    return tuple(steps), named


def _add(steps: list[Step], named: dict[str, float], item: Item, duration_s: float) -> None:
    step = read_step(item, duration_s, named)
    steps.append(step)
    if step.name:
        named[step.name] = step.at_s
