"""What happens to a request between its sender and the server, and to its answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lease_aio.errors import ApiError, NotFound, Refused, Throttled, Unavailable
from lease_aio.errors import Call as Asked
from lease_aio.model import Lease
from lease_aio.testing.simulator.host import Call

if TYPE_CHECKING:
    from lease_aio.testing.simulator.world import World

_ASKED = Asked(verb="update", resource="leases", namespace="default", name="x")
THROTTLED = Throttled(_ASKED, "slow down", status=429)
UNAUTHORIZED = Refused(_ASKED, "the token is not known", status=401, reason="Unauthorized")
FORBIDDEN = Refused(_ASKED, "leases are not yours", status=403, reason="Forbidden")
NO_NAMESPACE = NotFound(_ASKED, 'namespaces "default" not found', status=404, reason="NotFound")
BROKEN_READ = Unavailable(_ASKED, "broken", status=500)
BROKEN_WRITE = Unavailable(_ASKED, "broken", status=500, outcome_unknown=True)
SILENT_READ = Unavailable(_ASKED, "no answer")
SILENT_WRITE = Unavailable(_ASKED, "no answer", outcome_unknown=True)
UNREACHED = Unavailable(_ASKED, "connection refused")

_ON_THE_WAY = ((0.33, "request lost"), (0.83, "request late"), (0.95, "request duplicated"), (1.2, "connection reset"))
_ON_THE_WAY_BACK = ((0.33, "answer lost"), (0.83, "answer late"), (0.95, "answer duplicated"))
_AT_THE_DOOR = (
    (0.25, "429"),
    (0.45, "500"),
    (0.60, "500 after the write"),
    (0.63, "401"),
    (0.65, "403"),
)
_REFUSALS = {"429": THROTTLED, "401": UNAUTHORIZED, "403": FORBIDDEN}
_OUTAGES = {"outage: 429": THROTTLED, "outage: 403": FORBIDDEN}
OUTAGES = ("outage: 429", "outage: 403", "outage: writes fail")


class Network:
    """The ways of all machines to the server and back.

    Attributes:
        outage: Which one, if any, until `outage_until`.
    """

    __slots__ = ("_harshness", "_world", "outage", "outage_until")

    def __init__(self, world: World, harshness: float) -> None:
        self._world, self._harshness = world, harshness
        self.outage, self.outage_until = "", -math.inf

    @staticmethod
    def timed_out(call: Call) -> ApiError:
        """No answer came in time."""
        return SILENT_READ if call.lease is None else SILENT_WRITE

    # ------------------------------------------------------------------ there

    def send(self, call: Call) -> None:
        """Carry a request to the server, or not."""
        world, host, dice = self._world, call.host, self._world.dice
        now = world.time.now
        travel = 0.001 + 0.019 * dice.random()
        error = self._error_at_once(call, now)
        if error is not None:
            host.at(now + travel, self._fail, call, error)
            return
        if now < host.cut_until and host.cut_way != "partition: answers":
            self._hold(call, travel)
            return
        match dice.among(_ON_THE_WAY, self._harshness):
            case "request lost":
                host.give_up_later(call)
                return
            case "request late":
                travel = (call.gives_up_at - now) * 2.5 * dice.random()
            case "request duplicated":
                world.time.at(now + travel, self._serve_unseen, call)
                travel += travel
            case "connection reset":
                host.at(now + (call.gives_up_at - now) * dice.random(), self._fail, call, self.timed_out(call))
            case _:
                pass
        self._deliver(call, now + travel)

    def _error_at_once(self, call: Call, now: float) -> ApiError | None:
        if self._world.server.down:
            return UNREACHED
        if now < self.outage_until:
            if self.outage in _OUTAGES:
                return _OUTAGES[self.outage]
            if call.lease is not None:
                return BROKEN_WRITE
        dice = self._world.dice
        if call.lease is not None and self._creates(call.lease) and dice.hit("404", self._harshness * 0.1):
            return NO_NAMESPACE
        fault = dice.among(_AT_THE_DOOR, self._harshness * 0.7)
        if not fault:
            return None
        if fault == "500 after the write":
            self._serve_unseen(call)
        return _REFUSALS.get(fault) or (BROKEN_READ if call.lease is None else BROKEN_WRITE)

    def _creates(self, lease: Lease) -> bool:
        """Whether a missing namespace would be told: a read of one says no more than that there is no Lease."""
        return not lease.metadata.resource_version and self._world.server.lease is None

    def _hold(self, call: Call, travel: float) -> None:
        """In a partition half of the requests are dropped; the others are done when nobody waits any more."""
        if self._world.dice.random() < 0.5:
            call.host.give_up_later(call)
        else:
            self._deliver(call, call.host.cut_until + travel)

    def _deliver(self, call: Call, arrives_at: float) -> None:
        if arrives_at >= call.gives_up_at:
            call.host.give_up_later(call)
        self._world.time.at(arrives_at, self._serve, call)

    # ------------------------------------------------------------------ at the server, and back

    def _serve_unseen(self, call: Call) -> None:
        self._world.perform(call)

    def _serve(self, call: Call) -> None:
        """The request has reached the server, perhaps after its sender's end."""
        world, host = self._world, call.host
        if world.server.down:
            host.give_up_later(call)
            return
        outcome = world.perform(call)
        if host.epoch != call.epoch or not host.alive:
            return
        now = world.time.now
        lost = now < host.cut_until and host.cut_way != "partition: requests"
        fate = "answer lost" if lost else world.dice.among(_ON_THE_WAY_BACK, self._harshness)
        if fate == "answer lost":
            host.give_up_later(call)
            return
        travel = 0.001 + 0.019 * world.dice.random()
        if fate == "answer late":
            travel = host.timing.request_timeout_s * 1.5 * world.dice.random()
        elif fate == "answer duplicated":
            host.at(now + 2 * travel, self._answer, call, outcome, now)
        if now + travel >= call.gives_up_at:
            host.give_up_later(call)
        host.at(now + travel, self._answer, call, outcome, now)

    def _answer(self, call: Call, outcome: Lease | ApiError | None, served_at: float) -> None:
        if isinstance(outcome, ApiError):
            call.host.failed(call, outcome)
        else:
            call.host.answered(call, outcome, served_at)

    def _fail(self, call: Call, error: ApiError) -> None:
        if call.host.waits_for is call:
            call.host.failed(call, error)

    def restart(self) -> None:
        """The server ends: what was on its way to it or back breaks."""
        for host in self._world.hosts:
            call = host.waits_for
            if call is not None:
                host.at(self._world.time.now + 0.001, self._fail, call, self.timed_out(call))


def is_conflict(outcome: object) -> bool:
    """Compare-and-swap was lost."""
    return isinstance(outcome, ApiError) and outcome.status == 409
