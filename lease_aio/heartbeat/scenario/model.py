"""What a scenario says: which nodes do what, when, and what must hold then. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from lease_aio.heartbeat.scenario.units import duration_text, share_text

# ---------------------------------------------------------------- what happens to nodes


class Verb(enum.Enum):
    """What is done: a method of `Selection`, and the last two of `Fleet`."""

    SILENCE = "silence"
    REVIVE = "revive"
    PAUSE = "pause"
    RESUME = "resume"
    SLOW = "slow"
    SKEW = "skew"
    CRASH = "crash"
    RESTART = "restart"
    UNREADY = "unready"
    READY = "ready"
    HEAL = "heal"
    GROW = "grow"
    SHRINK = "shrink"


UNDONE_BY = {
    Verb.SILENCE: Verb.REVIVE,
    Verb.PAUSE: Verb.RESUME,
    Verb.SLOW: Verb.SLOW,
    Verb.SKEW: Verb.SKEW,
    Verb.CRASH: Verb.RESTART,
    Verb.UNREADY: Verb.READY,
}
"""What ends it after its `for`; a `slow` and a `skew` of nothing end theirs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deed:
    """A verb and what it needs to know; what belongs to other verbs is left as it is.

    Attributes:
        verb: What is done.
        delay_s: Of `slow`.
        offset_s: Of `skew`.
        drift: Of `skew`: seconds a true second.
        down_s: Of `restart`.
        reason: Of `unready`; empty for the fleet's own.
        count: Of `grow` and `shrink`.
        group: Of `grow`: the name of the group that grows; empty where there is but one.
    """

    verb: Verb
    delay_s: float = 0.0
    offset_s: float = 0.0
    drift: float = 0.0
    down_s: float = 0.0
    reason: str = ""
    count: int = 0
    group: str = ""

    @property
    def undoing(self) -> Deed | None:
        """What undoes it; None where nothing does."""
        verb = UNDONE_BY.get(self.verb)
        return None if verb is None else Deed(verb=verb)

    @property
    def text(self) -> str:
        """In words, without the nodes: `slow by 2s`."""
        match self.verb:
            case Verb.SLOW:
                return f"slow by {duration_text(self.delay_s)}"
            case Verb.SKEW:
                drift = f" and {share_text(self.drift)} drift" if self.drift else ""
                return f"skew by {duration_text(self.offset_s)}{drift}"
            case Verb.RESTART if self.down_s:
                return f"restart, {duration_text(self.down_s)} down,"
            case Verb.GROW | Verb.SHRINK:
                return f"{self.verb.value} by {self.count}"
            case _:
                return str(self.verb.value)


# ---------------------------------------------------------------- which nodes

_EVERYBODY = "all nodes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Which nodes, and how many of them.

    Attributes:
        select: A label selector, or empty for all.
        of: Only those that the step of this name has chosen.
        without: Not those that the step of this name has chosen.
        count: So many of them, at random.
        fraction: Such a part of them, at random.
    """

    select: str = ""
    of: str = ""
    without: str = ""
    count: int | None = None
    fraction: float | None = None

    @property
    def text(self) -> str:
        """In words: `20% of zone=b`."""
        if self.count is not None:
            return f"{self.count} of {self.nodes_text}"
        return self.nodes_text if self.fraction is None else f"{share_text(self.fraction)} of {self.nodes_text}"

    @property
    def nodes_text(self) -> str:
        """The same without how many of them."""
        nodes = self.select or ("" if self.of else _EVERYBODY)
        of = f"the nodes of {self.of!r}" if self.of else ""
        besides = f" but those of {self.without!r}" if self.without else ""
        return f"{nodes} among {of}{besides}" if nodes and of else f"{nodes}{of}{besides}"


class Again(enum.Enum):
    """Which nodes a step that repeats itself takes the next time."""

    SAME = "once"
    OTHERS = "each"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One line of the plot.

    Attributes:
        place: `source:line:column` of what stands behind its verb.
        deed: What is done.
        choice: To which nodes; of no meaning to `grow` and `shrink`.
        at_s: When, in seconds from the start; the first time, where it repeats itself.
        name: For others to speak of its nodes; may be empty.
        every_s: From one time to the next.
        times: How often.
        again: Whether it chooses anew each time.
        over_s: Spread evenly over so long, one node after another.
        for_s: Undone for each node after so long; None for never.
    """

    place: str
    deed: Deed
    choice: Choice = Choice()
    at_s: float
    name: str = ""
    every_s: float = 0.0
    times: int = 1
    again: Again = Again.SAME
    over_s: float = 0.0
    for_s: float | None = None

    @property
    def begins_last_s(self) -> float:
        """When it begins for the last time."""
        return self.at_s + (self.times - 1) * self.every_s

    @property
    def ends_s(self) -> float:
        """When all that it does is done and undone."""
        return self.begins_last_s + self.over_s + (self.for_s or 0.0)


# ---------------------------------------------------------------- what must hold


class Measure(enum.Enum):
    """What an expectation looks at.

    The first four count nodes by what the control plane wrote on them; the others look at the fleet's own counts.
    """

    READY = "ready"
    NOT_READY = "not_ready"
    UNKNOWN = "unknown"
    WAS_UNKNOWN = "was_unknown"
    GAP_MAX = "gap_max"
    ERRORS_MAX = "errors_max"


BY_NODE = frozenset({Measure.READY, Measure.NOT_READY, Measure.UNKNOWN, Measure.WAS_UNKNOWN})


_WORDS = {
    Measure.READY: "are Ready",
    Measure.NOT_READY: "are NotReady",
    Measure.UNKNOWN: "are Unknown",
    Measure.WAS_UNKNOWN: "have been Unknown",
}


class Relation(enum.Enum):
    """How what is found must compare with what is expected."""

    EXACTLY = "exactly"
    AT_LEAST = "at least"
    AT_MOST = "at most"


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectation:
    """What must hold at one moment.

    Attributes:
        place: `source:line:column` of what stands behind its measure.
        at_s: When, in seconds from the start.
        measure: What is looked at.
        among: Which nodes are counted; for measures by node.
        relation: How the number must compare with `number` or `share`.
        number: Of nodes, of errors, or of seconds.
        share: Of the nodes in `among`; None where `number` says it.
    """

    place: str
    at_s: float
    measure: Measure
    among: Choice = Choice()
    relation: Relation = Relation.EXACTLY
    number: float = 0.0
    share: float | None = None

    @property
    def text(self) -> str:
        """In words: `all of zone=b are Unknown`."""
        match self.measure:
            case Measure.GAP_MAX:
                return f"longest gap {self.relation.value} {duration_text(self.number)}"
            case Measure.ERRORS_MAX:
                return f"{self.relation.value} {self.number:g} failed requests"
            case _:
                return f"{self._amount_text} {_WORDS[self.measure]}"

    @property
    def _amount_text(self) -> str:
        nodes = self.among.nodes_text
        everybody = nodes.startswith(_EVERYBODY)
        if self.relation is Relation.EXACTLY and self.share == 1:
            return nodes if everybody else f"all of {nodes}"
        nodes = f"the nodes{nodes.removeprefix(_EVERYBODY)}" if everybody else nodes
        if self.relation is Relation.EXACTLY and self.share is None and not self.number:
            return f"none of {nodes}"
        amount = f"{self.number:g}" if self.share is None else share_text(self.share)
        relation = "" if self.relation is Relation.EXACTLY else f"{self.relation.value} "
        return f"{relation}{amount} of {nodes}"
