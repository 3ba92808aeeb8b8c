"""Many simulated nodes, each with a kubelet's heartbeat."""

from __future__ import annotations

import contextlib
import random as random_module
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc
import anyio.lowlevel

from lease_aio.api.protocol import LEASES, NODES, Api, Resource
from lease_aio.clock import Clock
from lease_aio.errors import ApiError, ConfigurationError, Conflict, NotFound, Refused
from lease_aio.heartbeat.background import Background
from lease_aio.heartbeat.beat import Beat
from lease_aio.heartbeat.control import Control
from lease_aio.heartbeat.fleet_watch import FleetWatch
from lease_aio.heartbeat.grants import remedy, with_remedy
from lease_aio.heartbeat.hollow import Hollow
from lease_aio.heartbeat.node_watch import NodeWatch
from lease_aio.heartbeat.ownership import Adopt, checked_adopt, refuse_foreign
from lease_aio.heartbeat.profile import FLEET_LABEL, NodeGroup, NodeProfile
from lease_aio.heartbeat.register import for_each, register_node
from lease_aio.heartbeat.renewer import Renewer
from lease_aio.heartbeat.roll import Member, Nodes, Roll, are_names
from lease_aio.heartbeat.rules import NODE_LEASES, Owner, node_rules
from lease_aio.heartbeat.sampler import Sampler, count_nodes
from lease_aio.heartbeat.select import NodeSelector
from lease_aio.heartbeat.selection import Selection, SimNode, SimNodes
from lease_aio.heartbeat.sender import BeatGroup
from lease_aio.heartbeat.status import StatusKeeper, StatusRules, status_rules
from lease_aio.heartbeat.status_beat import StatusBeat
from lease_aio.heartbeat.tally import FleetParameters, FleetReport, error_kind
from lease_aio.heartbeat.timeline import Timeline
from lease_aio.log import get_logger
from lease_aio.scheduler import Scheduler, spread

_WAITING = "waiting; kube-apiserver creates kube-node-lease within about a minute of its start"
_SAID: Mapping[str, tuple[str, Callable[[ApiError], str]]] = {
    "refused": ("fleet.refused", remedy),
    "namespace_missing": ("fleet.namespace_missing", lambda _: _WAITING),
}
_ADDED_AT_ONCE = 1000  # before others get a turn on the event loop


class Fleet:
    """Heartbeats of many nodes while its `async with` block runs.

    Entering registers the Nodes if asked to, and schedules their first renewals; it does not wait for those. Nothing
    that a renewal meets is raised: see `report()` and `on_failure`. Leaving neither empties nor deletes the leases, as
    kubelets do not, unless `delete_on_exit` is given.

    Args:
        api: The API server.
        scheduler: Drives the renewals; its `run()` must be running.
        clock: The scheduler's.
        tasks: Owns what runs beside the block; nothing of it outlives the block.
        nodes: How many, or a `NodeGroup` or several, or their names.
        name: The fleet's: Nodes carry it as the label `lease-aio/fleet`.
        prefix: Where `nodes` is a number: names are this and a number, counted from `first`.
        first: The first number.
        profile: What created Nodes look like, where no group says so.
        partition: `(index, of)`: only this part of the nodes, so that several processes share a fleet. Those that are
            given the same nodes and the same `of` have all of them between them, each in exactly one.
        spread_start: Spread the first renewals over one interval, and the computations of the status over theirs.
            Without it all start at once, as kubelets do after a power cut; 4 % of jitter takes an hour to smear that.
        register: Create the Nodes first, with a Ready status. Those that carry this fleet's label are adopted.
        status: Keep the Nodes' status as well, as kubelets do: written every 5 minutes, and within 10 s of a change by
            others, such as Ready=Unknown. Left out: if `register` is given. `StatusRules` for other periods.
        adopt: `own`: a Node of one of these names that is not this fleet's is an error. `any`: it is taken over.
        owner: Whether leases are owned by their Nodes; left out, only if `register` is given.
        delete_on_exit: Delete at the end the leases and Nodes that this fleet has created, and no others.
        exit_timeout_s: Longest time for that, in seconds.
        lease_duration_s: Whole seconds; a quarter of it is the renew interval.
        renew_interval_s: Another interval.
        backoff_jitter: See `RenewalRules`.
        namespace: Where the control plane looks for node leases.
        on_failure: Told of each failed request: the node's name and the error. What it raises is logged.
        random: Uniform in [0, 1): chooses nodes and jitter; give that of a seeded generator to repeat a run.

    Raises:
        ConfigurationError: at construction, a name, number or duration that cannot work; on entering, and before
            anything is written, a Node of one of these names that is not this fleet's.
        ApiError: on entering, a Node that cannot be registered.
    """

    def __init__(
        self,
        api: Api,
        scheduler: Scheduler,
        clock: Clock,
        tasks: anyio.abc.TaskGroup,
        *,
        nodes: int | NodeGroup | Collection[str] | Sequence[NodeGroup],
        name: str = "fleet",
        prefix: str = "node-",
        first: int = 0,
        profile: NodeProfile | None = None,
        partition: tuple[int, int] | None = None,
        spread_start: bool = True,
        register: bool = False,
        status: bool | StatusRules | None = None,
        adopt: Adopt = "own",
        owner: Owner | None = None,
        delete_on_exit: bool = False,
        exit_timeout_s: float = 60.0,
        lease_duration_s: int = 40,
        renew_interval_s: float | None = None,
        backoff_jitter: float = 0.0,
        namespace: str = NODE_LEASES,
        on_failure: Callable[[str, ApiError], None] | None = None,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._scheduler = scheduler
        self._background = Background(tasks)
        self._rules = node_rules(
            lease_duration_s=lease_duration_s,
            renew_interval_s=renew_interval_s,
            namespace=namespace,
            owner=owner or (Owner.REQUIRED if register else Owner.NONE),
            backoff_jitter=backoff_jitter,
            random=random,
        )
        self._roll = Roll(fleet=name, prefix=prefix, first=first, profile=profile, partition=partition)
        self._first_nodes, self._first_members = nodes, self._roll.enlist(nodes)
        self._status_rules = status_rules(status=status, register=register, random=random)
        self._group = BeatGroup(api, clock, on_failure=self._heard)
        self._on_failure = on_failure
        self._said_once: set[str] = set()
        self._random = random
        self._adopt = checked_adopt(adopt)
        self._parameters = FleetParameters(
            name=name,
            lease_duration_s=self._rules.lease_duration_s,
            renew_interval_s=self._rules.renew_interval_s,
            jitter=self._rules.jitter,
            namespace=namespace,
            registered=register,
            status=self._status_rules is not None,
            spread_start=spread_start,
        )
        self._spread_start = spread_start
        self._register = register
        self._delete_on_exit = delete_on_exit
        self._exit_timeout_s = exit_timeout_s
        self._hollows: dict[str, Hollow] = {}
        self._control = Control(self._group, scheduler, self._hollows, random, status=self._status_rules is not None)

    @property
    def name(self) -> str:
        """The fleet's own name."""
        return self._roll.fleet

    @property
    def names(self) -> tuple[str, ...]:
        """All nodes, in the order in which they came."""
        return tuple(self._hollows)

    @property
    def nodes(self) -> Mapping[str, SimNode]:
        """All nodes by name: what each is, how it does, and what can be done to it."""
        return SimNodes(self._control)

    @property
    def timeline(self) -> Timeline | None:
        """What happens over time, from the entering of the block on; None before."""
        return self._group.tally.timeline

    def __len__(self) -> int:
        return len(self._hollows)

    def select(self, selector: str = "") -> Selection:
        """The nodes whose labels match now; all without a selector. See `Verbs` for what can be done to them.

        Args:
            selector: As for `kubectl -l`, over the labels that the fleet gives its nodes. `zone`, `region`, `group` and
                `name` stand for their long names: `zone=b`, `zone in (a,b),group!=gpu`, `name=node-7`.

        Raises:
            ConfigurationError: it cannot be parsed.
        """
        kinds = ((name, hollow.kind) for name, hollow in self._hollows.items())
        return Selection(self._control, tuple(NodeSelector(selector).among(kinds)))

    async def __aenter__(self) -> Self:
        clock, tally = self._group.clock, self._group.tally
        self._parameters = replace(self._parameters, started_wall_us=clock.wall_us())
        tally.timeline = Timeline(clock.now())
        self._background.start(Sampler(self._group, self._hollows, tally.timeline).run, "states of the fleet's nodes")
        try:
            await self._refuse_foreign(self._first_nodes, self._first_members)
            if self._register:
                self._background.start(self._watch().run, "watch of the fleet's Nodes")
            members, self._first_members = self._first_members, ()
            await self._add(members)
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    def report(self) -> FleetReport:
        """How the fleet does, now and since its start."""
        states = count_nodes(self._group, self._hollows.items())
        return self._group.tally.report(self._group.clock.now(), states, self._parameters)

    async def grow(self, nodes: Nodes) -> tuple[str, ...]:
        """Add nodes; names go on where they ended. Returns the new ones of this process.

        Raises:
            ConfigurationError: a name that is there already, or cannot be one.
            ApiError: a Node cannot be registered; those before it are in the fleet.
        """
        members = self._roll.enlist(nodes)
        await self._refuse_foreign(nodes, members)
        await self._add(members)
        return tuple(member.name for member in members)

    async def shrink(self, count: int) -> tuple[str, ...]:
        """Take the newest nodes out of the fleet, and delete what was created for them if `delete_on_exit` is set.

        Returns:
            Their names.
        """
        if not 0 <= count <= len(self._hollows):
            raise ConfigurationError(f"count={count!r} must lie between 0 and the fleet's {len(self._hollows)} nodes")
        names = tuple(self._hollows)[len(self._hollows) - count :]
        await self._remove(names)
        return names

    async def _add(self, members: Sequence[Member]) -> None:
        twice = {member.name for member in members} & self._hollows.keys()
        if twice:
            raise ConfigurationError(f"node names must differ; there twice: {sorted(twice)[:3]}")
        if self._register:
            await for_each(members, self._register_and_start)
            return
        for number, member in enumerate(members, start=1):
            self._start(member, None, "")
            if number % _ADDED_AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()

    async def _register_and_start(self, member: Member) -> None:
        name, clock = member.name, self._group.clock
        try:
            node = await register_node(
                self._group.api, name, member.kind, clock.wall_us, adopt_any=self._adopt == "any"
            )
        except Refused as error:
            raise with_remedy(error) from error
        self._start(member, node.uid, node.uid if node.created else "")

    def _start(self, member: Member, owner_uid: str | None, created_uid: str) -> None:
        name, now = member.name, self._group.clock.now()
        renewer = Renewer(self._rules, name, name, owner_uid=owner_uid)
        phase_s = spread(member.number, self._rules.renew_interval_s) if self._spread_start else 0.0
        beat, status = Beat(self._group, renewer, due=now + phase_s), None
        if self._status_rules is not None:
            computed = now - self._random() * self._status_rules.update_frequency_s if self._spread_start else now
            keeper = StatusKeeper(self._status_rules, now, reported=True, computed=computed)
            status = StatusBeat(self._group, self._scheduler, keeper, name, member.kind)
        hollow = self._hollows[name] = Hollow(member.kind, beat, status, created_uid)
        for sender in hollow.senders:
            self._scheduler.add(sender.renewal)

    async def _refuse_foreign(self, nodes: Nodes, members: Sequence[Member]) -> None:
        """Who names nodes, one by one, and writes leases alone, means them."""
        if self._adopt == "own" and (self._register or not are_names(nodes)):
            names = {member.name for member in members}
            await refuse_foreign(self._group.api, names, self.name, registers=self._register)

    def _watch(self) -> NodeWatch:
        listener = FleetWatch(self._group, self._hollows)
        selector = f"{FLEET_LABEL}={self.name}"
        return NodeWatch(self._group.api, self._group.clock, self._random, listener, label_selector=selector)

    def _heard(self, name: str, error: ApiError) -> None:
        """A request for that node has failed. What waiting does not mend is said once in the log."""
        kind = error_kind(error)
        if kind in _SAID and kind not in self._said_once:
            self._said_once.add(kind)
            event, mends = _SAID[kind]
            get_logger("heartbeat").warning(
                event, fleet=self.name, node=name, error=str(error), remedy=mends(error), said="once"
            )
        self._tell(name, error)

    def _tell(self, name: str, error: ApiError) -> None:
        """A hook that raises is a bug of its owner's: it must not end the renewals of everybody else."""
        if self._on_failure is None:
            return
        try:
            self._on_failure(name, error)
        except Exception:  # noqa: BLE001 - whatever it is, it is not ours
            get_logger("heartbeat").exception("fleet.on_failure_raised", node=name)

    async def _leave(self) -> None:
        """Ends with no attempt running, also when cancelled; deletes what is to be deleted, as far as time allows."""
        with anyio.CancelScope(shield=True):
            await self._background.stop()
            await self._remove(tuple(self._hollows))

    async def _remove(self, names: Sequence[str]) -> None:
        hollows = [self._hollows.pop(name) for name in names]
        for hollow in hollows:
            self._control.forget(hollow)
        with anyio.move_on_after(self._rules.request_timeout_s + 1):
            await self._control.drain()
        if self._delete_on_exit:
            with anyio.move_on_after(self._exit_timeout_s):
                await for_each(hollows, self._delete)

    async def _delete(self, hollow: Hollow) -> None:
        """Delete the lease and the Node, if they are still those that this fleet created."""
        name = hollow.beat.renewer.name
        try:
            if uid := hollow.beat.created_uid:
                await self._delete_own(LEASES, name, self._rules.namespace, uid)
            if hollow.node_uid:
                await self._delete_own(NODES, name, "", hollow.node_uid)
        except ApiError as error:
            self._group.failed(name, self._group.clock.now(), error)

    async def _delete_own(self, resource: Resource[Any], name: str, namespace: str, uid: str) -> None:
        with contextlib.suppress(NotFound, Conflict):
            await self._group.api.delete(resource, name, namespace, uid=uid)
