"""What can go wrong, and the dice that decide when it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import TypeVar

from lease_aio.testing.simulator.plan import Fleet, Plan

T = TypeVar("T")

CRASHES: Mapping[str, str] = MappingProxyType(
    {
        "crash: sending read": "a process dies with a read on its way",
        "crash: sending acquire": "a process dies with the write on its way that would win",
        "crash: sending renew": "a process dies with a renewal on its way",
        "crash: sending release": "a process dies with the release on its way",
        "crash: acquire landed": "a process dies after its winning write, before the answer",
        "crash: renew landed": "a process dies after a renewal was stored, before the answer",
        "crash: release landed": "a process dies after the release was stored, before the answer",
        "crash: started": "a process dies as its work begins",
        "crash: stopping": "a process dies while its work stops",
        "crash: work stopped": "a process dies between the end of its work and the release",
        "crash: ended": "a process dies as a candidacy ends",
        "crash: at rest": "a process dies at any other moment",
    }
)

FAULTS: Mapping[str, str] = MappingProxyType(
    {
        # the network
        "request lost": "a request never arrives",
        "request late": "a request arrives late, perhaps after its sender has given up",
        "request duplicated": "a proxy sends a request twice and passes on the second answer",
        "connection reset": "the connection breaks; whether the request arrives is unknown to its sender",
        "answer lost": "the server did it, and nobody hears of it",
        "answer late": "an answer comes late, perhaps after its request was given up",
        "answer duplicated": "an answer comes twice",
        "partition": "a machine is cut off, both ways",
        "partition: requests": "nothing reaches the server, while the watch goes on",
        "partition: answers": "everything reaches the server, and nothing comes back",
        # the watch
        "watch slow": "events come late, in order",
        "watch gap": "the watch breaks and begins anew with what stands then",
        "watch replay": "the watch breaks and tells again what it has told, then what was missed",
        "watch refused": "RBAC allows no watch: the candidate polls",
        # the server
        "401": "the token checker is away for a moment",
        "403": "the request is refused",
        "404": "the namespace is gone",
        "409": "compare-and-swap is lost, or the name is taken",
        "429": "throttled",
        "500": "an error before the write",
        "500 after the write": "an error though the write was done",
        "API restart": "all connections break, nothing answers for a while, watches are replayed",
        "outage: 429": "everybody is throttled for a while",
        "outage: 403": "everybody is refused for a while",
        "outage: writes fail": "reads work, writes end in a 500, for a while",
        # hands
        "label edited": "somebody labels the Lease",
        "renewTime edited": "somebody writes another renewTime",
        "holder edited": "somebody writes a holder that does not exist",
        "duration edited": "somebody lowers the duration, or removes it",
        "holder blanked": "somebody empties the holder",
        "holder null": "somebody removes the holder",
        "deleted": "somebody deletes the Lease",
        # processes
        **CRASHES,
        "restart with the same identity": "a process comes back under its name",
        "restart with a fresh identity": "a process comes back under another",
        "twin identity": "several processes bear the same identity",
        "frozen": "no code of the process runs for a while (SIGSTOP, a paused VM)",
        "suspended": "the machine sleeps: timers stand still, CLOCK_BOOTTIME goes on",
        "loop blocked": "the event loop stands still while the work runs on",
        "resigned": "a leader gives up",
        "handed over": "a leader gives up in favour of another",
        "candidacy cancelled": "a candidate gives up before it has won",
        "work ended": "the work returns or raises",
        "work slow to stop": "the work takes all of its stop grace",
        "work's write late": "what the work writes arrives late, perhaps after its term",
        # clocks and settings
        "clock rate off": "clocks run fast or slow, by as much as is allowed",
        "wall clock jumped": "a wall clock is set",
        "mixed durations": "candidates are configured differently",
        "client-go competes": "an elector with client-go's rules contends for the same Lease",
    }
)
"""Every fault class, and what it does. A campaign in which one never struck has not tested it, and fails."""

COORDINATED_FAULTS: Mapping[str, str] = MappingProxyType(
    {
        **{fault: about for fault, about in FAULTS.items() if fault != "client-go competes"},
        "coordinator away": "no coordinator acts for a while",
        "coordinator believes the dead": "it takes a candidate for alive that is not",
        "coordinator's wall clock off": "it believes the holder's renewTime, by a wall clock that is far off",
        "no coordinator": "there is none, all along",
        "no candidates served": "the API server has no LeaseCandidates, as far as a candidate knows",
        "plain candidates": "some candidates are not coordinated",
        "version changed": "a process comes back with another version",
    }
)
"""Those of a fleet with a coordinator."""


def faults_of(plan: Plan) -> Mapping[str, str]:
    """The classes that may strike."""
    return COORDINATED_FAULTS if plan.fleet is Fleet.COORDINATED else FAULTS


class Dice:
    """All randomness of one seed, and the count of what struck.

    Args:
        seed: Decides everything.
        plan: Which faults may strike.
    """

    __slots__ = ("_ordinal", "_plan", "calm", "random", "struck")

    def __init__(self, seed: int, plan: Plan) -> None:
        self.random = Random(seed).random
        self.struck: Counter[str] = Counter()
        self.calm = plan.storm_s == 0
        self._plan = plan
        self._ordinal = 0

    def between(self, low: float, high: float) -> float:
        """A number from there to there."""
        return low + (high - low) * self.random()

    def pick(self, choices: Sequence[T]) -> T:
        """One of them."""
        return choices[int(self.random() * len(choices))]

    def hit(self, fault: str, chance: float) -> bool:
        """Whether that fault strikes here; none does in the calm."""
        return not self.calm and self.random() < chance and self.strike(fault)

    def among(self, faults: Sequence[tuple[float, str]], scale: float) -> str:
        """At most one of them, with one throw; empty for none.

        Args:
            faults: Each with the sum of its chance and those before it.
            scale: By what the chances are multiplied.
        """
        if self.calm:
            return ""
        thrown = self.random()
        if thrown >= faults[-1][0] * scale:
            return ""
        fault = next(name for up_to, name in faults if thrown < up_to * scale)
        return fault if self.strike(fault) else ""

    def strike(self, fault: str) -> bool:
        """Count it, unless the plan leaves it out."""
        ordinal = self._ordinal
        self._ordinal += 1
        if fault in self._plan.without or ordinal in self._plan.skipped:
            return False
        self.struck[fault] += 1
        return True

    @property
    def thrown(self) -> int:
        """How many faults were about to strike, be they left out or not: the ordinals that a plan may skip."""
        return self._ordinal
