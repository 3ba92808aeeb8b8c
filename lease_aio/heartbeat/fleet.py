"""Many simulated nodes, each with a kubelet's heartbeat."""

from __future__ import annotations

import contextlib
import random as random_module
from collections.abc import Callable, Collection, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.lowlevel

from lease_aio.api.protocol import LEASES, NODES, Api, Resource
from lease_aio.clock import Clock
from lease_aio.errors import ApiError, ConfigurationError, Conflict, NotFound
from lease_aio.heartbeat.beat import Beat, BeatGroup
from lease_aio.heartbeat.choose import choose
from lease_aio.heartbeat.node import NodeProfile
from lease_aio.heartbeat.register import for_each, register_node
from lease_aio.heartbeat.renewer import Next, Renewer
from lease_aio.heartbeat.rules import NODE_LEASES, Owner, node_rules
from lease_aio.heartbeat.tally import FleetReport
from lease_aio.log import get_logger
from lease_aio.naming import check_lease_name
from lease_aio.scheduler import Scheduler, spread

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
        nodes: How many, or their names.
        prefix: Names are this and a number, counted from `first`.
        first: The first number.
        spread_start: Spread the first renewals over one interval. Without it all start at once, and 4 % of jitter takes
            an hour to smear that.
        register: Create the Nodes first, with a Ready status. What exists is adopted.
        profile: What created Nodes look like.
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
        ConfigurationError: at construction, a name, number or duration that cannot work.
        ApiError: on entering, a Node that cannot be registered.
    """

    def __init__(
        self,
        api: Api,
        scheduler: Scheduler,
        clock: Clock,
        *,
        nodes: int | Collection[str],
        prefix: str = "node-",
        first: int = 0,
        spread_start: bool = True,
        register: bool = False,
        profile: NodeProfile | None = None,
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
        self._random = random
        self._rules = node_rules(
            lease_duration_s=lease_duration_s,
            renew_interval_s=renew_interval_s,
            namespace=namespace,
            owner=owner or (Owner.REQUIRED if register else Owner.NONE),
            backoff_jitter=backoff_jitter,
            random=random,
        )
        self._prefix = prefix
        self._next_number = first
        self._first_names = self._named(nodes)
        self._group = BeatGroup(api, clock, self._observe if on_failure else None)
        self._on_failure = on_failure
        self._spread_start = spread_start
        self._register = register
        self._profile = profile or NodeProfile()
        self._delete_on_exit = delete_on_exit
        self._exit_timeout_s = exit_timeout_s
        self._beats: dict[str, Beat] = {}
        self._silenced: set[str] = set()
        self._created_nodes: dict[str, str] = {}  # name to uid
        self._phases = 0

    @property
    def names(self) -> tuple[str, ...]:
        """All nodes, in the order in which they came."""
        return tuple(self._beats)

    @property
    def silenced(self) -> frozenset[str]:
        """Those that are told to be silent."""
        return frozenset(self._silenced)

    def __len__(self) -> int:
        return len(self._beats)

    async def __aenter__(self) -> Self:
        try:
            await self._add(self._first_names)
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
        now = self._group.clock.now()
        fresh = late = 0
        for name, beat in self._beats.items():
            if name in self._silenced:
                continue
            if now > beat.renewal.deadline:
                late += 1
            elif beat.renewal.last_success is not None:
                fresh += 1
        return self._group.tally.report(
            now, nodes=len(self._beats), fresh=fresh, late=late, silenced=len(self._silenced)
        )

    def silence(
        self, names: Iterable[str] | None = None, *, count: int | None = None, fraction: float | None = None
    ) -> tuple[str, ...]:
        """Stop renewing some nodes, as if they had lost power. A request that was already sent may still arrive.

        Args:
            names: Which.
            count: How many instead, chosen at random among those that are not silent.
            fraction: Which part of those instead, from 0 to 1, chosen likewise.

        Returns:
            Those that were not silent before.

        Raises:
            ConfigurationError: an unknown name, or not exactly one of the three was given.
        """
        beating = [name for name in self._beats if name not in self._silenced]
        chosen = choose(beating, self._beats, names=names, count=count, fraction=fraction, random=self._random)
        for name in chosen:
            self._scheduler.remove(self._beats[name].renewal)
        self._silenced.update(chosen)
        return chosen

    def revive(
        self,
        names: Iterable[str] | None = None,
        *,
        count: int | None = None,
        fraction: float | None = None,
        over_s: float = 0.0,
    ) -> tuple[str, ...]:
        """Let silent nodes renew again, with what they remember of their leases.

        Args:
            names: Which.
            count: How many instead, chosen at random among the silent.
            fraction: Which part of the silent ones instead, from 0 to 1. None of the three: all.
            over_s: Spread their first renewals over so many seconds; 0 for at once.

        Returns:
            Those that were silent before.

        Raises:
            ConfigurationError: an unknown name, or more than one of the three was given.
        """
        if names is None and count is None and fraction is None:
            fraction = 1.0
        silent = [name for name in self._beats if name in self._silenced]
        chosen = choose(silent, self._beats, names=names, count=count, fraction=fraction, random=self._random)
        now = self._group.clock.now()
        for number, name in enumerate(chosen):
            self._silenced.discard(name)
            self._resume(name, now + (spread(number, over_s) if over_s else 0.0))
        return chosen

    async def grow(self, nodes: int | Collection[str]) -> tuple[str, ...]:
        """Add nodes; names go on where they ended. Returns the new ones.

        Raises:
            ConfigurationError: a name that is there already, or cannot be one.
            ApiError: a Node cannot be registered; those before it are in the fleet.
        """
        names = self._named(nodes)
        await self._add(names)
        return names

    async def shrink(self, count: int) -> tuple[str, ...]:
        """Take the newest nodes out of the fleet, and delete what was created for them if `delete_on_exit` is set.

        Returns:
            Their names.
        """
        if not 0 <= count <= len(self._beats):
            raise ConfigurationError(f"count={count!r} must lie between 0 and the fleet's {len(self._beats)} nodes")
        names = tuple(self._beats)[len(self._beats) - count :]
        await self._remove(names)
        return names

    def _named(self, nodes: int | Collection[str]) -> tuple[str, ...]:
        if isinstance(nodes, str):
            raise ConfigurationError(f"nodes={nodes!r} is one string; give a number or a list of names")
        if isinstance(nodes, int):
            if nodes < 0:
                raise ConfigurationError(f"nodes={nodes!r} must be zero or more")
            numbers = range(self._next_number, self._next_number + nodes)
            self._next_number += nodes
            names = tuple(f"{self._prefix}{number}" for number in numbers)
        else:
            try:
                names = tuple(nodes)
            except TypeError as error:
                raise ConfigurationError(f"nodes={nodes!r} must be a whole number or a list of names") from error
        for name in names:
            check_lease_name(name)
        return names

    async def _add(self, names: Sequence[str]) -> None:
        twice = set(names) & self._beats.keys()
        if twice or len(set(names)) < len(names):
            raise ConfigurationError(f"node names must differ; there twice: {sorted(twice)[:3] or 'within the list'}")
        if self._register:
            await for_each(names, self._register_and_start)
            return
        for number, name in enumerate(names, start=1):
            self._start(name, None)
            if number % _ADDED_AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()

    async def _register_and_start(self, name: str) -> None:
        node = await register_node(self._group.api, name, self._profile, self._group.clock.wall_us)
        if node.created:
            self._created_nodes[name] = node.uid
        self._start(name, node.uid)

    def _start(self, name: str, uid: str | None) -> None:
        renewer = Renewer(self._rules, name, name, owner_uid=uid)
        phase_s = spread(self._phases, self._rules.renew_interval_s) if self._spread_start else 0.0
        self._phases += 1
        beat = Beat(self._group, renewer, due=self._group.clock.now() + phase_s)
        self._beats[name] = beat
        self._scheduler.add(beat.renewal)

    def _resume(self, name: str, due: float) -> None:
        beat = self._beats[name].restarted(due)
        self._beats[name] = beat
        self._scheduler.add(beat.renewal)

    def _observe(self, beat: Beat, step: Next, error: ApiError | None) -> None:
        if error is not None and step.failed:
            self._tell(beat.renewer.name, error)

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
            await self._remove(tuple(self._beats))

    async def _remove(self, names: Sequence[str]) -> None:
        beats = {name: self._beats.pop(name) for name in names}
        self._silenced.difference_update(names)
        for beat in beats.values():
            self._scheduler.remove(beat.renewal)
        with anyio.move_on_after(self._rules.request_timeout_s + 1):
            for beat in beats.values():
                await self._scheduler.drain(beat.renewal)
        if self._delete_on_exit:
            with anyio.move_on_after(self._exit_timeout_s):
                await for_each(beats.values(), self._delete)

    async def _delete(self, beat: Beat) -> None:
        """Delete the lease and the Node, if they are still those that this fleet created."""
        name, lease = beat.renewer.name, beat.renewer.lease
        try:
            if beat.created and lease is not None:
                await self._delete_own(LEASES, name, self._rules.namespace, lease.metadata.uid)
            if uid := self._created_nodes.pop(name, ""):
                await self._delete_own(NODES, name, "", uid)
        except ApiError as error:
            self._group.tally.failed(error)
            self._tell(name, error)

    async def _delete_own(self, resource: Resource[Any], name: str, namespace: str, uid: str) -> None:
        with contextlib.suppress(NotFound, Conflict):
            await self._group.api.delete(resource, name, namespace, uid=uid)
