"""The shell of one candidate: performs what the core asks for, through the shared scheduler and watch.

It decides nothing. A waiting candidate has no task of its own: it is one record in the scheduler and
one entry in the namespace's watch. While it leads, one task sleeps until the term's end, so that no
pending request can put the expiry off.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import anyio

from lease_aio.api import LEASES
from lease_aio.election.coordinated.info import CandidateInfo, check_candidate_name
from lease_aio.election.coordinated.nominee import Nominee
from lease_aio.election.core import Election
from lease_aio.election.doubles import Doubles
from lease_aio.election.engine import Engine
from lease_aio.election.events import (
    DuplicateIdentity,
    Ended,
    EndReason,
    Event,
    RequestFailed,
    Started,
    State,
    Stopping,
    TermRecord,
    Waiting,
)
from lease_aio.election.failures import failure_of
from lease_aio.election.requests import Failure, Kind, Request
from lease_aio.election.timekeeper import Timekeeper
from lease_aio.election.watches import Subscription
from lease_aio.errors import ApiError, ConfigurationError, LeaseAioError, NotFound
from lease_aio.log import get_logger
from lease_aio.model import Lease
from lease_aio.naming import check_identity
from lease_aio.observers import check_observer
from lease_aio.scheduler import Priority, Renewal, Verdict
from lease_aio.timing import Timing

_RELEASE_REQUESTS = 2  # how many request time-outs a release may take before it is abandoned


class Candidate:
    """Contends for one Lease, one candidacy after another.

    A candidacy lasts from `start` to the `Ended` event. Use `LeaseClient.lead` or `terms` unless the
    single events are wanted. One candidacy at a time: two places in the queue take two candidates.

    Attributes:
        error: What the API server refused for good in this candidacy.
        stop_reason: Why the term's work was told to stop; None while it runs.

    Args:
        engine: What the client shares.
        name: The Lease.
        namespace: Its namespace.
        identity: What is written as holder; it must be unique among all candidates.
        timing: Durations.
        labels: Put on the Lease, beside what is there.
        observer: Called with each event, from the event loop; it must not block. What it raises is logged, and
            changes nothing: others share the loop's renewals.
        coordinated: Leave it to a coordinator who leads (KEP-4355), and tell it this; the identity is then the name of
            a LeaseCandidate, too. None: a plain election.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        name: str,
        namespace: str,
        identity: str,
        timing: Timing,
        labels: Mapping[str, str] | None = None,
        observer: Callable[[Event], None] | None = None,
        coordinated: CandidateInfo | None = None,
    ) -> None:
        check_identity(identity)
        if not isinstance(timing, Timing):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"timing={timing!r} must be a lease_aio.Timing, e.g. Timing(lease_duration_s=30)")
        if not isinstance(coordinated, CandidateInfo | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"coordinated={coordinated!r} must be a CandidateInfo, e.g. CandidateInfo(binary_version='1.31.0')"
            )
        check_observer(observer)
        self.name, self.namespace, self.identity, self.timing = name, namespace, identity, timing
        self.error: ApiError | None = None
        self._engine = engine
        self._observer = observer
        self._core = Election(
            name=name,
            namespace=namespace,
            identity=identity,
            timing=timing,
            random=engine.random,
            labels=labels,
            fallback_after_s=coordinated.fallback_after_s if coordinated is not None else None,
        )
        self._nominee = self._new_nominee(coordinated) if coordinated is not None else None
        self._log = get_logger("election").bind(lease=f"{namespace}/{name}", identity=identity)
        self._doubles = Doubles()
        self._renewal: Renewal | None = None
        self._subscription: Subscription[Lease] | None = None
        self._decided = anyio.Event()  # started, or ended without a term
        self._ended = anyio.Event()
        self._last: Ended | None = None
        self._timekeeper: Timekeeper | None = None  # of the present term
        self._on_stopping: Callable[[], None] | None = None
        self.stop_reason: EndReason | None = None

    def _new_nominee(self, info: CandidateInfo) -> Nominee:
        return Nominee(
            self._engine,
            self,
            info,
            name=check_candidate_name(self.identity),
            namespace=self.namespace,
            lease=self.name,
            timeout_s=self.timing.request_timeout_s,
        )

    # ------------------------------------------------------------------ what stands now

    @property
    def state(self) -> State:
        """Where it stands."""
        return self._core.state

    @property
    def holder(self) -> str:
        """The holder last seen, perhaps oneself; empty where none is known."""
        return self._core.holder

    def valid_for(self, term: TermRecord) -> float:
        """Seconds that the term is still good for; zero once it was told to stop."""
        if self._core.term is not term or not self._core.leading:
            return 0.0
        return max(0.0, self._core.valid_until - self._engine.clock.now())

    # ------------------------------------------------------------------ a candidacy

    def start(self) -> None:
        """Begin to contend. Returns at once.

        Raises:
            ConfigurationError: it contends already, or the client is closed.
        """
        if self._core.state is not State.IDLE:
            raise ConfigurationError(
                f"{self.identity} contends for {self.namespace}/{self.name} already, through this very object: "
                "let it end first, or make another (each `lead` or `lock` is one)"
            )
        self._engine.roster.join(self)
        now = self._engine.clock.now()
        self.error = self.stop_reason = None
        self._decided, self._ended = anyio.Event(), anyio.Event()
        self._core.polling = False  # whether there is a watch is for the subscription to say
        self._core.contend(now)
        self._renewal = self._new_renewal(now)
        self._engine.scheduler.add(self._renewal)
        self._subscription = self._engine.watches.subscribe(self.namespace, self.name, self)

    def _new_renewal(self, due: float) -> Renewal:
        async def attempt() -> Verdict:
            # The last candidacy's may be on its way to a worker: what it sent, this one would never hear of.
            return await self._attempt() if self._renewal is renewal else Verdict(due=None, renewed=False)

        renewal = Renewal(attempt=attempt, priority=Priority.ELECTION, due=due, deadline=math.inf)
        return renewal

    async def won(self) -> TermRecord:
        """Wait for the term.

        Raises:
            ApiError: the API server refuses for good.
            LeaseAioError: the candidacy was ended before it won.
        """
        await self._decided.wait()
        if self._core.term is not None:
            return self._core.term
        if self.error is not None:
            raise self.error
        why = self._last.reason.value if self._last is not None else ""
        raise LeaseAioError(
            f"the candidacy of {self.identity} for {self.namespace}/{self.name} was ended before it won: {why}"
        )

    def when_stopping(self, callback: Callable[[], None]) -> None:
        """Have the work stopped by this call; at once, if the term is already over."""
        self._on_stopping = callback
        if not self._core.leading:
            callback()

    def resign(self, successor: str = "") -> None:
        """Give up the term, or the candidacy. Returns at once; the work is told to stop.

        Args:
            successor: Whom the Lease is meant for, see `Term.transfer_to`.
        """
        self._feed(self._core.resign(self._engine.clock.now(), successor))

    async def finish(self) -> Ended:
        """The work has stopped, or never began: release the Lease, or give up, and return when that is over.

        Takes at most two request time-outs, three where it is coordinated; then the Lease runs out by itself. No
        cancellation cuts that short, be it a cancel scope's or `Task.cancel`: it is raised at the end.

        Raises:
            ConfigurationError: it was never started.
        """
        if self._last is None and self._core.state is State.IDLE:
            raise ConfigurationError(f"the candidate for {self.namespace}/{self.name} was never started")
        now, ended = self._engine.clock.now(), self._ended
        if self._timekeeper is not None:
            self._timekeeper.work_stopped()
        try:
            if self._nominee is not None:
                await self._withdraw(self._nominee, now)
        finally:
            await self._release(ended)
        assert self._last is not None
        return self._last

    async def _withdraw(self, nominee: Nominee, now: float) -> None:
        """Cease to be a candidate before the Lease is given back: the coordinator might choose it once more."""
        self._feed(self._core.resign(now))
        try:
            await _wait_shielded(nominee.withdraw(), self.timing.request_timeout_s)
        finally:
            nominee.close()

    async def _release(self, ended: anyio.Event) -> None:
        now = self._engine.clock.now()
        self._feed(self._core.resign(now) if self._core.term is None else self._core.work_stopped(now))
        try:
            await _wait_shielded(ended, _RELEASE_REQUESTS * self.timing.request_timeout_s)
        finally:
            if ended is self._ended:  # else the next candidacy has begun
                self._feed(self._core.abandon())

    def client_closed(self) -> None:
        """See `engine.Contender`: the term is over, and what was going to be written never will be."""
        if self._nominee is not None:
            self._nominee.close()
        term, leading, told = self._core.term, self._core.leading, self.state in {State.STOPPING, State.RELEASING}
        if leading and term is not None:
            self._take((Stopping(term=term, reason=EndReason.CLIENT_CLOSED),))
        for event in self._core.abandon():
            if isinstance(event, Ended) and not told:
                self._take((replace(event, reason=EndReason.CLIENT_CLOSED),))
            else:
                self._take((event,))

    # ------------------------------------------------------------------ the scheduler's side

    async def _attempt(self) -> Verdict:
        verdict = await self._try()
        if self._nominee is not None and self.state in {State.WAITING, State.LEADING}:  # it knows who held the Lease
            self._nominee.publish()
        return verdict

    async def _try(self) -> Verdict:
        clock = self._engine.clock
        self._take(self._core.expire(clock.now()))
        request = self._core.tick(clock.now(), self._engine.stamps.next_us())
        if request is None:
            return self._verdict()
        try:
            lease = await self._send(request)
        except ApiError as error:
            return self._failed(request, error)
        self._take(self._core.answered(request, lease, clock.now()))
        return self._verdict(renewed=request.kind in {Kind.ACQUIRE, Kind.RENEW})

    async def _send(self, request: Request) -> Lease | None:
        api, timeout_s = self._engine.api, self.timing.request_timeout_s
        if request.lease is None:
            try:
                return await api.get(LEASES, self.name, self.namespace, timeout_s=timeout_s)
            except NotFound:
                return None
        if request.creates:
            return await api.create(LEASES, request.lease, timeout_s=timeout_s)
        return await api.replace(LEASES, request.lease, timeout_s=timeout_s)

    def _failed(self, request: Request, error: ApiError) -> Verdict:
        self._log.info("election.request_failed", request=request.kind.value, error=str(error))
        if self._core.awaits(request):
            self._learn_of(request, error)
        return self._verdict(failed=True, retry_after_s=error.retry_after_s)

    def _learn_of(self, request: Request, error: ApiError) -> None:
        failure = failure_of(error, leading=self._core.leading)
        if failure is Failure.PERMANENT:
            self.error = error
        self._tell_observer(RequestFailed(request=request.kind.value, failure=failure.value, error=str(error)))
        self._take(self._core.failed(request, failure, self._engine.clock.now()))

    def _verdict(self, *, renewed: bool = False, failed: bool = False, retry_after_s: float | None = None) -> Verdict:
        idle = self._core.state is State.IDLE
        due, deadline = (None, math.inf) if idle else self._times()
        return Verdict(due=due, deadline=deadline, renewed=renewed, failed=failed, retry_after_s=retry_after_s)

    def _times(self) -> tuple[float, float]:
        """When the core wants its next request, and by when it must be sent: at once is now, not long ago."""
        due = max(self._core.due, self._engine.clock.now())
        return due, max(self._core.deadline, due)

    # ------------------------------------------------------------------ the watch's side

    def changed(self, found: Lease, *, listed: bool) -> None:
        """See `watches.Listener`."""
        self._feed(self._core.observed(found, self._engine.clock.now(), gap=listed))

    def gone(self, resource_version: str) -> None:
        """See `watches.Listener`."""
        self._feed(self._core.vanished(resource_version))

    def watch_refused(self, error: ApiError) -> None:
        """See `watches.Listener`."""
        del error
        self._core.polling = True
        self._feed(())

    def watch_allowed(self) -> None:
        """See `watches.Listener`."""
        self._core.polling = False
        self._feed(())

    # ------------------------------------------------------------------ see `nominee.Elector`

    def coordinator_asks(self) -> None:
        """See `nominee.Elector`."""
        self._core.heard_coordinator()
        self._feed(())

    def candidates_served(self, *, served: bool) -> None:
        """See `nominee.Elector`."""
        self._core.candidates_served(served=served)
        self._feed(())

    def nomination_refused(self, error: ApiError) -> None:
        """See `nominee.Elector`. Who leads goes on; who waits would wait for nothing."""
        self._log.error("election.candidate_refused", error=str(error))
        if self._core.term is None:
            self.error = error
            self._feed(self._core.refuse())

    # ------------------------------------------------------------------ events

    def _feed(self, events: tuple[Event, ...]) -> None:
        """Take what an input from outside an attempt led to; the scheduler learns when to try next."""
        self._take(events)
        if self._renewal is not None:
            due, deadline = self._times()
            self._engine.scheduler.change(self._renewal, due=due, deadline=deadline)

    def _take(self, events: tuple[Event, ...]) -> None:
        for event in events:
            match event:
                case Waiting():
                    self._log.info("election.waiting", holder=event.holder)
                case Started():
                    self._begin(event.term)
                case Stopping():
                    self._stop(event)
                case Ended():
                    self._end(event)
                case RequestFailed() | DuplicateIdentity():
                    pass  # told where it happens, not by the core
            self._tell_observer(event)
        strange = self._core.strange
        if self._doubles.look(None if strange is None or self._has_twin() else strange):
            self._log.warning("election.duplicate_identity", remedy="give each process an identity of its own")
            self._tell_observer(DuplicateIdentity(identity=self.identity))
        if self._timekeeper is not None:
            self._timekeeper.renewed(self._core.valid_until)

    def _has_twin(self) -> bool:
        """Another candidate of this very client contends for the Lease under the client's identity, as it may."""
        mine = self.namespace, self.name, self.identity
        others = (one for one in self._engine.roster if isinstance(one, Candidate) and one is not self)
        return any((other.namespace, other.name, other.identity) == mine for other in others)

    def _tell_observer(self, event: Event) -> None:
        if self._observer is None:
            return
        try:
            self._observer(event)
        except Exception:  # noqa: BLE001 - a bug of the caller's must not end the scheduler, which is everybody's
            self._log.exception("election.observer_raised", happened=type(event).__name__)

    # Each first does what others rely on, and then logs: a logger of the application's may raise.

    def _begin(self, term: TermRecord) -> None:
        self._timekeeper = Timekeeper(
            self._engine,
            lease=f"{self.namespace}/{self.name}",
            valid_until=self._core.valid_until,
            grace_s=self.timing.stop_grace_s,
            expire=self._expire,
            log=self._log,
        )
        self._decided.set()
        chosen = {} if self._nominee is None else {"appointed": term.appointed}
        self._log.info("election.started", token=term.token, transitions=term.transitions, **chosen)

    def _expire(self) -> None:
        self._feed(self._core.expire(self._engine.clock.now()))

    def _stop(self, event: Stopping) -> None:
        self.stop_reason = event.reason
        if self._timekeeper is not None:
            self._timekeeper.told_to_stop(event.reason)
        if self._on_stopping is not None:
            self._on_stopping()
        self._log.info("election.stopping", token=event.term.token, reason=event.reason.value)

    def _end(self, event: Ended) -> None:
        self._last = event
        self._on_stopping = None
        if self._timekeeper is not None:
            self._timekeeper.close()
            self._timekeeper = None
        self._engine.roster.leave(self)
        if self._renewal is not None:
            self._engine.scheduler.remove(self._renewal)
            self._renewal = None
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
        self._decided.set()
        self._ended.set()
        self._log.info("election.ended", reason=event.reason.value, released=event.released)


async def _wait_shielded(event: anyio.Event, limit_s: float) -> None:
    """Wait so long at most. Cancellations of anyio keep out by a shield, those of asyncio are held and raised after."""
    held: asyncio.CancelledError | None = None
    with anyio.move_on_after(limit_s, shield=True) as scope:
        while not event.is_set():
            try:
                await event.wait()
            except asyncio.CancelledError as error:
                if scope.cancel_called:
                    raise
                held = error
    if held is not None:
        raise held
