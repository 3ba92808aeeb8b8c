"""Plays a scenario on a fleet: waits for the times, does what is to be done then, and looks whether all is as expected.

What happens when is decided by `plan`, to whom by `cast`, what is found is judged by `expectations`; this is the part
that awaits.
"""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from itertools import islice

import anyio
import anyio.lowlevel

from lease_aio.api.follow_state import Change, ChangeType
from lease_aio.api.following import follow
from lease_aio.api.protocol import NODES, Api
from lease_aio.clock import Clock
from lease_aio.errors import LeaseAioError, Refused
from lease_aio.heartbeat.fleet.fleet import Fleet
from lease_aio.heartbeat.scenario.board import NodeBoard
from lease_aio.heartbeat.scenario.cast import Cast
from lease_aio.heartbeat.scenario.deeds import do
from lease_aio.heartbeat.scenario.events import Acted, Judged, Played, PlayEvent, Wrote
from lease_aio.heartbeat.scenario.expectations import Found, Outcome, judge
from lease_aio.heartbeat.scenario.fits import check_fit
from lease_aio.heartbeat.scenario.model import BY_NODE, Expectation, Verb
from lease_aio.heartbeat.scenario.plan import Action
from lease_aio.heartbeat.scenario.scenario import Scenario
from lease_aio.log import get_logger
from lease_aio.model import Node

_AT_ONCE = 500  # nodes to which something is done before others get a turn: some milliseconds
_LOOKED_AT = 1000  # nodes, for what a misspelt selector may have meant


async def play(
    scenario: Scenario,
    fleet: Fleet,
    *,
    api: Api,
    clock: Clock,
    on_event: Callable[[PlayEvent], None] | None = None,
) -> Played:
    """Play it to its end, from now on. The fleet stays as it is then.

    Where several processes share a fleet, each plays the same scenario: nodes are chosen and counted among those of the
    whole fleet, and each process does what is to be done to its own.

    Expectations are judged by what the API server has stored: Nodes are watched where there are expectations of them.
    A step and an expectation of one moment come in this order.

    Args:
        scenario: What is to happen.
        fleet: To whom; it must be running.
        api: The fleet's.
        clock: The fleet's.
        on_event: Told of all that happens. What it raises ends the play.

    Raises:
        ConfigurationError: a step means no node of this fleet, or Nodes are needed and it has none.
        ApiError: Nodes may not be watched, or the fleet cannot grow.
    """
    scenario.check_groups()
    parameters = fleet.report().parameters
    check_fit(
        scenario.steps,
        scenario.expectations,
        nodes=len(fleet.everyone()),
        registered=parameters.registered,
        status=parameters.status,
        select=fleet.everyone,
        labels=(fleet.nodes[name].labels for name in islice(fleet.nodes, _LOOKED_AT)),
    )
    return await _Player(scenario, fleet, api, clock, on_event or (lambda _: None)).play()


class _Player:
    def __init__(
        self, scenario: Scenario, fleet: Fleet, api: Api, clock: Clock, tell: Callable[[PlayEvent], None]
    ) -> None:
        self._scenario, self._fleet, self._api, self._clock, self._tell = scenario, fleet, api, clock, tell
        self._cast = Cast(scenario.seed, fleet.everyone)
        self._board = NodeBoard()
        self._listed = anyio.Event()
        self._outcomes: list[Outcome] = []
        self._raised: list[LeaseAioError] = []
        self._resizes: list[anyio.Event] = []
        self._one_at_a_time = anyio.Lock()
        self._start = clock.now()

    async def play(self) -> Played:
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._or_end, self._watch_nodes)
            self._tasks.start_soon(self._or_end, self._play)
        if self._raised:
            raise self._raised[0]
        return Played(scenario=self._scenario, outcomes=tuple(self._outcomes))

    async def _or_end(self, work: Callable[[], Awaitable[None]]) -> None:
        """An error of ours ends the play, and is raised as it is, not within a group."""
        try:
            await work()
        except LeaseAioError as error:
            self._raised.append(error)
            self._tasks.cancel_scope.cancel()

    async def _play(self) -> None:
        await self._listed.wait()
        self._start = self._clock.now()
        for item in in_order(self._scenario):
            await self._clock.sleep_until(self._start + item.at_s)
            if isinstance(item, Expectation):
                self._judge(item)
            elif item.deed.verb in {Verb.GROW, Verb.SHRINK}:
                self._resizes.append(anyio.Event())
                self._tasks.start_soon(self._or_end, partial(self._resize, item, self._resizes[-1]))
            else:
                await self._act(item)
        await self._clock.sleep_until(self._start + self._scenario.duration_s)
        for done in self._resizes:
            await done.wait()
        self._tasks.cancel_scope.cancel()

    async def _act(self, action: Action) -> None:
        """To some at a time, so that the others renew meanwhile; those that have left are passed over."""
        nodes, changed = self._fleet.nodes, list[str]()
        for number, name in enumerate(self._cast.of_action(action), start=1):
            if name in nodes:
                changed += do(action.deed, nodes[name])
            if number % _AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()
        self._acted(action, changed)

    async def _resize(self, action: Action, done: anyio.Event) -> None:
        """Nodes are registered and deleted while the scenario goes on, in the order of the steps."""
        async with self._one_at_a_time:
            self._acted(action, await self._resized(action, len(action.share_of(range(action.deed.count)))))
        done.set()

    async def _resized(self, action: Action, count: int) -> Iterable[str]:
        if action.deed.verb is Verb.SHRINK:
            return await self._fleet.shrink(count)
        spoken_of = bool(action.step.name)
        before = len(self._fleet.everyone()) if spoken_of else 0
        names = await self._fleet.grow(self._scenario.grown(action.step, count))
        if spoken_of:
            self._cast.joined(action.step, self._fleet.everyone()[before:])
        return names

    def _acted(self, action: Action, names: Iterable[str]) -> None:
        nodes = tuple(names)
        if action.text:
            self._mark(action.text, "scenario")
        if action.text or nodes:
            self._tell(Acted(at_s=action.at_s, action=action, nodes=nodes))

    def _judge(self, expectation: Expectation) -> None:
        report = self._fleet.report()
        found = Found(
            nodes=self._cast.among(expectation.among),
            ready=self._board.ready,
            were_unknown=self._board.were_unknown,
            gap_max_s=report.gap.max_s,
            errors=sum(report.errors.values()),
        )
        outcome = judge(expectation, found)
        self._outcomes.append(outcome)
        self._mark(outcome.text, "expectation")
        self._tell(Judged(at_s=expectation.at_s, outcome=outcome))

    def _mark(self, text: str, kind: str) -> None:
        if self._fleet.timeline is not None:
            self._fleet.timeline.mark(self._clock.now(), text, kind)

    async def _watch_nodes(self) -> None:
        try:
            async with follow(self._api, NODES, clock=self._clock) as changes:
                async for change in changes:
                    if change.type is ChangeType.SYNCED:
                        self._listed.set()
                    else:
                        self._saw(change)
        except Refused as error:
            if any(expectation.measure in BY_NODE for expectation in self._scenario.expectations):
                raise
            get_logger("heartbeat").warning("scenario.nodes_unseen", error=str(error))
            self._listed.set()

    def _saw(self, change: Change[Node]) -> None:
        """Nodes of others are noted too, because a new one is registered before it is in the fleet."""
        if change.object is None:
            self._board.gone(change.name)
            return
        told = self._board.saw(change.object)
        if self._listed.is_set() and change.name in self._fleet.nodes:
            for words in told:
                self._tell(Wrote(at_s=self._clock.now() - self._start, node=change.name, words=words))


def in_order(scenario: Scenario) -> Iterable[Action | Expectation]:
    """Actions and expectations by their times; what is done at one moment comes before what is looked at."""
    expected = sorted(scenario.expectations, key=lambda one: one.at_s)
    return heapq.merge(scenario.plan(), expected, key=lambda one: (one.at_s, isinstance(one, Expectation)))
