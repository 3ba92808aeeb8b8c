"""From one item of a file's `steps` to a `Step`. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.scenario.choices import AMONG_KEYS, AMOUNT_KEYS, Named, read_choice
from lease_aio.heartbeat.scenario.document import Item
from lease_aio.heartbeat.scenario.model import UNDONE_BY, Again, Choice, Deed, Step, Verb
from lease_aio.heartbeat.scenario.units import duration_text
from lease_aio.heartbeat.states import checked_reason

_OF_FLEET = {Verb.GROW, Verb.SHRINK}
_WRITTEN = [verb for verb in Verb if verb not in {Verb.REVIVE, Verb.RESUME, Verb.READY}]  # those come with `for`
VERBS = tuple(verb.value for verb in _WRITTEN)
_OF_VERB = {
    "delay": Verb.SLOW,
    "offset": Verb.SKEW,
    "drift": Verb.SKEW,
    "down": Verb.RESTART,
    "reason": Verb.UNREADY,
    "group": Verb.GROW,
}
_OF_REPETITION = ("times", "choose")
KEYS = ("at", *VERBS, *AMONG_KEYS, *AMOUNT_KEYS, *_OF_VERB, "for", "over", "every", *_OF_REPETITION, "name")
_MOST_TIMES = 10_000

Fields = Mapping[str, Item]


def read_step(item: Item, duration_s: float, named: Named) -> Step:
    """One step, possible by itself, and over before the scenario is.

    Args:
        item: What stands there.
        duration_s: How long the scenario runs.
        named: The steps above that have a name.

    Raises:
        ConfigurationError: it is not, with the line and the remedy.
    """
    fields = item.fields("a step", KEYS, {"at": "60s"})
    verb = _verb(item, fields)
    _check_company(verb, fields)
    at_s = fields["at"].duration("60s")
    once = Step(
        place=fields[verb.value].place,
        deed=_deed(verb, fields),
        choice=Choice() if verb in _OF_FLEET else read_choice(fields[verb.value], fields, at_s, named),
        at_s=at_s,
        name=_name(fields["name"], named) if "name" in fields else "",
        over_s=fields["over"].duration("60s", above_s=0) if "over" in fields else 0.0,
        for_s=fields["for"].duration("90s", above_s=0) if "for" in fields else None,
    )
    _check_end(once, fields, duration_s)
    return _repeated(once, fields, duration_s) if "every" in fields else once


def _verb(item: Item, fields: Fields) -> Verb:
    found = [key for key in fields if key in VERBS]
    if not found:
        item.refuse(f"a step needs one of {', '.join(VERBS)}: write for example silence: zone=b")
    if len(found) > 1:
        fields[found[1]].refuse(f"a step does one thing, and here stand {found[0]!r} and {found[1]!r}: make two steps")
    return Verb(found[0])


def _check_company(verb: Verb, fields: Fields) -> None:
    """Each key beside the verb must be one that the verb, or `every`, can do something with."""
    for key, item in fields.items():
        if key in _OF_VERB and _OF_VERB[key] is not verb:
            item.refuse(f"{key!r} belongs to {_OF_VERB[key].value!r}, not to {verb.value!r}: leave it out")
        if key in {*AMONG_KEYS, *AMOUNT_KEYS} and verb in _OF_FLEET:
            item.refuse(f"{verb.value!r} chooses no nodes, so {key!r} means nothing: write {verb.value}: 20")
        if key in _OF_REPETITION and "every" not in fields:
            item.refuse(f"{key!r} needs 'every': write for example every: 30s, or leave it out")
    if "for" in fields and verb not in UNDONE_BY:
        fields["for"].refuse(f"nothing undoes {verb.value!r}, so 'for' means nothing: leave it out")


def _name(item: Item, named: Named) -> str:
    name = item.text("outage")
    if name in named:
        item.refuse(f"name: a step above is named {name!r} too: choose another one")
    return name


def _deed(verb: Verb, fields: Fields) -> Deed:
    match verb:
        case Verb.GROW | Verb.SHRINK:
            group = fields["group"].text("small") if "group" in fields else ""
            return Deed(verb=verb, count=fields[verb.value].whole(1), group=group)
        case Verb.SLOW:
            return Deed(verb=verb, delay_s=_needed(verb, fields, "delay", "2s").duration("2s", above_s=0))
        case Verb.SKEW:
            return _skew(fields)
        case Verb.RESTART:
            return Deed(verb=verb, down_s=fields["down"].duration("10s") if "down" in fields else 0.0)
        case Verb.UNREADY:
            return Deed(verb=verb, reason=_reason(fields["reason"]) if "reason" in fields else "")
        case _:
            return Deed(verb=verb)


def _reason(item: Item) -> str:
    reason = item.text("KubeletNotReady")
    try:
        return checked_reason(reason)
    except ConfigurationError as error:
        item.refuse(str(error))


def _needed(verb: Verb, fields: Fields, key: str, example: str) -> Item:
    if key not in fields:
        fields[verb.value].refuse(f"{verb.value!r} needs {key!r}: write for example {key}: {example}")
    return fields[key]


def _skew(fields: Fields) -> Deed:
    if "drift" not in fields:
        _needed(Verb.SKEW, fields, "offset", "-30s")
    offset_s = fields["offset"].duration("-30s", least_s=-math.inf) if "offset" in fields else 0.0
    drift = fields["drift"].share("1%", least=-1) if "drift" in fields else 0.0
    if not offset_s and not drift:
        fields["skew"].refuse("a skew of nothing changes nothing: write for example offset: -30s")
    return Deed(verb=Verb.SKEW, offset_s=offset_s, drift=drift)


# ---------------------------------------------------------------- times


def _repeated(once: Step, fields: Fields, duration_s: float) -> Step:
    every = fields["every"]
    every_s = every.duration("30s", above_s=0)
    again = Again(fields["choose"].word([one.value for one in Again])) if "choose" in fields else Again.SAME
    if again is Again.SAME and once.for_s is not None and once.for_s >= every_s:
        fields["for"].refuse(
            f"for: {fields['for'].raw!r} is not shorter than every: {every.raw!r}, so the same nodes would begin again "
            f"before they ended: lower 'for', or write choose: {Again.OTHERS.value}"
        )
    most = math.inf if duration_s == math.inf else int((duration_s - once.ends_s) / every_s + 1e-9) + 1
    if "times" not in fields and most > _MOST_TIMES:
        often = "for ever" if most == math.inf else f"{most} times until the end"
        every.refuse(f"every: {every.raw!r} would be {often}: say how often, as times: 10 ({_MOST_TIMES} at most)")
    times = fields["times"].whole(1, _MOST_TIMES) if "times" in fields else int(most)
    step = replace(once, every_s=every_s, times=times, again=again)
    if step.times > most:
        _too_late(fields["times"], f"{step.times} times end at {duration_text(step.ends_s)}", duration_s)
    return step


def _check_end(once: Step, fields: Fields, duration_s: float) -> None:
    if once.at_s > duration_s:
        _too_late(fields["at"], f"this step begins at {fields['at'].raw}", duration_s)
    if once.ends_s > duration_s:
        last = fields["for"] if "for" in fields else fields["over"]
        _too_late(last, f"this step ends at {duration_text(once.ends_s)}", duration_s)


def _too_late(item: Item, what: str, duration_s: float) -> NoReturn:
    item.refuse(
        f"{item.key}: {what}, after the scenario's end at {duration_text(duration_s)}: lower it, or raise 'duration'"
    )
