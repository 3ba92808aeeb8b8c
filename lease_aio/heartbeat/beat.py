"""One lease in the shared scheduler: performs what its renewer asks for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from lease_aio.api.protocol import LEASES, NODES, Api
from lease_aio.clock import Clock
from lease_aio.errors import ApiError, Call, Unavailable
from lease_aio.heartbeat.renewer import Create, Next, Read, Renewer, Replace, Request
from lease_aio.heartbeat.states import Trouble
from lease_aio.heartbeat.tally import Tally
from lease_aio.model import Lease, Node
from lease_aio.scheduler import Priority, Renewal, Verdict
from lease_aio.scheduler.renewal import State

Observer = Callable[["Beat", Next, ApiError | None], None]
"""Told of each answer: whose, what follows from it, and the error if it was one. It must not raise."""

LEAVE = Verdict(due=None, renewed=False)


class Held(NamedTuple):
    """A request that was made and waits to be sent, and the seconds that its answer may take then."""

    request: Request
    left_s: float


class BeatGroup:
    """What beats share: the way to the API server, the clock, the counts, and what is done to some of them.

    Args:
        api: Where the leases are.
        clock: Where times come from; the scheduler's.
        observer: Told of each answer, if given.

    Attributes:
        troubles: By the node's name.
        held: Requests that a slow node has not sent yet.
    """

    __slots__ = ("api", "clock", "held", "observer", "tally", "troubles")

    def __init__(self, api: Api, clock: Clock, observer: Observer | None = None) -> None:
        self.api = api
        self.clock = clock
        self.tally = Tally()
        self.observer = observer
        self.troubles: dict[str, Trouble] = {}
        self.held: dict[Beat, Held] = {}

    def settle(self, name: str, trouble: Trouble) -> None:
        """Forget what is over."""
        if trouble.over:
            self.troubles.pop(name, None)


class Beat:
    """Keeps one lease alive through a scheduler: one attempt there is one request here.

    Raises nothing out of an attempt but bugs: errors of the API server are counted, kept and told to the observer, and
    the renewer's rules go on.

    Args:
        group: Shared by many.
        renewer: The rules, and what is remembered of the lease.
        due: When to start, on the group's clock.
        created_uid: Of the lease, if this process created it.

    Attributes:
        renewer: As given.
        renewal: For `Scheduler.add`, `remove` and `drain`.
        created_uid: Of the lease, if it did not exist before: whoever cleans up may delete that one, and no other.
        last_error: Of the last request, if it failed; None again after a success.
    """

    __slots__ = ("_group", "_starts_pass", "created_uid", "last_error", "renewal", "renewer")

    def __init__(self, group: BeatGroup, renewer: Renewer, *, due: float, created_uid: str = "") -> None:
        self._group = group
        self._starts_pass = True
        self.renewer = renewer
        self.created_uid = created_uid
        self.last_error: ApiError | None = None
        self.renewal = self._renewal(due)

    def goes_on(self, due: float) -> None:
        """A new renewal, for after the last one has left the scheduler: with all that is remembered."""
        self.renewal = self._renewal(due)

    def rereads(self) -> None:
        """The next request reads the lease, and a pass starts with it."""
        self._group.held.pop(self, None)
        self._starts_pass = True
        self.renewer.reread()

    def reborn(self, due: float) -> Beat:
        """A beat for the same lease that remembers nothing of it, as a process that was started again."""
        old = self.renewer
        return Beat(self._group, Renewer(old.rules, old.name, old.holder), due=due, created_uid=self.created_uid)

    async def attempt(self) -> Verdict:
        """Perform one request; for the scheduler."""
        group = self._group
        if self._starts_pass:
            group.tally.began(group.clock.now(), self.renewal.due)
        if group.troubles or group.held:
            return await self._attempt_in(group.troubles.get(self.renewer.name))
        return await self._exchange(self.renewer.request(group.clock.wall_us()), self._timeout_s)

    async def _attempt_in(self, trouble: Trouble | None) -> Verdict:
        """The same, with what is done to this node, if anything is."""
        if trouble is not None:
            if trouble.stopped:  # after the scheduler had taken it up
                return LEAVE
            trouble.starts_at = -math.inf
            self._group.settle(self.renewer.name, trouble)
        held = self._group.held.pop(self, None)
        if held is not None:
            return await self._exchange(held.request, held.left_s) if held.left_s > 0 else self._failed(self._unsent())
        request = self.renewer.request(self._wall_us(trouble))
        if trouble is not None and trouble.delay_s:
            return self._hold(request, trouble.delay_s)
        return await self._exchange(request, self._timeout_s)

    def _wall_us(self, trouble: Trouble | None) -> int:
        clock = self._group.clock
        true_us = clock.wall_us()
        return true_us if trouble is None else trouble.wall_us(clock.now(), true_us)

    def _hold(self, request: Request, delay_s: float) -> Verdict:
        """Send it later, or give it up when its time is over; neither takes anybody's room while it waits."""
        self._starts_pass = False
        self._group.held[self] = Held(request, self._timeout_s - delay_s)
        due = self._group.clock.now() + min(delay_s, self._timeout_s)
        return Verdict(due=due, renewed=False, deadline=self.renewal.deadline)

    async def _exchange(self, request: Request, timeout_s: float) -> Verdict:
        try:
            answer = await self._perform(request, timeout_s)
        except ApiError as error:
            return self._failed(error)
        now = self._group.clock.now()
        step = self.renewer.succeeded(answer, now)
        if step.renewed:
            self._group.tally.renewed(now, self.renewal.last_success)
            if step.created:
                self.created_uid = answer.metadata.uid
        self.last_error = None
        return self._verdict(step, now, None)

    async def _perform(self, request: Request, timeout_s: float) -> Lease | Node:
        api, name = self._group.api, self.renewer.name
        match request:
            case Replace(lease=lease):
                return await api.replace(LEASES, lease, timeout_s=timeout_s)
            case Create(lease=lease):
                return await api.create(LEASES, lease, timeout_s=timeout_s)
            case Read():
                return await api.get(LEASES, name, self.renewer.rules.namespace, timeout_s=timeout_s)
            case _:
                return await api.get(NODES, name, timeout_s=timeout_s)

    def _failed(self, error: ApiError) -> Verdict:
        now = self._group.clock.now()
        step = self.renewer.failed(error, now)
        if step.failed:
            self.last_error = error
            self._group.tally.failed(now, error)
        return self._verdict(step, now, error)

    def _verdict(self, step: Next, now: float, error: ApiError | None) -> Verdict:
        self._starts_pass = step.pass_over
        if self._group.observer is not None:
            self._group.observer(self, step, error)
        return Verdict(
            due=self._due_in_trouble(step.due, now) if self._group.troubles else step.due,
            renewed=step.renewed,
            failed=step.failed,
            sent=error is None or error.sent,
            # Until it is renewed a lease keeps its deadline, so those that have waited longest go first.
            deadline=now + self.renewer.rules.lease_duration_s if step.renewed else self.renewal.deadline,
            retry_after_s=None if error is None else error.retry_after_s,
        )

    def _due_in_trouble(self, due: float, now: float) -> float | None:
        """What was done to the node while the request was on its way."""
        trouble = self._group.troubles.get(self.renewer.name)
        if trouble is None or self.renewal.state is not State.IN_FLIGHT:
            return due
        if trouble.stopped:
            return None
        if not trouble.rereads:
            return due
        trouble.rereads = False
        self._group.settle(self.renewer.name, trouble)
        self.rereads()
        return now

    def _renewal(self, due: float) -> Renewal:
        rules = self.renewer.rules
        return Renewal(
            self.attempt,
            priority=Priority.BEAT,
            due=due,
            deadline=due + rules.lease_duration_s,
            period_s=rules.renew_interval_s,
        )

    @property
    def _timeout_s(self) -> float:
        return self.renewer.rules.request_timeout_s

    def _unsent(self) -> Unavailable:
        place = {"namespace": self.renewer.rules.namespace, "name": self.renewer.name}
        call = Call(verb="update", resource=LEASES.label, **place)
        return Unavailable(call, f"not sent within {self._timeout_s:g} s: the node is told to be slow")
