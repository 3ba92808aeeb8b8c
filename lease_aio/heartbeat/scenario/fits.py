"""Whether a scenario fits a fleet: each selector must mean somebody, and no more may leave than there are. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.fleet.select import SHORTHANDS
from lease_aio.heartbeat.scenario.document import nearest
from lease_aio.heartbeat.scenario.model import BY_NODE, Expectation, Step, Verb

Select = Callable[[str], Sequence[str]]
"""The names of those nodes of the fleet that a selector means."""


def check_fit(
    steps: Sequence[Step],
    expectations: Sequence[Expectation],
    *,
    nodes: int,
    registered: bool,
    status: bool,
    select: Select,
    labels: Iterable[Mapping[str, str]],
) -> None:
    """Refuse what can be seen beforehand to mean nothing on this fleet.

    Args:
        steps: The scenario's.
        expectations: The scenario's.
        nodes: How many there are.
        registered: Whether they have Node objects.
        status: Whether they report their status.
        select: Asks the fleet.
        labels: Of some of its nodes: what a misspelt selector may have meant.

    Raises:
        ConfigurationError: with the place in the scenario's file, and the remedy.
    """
    _check_needs(steps, expectations, registered=registered, status=status)
    _check_size(steps, nodes)
    grows_at_s = min((step.at_s for step in steps if step.deed.verb is Verb.GROW), default=None)
    for step in steps:
        if step.deed.verb not in {Verb.GROW, Verb.SHRINK} and (grows_at_s is None or step.begins_last_s < grows_at_s):
            _check_selector(f"{step.place}: {step.deed.verb.value}", step.choice.select, select, labels)
    for one in expectations:
        if one.measure in BY_NODE and (grows_at_s is None or one.at_s < grows_at_s):
            _check_selector(f"{one.place}: {one.measure.value}", one.among.select, select, labels)


def _check_needs(steps: Sequence[Step], expectations: Sequence[Expectation], *, registered: bool, status: bool) -> None:
    """What is said of Nodes needs Nodes."""
    for one in expectations:
        if one.measure in BY_NODE and not registered:
            raise ConfigurationError(
                f"{one.place}: {one.measure.value} is said of Node objects, and this fleet has none: "
                "make it with register=True"
            )
    for step in steps:
        if step.deed.verb is Verb.UNREADY and not status:
            raise ConfigurationError(
                f"{step.place}: unready is told in a Node's status, and this fleet reports none: "
                "make it with register=True, and without status=False"
            )


def _check_size(steps: Sequence[Step], nodes: int) -> None:
    """By the times at which they begin; what is spread over a time is taken as if it began at once."""
    changes = sorted(
        (step.at_s + turn * step.every_s, number, step)
        for number, step in enumerate(steps)
        for turn in range(step.times)
        if step.deed.verb in {Verb.GROW, Verb.SHRINK}
    )
    for _, _, step in changes:
        if step.deed.verb is Verb.GROW:
            nodes += step.deed.count
        elif step.deed.count > nodes:
            raise ConfigurationError(
                f"{step.place}: shrink: {step.deed.count} is more than the {nodes} nodes that there are then: lower it"
            )
        else:
            nodes -= step.deed.count


def _check_selector(where: str, selector: str, select: Select, labels: Iterable[Mapping[str, str]]) -> None:
    if select(selector):
        return
    known = {f"{short}={of[label]}" for of in labels for short, label in SHORTHANDS.items() if label in of}
    shown = repr(selector) if selector else "all"
    raise ConfigurationError(f"{where}: {shown} means no node of this fleet{nearest(selector, sorted(known))}")
