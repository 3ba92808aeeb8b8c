"""What is sent for one node again and again, through the shared scheduler, in whatever trouble the node is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from lease_aio.api.protocol import Api
from lease_aio.clock import Clock
from lease_aio.errors import ApiError, Call, Unavailable
from lease_aio.heartbeat.record.tally import Tally
from lease_aio.heartbeat.states import Trouble
from lease_aio.scheduler import Priority, Renewal, Verdict
from lease_aio.scheduler.renewal import State

if TYPE_CHECKING:
    from lease_aio.heartbeat.renewal.beat import Beat
    from lease_aio.heartbeat.renewal.renewer import Next

Observer = Callable[["Beat", "Next", ApiError | None], None]
"""Told of each answer: whose, what follows from it, and the error if it was one. It must not raise."""

LEAVE = Verdict(due=None, renewed=False, sent=False)

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class Held(NamedTuple):
    """A request that was made and waits to be sent, and the seconds that its answer may take then."""

    request: Any
    left_s: float


class BeatGroup:
    """What senders share: the way to the API server, the clock, the counts, and what is done to some of their nodes.

    Args:
        api: Where the leases are.
        clock: Where times come from; the scheduler's.
        observer: Told of each answer about a lease, if given.
        on_failure: Told of each request that failed: the node's name and the error. It must not raise.

    Attributes:
        troubles: By the node's name.
        held: Requests that slow nodes have not sent yet.
    """

    __slots__ = ("api", "clock", "held", "observer", "on_failure", "tally", "troubles")

    def __init__(
        self,
        api: Api,
        clock: Clock,
        observer: Observer | None = None,
        on_failure: Callable[[str, ApiError], None] | None = None,
    ) -> None:
        self.api = api
        self.clock = clock
        self.tally = Tally()
        self.observer = observer
        self.on_failure = on_failure
        self.troubles: dict[str, Trouble] = {}
        self.held: dict[Sender[Any, Any], Held] = {}

    def failed(self, name: str, now: float, error: ApiError) -> None:
        """A request for that node has failed."""
        self.tally.failed(now, error)
        if self.on_failure is not None:
            self.on_failure(name, error)

    def settle(self, name: str, trouble: Trouble) -> None:
        """Forget what is over."""
        if trouble.over:
            self.troubles.pop(name, None)


class Sender(ABC, Generic[Request, Answer]):
    """One attempt in the scheduler is one request here. Raises nothing out of it but bugs.

    Attributes:
        last_error: Of the last request, if it failed; None again after a success.
        renewal: For `Scheduler.add`, `remove` and `drain`.
    """

    __slots__ = ("_group", "last_error", "renewal")

    def __init__(self, group: BeatGroup, due: float) -> None:
        self._group = group
        self.last_error: ApiError | None = None
        self.renewal = Renewal(
            self.attempt, priority=Priority.BEAT, due=due, deadline=due + self.lasts_s, period_s=self.period_s
        )

    @property
    @abstractmethod
    def name(self) -> str:
        """The node's."""

    @property
    @abstractmethod
    def timeout_s(self) -> float:
        """How long a request may take."""

    @property
    @abstractmethod
    def period_s(self) -> float:
        """How often it is sent."""

    @property
    @abstractmethod
    def lasts_s(self) -> float:
        """How long after its time it is too late."""

    def goes_on(self, due: float) -> None:
        """Make the renewal ready for the scheduler, which it has left: with all that is remembered."""
        self.renewal.reset(due=due, deadline=due + self.lasts_s)

    @abstractmethod
    def reconnects(self, now: float) -> float:
        """The node was cut off, and is no more; returns when the next request is due."""

    @abstractmethod
    def resumes(self, now: float) -> float:
        """The node did not run, and runs again; returns when the next request is due."""

    async def attempt(self) -> Verdict:
        """Perform one request; for the scheduler."""
        self._begins()
        group = self._group
        if group.troubles or group.held:
            return await self._attempt_in(group.troubles.get(self.name))
        return await self._exchange(self._request(group.clock.wall_us()), self.timeout_s)

    async def _attempt_in(self, trouble: Trouble | None) -> Verdict:
        """The same, with what is done to this node, if anything is."""
        if self.renewal.state is State.LEAVING:  # since the scheduler had taken it up: another process sends by now
            return LEAVE
        if trouble is not None:
            if trouble.stopped:  # likewise
                return LEAVE
            trouble.starts_at = -math.inf
            self._group.settle(self.name, trouble)
        held = self._group.held.pop(self, None)
        if held is not None:
            return await self._exchange(held.request, held.left_s) if held.left_s > 0 else self._failed(self._unsent())
        request = self._request(self._wall_us(trouble))
        if trouble is not None and trouble.delay_s:
            return self._hold(request, trouble.delay_s)
        return await self._exchange(request, self.timeout_s)

    async def _exchange(self, request: Request, timeout_s: float) -> Verdict:
        try:
            answer = await self._perform(request, timeout_s)
        except ApiError as error:
            return self._failed(error)
        self.last_error = None
        return self._answered(request, answer)

    def _hold(self, request: Request, delay_s: float) -> Verdict:
        """Send it later, or give it up when its time is over; neither takes anybody's room while it waits."""
        self._group.held[self] = Held(request, self.timeout_s - delay_s)
        due = self._group.clock.now() + min(delay_s, self.timeout_s)
        return Verdict(due=due, renewed=False, sent=False, deadline=self.renewal.deadline)

    def _due_in_trouble(self, due: float, now: float) -> float | None:
        """When the next request is due, with what was done to the node while this one was on its way."""
        trouble = self._group.troubles.get(self.name)
        if trouble is None or self.renewal.state is not State.IN_FLIGHT:
            return due
        return None if trouble.stopped else self._due_after(trouble, due, now)

    def _due_after(self, trouble: Trouble, due: float, now: float) -> float:
        """The same, for one that was stopped for a moment."""
        del trouble, now
        return due

    def _wall_us(self, trouble: Trouble | None) -> int:
        clock = self._group.clock
        true_us = clock.wall_us()
        return true_us if trouble is None else trouble.wall_us(clock.now(), true_us)

    def _unsent(self) -> Unavailable:
        why = f"not sent within {self.timeout_s:g} s: the node is told to be slow"
        return Unavailable(self._call(), why, sent=False)

    def _begins(self) -> None:
        """An attempt begins."""

    @abstractmethod
    def _call(self) -> Call:
        """What is asked for, in words."""

    @abstractmethod
    def _request(self, wall_us: int) -> Request:
        """What to ask for next."""

    @abstractmethod
    async def _perform(self, request: Request, timeout_s: float) -> Answer:
        """Ask for it."""

    @abstractmethod
    def _answered(self, request: Request, answer: Answer) -> Verdict:
        """What follows from the answer."""

    @abstractmethod
    def _failed(self, error: ApiError) -> Verdict:
        """What follows from an error in its place."""
