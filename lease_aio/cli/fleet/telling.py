"""What `lease-aio fleet` says while it runs: events for programs at once, lines for people, news for the screen."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import anyio

from lease_aio.cli.fleet.digest import Digest, moment
from lease_aio.cli.fleet.report import fields_of, report_text
from lease_aio.cli.output import Output
from lease_aio.errors import ApiError, NotFound
from lease_aio.heartbeat import FleetReport
from lease_aio.heartbeat.scenario import Acted, Judged, PlayEvent, Wrote
from lease_aio.heartbeat.scenario.expectations import Outcome
from lease_aio.heartbeat.scenario.units import duration_text

_NEWS_KEPT = 50
_NAMES_TOLD = 20
_TO_PEOPLE = {
    "unknown": "Unknown",
    "ready": "Ready again",
    "not_ready": "NotReady",
    "tainted": "tainted (NoSchedule)",
    "untainted": "untainted",
    "evicting": "evicted (NoExecute)",
    "sparing": "evicted no more",
}


class Telling:
    """Speaks for one fleet.

    Args:
        output: Where to.

    Attributes:
        news: Lines of what happened, the newest last.
        outcomes: Of the expectations, so far.
        last_error: The last failed request.
        concluded: All has been said.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._start = anyio.current_time()
        self._digest = Digest()
        self._failures: set[tuple[type[ApiError], int]] = set()
        self.news: deque[str] = deque(maxlen=_NEWS_KEPT)
        self.outcomes: list[Outcome] = []
        self.last_error: ApiError | None = None
        self.concluded = False

    def start(self) -> None:
        """Times count from now."""
        self._start = anyio.current_time()

    def now_s(self) -> float:
        """Seconds from the start."""
        return anyio.current_time() - self._start

    def failed(self, node: str, error: ApiError) -> None:
        """A request failed; people are told of the first of each kind, unless the fleet does that itself."""
        self.last_error = error
        kind = type(error), error.status
        if kind in self._failures or (isinstance(error, NotFound) and error.namespace_missing):
            return
        self._failures.add(kind)
        text = f"node {node}: {error} (told once for each kind of error)"
        if self._output.live:
            self.news.append(moment(self.now_s(), f"warning: {text}"))
        else:
            self._output.note(f"lease-aio: warning: {text}")

    def hear(self, event: PlayEvent) -> None:
        """Something happened to the fleet."""
        self.tick()
        match event:
            case Acted():
                self._acted(event)
            case Judged():
                self._judged(event)
            case Wrote():
                self._wrote(event)

    def tick(self) -> None:
        """Say what was collected; to be called once a second."""
        self._flush(self.now_s())

    def conclude(self, report: FleetReport) -> None:
        """Say how it was, and before that what was collected, also of the last second."""
        self.concluded = True
        self._flush(math.inf)
        if self._output.live:  # the picture has room for the last news alone
            for outcome in self.outcomes:
                self._output.event("", _outcome_line(outcome))
        self.progress("report", self.now_s(), report)

    def progress(self, event: str, elapsed_s: float, report: FleetReport) -> None:
        """How the fleet does."""
        outcomes = {"expectations": self._counted()} if self.outcomes else {}
        text = "" if self._output.live and event == "progress" else report_text(elapsed_s, report)
        self._output.event(event, text, elapsed_s=round(elapsed_s, 1), **fields_of(report), **outcomes)

    def _flush(self, now_s: float) -> None:
        for line in self._digest.ready(now_s):
            self._say(line)

    def _counted(self) -> dict[str, int]:
        held = sum(outcome.held for outcome in self.outcomes)
        return {"held": held, "failed": len(self.outcomes) - held}

    def _acted(self, event: Acted) -> None:
        action = event.action
        count = f": {_count(event.nodes)}" if action.parts == 1 else ""
        line = moment(event.at_s, f"{action.text}{count}") if action.text else ""
        self._say(
            line,
            "step",
            at_s=round(event.at_s, 3),
            verb=action.deed.verb.value,
            undoes=action.undoes,
            what=action.text,
            place=action.step.place,
            nodes=len(event.nodes),
            names=event.nodes[:_NAMES_TOLD],
        )

    def _judged(self, event: Judged) -> None:
        outcome, self.outcomes = event.outcome, [*self.outcomes, event.outcome]
        self._say(
            _outcome_line(outcome),
            "expectation",
            at_s=round(event.at_s, 3),
            held=outcome.held,
            expected=outcome.expectation.text,
            found=outcome.found,
            place=outcome.expectation.place,
        )

    def _wrote(self, event: Wrote) -> None:
        self._digest.add(event.at_s, event.node, _TO_PEOPLE.get(event.words, event.words))
        if self._output.json:
            self._output.event("verdict", at_s=round(event.at_s, 3), node=event.node, verdict=event.words)

    def _say(self, line: str, event: str = "", **fields: object) -> None:
        if line:
            self.news.append(line)
        if self._output.live or (self._output.json and not event):
            return
        self._output.event(event, line, **fields)


def _outcome_line(outcome: Outcome) -> str:
    return moment(outcome.expectation.at_s, outcome.text)


def _count(nodes: Sequence[str]) -> str:
    return "1 node" if len(nodes) == 1 else f"{len(nodes)} nodes"


def undeleted_text(names: Sequence[str], fleet: str) -> str:
    """That not all could be deleted, and what to do about it; empty if it was."""
    if not names:
        return ""
    return (
        f"what was created for {_count(names)}, {names[0]} first, could not be deleted; "
        f"kubectl delete nodes -l lease-aio/fleet={fleet} deletes the Nodes, and a cluster their leases after them"
    )


def failure_text(outcomes: Sequence[Outcome], scenario: str) -> str:
    """What did not hold, in one sentence; empty if all did."""
    failed = [outcome for outcome in outcomes if not outcome.held]
    if not failed:
        return ""
    first = failed[0]
    return (
        f"{len(failed)} of {len(outcomes)} expectations of scenario {scenario!r} did not hold; the first: "
        f"{first.expectation.place}: at {duration_text(first.expectation.at_s)} {first.expectation.text}; "
        f"found: {first.found}"
    )
