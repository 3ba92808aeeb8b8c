"""Small scope, without dice: every order of events of two candidates, up to a depth, over the real rules.

Time is a grid of half seconds, both clocks are exact, D = 2 s; the renewal interval, the request time-out and G are
half a second each. It begins with two candidates that know nothing, or with one that leads and one that waits. In each
state may happen next:

- half a second passes, with all timers on time;
- a request of a candidate is done and answered; or is done, and its answer is on its way; or such an answer arrives. A
  request, or an answer, that is passed over is lost when its time-out passes; a lost request may still be done later;
- the next event of a candidate's watch arrives;
- work that was told to stop stops, before its grace is over;
- a candidate resigns, or crashes and starts anew under its name; each so often as its budget allows.

Two orders that lead to the same state are followed once. In each state: no two works run, tokens rise, nobody leads
beyond its last stored write, and no release is sent while work runs.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, cast

from lease_aio.election.core import Election
from lease_aio.election.events import Ended, Event, Started, State, Stopping
from lease_aio.election.requests import Failure, Kind, Request
from lease_aio.errors import ApiError
from lease_aio.model import Lease, MicroTime
from lease_aio.testing.simulator.server import Swap
from lease_aio.timing import Timing

STEP_S = 0.5
TIMING = Timing(
    lease_duration_s=2,
    renew_interval_s=0.5,
    request_timeout_s=0.5,
    stop_grace_s=0.5,
    clock_error=0.0,
    retry_interval_s=1.0,
)
_WALL_US = 10**15


class ScopeViolation(AssertionError):
    """A state breaks a promise. The message lists the events that lead there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Visited:
    """What a search has seen.

    Attributes:
        states: Different ones.
        transitions: Events tried.
        depth: Most events in a row.
        terms: Different tokens that were won.
        deepest_s: The latest moment reached.
    """

    states: int
    transitions: int
    depth: int
    terms: int
    deepest_s: float


class _Member:
    """One candidate in one state."""

    __slots__ = ("answer", "core", "ghost", "life", "sent", "sent_at", "stored_sent", "told_at", "watch", "working")

    def __init__(self, core: Election, life: int) -> None:
        self.core, self.life = core, life  # each starts a millisecond after the last, on its wall clock
        self.sent: Request | None = None  # waits for its answer
        self.sent_at = 0.0
        self.answer: tuple[object, ...] = ()  # (the outcome,) on its way back
        self.ghost: tuple[Request, float] | None = None  # given up, and perhaps still to be done; when it was sent
        self.watch: tuple[Lease, ...] = ()
        self.working = 0  # the token
        self.told_at = math.inf
        self.stored_sent = -math.inf

    def clone(self) -> _Member:
        other = _Member(_clone_core(self.core), self.life)
        for name in ("sent", "sent_at", "answer", "ghost", "watch", "working", "told_at", "stored_sent"):
            setattr(other, name, getattr(self, name))
        return other


def _clone_core(core: Election) -> Election:
    """Flights are all that it changes in place."""
    copy = object.__new__(type(core))
    inside = dict(vars(core))
    inside["_flight"] = _clone_record(inside["_flight"])
    inside["_doubtful"] = [_clone_record(flight) for flight in inside["_doubtful"]]
    vars(copy).update(inside)
    return copy


def _clone_record(record: Any) -> Any:
    if record is None:
        return None
    kind = cast("Any", type(record))
    copy: Any = object.__new__(kind)
    for name in _names(kind):
        setattr(copy, name, getattr(record, name))
    return copy


class _Scope:
    """One state of the whole, and what may happen next."""

    __slots__ = ("budgets", "election", "lease", "members", "now", "token", "version")

    def __init__(self, election: type[Election], budgets: tuple[int, int]) -> None:
        self.election, self.budgets = election, budgets
        self.now = 0.0
        self.lease: Lease | None = None
        self.version, self.token = 1, 0
        self.members = [_Member(self._new_core(index), 0) for index in range(2)]
        for index in range(2):
            self.members[index].core.contend(self.now)
            self._step(index, ())

    def _new_core(self, index: int) -> Election:
        return self.election(name="x", namespace="default", identity="ab"[index], timing=TIMING, random=_never_early)

    def clone(self) -> _Scope:
        other = object.__new__(_Scope)
        other.election, other.budgets, other.now = self.election, self.budgets, self.now
        other.lease, other.version, other.token = self.lease, self.version, self.token
        other.members = [member.clone() for member in self.members]
        return other

    def key(self) -> object:
        """Equal for states with the same future."""
        members = tuple(
            (
                _frozen_core(member.core),
                _frozen(member.sent),
                member.sent_at,
                _frozen(member.answer),
                _frozen(member.ghost),
                _frozen(member.watch),
                member.working,
                member.told_at,
                member.stored_sent,
            )
            for member in self.members
        )
        return self.now, self.budgets, _frozen(self.lease), self.version, self.token, members

    # ------------------------------------------------------------------ what may happen

    def choices(self) -> Iterator[tuple[str, int]]:
        yield "half a second passes", -1
        resigns, crashes = self.budgets
        for index, member in enumerate(self.members):
            if member.sent is not None and not member.answer:
                yield "done and answered", index
                yield "done", index
            if member.answer:
                yield "answer arrives", index
            if member.ghost is not None:
                yield "late request is done", index
            if member.watch:
                yield "watch", index
            if member.working and member.told_at < math.inf:
                yield "work stops", index
            if resigns and member.core.leading:
                yield "resigns", index
            if crashes and (member.working or member.sent is not None):
                yield "crashes and restarts", index

    def apply(self, choice: str, index: int) -> None:
        if index < 0:
            self._pass()
            return
        member = self.members[index]
        match choice:
            case "done and answered":
                self._serve(index)
                self._answer(index)
            case "done":
                self._serve(index)
            case "answer arrives":
                self._answer(index)
            case "late request is done":
                assert member.ghost is not None
                (request, sent_at), member.ghost = member.ghost, None
                self._perform(member, request, sent_at)
            case "watch":
                lease, member.watch = member.watch[0], member.watch[1:]
                self._step(index, member.core.observed(lease, self.now))
            case "work stops":
                self._work_stops(index)
            case "resigns":
                self.budgets = self.budgets[0] - 1, self.budgets[1]
                self._step(index, member.core.resign(self.now))
            case _:
                self._crash(index)

    def _pass(self) -> None:
        self.now += STEP_S
        for index, member in enumerate(self.members):
            if member.sent is not None and self.now >= member.sent_at + TIMING.request_timeout_s:
                self._time_out(index)
            if self.now >= member.told_at + TIMING.stop_grace_s:
                self._work_stops(index)
            self._step(index, ())

    def _time_out(self, index: int) -> None:
        member = self.members[index]
        request = member.sent
        assert request is not None
        if not member.answer and request.lease is not None:
            member.ghost = request, member.sent_at
        member.sent, member.answer = None, ()
        failure = Failure.NOT_DONE if request.kind is Kind.READ else Failure.UNKNOWN
        self._step(index, member.core.failed(request, failure, self.now))

    def _work_stops(self, index: int) -> None:
        member = self.members[index]
        member.working, member.told_at = 0, math.inf
        self._step(index, member.core.work_stopped(self.now))

    def _crash(self, index: int) -> None:
        self.budgets = self.budgets[0], self.budgets[1] - 1
        old = self.members[index]
        new = self.members[index] = _Member(self._new_core(index), old.life + 1)
        if old.sent is not None and old.sent.lease is not None and not old.answer:
            new.ghost = old.sent, -math.inf
        new.core.contend(self.now)
        self._step(index, ())

    # ------------------------------------------------------------------ the server

    def _serve(self, index: int) -> None:
        member = self.members[index]
        assert member.sent is not None
        member.answer = (self._perform(member, member.sent, member.sent_at),)

    def _perform(self, member: _Member, request: Request, sent_at: float) -> object:
        if request.lease is None:
            return self.lease
        swap = Swap()
        swap.lease, swap.version = self.lease, self.version
        outcome = swap.write(request.lease, _WALL_US)
        if isinstance(outcome, ApiError):
            return outcome
        self.lease, self.version = swap.lease, swap.version
        if request.kind is not Kind.RELEASE and sent_at > member.stored_sent:
            member.stored_sent = sent_at
        for each in self.members:
            each.watch = (*each.watch, outcome)
        return outcome

    def _answer(self, index: int) -> None:
        member = self.members[index]
        request, outcome = member.sent, member.answer[0]
        assert request is not None
        member.sent, member.answer = None, ()
        if isinstance(outcome, ApiError):
            self._step(index, member.core.failed(request, Failure.CONFLICT, self.now))
        else:
            self._step(index, member.core.answered(request, cast("Lease | None", outcome), self.now))

    # ------------------------------------------------------------------ the shell

    def _step(self, index: int, events: tuple[Event, ...]) -> None:
        member = self.members[index]
        core = member.core
        for event in (*events, *core.expire(self.now)):
            self._take(index, event)
        request = core.tick(self.now, _WALL_US + int(self.now * 1e6) + 1000 * member.life)
        if request is not None:
            self._require(request.kind is not Kind.RELEASE or not member.working, "released while work runs")
            member.sent, member.sent_at = request, self.now
        if core.leading:
            self._require(
                self.now < core.valid_until <= member.stored_sent + TIMING.term_length_s, "leads without right"
            )

    def _take(self, index: int, event: Event) -> None:
        member = self.members[index]
        if isinstance(event, Started):
            self._require(event.term.token > self.token, "a token did not rise")
            self._require(not any(each.working for each in self.members), "two works at once")
            self.token = member.working = event.term.token
        elif isinstance(event, Stopping) and member.working:
            member.told_at = self.now
        elif isinstance(event, Ended) and member.core.state is State.IDLE:
            member.watch = ()
            member.core.contend(self.now)

    @staticmethod
    def _require(kept: object, what: str) -> None:
        if not kept:
            raise ScopeViolation(what)


def _never_early() -> float:
    return 0.0


def _frozen(value: Any) -> object:
    """A value of which equality says that the future is the same. Nothing in the rules compares what it leaves out."""
    kind = cast("Any", type(value))
    if kind in _PLAIN:
        return value
    if kind is Lease:
        spec = value.spec
        version, uid = value.metadata.resource_version, value.metadata.uid
        return version, uid, spec.holder_identity, _us(spec.renew_time), _us(spec.acquire_time)
    if kind is list or kind is tuple:
        return tuple([_frozen(each) for each in value])
    if isinstance(value, enum.Enum):
        return id(value)
    if is_dataclass(value):
        return tuple([_frozen(getattr(value, name)) for name in _names(kind)])
    return id(value)


def _frozen_core(core: Election) -> object:
    return tuple([_frozen(each) for name, each in vars(core).items() if name not in _CONSTANT])


def _us(time: MicroTime | None) -> int:
    return time.epoch_us if time is not None else 0


def _names(kind: Any) -> tuple[str, ...]:
    names = _NAMES.get(kind)
    if names is None:
        names = _NAMES[kind] = tuple(each.name for each in fields(kind))
    return names


_NAMES: dict[Any, tuple[str, ...]] = {}


_PLAIN = frozenset({float, int, str, bool, type(None)})
_CONSTANT = frozenset({"_name", "_namespace", "_identity", "_timing", "_random", "_writer"})


_HELD = (("done and answered", 0), ("done and answered", 0), ("done and answered", 1), ("watch", 0))


def explore(
    depth: int, *, election: type[Election] = Election, held: bool = False, resigns: int = 1, crashes: int = 1
) -> Visited:
    """Try every order of events of two candidates.

    Args:
        depth: Most events in a row.
        election: The core, or a variant of it.
        held: Begin with one that leads and one that waits for it.
        resigns: How many terms may be resigned.
        crashes: How many processes may crash.

    Raises:
        ScopeViolation: a promise was broken; with the shortest way there.
    """
    start = _Scope(election, (resigns, crashes))
    if held:
        for choice, index in _HELD:
            start.apply(choice, index)
    seen: set[object] = {hash(start.key())}
    frontier: list[tuple[_Scope, tuple[object, ...]]] = [(start, ())]
    transitions, terms, deepest_s = 0, {0}, 0.0
    for _ in range(depth):
        reached: list[tuple[_Scope, tuple[object, ...]]] = []
        for scope, path in frontier:
            for choice, index in scope.choices():
                transitions += 1
                after = _after(scope, path, choice, index)
                key = hash(after.key())
                if key not in seen:
                    seen.add(key)
                    reached.append((after, (path, choice, index)))
                    terms.add(after.token)
                    deepest_s = max(deepest_s, after.now)
        frontier = reached
    return Visited(states=len(seen), transitions=transitions, depth=depth, terms=len(terms) - 1, deepest_s=deepest_s)


def _after(scope: _Scope, path: tuple[object, ...], choice: str, index: int) -> _Scope:
    after = scope.clone()
    try:
        after.apply(choice, index)
    except ScopeViolation as violation:
        way = "\n".join(_steps((path, choice, index)))
        raise ScopeViolation(f"{violation} after\n{way}") from None
    return after


def _steps(path: tuple[object, ...]) -> list[str]:
    steps: list[str] = []
    while path:
        path, choice, index = cast("tuple[tuple[object, ...], str, int]", path)
        steps.append(f"  {'ab'[index]}: {choice}" if index >= 0 else f"  {choice}")
    return steps[::-1]
