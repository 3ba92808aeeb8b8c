"""Every kind of situation that one `Election` and one Lease can be in, found by trying all inputs in each.

A world is a core, a Lease in a store, and a request on its way. Breadth first: whatever can happen next is tried on a
copy of each world; a copy that is like none before (`World.kind`) is explored in its turn. Numbers and times are not
told apart beyond what the rules compare, so the kinds are finite, but many: the walk stops after so many worlds.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Iterator
from typing import Any, ClassVar

from lease_aio.election.core import Election
from lease_aio.election.events import State
from lease_aio.election.requests import Failure, Flight, Kind, Request
from lease_aio.model import Lease, LeaseSpec, MicroTime, new_lease
from lease_aio.timing import Timing

Transition = tuple[str, str, str]
"""State before, input, state after."""
INPUTS = {
    "contend": "contend",
    "tick": "due",
    "answered": "answered",
    "failed": "failed",
    "observed": "seen",
    "vanished": "gone",
    "expire": "expired",
    "resign": "resign",
    "work_stopped": "work stopped",
    "abandon": "abandon",
}
"""Inputs of the core, and their words in the table."""
_OLD_S = 11.0  # a write sent longer ago can no longer begin a term
Step = tuple[str, Any]


class Watched(Election):
    """Notes each input that changes the state."""

    seen: ClassVar[set[Transition]] = set()

    def __init_subclass__(cls) -> None:
        cls.seen = set()


def _watched(name: str, word: str) -> Any:
    def method(self: Watched, *args: Any, **options: Any) -> Any:
        before = self.state
        result = getattr(Election, name)(self, *args, **options)
        if self.state is not before:
            self.seen.add((before.value, word, self.state.value))
        return result

    return method


for _name, _word in INPUTS.items():
    setattr(Watched, _name, _watched(_name, _word))


class World:
    """One core, its Lease, and its request on its way."""

    def __init__(self, election: type[Watched]) -> None:
        self.core = election(
            name="x", namespace="default", identity="me", timing=Timing(lease_duration_s=15), random=lambda: 0.5
        )
        self.now, self.version = 0.0, 10
        self.lease: Lease | None = None

    def copy(self) -> World:
        twin = copy.copy(self)
        twin.core = copy.copy(self.core)
        twin.core._flight = copy.copy(self.core._flight)
        twin.core._doubtful = [copy.copy(doubt) for doubt in self.core._doubtful]
        return twin

    @property
    def request(self) -> Request | None:
        return self.core._flight.request if self.core._flight is not None else None

    def kind(self) -> object:
        """What the rules can tell this world by."""
        core, lease, flight = self.core, self.lease, self.core._flight
        stored = lease is not None and (
            lease.spec.holder_identity,
            core._seen is not None and core._seen.lease is lease,
            int(lease.resource_version) > core._version,
        )
        seen = core._seen.lease.spec.holder_identity if core._seen is not None else self
        return (
            *(core._phase, core._must_read, core._buried, core._ours is not None, core._reason, core.polling),
            *(self.now >= core.valid_until, self.now >= core.due, min(core._setbacks, 2)),
            *(None if seen is self else (seen,), stored, self._flight_kind(flight)),
            core._coordination is not None and core._ours is not None and core._coordination.superseded(core._ours),
            tuple(self._flight_kind(doubt) for doubt in core._doubtful[-2:]),
        )

    def _flight_kind(self, flight: Flight | None) -> object:
        if flight is None:
            return None
        request, wrote = flight.request, self.lease is not None and flight.wrote(self.lease)
        known = flight.landed is not None, flight.overtaken, self.now - flight.sent > _OLD_S
        return request.kind, request.creates, self.passes(request), wrote, *known

    def passes(self, request: Request) -> bool:
        """The store would do that write now."""
        if request.lease is None or request.creates:
            return request.lease is None or self.lease is None
        return self.lease is not None and self.lease.resource_version == request.lease.resource_version

    # ------------------------------------------------------------------ what can happen

    def steps(self) -> Iterator[Step]:
        core = self.core
        yield "wait", 16.0
        if self.now < core.due < math.inf:
            yield "wait", core.due - self.now
        if not core.polling:
            yield "poll", None
        yield from self._wishes()
        if self.request is not None:
            yield from self._outcomes(self.request)
        for at in range(len(core._doubtful[-2:])):
            yield "late", at
        for holder in ("other", "", None):
            yield "stranger", holder
        if core._coordination is not None:
            yield "appoint", "me"
            yield "prefer", None
        if self.lease is not None:
            yield "show", None
            yield "delete", None
        elif self.version > core._version:
            yield "vanish", str(self.version)

    def _wishes(self) -> Iterator[Step]:
        if self.core.state is State.IDLE:
            yield "contend", None
            return
        yield from (("resign", None), ("abandon", None), ("vanish", ""))
        if self.core.due <= self.now:
            yield "tick", None
        if self.core.term is not None:
            yield "work_stopped", None

    def _outcomes(self, request: Request) -> Iterator[Step]:
        yield from (("fail", Failure.NOT_DONE), ("fail", Failure.PERMANENT))
        if request.kind is Kind.READ:
            yield "answer", None
            return
        yield "fail", Failure.UNKNOWN
        if self.passes(request):
            yield from (("answer", None), ("land", request))
        else:
            yield "fail", Failure.GONE if self.lease is None and not request.creates else Failure.CONFLICT

    def do(self, what: str, about: Any) -> None:
        """Let one thing happen."""
        core, now = self.core, self.now
        match what:
            case "wait":
                self.now += about
                core.expire(self.now)
            case "poll":
                core.polling = True
            case "contend" | "resign" | "work_stopped":
                getattr(core, what)(now)
            case "abandon":
                core.abandon()
            case "vanish":
                core.vanished(about)
            case "tick":
                core.expire(now)
                core.tick(now, int(now * 1e6) + 10**15)
            case "answer":
                request = self.request
                core.answered(request, self.lease if request.lease is None else self.store(request.lease), now)
            case "fail":
                core.failed(self.request, about, now)
            case "show":
                core.observed(self.lease, now)
            case _:
                self._elsewhere(what, about)

    def _elsewhere(self, what: str, about: Any) -> None:
        """What happens at the server, and the core does not hear of."""
        match what:
            case "land":
                self.store(about.lease)
            case "late":
                request = self.core._doubtful[-2:][about].request
                if self.passes(request):
                    self.store(request.lease)
            case "delete":
                self.version, self.lease = self.version + 1, None
            case "prefer":
                if self.lease is not None:
                    self.store(self.lease.with_spec(preferred_holder="other"))
            case "appoint":
                spec = LeaseSpec(
                    holder_identity=about, lease_duration_seconds=5, renew_time=MicroTime(10**16 + self.version)
                )
                self.store(new_lease("x", "default", spec))
            case "stranger":
                spec = LeaseSpec(
                    holder_identity=about, lease_duration_seconds=15, renew_time=MicroTime(10**16 + self.version)
                )
                self.store(new_lease("x", "default", spec))

    def store(self, lease: Lease) -> Lease:
        self.version += 1
        self.lease = lease.with_metadata(resource_version=str(self.version))
        return self.lease


def walk(most: int, election: type[Watched] = Watched) -> tuple[set[Transition], int, int]:
    """All transitions found, how many worlds were explored, and how many steps were tried in them."""

    class Walked(election):
        pass

    first = World(Walked)
    kinds, waiting = {first.kind()}, deque([first])
    explored = tried = 0
    while waiting and explored < most:
        world = waiting.popleft()
        explored += 1
        for step in world.steps():
            after = world.copy()
            after.do(*step)
            tried += 1
            if (kind := after.kind()) not in kinds:
                kinds.add(kind)
                waiting.append(after)
    return Walked.seen, explored, tried
