"""Which nodes a step or an expectation means, as a file says it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.fleet.select import NodeSelector
from lease_aio.heartbeat.scenario.document import Item, nearest
from lease_aio.heartbeat.scenario.model import Choice
from lease_aio.heartbeat.scenario.units import duration_text

EVERYBODY = "all"
"""Stands where a selector would."""

AMONG_KEYS = ("of", "except")
AMOUNT_KEYS = ("count", "fraction")


Named = Mapping[str, float]
"""The steps before this place that have a name, and when they choose their nodes."""


def read_among(selector: Item, fields: Mapping[str, Item], at_s: float, named: Named) -> Choice:
    """A selector or `all`, and `of` and `except` beside it; at that time."""
    return Choice(
        select=_selector(selector),
        of=_step(fields["of"], at_s, named) if "of" in fields else "",
        without=_step(fields["except"], at_s, named) if "except" in fields else "",
    )


def read_choice(selector: Item, fields: Mapping[str, Item], at_s: float, named: Named) -> Choice:
    """The same, and how many of them: `count` or `fraction`."""
    among = read_among(selector, fields, at_s, named)
    if "count" in fields and "fraction" in fields:
        fields["fraction"].refuse("'count' and 'fraction' stand in one step: keep one of them")
    return Choice(
        select=among.select,
        of=among.of,
        without=among.without,
        count=fields["count"].whole(1) if "count" in fields else None,
        fraction=fields["fraction"].share("20%") if "fraction" in fields else None,
    )


def _selector(item: Item) -> str:
    if not item.raw.strip():
        item.refuse(f"{item.key}: say which nodes: a label selector such as zone=b, or {EVERYBODY}")
    if item.raw == EVERYBODY:
        return ""
    try:
        NodeSelector(item.raw)
    except ConfigurationError as error:
        item.refuse(f"{item.key}: {error}, or {EVERYBODY}")
    return item.raw


def _step(item: Item, at_s: float, named: Named) -> str:
    name = item.text("outage")
    if name not in named:
        known = f" (named: {', '.join(named)})" if named else "; give that step a 'name' first"
        item.refuse(f"{item.key}: no step above is named {name!r}{nearest(name, named)}{known}")
    if named[name] > at_s:
        item.refuse(
            f"{item.key}: step {name!r} chooses its nodes at {duration_text(named[name])}, "
            f"and this is at {duration_text(at_s)}: make this later"
        )
    return name
