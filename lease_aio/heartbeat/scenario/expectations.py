"""What must hold at a moment: from one item of a file's `expect`, and judged. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lease_aio.heartbeat.scenario.choices import AMONG_KEYS, AMOUNT_KEYS, Named, read_among
from lease_aio.heartbeat.scenario.document import Item
from lease_aio.heartbeat.scenario.model import BY_NODE, Expectation, Measure, Relation
from lease_aio.heartbeat.scenario.units import duration_text, share_text

MEASURES = tuple(measure.value for measure in Measure)
_BOUND_KEYS = {"at_least": Relation.AT_LEAST, "at_most": Relation.AT_MOST}
_AMOUNTS = (*AMOUNT_KEYS, *_BOUND_KEYS)
_KEYS = ("at", *MEASURES, *AMONG_KEYS, *_AMOUNTS)

END = "end"
"""Stands where a time would: the scenario's end."""

Fields = Mapping[str, Item]


def read_expectation(item: Item, duration_s: float, named: Named) -> Expectation:
    """One expectation.

    Args:
        item: What stands there.
        duration_s: How long the scenario runs.
        named: The steps that have a name.

    Raises:
        ConfigurationError: it cannot be, with the line and the remedy.
    """
    fields = item.fields("an expectation", _KEYS, {"at": "2m"})
    measure = _measure(item, fields)
    at_s = _at_s(fields["at"], duration_s)
    if measure not in BY_NODE:
        return _of_fleet(fields, measure, at_s)
    relation, number, share = _amount(fields)
    return Expectation(
        place=fields[measure.value].place,
        at_s=at_s,
        measure=measure,
        among=read_among(fields[measure.value], fields, at_s, named),
        relation=relation,
        number=number,
        share=share,
    )


def _measure(item: Item, fields: Fields) -> Measure:
    found = [key for key in fields if key in MEASURES]
    if not found:
        item.refuse(f"an expectation needs one of {', '.join(MEASURES)}: write for example unknown: zone=b")
    if len(found) > 1:
        fields[found[1]].refuse(
            f"an expectation is of one thing, and here stand {found[0]!r} and {found[1]!r}: make two"
        )
    return Measure(found[0])


def _at_s(item: Item, duration_s: float) -> float:
    if item.raw == END:
        return duration_s
    at_s = item.duration("2m")
    if at_s > duration_s:
        item.refuse(
            f"at: {item.raw!r} is after the scenario's end at {duration_text(duration_s)}: "
            f"lower it, write at: {END}, or raise 'duration'"
        )
    return at_s


def _of_fleet(fields: Fields, measure: Measure, at_s: float) -> Expectation:
    for key, field in fields.items():
        if key in {*AMONG_KEYS, *_AMOUNTS}:
            field.refuse(f"{measure.value!r} is of the whole fleet, so {key!r} means nothing: leave it out")
    limit = fields[measure.value]
    number = limit.duration("15s", above_s=0) if measure is Measure.GAP_MAX else float(limit.whole(0))
    return Expectation(place=limit.place, at_s=at_s, measure=measure, relation=Relation.AT_MOST, number=number)


def _amount(fields: Fields) -> tuple[Relation, float, float | None]:
    """How many; all, where nothing is said."""
    found = [key for key in fields if key in _AMOUNTS]
    if not found:
        return Relation.EXACTLY, 0.0, 1.0
    if len(found) > 1:
        fields[found[1]].refuse(f"{found[0]!r} and {found[1]!r} stand in one expectation: keep one, or make two")
    key = found[0]
    relation = _BOUND_KEYS.get(key, Relation.EXACTLY)
    if key == "fraction" or fields[key].raw.endswith("%"):
        return relation, 0.0, fields[key].share("20%")
    return relation, float(fields[key].whole(0)), None


# ---------------------------------------------------------------- judged


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What there is to judge by.

    Attributes:
        nodes: The nodes that an expectation is about.
        ready: The status of each one's Ready condition, as the API server has it: `True`, `False` or `Unknown`.
        were_unknown: Those that have been Unknown since the start.
        gap_max_s: The fleet's longest gap.
        errors: Its failed requests.
    """

    nodes: Collection[str]
    ready: Mapping[str, str]
    were_unknown: Collection[str]
    gap_max_s: float
    errors: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """An expectation, judged.

    Attributes:
        expectation: Which.
        held: Whether it did.
        found: What there was instead, or as expected, in words.
    """

    expectation: Expectation
    held: bool
    found: str

    @property
    def text(self) -> str:
        """In words: `✓ all nodes are Ready: 150 of 150 (100%)`."""
        return f"{'✓' if self.held else '✗'} {self.expectation.text}: {self.found}"


_STATUS = {Measure.READY: "True", Measure.NOT_READY: "False", Measure.UNKNOWN: "Unknown"}


def judge(expectation: Expectation, found: Found) -> Outcome:
    """Whether it holds. A share of nodes is rounded to whole nodes as a step's is."""
    match expectation.measure:
        case Measure.GAP_MAX:
            value, wanted = found.gap_max_s, expectation.number
            words = f"the longest gap was {duration_text(value)}"
        case Measure.ERRORS_MAX:
            value, wanted = float(found.errors), expectation.number
            words = f"{found.errors} failed"
        case _:
            matching = [name for name in found.nodes if _is_so(expectation.measure, name, found)]
            value, share = float(len(matching)), expectation.share
            wanted = expectation.number if share is None else float(round(share * len(found.nodes)))
            words = _count_text(matching, found.nodes)
    return Outcome(expectation=expectation, held=_holds(expectation.relation, value, wanted), found=words)


def _is_so(measure: Measure, name: str, found: Found) -> bool:
    if measure is Measure.WAS_UNKNOWN:
        return name in found.were_unknown
    return found.ready.get(name) == _STATUS[measure]


def _holds(relation: Relation, value: float, wanted: float) -> bool:
    match relation:
        case Relation.EXACTLY:
            return value == wanted
        case Relation.AT_LEAST:
            return value >= wanted
        case _:
            return value <= wanted


def _count_text(matching: Collection[str], nodes: Collection[str]) -> str:
    share = f" ({share_text(round(len(matching) / len(nodes), 3))})" if nodes else ""
    return f"{len(matching)} of {len(nodes)}{share}"
