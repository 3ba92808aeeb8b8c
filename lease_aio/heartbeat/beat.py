"""One lease in the shared scheduler: performs what its renewer asks for."""

from __future__ import annotations

from collections.abc import Callable

from lease_aio.api.protocol import LEASES, NODES, Api
from lease_aio.clock import Clock
from lease_aio.errors import ApiError
from lease_aio.heartbeat.renewer import Create, Next, Read, Renewer, Replace, Request
from lease_aio.heartbeat.tally import Tally
from lease_aio.model import Lease, Node
from lease_aio.scheduler import Priority, Renewal, Verdict
from lease_aio.scheduler.renewal import State

Observer = Callable[["Beat", Next, ApiError | None], None]
"""Told of each answer: whose, what follows from it, and the error if it was one. It must not raise."""


class BeatGroup:
    """What beats share: the way to the API server, the clock, the counts.

    Args:
        api: Where the leases are.
        clock: Where times come from; the scheduler's.
        observer: Told of each answer, if given.
    """

    __slots__ = ("api", "clock", "observer", "tally")

    def __init__(self, api: Api, clock: Clock, observer: Observer | None = None) -> None:
        self.api = api
        self.clock = clock
        self.tally = Tally()
        self.observer = observer


class Beat:
    """Keeps one lease alive through a scheduler: one attempt there is one request here.

    Raises nothing out of an attempt but bugs: errors of the API server are counted, kept and told to the observer, and
    the renewer's rules go on.

    Args:
        group: Shared by many.
        renewer: The rules, and what is remembered of the lease.
        due: When to start, on the group's clock.

    Attributes:
        renewer: As given.
        renewal: For `Scheduler.add`, `remove` and `drain`.
        created: The lease did not exist before, so whoever cleans up may delete it.
        last_error: Of the last request, if it failed; None again after a success.
    """

    __slots__ = ("_group", "_starts_pass", "created", "last_error", "renewal", "renewer")

    def __init__(self, group: BeatGroup, renewer: Renewer, *, due: float) -> None:
        self._group = group
        self._starts_pass = True
        self.renewer = renewer
        self.created = False
        self.last_error: ApiError | None = None
        self.renewal = Renewal(
            self.attempt, priority=Priority.BEAT, due=due, deadline=due + renewer.rules.lease_duration_s
        )

    def restarted(self, due: float) -> Beat:
        """A beat for the same lease, for after this one has left the scheduler.

        It goes on with what is remembered of the lease, unless an attempt of this one still runs and will change that:
        then it starts with a read, as a restarted kubelet does.
        """
        idle, old = self.renewal.state is State.IDLE, self.renewer
        beat = Beat(self._group, old if idle else Renewer(old.rules, old.name, old.holder), due=due)
        beat.created = self.created
        return beat

    async def attempt(self) -> Verdict:
        """Perform one request; for the scheduler."""
        clock = self._group.clock
        if self._starts_pass:
            self._group.tally.lateness.record(clock.now() - self.renewal.due)
        request = self.renewer.request(clock.wall_us())
        try:
            answer = await self._perform(request)
        except ApiError as error:
            return self._failed(error)
        now = clock.now()
        step = self.renewer.succeeded(answer, now)
        if step.renewed:
            self._group.tally.renewed(now, self.renewal.last_success)
            self.created = self.created or step.created
        self.last_error = None
        return self._verdict(step, now, None)

    async def _perform(self, request: Request) -> Lease | Node:
        api, rules = self._group.api, self.renewer.rules
        match request:
            case Replace(lease=lease):
                return await api.replace(LEASES, lease, timeout_s=rules.request_timeout_s)
            case Create(lease=lease):
                return await api.create(LEASES, lease, timeout_s=rules.request_timeout_s)
            case Read():
                return await api.get(LEASES, self.renewer.name, rules.namespace, timeout_s=rules.request_timeout_s)
            case _:
                return await api.get(NODES, self.renewer.name, timeout_s=rules.request_timeout_s)

    def _failed(self, error: ApiError) -> Verdict:
        now = self._group.clock.now()
        step = self.renewer.failed(error, now)
        if step.failed:
            self.last_error = error
            self._group.tally.failed(error)
        return self._verdict(step, now, error)

    def _verdict(self, step: Next, now: float, error: ApiError | None) -> Verdict:
        self._starts_pass = step.pass_over
        if self._group.observer is not None:
            self._group.observer(self, step, error)
        return Verdict(
            due=step.due,
            renewed=step.renewed,
            failed=step.failed,
            # Until it is renewed a lease keeps its deadline, so those that have waited longest go first.
            deadline=now + self.renewer.rules.lease_duration_s if step.renewed else self.renewal.deadline,
            retry_after_s=None if error is None else error.retry_after_s,
        )
