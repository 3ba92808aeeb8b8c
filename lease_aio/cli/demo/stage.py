"""Who takes part in the demo, and the scenes: the crash, the silence, the resignation."""

from __future__ import annotations

import time
import uuid
from collections import deque

import anyio

from lease_aio.cli.connection import Opened
from lease_aio.cli.demo.board import ElectionBoard, NodeBoard
from lease_aio.cli.demo.contender import Contender
from lease_aio.cli.demo.plan import CANDIDATES, IDENTITIES, LATE_AFTER, NODES, SILENCED, SILENT_AFTER, Plan
from lease_aio.cli.demo.story import Cause, Standing, Story
from lease_aio.cli.numbers import span
from lease_aio.cli.output import Output
from lease_aio.election import Term
from lease_aio.identity import ApiServerIdentity

_NEWS_KEPT = 50
_LOOK_EVERY_S = 0.02


class Stage:
    """All that takes part, on one client; hears of its contenders (see `contender.Listener`).

    Attributes:
        leases: The client.
        embedded: Whether the server ends with this process, so that nothing needs to be cleaned up.
        where: The server, in words.
        plan: The times.
        lease: The election's Lease.
        prefix: Of the nodes' names.
        story: The election, as the contenders tell it.
        election_board: The election, as the server tells it.
        node_board: The nodes, as the server tells them.
        identity_renewed_us: When each identity was renewed, by its Lease's name, as the server tells.
        fleet: The nodes.
        identities: The API servers.
        contenders: The candidates, by name.
        silenced: When each silenced node was told so, microseconds since the epoch.
        news: Lines, the newest last.
    """

    def __init__(self, session: Opened, plan: Plan, output: Output) -> None:
        run = uuid.uuid4().hex[:5]
        self.leases, self.plan, self._output = session.leases, plan, output
        self.embedded = session.server is not None
        self.where = session.server.url if session.server is not None else "the given cluster"
        self.lease = f"lease-aio-demo-{run}"
        self.prefix = f"{self.lease}-"
        names = [f"{self.prefix}{number}" for number in range(NODES)]
        self.story = Story(CANDIDATES)
        self.election_board = ElectionBoard(self.lease)
        self.node_board = NodeBoard(
            names,
            late_after_s=LATE_AFTER * plan.node_interval_s,
            silent_after_s=SILENT_AFTER * plan.node_interval_s,
        )
        self.identity_renewed_us: dict[str, int] = {}
        self.fleet = self.leases.fleet(names, lease_duration_s=plan.node_lease_s, delete_on_exit=not self.embedded)
        self.identities = [
            self.leases.apiserver_identity(f"{self.prefix}cp{number}") for number in range(1, IDENTITIES + 1)
        ]
        self.contenders = {name: self._contender(name) for name in CANDIDATES}
        self.silenced: dict[str, int] = {}
        self.news: deque[str] = deque(maxlen=_NEWS_KEPT)
        self._changed = anyio.Event()
        self._start = anyio.current_time()

    def _contender(self, name: str) -> Contender:
        plan = self.plan
        return Contender(self.leases, self, name=name, lease=self.lease, timing=plan.timing, rest_s=plan.rest_s)

    @property
    def now_s(self) -> float:
        """Seconds from the start."""
        return anyio.current_time() - self._start

    async def until(self, at_s: float) -> None:
        """Wait until so many seconds from the start."""
        await anyio.sleep_until(self._start + at_s)

    def say(self, event: str, text: str, **fields: object) -> None:
        """Something happened."""
        line = f"{self.now_s:5.1f} s  {text}"
        self.news.append(line)
        if not self._output.live:
            self._output.event(event, line, **fields)

    # ------------------------------------------------------------------ scenes

    async def crash_scene(self) -> None:
        """The leader crashes; when another has taken over, it comes back as a follower."""
        await self.until(self.plan.crash_at_s)
        contender = await self._leader()
        duration_s = self.plan.timing.lease_duration_s
        text = f"{contender.name} crashes: it renews no more and releases nothing; its lease lasts {duration_s} s"
        self.say("crashed", text, who=contender.name)
        contender.crash()
        await self._leader()
        await anyio.sleep(self.plan.rest_s)
        contender.come_back()
        self.say("restarted", f"{contender.name} is back, and waits", who=contender.name)

    async def silence_scene(self) -> None:
        """Some nodes renew no more; not before all have renewed, where the server was slow at the start."""
        await self.until(self.plan.silence_at_s)
        with anyio.move_on_after(self.plan.node_interval_s):
            while self.fleet.report().pending:  # noqa: ASYNC110 - no event tells of a count
                await anyio.sleep(_LOOK_EVERY_S)
        wall_us = time.time_ns() // 1000
        self.silenced = dict.fromkeys(self.fleet.select().sample(count=SILENCED).silence(), wall_us)
        self.say("silenced", f"{len(self.silenced)} nodes fall silent", nodes=len(self.silenced))

    async def resign_scene(self) -> None:
        """The leader steps down in order; not before the crash is over."""
        await self.until(self.plan.resign_at_s)
        while not self.story.handovers:
            await self._changed.wait()
        contender = await self._leader()
        self.say("resigned", f"{contender.name} resigns", who=contender.name)
        contender.resign()

    async def publish(self, identity: ApiServerIdentity) -> None:
        """Keep one identity published until cancelled."""
        async with identity:
            await anyio.sleep_forever()

    async def _leader(self) -> Contender:
        while not self.story.leader:
            await self._changed.wait()
        return self.contenders[self.story.leader]

    # ------------------------------------------------------------------ what contenders tell

    def started(self, term: Term) -> None:
        """See `contender.Listener`."""
        handover = self.story.started(term.holder, token=term.token, transitions=term.transitions, now_s=self.now_s)
        self.say(
            "started",
            f"{term.holder} leads with token {term.token}",
            who=term.holder,
            token=term.token,
            transitions=term.transitions,
        )
        if handover is not None:
            after = f"{span(handover.after_s)} after the {handover.cause.value}"
            self.say(
                "handover",
                f"{handover.new} took over from {handover.old} {after}",
                cause=handover.cause.value,
                old=handover.old,
                new=handover.new,
                after_s=round(handover.after_s, 6),
            )
        self._wake()

    def leaves(self, name: str, cause: Cause) -> None:
        """See `contender.Listener`."""
        self.story.leaves(name, cause, self.now_s)
        if cause is Cause.LOSS:
            self.say("lost", f"{name} lost its term", who=name)

    def ended(self, name: str, standing: Standing) -> None:
        """See `contender.Listener`."""
        self.story.ended(name, self.now_s, standing)
        self._wake()

    def stands(self, name: str, standing: Standing) -> None:
        """See `contender.Listener`."""
        self.story.stands(name, standing)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
