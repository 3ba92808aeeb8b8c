"""Who makes trouble: what strikes a machine, the server or the Lease now and then, as long as the storm lasts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lease_aio.model import MicroTime
from lease_aio.testing.simulator.candidate import Candidate
from lease_aio.testing.simulator.clientgo import ClientGo
from lease_aio.testing.simulator.host import Host
from lease_aio.testing.simulator.network import OUTAGES

if TYPE_CHECKING:
    from lease_aio.model import Lease
    from lease_aio.testing.simulator.world import World

_SABOTAGES = ("", "", "", "holder blanked", "holder null", "deleted", "deleted", "duration edited")


class Trouble:
    """Strikes at random moments. What undermines terms does so in some seeds only, so that most must show no overlap.

    Args:
        world: Where.
        rate: Blows in a second.
    """

    __slots__ = ("_rate", "_restarts", "_sabotage", "_world")

    def __init__(self, world: World, rate: float) -> None:
        self._world, self._rate = world, rate
        self._sabotage = world.dice.pick(_SABOTAGES)
        self._restarts = 0
        self._next()

    def _next(self) -> None:
        time, dice = self._world.time, self._world.dice
        time.at(time.now - math.log(1 - dice.random()) / self._rate, self._strike)

    def _strike(self) -> None:
        dice = self._world.dice
        if dice.calm:
            return
        if dice.random() < 0.65:
            host = dice.pick(self._world.hosts)
            action = dice.pick(
                (self._cut, self._cut, self._deafen, self._kill, self._stand_still, self._end, self._jump)
            )
            action(host)
        else:
            dice.pick((self._edit, self._edit, self._undermine, self._undermine, self._outage, self._restart_api))()
        self._next()

    def _a_while(self) -> float:
        dice = self._world.dice
        return dice.between(0.1, 2) * dice.pick(self._world.hosts).timing.lease_duration_s

    # ------------------------------------------------------------------ the network

    def _cut(self, host: Host) -> None:
        dice, now = self._world.dice, self._world.time.now
        way = dice.pick(("partition", "partition", "partition: requests", "partition: answers"))
        if dice.hit(way, 0.8):
            was_cut = now < host.cut_until
            host.cut_until, host.cut_way = now + self._a_while(), way
            self._world.note(host, f"{way}, until {host.cut_until:.3f}")
            self._world.time.at(host.cut_until, self._world.tune_in, host, len(self._world.server.history))
            if was_cut:  # if its watch is back with this, it has missed what came meanwhile
                self._world.tune_in(host, None)

    def _deafen(self, host: Host) -> None:
        fault = self._world.dice.pick(("watch gap", "watch replay"))
        if isinstance(host, Candidate) and self._world.dice.hit(fault, 1):
            host.deaf_until = self._world.time.now + self._a_while()
            heard = len(self._world.server.history) - 3 if fault == "watch replay" else None
            self._world.time.at(host.deaf_until, self._world.tune_in, host, heard)

    def _outage(self) -> None:
        fault = self._world.dice.pick(OUTAGES)
        if self._world.dice.hit(fault, 0.4):
            network = self._world.network
            network.outage, network.outage_until = fault, self._world.time.now + self._a_while() / 2
            self._world.note(None, f"{fault}, until {network.outage_until:.3f}")

    def _restart_api(self) -> None:
        world = self._world
        if not world.dice.hit("API restart", 0.5):
            return
        world.server.down_until = world.time.now + world.dice.between(0.1, 2.0)
        world.note(None, f"the API server restarts, until {world.server.down_until:.3f}")
        world.network.restart()
        heard = len(world.server.history)
        for host in world.hosts:
            host.deaf_until = max(host.deaf_until, world.server.down_until + world.dice.random())
            again = heard - int(3 * world.dice.random()) if world.dice.random() < 0.5 else None
            world.time.at(host.deaf_until, world.tune_in, host, again)

    # ------------------------------------------------------------------ processes

    def _kill(self, host: Host) -> None:
        if host.alive and self._world.dice.hit("crash: at rest", 0.6):
            self.crash(host)

    def crash(self, host: Host) -> None:
        """End the process now, and start another after a while."""
        host.crash()
        wait = self._a_while() * self._world.dice.pick((0.01, 1))
        self._world.time.at(self._world.time.now + wait, self.restart, host)

    def restart(self, host: Host) -> None:
        """Start a new process where none is alive."""
        if host.alive:
            return
        if self._world.dice.hit("restart with a fresh identity", 0.5):
            self._restarts += 1
            host.identity = f"{host.name}{self._restarts}"
        elif not self._world.dice.calm:
            self._world.dice.strike("restart with the same identity")
        host.restart()

    def _stand_still(self, host: Host) -> None:
        fault = self._world.dice.pick(("frozen", "suspended", "loop blocked"))
        if not host.alive or not self._world.dice.hit(fault, 0.5):
            return
        until = min(self._world.time.now + self._a_while(), self._world.storm_until)
        self._world.note(host, f"{fault} until {until:.3f}")
        host.pause(until, work_too=fault != "loop blocked", timers_late=fault == "suspended")

    def _end(self, host: Host) -> None:
        dice, now = self._world.dice, self._world.time.now
        if not host.alive or now < host.paused_until:
            return
        if isinstance(host, ClientGo):
            if host.leading and dice.hit("resigned", 0.5):
                host.step_down()
        elif isinstance(host, Candidate):
            self._leave(host)

    def _leave(self, host: Candidate) -> None:
        dice = self._world.dice
        if host.leading:
            if dice.hit("resigned", 0.3):
                host.step(host.core.resign(host.clock.now()))
            elif dice.hit("handed over", 0.4):
                successor = dice.pick(self._world.hosts).identity
                host.step(host.core.resign(host.clock.now(), successor))
            elif dice.hit("work ended", 1):
                host.work_stops(host.working)
        elif host.working is None and dice.hit("candidacy cancelled", 0.5):
            host.leave(host.core.resign)

    def _jump(self, host: Host) -> None:
        if self._world.dice.hit("wall clock jumped", 0.5):
            host.clock.wall_offset_s += self._world.dice.between(-1000, 1000)

    # ------------------------------------------------------------------ hands

    def _edit(self) -> None:
        """What harms nobody's safety: whoever it confuses lets go."""
        world, dice = self._world, self._world.dice
        lease = world.server.lease
        fault = dice.pick(("label edited", "label edited", "renewTime edited", "holder edited"))
        if lease is None or not dice.hit(fault, 0.6):
            return
        match fault:
            case "label edited":
                edited = lease.with_metadata(labels={"edited": str(world.server.version)})
            case "renewTime edited":
                edited = lease.with_spec(renew_time=MicroTime(world.time.wall_us))
            case _:
                edited = lease.with_spec(holder_identity="somebody")
        self._by_hand(fault, edited)

    def _undermine(self) -> None:
        world, fault = self._world, self._sabotage
        lease = world.server.lease
        if lease is None or not lease.holder or not fault or not world.dice.hit(fault, 0.6):
            return
        match fault:
            case "deleted":
                self._by_hand(fault, None)
            case "holder blanked":
                self._by_hand(fault, lease.with_spec(holder_identity=""))
            case "holder null":
                self._by_hand(fault, lease.with_spec(holder_identity=None))
            case _:
                self._by_hand(fault, lease.with_spec(lease_duration_seconds=world.dice.pick((1, None))))

    def _by_hand(self, fault: str, lease: Lease | None) -> None:
        self._world.note(None, f"by hand: {fault}")
        self._world.judge.edited(fault)
        if lease is None:
            self._world.server.delete()
        else:
            self._world.server.write(lease)
        self._world.publish()
