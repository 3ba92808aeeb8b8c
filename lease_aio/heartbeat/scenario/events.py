"""What a scenario tells while it is played, and at its end. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from lease_aio.heartbeat.scenario.expectations import Outcome
from lease_aio.heartbeat.scenario.plan import Action
from lease_aio.heartbeat.scenario.scenario import Scenario


@dataclass(frozen=True, kw_only=True, slots=True)
class Acted:
    """Something was done to the fleet.

    Attributes:
        at_s: When it was to be, in seconds from the scenario's start.
        action: What.
        nodes: To whom: those that it changed.
    """

    at_s: float
    action: Action
    nodes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wrote:
    """The control plane wrote on a Node since the scenario began.

    Attributes:
        at_s: When it was seen, in seconds from the scenario's start.
        node: Which.
        words: What became different; see `NodeBoard.saw`.
    """

    at_s: float
    node: str
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """An expectation came to its time.

    Attributes:
        at_s: When, in seconds from the scenario's start.
        outcome: Whether it held.
    """

    at_s: float
    outcome: Outcome


PlayEvent = Acted | Wrote | Judged
"""What a scenario tells while it is played."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    """A scenario that was played to its end.

    Attributes:
        scenario: Which.
        outcomes: Of its expectations, in the order of their times.
    """

    scenario: Scenario
    outcomes: tuple[Outcome, ...]

    @property
    def held(self) -> bool:
        """Whether every expectation did."""
        return all(outcome.held for outcome in self.outcomes)
