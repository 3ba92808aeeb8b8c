"""The rules of one candidate, pure: every input carries `now`, every answer is a value.

The shell asks `tick` for the next request, performs it, and tells the outcome to `answered` or
`failed`; what a watch shows goes to `observed` or `vanished`. Each returns the events that follow.
At most one request is on its way at any time.

Safety rests on five rules; D is the lease duration, ρ the clock error, G the stop grace (`Timing`):

1. A term is valid until the *send* time of its last confirmed write + D(1−ρ) − G.
2. A record of another is taken over only D(1+ρ) after *this* candidate first saw its resourceVersion,
   with the D that stands in the record. No timestamp of another clock is ever compared.
3. Every write is compare-and-swap. After a conflict or an unknown outcome nothing is written before
   the Lease was read back (or shown by the watch).
4. A record is ours only if holder, acquire time, transitions and renew time are what we wrote; the
   identity alone proves nothing, another process may use it too. Anything else ends the term at once.
5. The Lease is released only after the work has stopped.

A coordinated candidate (KEP-4355, `Coordination`) obeys them all, and waits besides: it takes the Lease when it is
named in it, and yields to whom the coordinator prefers; where no coordinator acts, it falls back to the above.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from lease_aio.election.appointment import Coordination
from lease_aio.election.events import Ended, EndReason, Event, Started, State, Stopping, TermRecord, Waiting
from lease_aio.election.requests import SUCCESSOR, Failure, Flight, Kind, Request, Seen, Writer, signature
from lease_aio.model import Lease, MicroTime
from lease_aio.timing import Timing

RENEW_JITTER = 0.1  # a renewal comes up to a tenth of its interval early, never late
_DOUBTS_KEPT = 8  # writes of unknown outcome that are remembered; an older one that lands counts as a stranger's


class _Phase(enum.Enum):
    IDLE = enum.auto()
    CONTENDING = enum.auto()
    LEADING = enum.auto()
    STOPPING = enum.auto()
    RELEASING = enum.auto()


class Election:
    """The state of one candidate for one Lease, over any number of terms.

    Attributes:
        polling: No watch tells of changes; the Lease is read every `renew_interval_s` while waiting.
        term: The current term, from winning to the end of the release.
        valid_until: When the current term ends by itself (rule 1); minus infinity without one.

    Args:
        name: The Lease.
        namespace: Its namespace.
        identity: What is written as holder.
        timing: Durations.
        random: Uniform in [0, 1), for jitter.
        labels: Put on the Lease, beside what is there.
        fallback_after_s: Be coordinated, and leave the Lease so long to the coordinator where a plain candidate could
            take it. None: be plain.
    """

    def __init__(
        self,
        *,
        name: str,
        namespace: str,
        identity: str,
        timing: Timing,
        random: Callable[[], float],
        labels: Mapping[str, str] | None = None,
        fallback_after_s: float | None = None,
    ) -> None:
        self._name, self._namespace, self._identity = name, namespace, identity
        self._timing, self._random = timing, random
        self._writer = Writer(
            name=name,
            namespace=namespace,
            identity=identity,
            duration_s=timing.lease_duration_s,
            labels=dict(labels or {}),
        )
        self._coordination: Coordination | None = None
        if fallback_after_s is not None:
            self._coordination = Coordination(identity=identity, timing=timing, fallback_after_s=fallback_after_s)
        self.polling = False
        self.term: TermRecord | None = None
        self.valid_until = -math.inf
        self._phase = _Phase.IDLE
        self._reason = EndReason.RESIGNED
        self._seen: Seen | None = None
        self._version = 0  # the newest one known, be it a record's or a deletion's
        self._ours: Lease | None = None  # the version last known to hold our own write
        self._flight: Flight | None = None
        self._doubtful: list[Flight] = []  # writes of unknown outcome since the last confirmed one
        self._setbacks = 0  # failed writes since the last one that landed
        self._must_read = True
        self._in_step = False  # the Lease was read in this candidacy: what the watch shows next follows on that
        self._buried = False  # a Lease was deleted that was perhaps never seen
        self._blocked_until = -math.inf  # nobody holds it, yet it is not ours to take before
        self._retry_at = -math.inf
        self._read_at = -math.inf
        self._renew_at = -math.inf
        self._written_us = 0
        self._reported_holder: str | None = None
        self._successor = ""  # for whom we release

    # ------------------------------------------------------------------ what stands now

    @property
    def state(self) -> State:
        """The state as a user sees it."""
        if self._uncertain and self._phase in (_Phase.CONTENDING, _Phase.LEADING):
            return State.UNCERTAIN
        if self._phase is not _Phase.CONTENDING:
            return State[self._phase.name]
        if self._flight is not None and self._flight.request.kind is Kind.ACQUIRE:
            return State.ACQUIRING
        return State.OBSERVING if self._must_read else State.WAITING

    @property
    def _uncertain(self) -> bool:
        return self._must_read and bool(self._doubtful)

    @property
    def leading(self) -> bool:
        """Won, and not told to stop; whether still valid is for `valid_until` to say."""
        return self._phase is _Phase.LEADING

    @property
    def holder(self) -> str:
        """The holder in the newest record seen; empty where none is known."""
        return self._record.holder if self._record is not None else ""

    @property
    def _record(self) -> Lease | None:
        return self._seen.lease if self._seen is not None else None

    @property
    def strange(self) -> Lease | None:
        """The newest record seen, if it has our identity and is not known to be our own write (rule 4)."""
        lease = self._seen.lease if self._seen is not None and self._ours is None else None
        return lease if lease is not None and lease.holder == self._identity else None

    @property
    def due(self) -> float:
        """When `tick` wants to be called next; infinity while a request is on its way or none is wanted."""
        if self._flight is not None or self._phase is _Phase.IDLE:
            return math.inf
        return max(self._wanted_at(), self._retry_at)

    @property
    def deadline(self) -> float:
        """By when the next request should have been sent."""
        if self._phase in (_Phase.LEADING, _Phase.STOPPING):
            return self.valid_until
        return self.due + self._timing.request_timeout_s

    def _wanted_at(self) -> float:
        if self._must_read:
            return -math.inf
        if self._phase is _Phase.CONTENDING:
            free_at = self._free_at()
            return min(free_at, self._read_at + self._timing.renew_interval_s) if self.polling else free_at
        if self._phase is _Phase.RELEASING:
            return -math.inf
        return self._renew_at if self._ours is not None else math.inf

    def _free_at(self) -> float:
        """From when on this candidate may take the Lease."""
        plain = self._plainly_free_at()
        if self._coordination is None:
            return plain
        ours = self._ours is not None
        return self._coordination.free_at(plain, self._record, ours=ours, blocked_until=self._blocked_until)

    def _plainly_free_at(self) -> float:
        """Rule 2."""
        seen = self._seen
        if seen is None:
            return self._blocked_until
        if not seen.lease.holder:
            return max(self._blocked_until, seen.since + self._courtesy_s(seen.lease))
        if self._ours is not None:  # our own ended term: its work has stopped, nobody has come since
            return self._blocked_until
        return seen.since + self._timing.takeover_after_s(seen.lease.spec.lease_duration_seconds)

    def _courtesy_s(self, released: Lease) -> float:
        """How long a Lease that is meant for another is left to it; a dead successor is not waited for longer."""
        successor = released.metadata.annotations.get(SUCCESSOR, self._identity)
        return 0.0 if successor == self._identity else 2 * self._timing.retry_interval_s

    # ------------------------------------------------------------------ requests

    def tick(self, now: float, wall_us: int) -> Request | None:
        """The request to send now, if one is due; it counts as sent from here on.

        Args:
            now: Monotonic seconds.
            wall_us: The wall clock, only ever written into the Lease.
        """
        if now < self.due:
            return None
        request = self._next_request(now, wall_us)
        self._flight = Flight(request, now, self._version)
        return request

    def _next_request(self, now: float, wall_us: int) -> Request:
        if self._must_read:
            return Request(kind=Kind.READ)
        if self._phase is _Phase.CONTENDING:
            if now < self._free_at():
                return Request(kind=Kind.READ)
            lease = self._writer.acquiring(self._record, self._stamp(wall_us))
            return Request(kind=Kind.ACQUIRE, lease=lease, appointed=self._is_appointed())
        assert self._ours is not None
        if self._phase is _Phase.RELEASING:
            lease = self._writer.releasing(self._ours, self._stamp(wall_us), self._successor)
            return Request(kind=Kind.RELEASE, lease=lease)
        return Request(kind=Kind.RENEW, lease=self._writer.renewing(self._ours, self._stamp(wall_us)))

    def _is_appointed(self) -> bool:
        if self._coordination is None or self._seen is None or self._ours is not None:
            return False
        return self._coordination.names_me(self._seen.lease)

    def _stamp(self, wall_us: int) -> MicroTime:
        """A renew time never written before: it is what tells our writes apart (rule 4)."""
        self._written_us = max(wall_us, self._written_us + 1)
        return MicroTime(self._written_us)

    # ------------------------------------------------------------------ answers

    def answered(self, request: Request, lease: Lease | None, now: float) -> tuple[Event, ...]:
        """The request succeeded. A read that found nothing gives None."""
        flight = self._take_flight(request)
        if flight is None:
            return ()
        self._retry_at = now
        if request.kind is Kind.READ:
            return self._read_back(flight, lease, now)
        assert lease is not None
        self._forget_if_restored(flight, lease)
        self._note(lease, now, None if flight.overtaken else flight)
        return self._landed(flight, lease, now)

    def awaits(self, request: Request) -> bool:
        """It is on its way. Not so once the candidacy that sent it is over: whatever comes of it changes nothing."""
        return self._flight is not None and self._flight.request is request

    def failed(self, request: Request, failure: Failure, now: float) -> tuple[Event, ...]:
        """The request failed."""
        flight = self._take_flight(request)
        if flight is None:
            return ()
        if flight.landed is not None and failure is Failure.UNKNOWN:
            return self._landed(flight, flight.landed, now)
        if flight.landed is not None:  # the very same record, but not ours: a double's, written in the same microsecond
            self._ours = None
        if failure is Failure.PERMANENT:
            return self._refused()
        self._remember(flight, failure, now)
        return self._read_back(flight, None, now) if failure is Failure.GONE else self._settle()

    def _remember(self, flight: Flight, failure: Failure, now: float) -> None:
        wrote = flight.request.kind is not Kind.READ
        if wrote and failure in (Failure.CONFLICT, Failure.UNKNOWN):
            self._must_read = True  # rule 3
        if wrote and failure is Failure.UNKNOWN and not flight.overtaken:
            self._doubtful = [*self._doubtful, flight][-_DOUBTS_KEPT:]
        self._setbacks += wrote
        # What one look can mend is looked at once; a second failed write in a row may be the first of thousands.
        at_once = (failure is not Failure.NOT_DONE and self._setbacks == 1) if wrote else failure is Failure.GONE
        self._retry_at = now if at_once else now + self._timing.retry_interval_s * (1 + self._random()) / 2

    def _take_flight(self, request: Request) -> Flight | None:
        """The flight of that request; None where the candidacy that sent it has ended."""
        if not self.awaits(request):
            return None
        flight, self._flight = self._flight, None
        return flight

    def _landed(self, flight: Flight, lease: Lease, now: float) -> tuple[Event, ...]:
        """A write of ours is known to be done; rule 1 counts from when it was sent."""
        self._doubtful.clear()  # what was sent before it can no longer pass compare-and-swap
        self._setbacks = 0
        if flight.request.kind is Kind.RELEASE:
            return self._released(now)
        self._confirm(flight)
        if flight.request.kind is Kind.ACQUIRE and self._phase is _Phase.CONTENDING:
            return self._won(flight, lease, now)
        return self._settle()  # the watch may have shown already that it was lost again

    def _confirm(self, flight: Flight) -> None:
        self._renew_at = flight.sent + self._timing.renew_interval_s * (1 - RENEW_JITTER * self._random())
        self.valid_until = max(self.valid_until, flight.sent + self._timing.term_length_s)

    def _won(self, flight: Flight, lease: Lease, now: float) -> tuple[Event, ...]:
        if self._ours is None or now >= self.valid_until:  # lost again already, or the answer outlasted the term
            return self._settle()
        self._phase = _Phase.LEADING
        self.term = TermRecord(
            lease=self._name,
            namespace=self._namespace,
            holder=self._identity,
            token=int(lease.resource_version),
            transitions=lease.spec.lease_transitions or 0,
            started=now,
            appointed=flight.request.appointed,
        )
        self._reported_holder = None
        if self._coordination is not None:
            self._coordination = replace(self._coordination, idle=not flight.request.appointed)
        return (Started(term=self.term),)

    def _read_back(self, flight: Flight, lease: Lease | None, now: float) -> tuple[Event, ...]:
        self._read_at = now
        if lease is None and self._shown_since(flight):  # which of the two is newer?
            self._must_read = True
            return ()
        self._must_read, self._in_step = False, True
        if lease is None:
            return self._absent(now)
        self._forget_if_restored(flight, lease)
        if self._is_gone and int(lease.resource_version) <= self._version:  # deleted since it was read
            self._seen = Seen(lease, now)
            return self._absent(now)
        return self._learn(lease, now, gap=True)

    def _forget_if_restored(self, flight: Flight, lease: Lease) -> None:
        """Older than what was known when it was asked for: the cluster was restored from a backup, all that is void."""
        if int(lease.resource_version) < flight.known:
            self._version, self._seen, self._ours = 0, None, None

    @property
    def _is_gone(self) -> bool:
        """The newest that is known is a deletion."""
        return self._seen is None or int(self._seen.lease.resource_version) < self._version

    def _shown_since(self, flight: Flight) -> bool:
        """The watch has shown a record since that read was sent."""
        if flight.request.kind is not Kind.READ or self._seen is None:
            return False
        return flight.known < int(self._seen.lease.resource_version) == self._version

    def _learn(self, lease: Lease, now: float, *, gap: bool) -> tuple[Event, ...]:
        """A record was read or watched: perhaps it is a write of ours that nobody answered for."""
        landed = next((f for f in self._doubtful if f.wrote(lease)), None)
        self._note(lease, now, landed, gap=gap)
        if landed is not None:
            self._must_read = False
            return self._landed(landed, lease, now)
        return self._settle()

    # ------------------------------------------------------------------ the watch

    def observed(self, lease: Lease, now: float, *, gap: bool = False) -> tuple[Event, ...]:
        """A watch showed this state; older ones than what is known are passed over.

        Args:
            lease: The record.
            now: Monotonic seconds.
            gap: The watch began, or began anew, with it: there may have been others in between.
        """
        if int(lease.resource_version) <= self._version:
            return ()
        flight = self._flight
        if flight is None or not flight.wrote(lease):
            return self._learn(lease, now, gap=gap or not self._in_step)
        flight.landed = lease
        self._note(lease, now, flight)
        if flight.request.kind is Kind.RENEW:
            self._confirm(flight)
        return ()

    def vanished(self, resource_version: str) -> tuple[Event, ...]:
        """A watch showed that the Lease is gone.

        Args:
            resource_version: The deletion's. Empty where only the absence is known, not as of when: then the
                Lease is read.
        """
        if not resource_version:
            self._must_read = True
            return ()
        if int(resource_version) <= self._version:
            return ()
        self._version = int(resource_version)
        return self._absent()

    def _note(self, lease: Lease, now: float, mine: Flight | None, *, gap: bool = False) -> None:
        """Remember a record, if it is newer; the time since when it is known starts here (rule 2).

        Args:
            lease: The record.
            now: Monotonic seconds.
            mine: Our own write that made this record, if one did.
            gap: There may have been others since the last one known.
        """
        version = int(lease.resource_version)
        if version <= self._version:
            return
        if self._flight is not None and not self._flight.wrote(lease):
            self._flight.overtaken = True
        unchanged = self._ours is not None and signature(self._ours) == signature(lease)
        self._ours = lease if mine is not None or unchanged else None  # rule 4
        if self._coordination is not None:
            ours = self._ours is not None
            self._coordination = self._coordination.noted(lease, now, ours=ours, before=self._record, gap=gap)
        self._version, self._seen = version, Seen(lease, now)
        self._doubtful = [f for f in self._doubtful if f.may_follow(version)]
        if self._ours is None and lease.holder:
            self._setbacks = 0  # beaten fairly

    def _absent(self, now: float | None = None) -> tuple[Event, ...]:
        """Deleted. Who led lets go; who waited lets a full term pass from when the absence is read (rule 2).

        Somebody may have renewed, or even won, between our last sight of the Lease and its end, and may work on.
        """
        self._ours = None
        if self._seen is not None or now is None:  # there was a Lease: a create sent before may land where it was
            self._overtake()
        if self._phase is _Phase.LEADING:
            self._seen = None
        elif now is None:
            self._must_read = self._buried = self._must_read or self._seen is not None  # else its absence was known
        elif self._seen is not None or self._buried:
            written = (self._seen and self._seen.lease.spec.lease_duration_seconds) or 0
            wait_s = self._timing.takeover_after_s(max(written, self._timing.lease_duration_s))
            self._blocked_until = max(self._blocked_until, now + wait_s)
            self._seen, self._buried = None, False
        return self._settle(EndReason.DELETED)

    def _overtake(self) -> None:
        self._doubtful.clear()
        if self._flight is not None:
            self._flight.overtaken = True

    def heard_coordinator(self) -> None:
        """There is a coordinator, which asks for a sign of life: it is waited for (again)."""
        if self._coordination is not None:
            self._coordination = replace(self._coordination, idle=False)

    def candidates_served(self, *, served: bool) -> None:
        """Whether the API server has LeaseCandidates: without them no coordinator is waited for."""
        if self._coordination is not None:
            self._coordination = replace(self._coordination, served=served)

    # ------------------------------------------------------------------ coming and going

    def contend(self, now: float) -> None:
        """Start to contend (again)."""
        assert self._phase is _Phase.IDLE, "already contending"
        self._phase = _Phase.CONTENDING
        self._reason = EndReason.RESIGNED
        self._successor = ""
        self._must_read, self._in_step = True, False
        self._retry_at = now
        self._reported_holder = None
        if self._coordination is not None:
            self._coordination = replace(self._coordination, since=now)

    def expire(self, now: float) -> tuple[Event, ...]:
        """End the term if its time is over; to be called by a timer that waits for no request."""
        if self._phase is _Phase.LEADING and now >= self.valid_until:
            return self._stop(EndReason.EXPIRED)
        return ()

    def resign(self, now: float, successor: str = "") -> tuple[Event, ...]:
        """Give up leading, or contending. The term is renewed on until `work_stopped`.

        Args:
            now: Monotonic seconds.
            successor: The identity that the Lease is meant for, if any.
        """
        if self._phase is _Phase.LEADING:
            self._successor = successor
            self._let_another_have_it(now)
            return self._stop(EndReason.RESIGNED)
        if self._phase is _Phase.CONTENDING:
            return self._release(now)
        return ()

    def work_stopped(self, now: float) -> tuple[Event, ...]:
        """The work has stopped; only now may the Lease be released (rule 5)."""
        events = self.resign(now) if self._phase is _Phase.LEADING else ()
        return (*events, *self._release(now)) if self._phase is _Phase.STOPPING else events

    def abandon(self) -> tuple[Event, ...]:
        """Give up the release: the Lease runs out by itself."""
        if self._phase is _Phase.IDLE:
            return ()
        if self._phase in (_Phase.LEADING, _Phase.STOPPING):
            self._ours = None  # the work may run on: the record counts as a stranger's from here
        return self._end(released=False)

    def refuse(self) -> tuple[Event, ...]:
        """What the candidacy needs besides the Lease is refused for good: who waits ends, who leads goes on."""
        return self._refused() if self._phase is _Phase.CONTENDING else ()

    def _stop(self, reason: EndReason) -> tuple[Event, ...]:
        assert self.term is not None
        self._phase, self._reason = _Phase.STOPPING, reason
        return (Stopping(term=self.term, reason=reason),)

    def _release(self, now: float) -> tuple[Event, ...]:
        self._phase = _Phase.RELEASING
        self._retry_at = now
        return self._settle()

    def _released(self, now: float) -> tuple[Event, ...]:
        if self._reason is EndReason.RESIGNED:
            self._let_another_have_it(now)
        return self._end(released=True)

    def _let_another_have_it(self, now: float) -> None:
        self._blocked_until = max(self._blocked_until, now + 2 * self._timing.retry_interval_s)

    def _refused(self) -> tuple[Event, ...]:
        self._ours = None  # nothing that we may still write, nor ask for
        self._must_read = False
        self._doubtful.clear()
        if self._phase is _Phase.CONTENDING:
            self._reason = EndReason.REFUSED
            return self._end(released=False)
        return self._settle(EndReason.REFUSED)

    def _settle(self, reason: EndReason = EndReason.TAKEN) -> tuple[Event, ...]:
        """What follows from what is now known to be ours, or no longer ours."""
        if self._phase is _Phase.CONTENDING:
            return self._report_holder()
        if self._ours is not None:
            return self._yield(self._ours)
        if self._phase is _Phase.LEADING:
            return self._stop(reason)
        if self._phase is _Phase.RELEASING and not self._write_pending():
            return self._end(released=False)
        return ()

    def _yield(self, ours: Lease) -> tuple[Event, ...]:
        """Make room for whom the coordinator prefers; as in a resignation, renewing until the work has stopped."""
        if self._phase is _Phase.LEADING and self._coordination is not None and self._coordination.superseded(ours):
            return self._stop(EndReason.YIELDED)
        return ()

    def _write_pending(self) -> bool:
        """An acquiring write may still make the Lease ours."""
        return self._uncertain or (self._flight is not None and self._flight.request.kind is Kind.ACQUIRE)

    def _report_holder(self) -> tuple[Event, ...]:
        if self._must_read or self._ours is not None or self.holder == self._reported_holder:
            return ()
        self._reported_holder = self.holder
        return (Waiting(holder=self.holder),) if self.holder else ()

    def _end(self, *, released: bool) -> tuple[Event, ...]:
        ended = Ended(term=self.term, reason=self._reason, released=released)
        self._phase, self.term, self._flight = _Phase.IDLE, None, None
        self._doubtful.clear()
        self.valid_until = -math.inf
        if released:
            self._ours = None
        return (ended,)
