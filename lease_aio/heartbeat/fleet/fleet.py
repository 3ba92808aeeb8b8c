"""Many simulated nodes, each with a kubelet's heartbeat."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

import anyio
import anyio.abc

from lease_aio.api.protocol import Api
from lease_aio.clock import Clock
from lease_aio.errors import ApiError, ConfigurationError
from lease_aio.heartbeat.background import Background
from lease_aio.heartbeat.fleet.complaints import Complaints
from lease_aio.heartbeat.fleet.control import Control
from lease_aio.heartbeat.fleet.crew import Crew, CrewRules
from lease_aio.heartbeat.fleet.hollow import Hollow
from lease_aio.heartbeat.fleet.ownership import Adopt, checked_adopt
from lease_aio.heartbeat.fleet.roll import Nodes, Roll
from lease_aio.heartbeat.fleet.sampler import Sampler, count_nodes
from lease_aio.heartbeat.fleet.select import NodeSelector
from lease_aio.heartbeat.fleet.selection import Selection, SimNode, SimNodes
from lease_aio.heartbeat.fleet.watch import FleetWatch
from lease_aio.heartbeat.node.profile import FLEET_LABEL, NodeGroup, NodeKind, NodeProfile
from lease_aio.heartbeat.node.watch import NodeWatch
from lease_aio.heartbeat.record.tally import FleetParameters, FleetReport
from lease_aio.heartbeat.record.timeline import Timeline
from lease_aio.heartbeat.renewal.rules import NODE_LEASES, Owner, node_rules
from lease_aio.heartbeat.sender import BeatGroup
from lease_aio.heartbeat.status.keeper import StatusRules, status_rules
from lease_aio.observers import check_observer
from lease_aio.scheduler import Scheduler


class Fleet:
    """Heartbeats of many nodes while its `async with` block runs.

    Entering registers the Nodes if asked to, waits until the watch of them has begun (no longer than one request may
    take), and schedules their first renewals; it does not wait for those. Nothing that a renewal meets is raised: see
    `report()` and `on_failure`. Leaving neither empties nor deletes the leases, as kubelets do not, unless
    `delete_on_exit` is given.

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
            given the same nodes and the same `of` have all of them between them, each in exactly one. What they are
            told of the whole fleet, `grow` and `shrink`, must be the same and in the same order.
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
        backoff_jitter: The most that is added at random to the pauses after failures, as a part of them. A kubelet has
            none: nodes that failed together come back together.
        namespace: Where the control plane looks for node leases.
        on_failure: Told of each failed request: the node's name and the error. What it raises is logged.
        random: Uniform in [0, 1): chooses nodes and jitter; give that of a seeded generator to repeat a run.

    Raises:
        ConfigurationError: at construction, a name, number or duration that cannot work; on entering, and before
            anything is written, a Node of one of these names that is not this fleet's.
        ApiError: on entering, a Node that cannot be registered; a server that has answered once is waited for.
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
        rules = node_rules(
            lease_duration_s=lease_duration_s,
            renew_interval_s=renew_interval_s,
            namespace=namespace,
            owner=owner or (Owner.REQUIRED if register else Owner.NONE),
            backoff_jitter=backoff_jitter,
            random=random,
        )
        crew_rules = CrewRules(
            fleet=name,
            renewal=rules,
            status=status_rules(status=status, register=register, random=random),
            register=register,
            adopt=checked_adopt(adopt),
            spread_start=spread_start,
            delete_on_exit=delete_on_exit,
            exit_timeout_s=exit_timeout_s,
            random=random,
        )
        self._parameters = _parameters(crew_rules)
        self._registers, self._request_timeout_s = register, rules.request_timeout_s
        self._background = Background(tasks)
        self._roll = Roll(fleet=name, prefix=prefix, first=first, profile=profile, partition=partition)
        self._first_nodes, self._first_members = nodes, self._roll.enlist(nodes)
        check_observer(on_failure, "on_failure")
        self._group = BeatGroup(api, clock, on_failure=Complaints(name, on_failure).hear)
        self._hollows: dict[str, Hollow] = {}
        self._control = Control(self._group, scheduler, self._hollows, random, status=self._parameters.status)
        self._crew = Crew(crew_rules, self._group, scheduler, self._control, self._hollows)

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

    def everyone(self, selector: str = "") -> tuple[str, ...]:
        """The names of all nodes of the whole fleet whose labels match, also of those in other processes' parts.

        In the order in which they came, which is the same in each process.

        Args:
            selector: See `select`.

        Raises:
            ConfigurationError: it cannot be parsed.
        """
        everyone = self._roll.everyone
        if not selector:
            return tuple(self._hollows if everyone is None else everyone)
        return tuple(NodeSelector(selector).among(self._kinds() if everyone is None else everyone.items()))

    @property
    def timeline(self) -> Timeline | None:
        """What happens over time, from the entering of the block on; None before."""
        return self._group.tally.timeline

    @property
    def undeleted(self) -> tuple[str, ...]:
        """With `delete_on_exit`: nodes that have left, and of which not all that was created could be deleted.

        After the block, these are to be deleted by hand. The log says so as well.
        """
        return self._crew.undeleted

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
        return Selection(self._control, tuple(NodeSelector(selector).among(self._kinds())))

    async def __aenter__(self) -> Self:
        clock, tally = self._group.clock, self._group.tally
        self._parameters = replace(self._parameters, started_wall_us=clock.wall_us())
        tally.timeline = Timeline(clock.now())
        self._background.start(Sampler(self._group, self._hollows, tally.timeline).run, "states of the fleet's nodes")
        try:
            await self._crew.refuse_foreign(self._first_nodes, self._first_members)
            watch = self._start_watch() if self._registers else None
            members, self._first_members = self._first_members, ()
            await self._crew.add(members)
            if watch is not None:  # a verdict that comes right after must not be what the watch sees first
                with anyio.move_on_after(self._request_timeout_s):
                    await watch.begun.wait()
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
        states = count_nodes(self._group, tuple(self._hollows.values()))
        return self._group.tally.report(self._group.clock.now(), states, self._parameters)

    async def grow(self, nodes: Nodes) -> tuple[str, ...]:
        """Add nodes to the whole fleet; names go on where they ended. Returns the new ones of this process.

        Raises:
            ConfigurationError: a name that is there already, or cannot be one.
            ApiError: a Node cannot be registered; those before it are in the fleet.
        """
        members = self._roll.enlist(nodes)
        try:
            await self._crew.refuse_foreign(nodes, members)
            await self._crew.add(members)
        except BaseException:
            self._roll.strike(member.name for member in members if member.name not in self._hollows)
            raise
        return tuple(member.name for member in members)

    async def shrink(self, count: int) -> tuple[str, ...]:
        """Take the newest nodes out of the whole fleet.

        What was created for them is deleted if `delete_on_exit` is set.

        Returns:
            The names of those of this process.
        """
        everyone = self.everyone()
        if not 0 <= count <= len(everyone):
            raise ConfigurationError(f"count={count!r} must lie between 0 and the fleet's {len(everyone)} nodes")
        newest = everyone[len(everyone) - count :]
        self._roll.strike(newest)
        names = tuple(name for name in newest if name in self._hollows)
        await self._crew.remove(names)
        return names

    def _kinds(self) -> Iterator[tuple[str, NodeKind]]:
        return ((name, hollow.kind) for name, hollow in self._hollows.items())

    def _start_watch(self) -> NodeWatch:
        group, selector = self._group, f"{FLEET_LABEL}={self.name}"
        listener = FleetWatch(group, self._hollows)
        watch = NodeWatch(group.api, group.clock, self._control.random, listener, label_selector=selector)
        self._background.start(watch.run, "watch of the fleet's Nodes")
        return watch

    async def _leave(self) -> None:
        """Ends with no attempt running, also when cancelled; deletes what is to be deleted, as far as time allows."""
        with anyio.CancelScope(shield=True):
            await self._background.stop()
            await self._crew.remove(tuple(self._hollows))


def _parameters(rules: CrewRules) -> FleetParameters:
    return FleetParameters(
        name=rules.fleet,
        lease_duration_s=rules.renewal.lease_duration_s,
        renew_interval_s=rules.renewal.renew_interval_s,
        jitter=rules.renewal.jitter,
        namespace=rules.renewal.namespace,
        registered=rules.register,
        status=rules.status is not None,
        spread_start=rules.spread_start,
    )
