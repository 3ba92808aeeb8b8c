"""What happens in the demo's election, term by term, as its candidates tell it. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace


class Standing(enum.Enum):
    """What a candidate does."""

    WAITING = "waiting"
    LEADING = "leading"
    CRASHED = "crashed"
    RESTING = "standing aside"


class Cause(enum.Enum):
    """Why a leader went."""

    CRASH = "crash"
    RESIGNATION = "resignation"
    LOSS = "loss"


@dataclass(frozen=True, kw_only=True, slots=True)
class TermSeen:
    """One term; times are seconds from the start of the demo.

    Attributes:
        holder: Who led.
        token: Its fencing token.
        transitions: Of the Lease, in this term.
        started_s: When it was won.
        ended_s: When its work had stopped; None while it lasts.
        cause: Why it ended.
    """

    holder: str
    token: int
    transitions: int
    started_s: float
    ended_s: float | None = None
    cause: Cause | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Handover:
    """From one leader to the next.

    Attributes:
        cause: Why the old one went.
        old: Who that was.
        new: Who took over.
        after_s: From the crash, or the wish to resign, to the new leader's start.
    """

    cause: Cause
    old: str
    new: str
    after_s: float


class Story:
    """Folds what the candidates tell. Candidates are known by their identity."""

    def __init__(self, candidates: tuple[str, ...]) -> None:
        self.standings = dict.fromkeys(candidates, Standing.WAITING)
        self.terms: list[TermSeen] = []
        self.handovers: list[Handover] = []
        self._gone: tuple[str, Cause, float] | None = None  # who left, why and when, until another has taken over

    @property
    def leader(self) -> str:
        """Who leads; empty if nobody does."""
        return next((name for name, standing in self.standings.items() if standing is Standing.LEADING), "")

    def started(self, name: str, *, token: int, transitions: int, now_s: float) -> Handover | None:
        """A term was won; the hand-over that this completes, if there is one."""
        self.standings[name] = Standing.LEADING
        self.terms.append(TermSeen(holder=name, token=token, transitions=transitions, started_s=now_s))
        if self._gone is None:
            return None
        old, cause, since_s = self._gone
        self._gone = None
        handover = Handover(cause=cause, old=old, new=name, after_s=now_s - since_s)
        self.handovers.append(handover)
        return handover

    def leaves(self, name: str, cause: Cause, now_s: float) -> None:
        """The leader crashed, wishes to resign, or was told to stop: the time without a leader begins."""
        if self._gone is None:
            self._gone = (name, cause, now_s)

    def ended(self, name: str, now_s: float, standing: Standing) -> None:
        """The work of that leader has stopped."""
        self.standings[name] = standing
        if self.terms and self.terms[-1].holder == name and self.terms[-1].ended_s is None:
            cause = self._gone[1] if self._gone is not None else None
            self.terms[-1] = replace(self.terms[-1], ended_s=now_s, cause=cause)

    def stands(self, name: str, standing: Standing) -> None:
        """A candidate that does not lead does something else now."""
        self.standings[name] = standing
