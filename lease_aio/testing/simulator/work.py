"""What the term guards: work that writes to a resource, and a resource that compares fencing tokens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lease_aio.testing.simulator.host import Host
    from lease_aio.testing.simulator.invariants import Tenancy
    from lease_aio.testing.simulator.world import World


class Resource:
    """Keeps the largest token it has seen, and refuses lower ones.

    Attributes:
        offered: Writes that arrived.
        stale: Those among them of a term after a later one had written.
        accepted: Stale ones that were let in: none, if tokens rise.
    """

    __slots__ = ("_newest", "_token", "_world", "accepted", "offered", "stale")

    def __init__(self, world: World) -> None:
        self._world = world
        self._token = self._newest = -math.inf
        self.offered = self.stale = self.accepted = 0

    def write(self, tenancy: Tenancy) -> None:
        """A write of that term arrives."""
        self.offered += 1
        stale, lets_in = tenancy.serial < self._newest, tenancy.token >= self._token
        self.stale += stale
        self.accepted += stale and lets_in
        judge, host = self._world.judge, tenancy.host
        judge.promise(not (stale and lets_in), "I3", host, "a stale write was accepted after one of a later term")
        judge.promise(stale or lets_in, "I2", host, "a write of the latest term was refused: its token is too low")
        if lets_in:
            self._newest, self._token = tenancy.serial, tenancy.token


class Work:
    """The work of one term: writes now and then, as long as it runs. It runs whenever its process does."""

    __slots__ = ("_host", "_tenancy", "_world")

    def __init__(self, host: Host, tenancy: Tenancy) -> None:
        self._world, self._host, self._tenancy = host.world, host, tenancy
        self._later(0.05)

    def _later(self, share: float) -> None:
        time = self._world.time
        when = time.now + share * self._tenancy.duration_s * (0.5 + self._world.dice.random())
        time.at(max(when, self._host.frozen_until), self._write, self._host.epoch)

    def _write(self, epoch: int) -> None:
        host, world = self._host, self._world
        if host.epoch != epoch or host.working is not self._tenancy:
            return
        if world.time.now < host.frozen_until:
            self._later(0)
            return
        late = world.dice.hit("work's write late", 0.15)
        travel = (2 * self._tenancy.duration_s if late else 0.02) * world.dice.random()
        world.time.at(world.time.now + travel, world.resource.write, self._tenancy)
        self._later(0.6)
