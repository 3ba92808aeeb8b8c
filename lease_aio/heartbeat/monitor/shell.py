"""The availability monitor at work: watches feed the rules, passes ask them, verdicts come out."""

from __future__ import annotations

import contextlib
import random as random_module
from collections import deque
from collections.abc import Callable, Collection, Sequence
from types import TracebackType
from typing import Self

import anyio
import anyio.abc

from lease_aio.api.protocol import LEASES, NODES, Api
from lease_aio.clock import Clock
from lease_aio.errors import ApiError, ConfigurationError, NotFound, Refused
from lease_aio.heartbeat.background import Background
from lease_aio.heartbeat.monitor.feeds import Feed
from lease_aio.heartbeat.monitor.judge import Judge
from lease_aio.heartbeat.monitor.outlook import Cause
from lease_aio.heartbeat.monitor.report import MonitorReport, MonitorTally
from lease_aio.heartbeat.monitor.settings import MonitorSettings
from lease_aio.heartbeat.monitor.verdicts import Sight, Verdict
from lease_aio.heartbeat.monitor.views import NodesView
from lease_aio.heartbeat.monitor.zones import ZoneView
from lease_aio.heartbeat.node.register import for_each
from lease_aio.log import get_logger
from lease_aio.model import Lease, Node

_ASKED_AT_ONCE = 8  # as many workers as the controller has
_STALE_PASSES = 2  # so long a stale watch may take to catch up by itself
_KEPT = 10_000  # verdicts, or four for each node if that is more


class Monitor:
    """The verdicts on all nodes, one after another: `async with` it, then `async for verdict in` it.

    It judges as kube-controller-manager does, from the same Nodes and Leases, and writes nothing: taints are those that
    the controller would set. Entering waits until all Nodes and Leases have been listed; each node is told as NEW
    first. The iteration never ends by itself, and has one reader; between two of its questions `nodes`, `zones` and
    `sight` go on.

    Where Nodes may not be listed, each Lease stands for a node that says it is Ready: sight is then LEASES_ONLY, which
    is said once, with the reason. While a watch is broken, or is found to be behind the server, nobody is called
    Unknown: sight is BLIND. A restarted monitor knows nothing of before: as after the controller's restart, everybody
    has a new grace, and who is Unknown by its Node's condition still is.

    Args:
        api: The API server.
        clock: Its `now()` judges. Its wall clock is compared with creationTimestamp, as the controller does, for Nodes
            that never posted a status, and with nothing else.
        tasks: Runs the watches and the passes, until the block is left.
        settings: What to judge by.
        random: Uniform in [0, 1), spreads retries.

    Raises:
        Refused: on entering or from the loop, Leases may not be listed or watched; or Nodes no longer.
    """

    def __init__(
        self,
        api: Api,
        clock: Clock,
        tasks: anyio.abc.TaskGroup,
        *,
        settings: MonitorSettings | None = None,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        if not isinstance(settings, MonitorSettings | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"settings={settings!r} must be MonitorSettings, e.g. MonitorSettings(grace_s=40)")
        self.settings = settings or MonitorSettings()
        self._api, self._clock = api, clock
        self._background = Background(tasks)
        self._judge = Judge(self.settings, now=clock.now(), sight=Sight.OPENING)
        self._tally = MonitorTally()
        self._leases: Feed[Lease] = Feed(
            api,
            LEASES,
            self.settings.namespace,
            clock=clock,
            random=random,
            known=lambda: self._judge.lease_names,
            on_set=self._lease_set,
            on_gone=self._lease_gone,
        )
        self._nodes: Feed[Node] = Feed(
            api,
            NODES,
            "",
            clock=clock,
            random=random,
            known=lambda: self._judge.nodes,
            on_set=self._node_set,
            on_gone=self._node_gone,
        )
        self._may_ask = True
        self._stale_passes = 0
        self._told: deque[Verdict] = deque()
        self._news = anyio.Event()
        self._failure: ApiError | None = None
        self._entered = False

    # ------------------------------------------------------------------ what is known

    @property
    def nodes(self) -> NodesView:
        """All nodes, as they are when they are asked for."""
        return NodesView(self._judge.nodes, self._clock.now)

    @property
    def zones(self) -> tuple[ZoneView, ...]:
        """All zones, with their states as of the last pass."""
        return self._judge.zones

    @property
    def sight(self) -> Sight:
        """What can be seen."""
        return self._judge.outlook.sight

    @property
    def why(self) -> str:
        """Why not all can be seen, in words; empty where it can."""
        return self._judge.outlook.why

    @property
    def stopped(self) -> bool:
        """Evictions have stopped in all zones."""
        return self._judge.stopped

    def report(self) -> MonitorReport:
        """How the monitor does, since its start."""
        return self._tally.report()

    # ------------------------------------------------------------------ the block, and the loop in it

    async def __aenter__(self) -> Self:
        for warning in self.settings.warnings:
            get_logger("heartbeat").warning("monitor.settings", warning=warning)
        self._entered = True
        self._background.start(self._follow_nodes, "monitor's watch of Nodes")
        self._background.start(self._follow_leases, "monitor's watch of Leases")
        try:
            await self._listed()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        self._background.start(self._run_passes, "monitor's passes")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered = False
        await self._background.stop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Verdict:
        if not self._entered:
            raise RuntimeError("the monitor is not open: iterate it inside `async with`")
        while not self._told:
            if self._failure is not None:
                raise self._failure
            self._news = anyio.Event()
            await self._news.wait()
        return self._told.popleft()

    async def _listed(self) -> None:
        for feed in (self._leases, self._nodes):
            await feed.synced.wait()
            if self._failure is not None:
                raise self._failure
        self._tell(self._judge.opened(now=self._clock.now()))

    # ------------------------------------------------------------------ watches

    async def _follow_leases(self) -> None:
        try:
            await self._leases.run()
        except ApiError as error:
            self._fail(error)

    async def _follow_nodes(self) -> None:
        try:
            await self._nodes.run()
        except Refused as error:
            if self._nodes.synced.is_set():
                self._fail(error)
            else:
                self._narrow(error)
        except ApiError as error:
            self._fail(error)

    def _narrow(self, error: Refused) -> None:
        why = f"Nodes may not be listed, so each Lease stands for one: {error}"
        remedy = "to judge by Nodes too, allow list and watch of nodes by RBAC"
        get_logger("heartbeat").warning("monitor.leases_only", error=str(error), remedy=remedy)
        self._tell(self._judge.leases_only(why, now=self._clock.now(), wall_us=self._clock.wall_us()))
        self._nodes.synced.set()

    def _fail(self, error: ApiError) -> None:
        """Nothing is judged any more, the reader learns why, and whoever waits is woken. The first reason stays."""
        if self._failure is not None:
            return
        self._failure = error
        self._tell(self._judge.blind(Cause.LEASES, str(error), now=self._clock.now()))
        for event in (self._leases.synced, self._nodes.synced, self._news):
            event.set()

    def _node_set(self, node: Node) -> None:
        self._tell(self._judge.node_set(node, now=self._clock.now(), wall_us=self._clock.wall_us()))

    def _node_gone(self, name: str) -> None:
        self._tell(self._judge.node_gone(name, now=self._clock.now()))

    def _lease_set(self, lease: Lease) -> None:
        self._tell(self._judge.lease_set(lease, now=self._clock.now(), wall_us=self._clock.wall_us()))

    def _lease_gone(self, name: str) -> None:
        self._tell(self._judge.lease_gone(name, now=self._clock.now(), wall_us=self._clock.wall_us()))

    # ------------------------------------------------------------------ passes

    async def _run_passes(self) -> None:
        while self._failure is None:
            await self._one_pass()
            next_pass = self._clock.now() + self.settings.period_s
            while (next_eviction := self._judge.next_eviction) < next_pass:
                await self._clock.sleep_until(next_eviction)
                self._tell(self._judge.evict(now=self._clock.now()))
            await self._clock.sleep_until(next_pass)

    async def _one_pass(self) -> None:
        start = self._clock.now()
        self._look_at_watches(start)
        await self._ask_if_quiet(start)
        found = self._judge.examine(now=self._clock.now(), wall_us=self._clock.wall_us())
        self._mend_stale_watch()
        spared = await self._confirm(found.expired) if self.settings.live_check else ()
        self._tell(self._judge.conclude(found, now=self._clock.now(), spared=spared))
        self._tally.passed(self._clock.now() - start, held=found.held)

    def _look_at_watches(self, now: float) -> None:
        for cause, trouble in ((Cause.NODES, self._nodes.trouble), (Cause.LEASES, self._leases.trouble)):
            if trouble:
                self._tell(self._judge.blind(cause, trouble, now=now))
            else:
                self._tell(self._judge.seeing(cause, now=now))

    def _mend_stale_watch(self) -> None:
        """A watch that stays behind the server will not catch up by itself."""
        stale = self._judge.outlook.stands(Cause.STALE)
        self._stale_passes = self._stale_passes + 1 if stale else 0
        if self._stale_passes > _STALE_PASSES:
            self._stale_passes = 0
            self._leases.begin_again()

    # ------------------------------------------------------------------ questions

    async def _ask_if_quiet(self, now: float) -> None:
        """If nobody's renewal was told for a while: are they silent, or is the watch dead?"""
        for name in self._judge.doubtful(now) if self._may_ask else ():
            with contextlib.suppress(ApiError):
                live = await self._ask(name)
                self._tell(self._judge.compare(name, live, now=self._clock.now()))

    async def _confirm(self, names: Sequence[str]) -> Collection[str]:
        """Ask the server for the Leases of those that seem dead; returns who must not be called Unknown."""
        spared = set(names) if self._may_ask else set[str]()

        async def ask(name: str) -> None:
            if self._judge.outlook.sight is Sight.BLIND:
                return
            with contextlib.suppress(ApiError):
                if self._judge.confirm(name, await self._ask(name), now=self._clock.now()):
                    spared.discard(name)

        if spared:
            await for_each(names, ask, at_once=_ASKED_AT_ONCE)
        self._tally.refuted += len(spared)
        return spared

    async def _ask(self, name: str) -> Lease | None:
        """What the server has of a Lease; None if it has none. An error makes blind."""
        self._tally.asked += 1
        try:
            live = await self._api.get(LEASES, name, self.settings.namespace, timeout_s=self.settings.period_s)
        except NotFound:
            live = None
        except Refused as error:
            self._ask_no_more(error)
            raise
        except ApiError as error:
            self._tell(self._judge.blind(Cause.UNREACHABLE, str(error), now=self._clock.now()))
            raise
        self._tell(self._judge.seeing(Cause.UNREACHABLE, now=self._clock.now()))
        return live

    def _ask_no_more(self, error: Refused) -> None:
        if self._may_ask:
            remedy = "judging without; allow get of leases by RBAC"
            get_logger("heartbeat").warning("monitor.leases_unread", error=str(error), remedy=remedy)
        self._may_ask = False

    # ------------------------------------------------------------------ verdicts

    def _tell(self, verdicts: Sequence[Verdict]) -> None:
        if not verdicts:
            return
        self._told.extend(verdicts)
        self._tally.told(verdicts)
        while len(self._told) > max(_KEPT, 4 * len(self._judge.nodes)):
            self._told.popleft()
            self._tally.dropped += 1
        self._news.set()
