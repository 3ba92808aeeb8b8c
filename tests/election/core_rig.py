"""One core, driven by hand: the clock, the wall clock, the server's answers and the watch are all the test's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lease_aio.election.core import Election
from lease_aio.election.events import Ended, EndReason, Event, Started, Stopping, Waiting
from lease_aio.election.requests import Failure, Kind, Request
from lease_aio.model import Lease, LeaseSpec, MicroTime, new_lease
from lease_aio.timing import Timing

TIMING = Timing(
    lease_duration_s=15, renew_interval_s=3, request_timeout_s=2, stop_grace_s=4, clock_error=0.01, retry_interval_s=1
)
VALID_S = 15 * 0.99 - 4
TAKEOVER_S = 15 * 1.01


class Candidate:
    """A core, a clock that is set by hand, and a Lease that grows one version with each write."""

    def __init__(self, *, identity: str = "me", random: Callable[[], float] = lambda: 0.0, **more: Any) -> None:
        self.core = Election(name="x", namespace="default", identity=identity, timing=TIMING, random=random, **more)
        self.now, self.wall_us, self.version = 1000.0, 1_700_000_000_000_000, 100

    def start(self) -> Candidate:
        self.core.contend(self.now)
        return self

    def tick(self) -> Request | None:
        return self.core.tick(self.now, self.wall_us)

    def sends(self, kind: Kind) -> Request:
        """The request that is due now, which must be of that kind."""
        request = self.tick()
        assert request is not None
        assert request.kind is kind
        return request

    def store(self, lease: Lease) -> Lease:
        self.version += 1
        return lease.with_metadata(resource_version=str(self.version))

    def landed(self, request: Request) -> Lease:
        """The server does the write; nobody is told."""
        assert request.lease is not None
        return self.store(request.lease)

    def answer(self, request: Request, lease: Lease | None) -> tuple[Event, ...]:
        return self.core.answered(request, lease, self.now)

    def succeed(self, kind: Kind) -> tuple[Event, ...]:
        """What is due is of that kind, and done, and answered at once."""
        request = self.sends(kind)
        return self.answer(request, self.landed(request))

    def fail(self, kind: Kind, failure: Failure) -> tuple[Event, ...]:
        return self.core.failed(self.sends(kind), failure, self.now)

    def read(self, lease: Lease | None) -> tuple[Event, ...]:
        return self.answer(self.sends(Kind.READ), lease)

    def watch(self, lease: Lease) -> tuple[Event, ...]:
        return self.core.observed(lease, self.now)

    def foreign(self, holder: str | None = "other", **spec: Any) -> Lease:
        """A record that somebody else wrote just now."""
        at = MicroTime(self.wall_us - 3_600_000_000)
        fields = {"lease_duration_seconds": 15, "acquire_time": at, "renew_time": at, "lease_transitions": 7, **spec}
        return self.store(new_lease("x", "default", LeaseSpec(holder_identity=holder, **fields)))

    def wait_until_due(self) -> None:
        assert self.core.due < float("inf")
        self.now = max(self.now, self.core.due)


def candidate(**options: Any) -> Candidate:
    return Candidate(**options).start()


def leading(**options: Any) -> tuple[Candidate, Lease]:
    """A candidate that has just created the Lease and won its term at 1000 s; with the record."""
    it = candidate(**options)
    it.read(None)
    request = it.sends(Kind.ACQUIRE)
    ours = it.landed(request)
    (started,) = it.answer(request, ours)
    assert isinstance(started, Started)
    return it, ours


def waiting(**spec: Any) -> Candidate:
    """A candidate that has read another's record at 1000 s."""
    it = candidate()
    assert it.read(it.foreign(**spec)) == (Waiting(holder="other"),)
    return it


def stopping_reason(events: tuple[Event, ...]) -> EndReason:
    (event,) = events
    assert isinstance(event, Stopping)
    return event.reason


def ended(events: tuple[Event, ...]) -> Ended:
    (event,) = events
    assert isinstance(event, Ended)
    return event


def release_due(*, holder_work_stopped: bool = True) -> tuple[Candidate, Lease]:
    """A leader that resigned, and whose work has stopped, if so wished."""
    it, ours = leading()
    it.core.resign(it.now)
    if holder_work_stopped:
        assert it.core.work_stopped(it.now) == ()
    return it, ours
