"""How nodes come into a fleet, and leave it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio
import anyio.lowlevel

from lease_aio.errors import ConfigurationError, Refused
from lease_aio.heartbeat.fleet.control import Control
from lease_aio.heartbeat.fleet.hollow import Hollow
from lease_aio.heartbeat.fleet.leftovers import Leftovers
from lease_aio.heartbeat.fleet.ownership import Adopt, refuse_foreign
from lease_aio.heartbeat.fleet.roll import Member, Nodes, are_names
from lease_aio.heartbeat.grants import with_remedy
from lease_aio.heartbeat.node.register import Registration, for_each
from lease_aio.heartbeat.renewal.beat import Beat
from lease_aio.heartbeat.renewal.renewer import Renewer
from lease_aio.heartbeat.renewal.rules import RenewalRules
from lease_aio.heartbeat.sender import BeatGroup
from lease_aio.heartbeat.status.beat import StatusBeat
from lease_aio.heartbeat.status.keeper import StatusKeeper, StatusRules
from lease_aio.scheduler import Scheduler, spread

_ADDED_AT_ONCE = 1000  # before others get a turn on the event loop


@dataclass(frozen=True, kw_only=True, slots=True)
class CrewRules:
    """How nodes are taken in, and let go.

    Attributes:
        fleet: The fleet's name.
        renewal: How their leases are kept.
        status: How their status is; None for not at all.
        register: Create their Nodes.
        adopt: Which Nodes that exist may be taken over.
        spread_start: Spread their first requests.
        delete_on_exit: Delete what was created for those that leave.
        exit_timeout_s: Longest time for that.
        random: Uniform in [0, 1).
    """

    fleet: str
    renewal: RenewalRules
    status: StatusRules | None
    register: bool
    adopt: Adopt
    spread_start: bool
    delete_on_exit: bool
    exit_timeout_s: float
    random: Callable[[], float]


class Crew:
    """Takes nodes in and lets them go.

    Args:
        rules: How.
        group: What their beats share.
        scheduler: Drives them.
        control: What can be done to them.
        hollows: All that are there, by name; this is who writes it.
    """

    def __init__(
        self, rules: CrewRules, group: BeatGroup, scheduler: Scheduler, control: Control, hollows: dict[str, Hollow]
    ) -> None:
        self._rules, self._group, self._scheduler = rules, group, scheduler
        self._control, self._hollows = control, hollows
        self._leftovers = Leftovers(
            group, fleet=rules.fleet, namespace=rules.renewal.namespace, timeout_s=rules.exit_timeout_s
        )
        self._answered = False  # the server has, to what registration needs: whatever it does now, it passes

    @property
    def undeleted(self) -> tuple[str, ...]:
        """Those that have left, and of which something that was created is still there."""
        return self._leftovers.names

    async def refuse_foreign(self, nodes: Nodes, members: Sequence[Member]) -> None:
        """See that no Node of these names is somebody else's. Who names them, for leases alone, means them.

        Raises:
            ConfigurationError: one is.
            ApiError: it cannot be told, and Nodes would be written.
        """
        rules = self._rules
        if rules.adopt == "own" and (rules.register or not are_names(nodes)):
            names = {member.name for member in members}
            await refuse_foreign(self._group.api, names, rules.fleet, registers=rules.register)
            self._answered = rules.register

    async def add(self, members: Sequence[Member]) -> None:
        """Take them in, and register them first if that is wanted.

        A server that cannot be reached is waited for: about 27 s if it has never answered, else as long as it takes.

        Raises:
            ConfigurationError: a name is there already, or its Node is somebody else's.
            ApiError: a Node cannot be registered; those before it are in.
        """
        twice = {member.name for member in members} & self._hollows.keys()
        if twice:
            raise ConfigurationError(f"node names must differ; there twice: {sorted(twice)[:3]}")
        if self._rules.register:
            await for_each(members, self._register_and_start)
            return
        for number, member in enumerate(members, start=1):
            self._start(member, None, "")
            if number % _ADDED_AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()

    async def remove(self, names: Sequence[str]) -> None:
        """Let them go, with no request left under way, and delete what was created for them if that is wanted."""
        hollows = [self._hollows.pop(name) for name in names]
        for hollow in hollows:
            self._control.forget(hollow)
        if self._rules.delete_on_exit:
            self._leftovers.add(*hollows)
        with anyio.move_on_after(self._rules.renewal.request_timeout_s + 1):
            await self._control.drain()
        if self._rules.delete_on_exit:
            await self._leftovers.delete()

    async def _register_and_start(self, member: Member) -> None:
        group, rules = self._group, self._rules
        adopts_any, deletes = rules.adopt == "any", rules.delete_on_exit
        registration = Registration(group.api, member.name, member.kind, adopt_any=adopts_any, shielded=deletes)
        try:
            node = await registration.run(
                group.clock.wall_us,
                endless=lambda: self._answered,
                heard=lambda error: group.failed(member.name, group.clock.now(), error),
            )
        except Refused as error:
            raise with_remedy(error) from error
        finally:
            if deletes and registration.unanswered:
                self._leftovers.add(registration)
        self._answered = True
        self._start(member, node.uid, node.uid if node.created else "")

    def _start(self, member: Member, owner_uid: str | None, created_uid: str) -> None:
        beat = self._beat(member, owner_uid)
        status = None if self._rules.status is None else self._status(self._rules.status, member)
        hollow = self._hollows[member.name] = Hollow(member.kind, beat, status, created_uid)
        for sender in hollow.senders:
            self._scheduler.add(sender.renewal)

    def _beat(self, member: Member, owner_uid: str | None) -> Beat:
        rules = self._rules.renewal
        renewer = Renewer(rules, member.name, member.name, owner_uid=owner_uid)
        phase_s = spread(member.number, rules.renew_interval_s) if self._rules.spread_start else 0.0
        return Beat(self._group, renewer, due=self._group.clock.now() + phase_s)

    def _status(self, rules: StatusRules, member: Member) -> StatusBeat:
        now = self._group.clock.now()
        since_s = self._rules.random() * rules.update_frequency_s if self._rules.spread_start else 0.0
        keeper = StatusKeeper(rules, now, reported=True, computed=now - since_s)
        return StatusBeat(self._group, self._scheduler, keeper, member.name, member.kind)
