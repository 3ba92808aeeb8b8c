"""A coordinator that comes and goes: the real decisions of one look, on a machine that fails as all others do.

Whom it takes for alive may be wrong, its clocks may be wrong, its writes are late, lost or doubled, and it is away for
long times. Of its kinds, one judges a holder by its own sight of the record, as ours does; the others believe the
holder's `renewTime`, as kube-apiserver's does, with a wall clock that is right or far off.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING

from lease_aio.election.coordinated.rules import CoordinatorTiming
from lease_aio.election.coordinated.step import View, look
from lease_aio.election.events import State
from lease_aio.election.requests import Kind
from lease_aio.errors import ApiError
from lease_aio.model import Lease, LeaseCandidate, LeaseCandidateSpec, MicroTime, ObjectMeta, Time
from lease_aio.testing.simulator.candidate import Candidate
from lease_aio.testing.simulator.host import Call, Host, Recruit
from lease_aio.timing import Timing

if TYPE_CHECKING:
    from lease_aio.testing.simulator.world import World

NAME = "z"


class Judging(enum.Enum):
    """By what a coordinator judges whether a holder's time is over."""

    SIGHT = "its own sight of the record"
    WALL = "the holder's renewTime, wall clocks being right"
    WRONG_WALL = "the holder's renewTime, wall clocks being wrong"


class Coordinator(Host):
    """Reads, looks, writes; then waits, or is away for a while.

    Args:
        world: Where.
        rho: By how much its clock's rate may be wrong.
        judging: By what.
        look_s: Between two looks.
        stays: It is there in the calm, too. Candidates that are less patient than its appointments need to be taken up
            get in its way for ever: safe, but no calm.
    """

    def __init__(self, world: World, rho: float, judging: Judging, look_s: float, *, stays: bool) -> None:
        timing = Timing(
            lease_duration_s=60, request_timeout_s=2 * look_s, renew_interval_s=look_s, clock_error=rho, stop_grace_s=0
        )
        super().__init__(world, Recruit(name=NAME, identity=NAME, rho=rho, durations=()), timing)
        self._judging, self._look_s, self._stays = judging, look_s, stays
        self._rules = CoordinatorTiming(look_again_s=look_s, answer_s=look_s, clock_error=rho)
        if judging is not Judging.WRONG_WALL:
            self.clock.wall_offset_s = -self.clock.offset_s
        self._presence = 0

    # ------------------------------------------------------------------ a process

    @property
    def leading(self) -> bool:
        """See `Host`."""
        return False

    @property
    def must_stop_at(self) -> float:
        """See `Host`."""
        return math.inf

    def start(self) -> None:
        """See `Host`."""
        self._presence += 1
        self._seen: tuple[str, float] = ("", 0.0)
        self._began = self.clock.now()
        dice = self.world.dice
        if dice.hit("coordinator away", 0.5):
            self.after(dice.between(0, 6) * 10 * self._look_s, self._look, self._presence)
        else:
            self._look(self._presence)

    def _look(self, presence: int) -> None:
        if presence != self._presence or (self.world.dice.calm and not self._stays):
            return
        if self.world.dice.hit("coordinator away", 0.02):
            self.world.note(self, "goes away")
            self.start()
            return
        self.send(Kind.READ, None, "read", self.clock.now(), self.timing.request_timeout_s)

    def _again(self, delay_s: float) -> None:
        self.after(delay_s * (0.5 + self.world.dice.random()), self._look, self._presence)

    # ------------------------------------------------------------------ one look

    def answered(self, call: Call, lease: Lease | None, served_at: float) -> None:
        """See `Host`."""
        del served_at
        if self.waits_for is not call:
            return
        self.waits_for = None
        if call.tag == "read" and (self._stays or not self.world.dice.calm):
            self._decide(lease)
        else:
            self._again(self._look_s)

    def failed(self, call: Call, error: ApiError) -> None:
        """See `Host`."""
        if self.waits_for is not call:
            return
        self.waits_for = None
        if call.tag == "read" and error.status == 404:
            self._decide(None)
        else:
            self._again(0.2 * self._look_s)

    def _decide(self, lease: Lease | None) -> None:
        now = self.clock.now()
        if lease is not None and lease.resource_version != self._seen[0]:
            self._seen = (lease.resource_version, now)
        by_sight = self._judging is Judging.SIGHT
        view = View(
            name="x",
            namespace="default",
            lease=lease,
            candidates=self._candidates(),
            wall_us=self.clock.wall_us(),
            silent_s=now - self._seen[1] if by_sight and lease is not None else None,
            timing=self._rules,
        )
        step = look(view)
        if step.lease is None:
            self._again(self._look_s if lease is not None else 0.2 * self._look_s)
            return
        self.world.note(self, f"chooses {step.chosen}, over version {step.lease.resource_version or 'none'}")
        self._ask_all()
        self.send(Kind.RENEW, step.lease, "write", now, self.timing.request_timeout_s)

    def _candidates(self) -> list[LeaseCandidate]:
        """Who is alive, as far as it knows; their versions are those of their processes."""
        dice, at = self.world.dice, MicroTime(self.clock.wall_us())
        found: list[LeaseCandidate] = []
        for host in self.world.hosts:
            if not isinstance(host, Candidate) or not host.coordinated:
                continue
            there = host.alive and host.core.state is not State.IDLE
            if there or dice.hit("coordinator believes the dead", 0.05):
                found.append(_object(host, at))
        return found

    def _ask_all(self) -> None:
        dice = self.world.dice
        for host in self.world.hosts:
            if isinstance(host, Candidate) and host.coordinated and dice.random() < 0.5:
                host.at(self.world.time.now + 0.03 * dice.random(), host.asked)


def _object(host: Candidate, at: MicroTime) -> LeaseCandidate:
    version = f"1.{host.minor}.0"
    spec = LeaseCandidateSpec(
        lease_name="x",
        renew_time=at,
        binary_version="1.99.0",
        emulation_version=version,
        strategy="OldestEmulationVersion",
    )
    created = Time(ord(host.name[0]) * 1_000_000)
    return LeaseCandidate(
        metadata=ObjectMeta(name=host.identity, namespace="default", creation_timestamp=created), spec=spec
    )
