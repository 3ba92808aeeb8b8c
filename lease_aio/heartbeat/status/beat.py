"""The status of one Node in the shared scheduler: performs what its keeper asks for."""

from __future__ import annotations

from typing import Any, NamedTuple

from lease_aio.api.protocol import NODES, PatchType
from lease_aio.errors import ApiError, Call
from lease_aio.heartbeat.node.drift import MISSING, NO_DRIFT, Drift, drift_of, status_patch
from lease_aio.heartbeat.node.profile import NodeKind
from lease_aio.heartbeat.sender import BeatGroup, Sender
from lease_aio.heartbeat.status.keeper import Ask, StatusKeeper
from lease_aio.model import Node
from lease_aio.scheduler import Scheduler, Verdict
from lease_aio.scheduler.renewal import State


class Patch(NamedTuple):
    """A status to be written: the body, the drift that it mends, and what it says of the node's readiness."""

    body: dict[str, Any]
    mends: Drift | None
    unready: str


class ReadNode(NamedTuple):
    """The Node to be read."""


Wanted = Patch | ReadNode | None
"""What to ask for; None if a computation finds that there is nothing to do."""


class StatusBeat(Sender[Wanted, Node]):
    """Keeps the status of one Node alive through a scheduler.

    It goes behind leases that are due at the same time: a status has minutes.

    Args:
        group: Shared with the lease's beat.
        scheduler: Drives it.
        keeper: The rules, and what is remembered.
        name: The node's.
        kind: What its Node looks like.
        said: What the Node says of its readiness: why it is unready, or empty.
    """

    __slots__ = ("_keeper", "_kind", "_name", "_said", "_scheduler")

    def __init__(
        self, group: BeatGroup, scheduler: Scheduler, keeper: StatusKeeper, name: str, kind: NodeKind, *, said: str = ""
    ) -> None:
        self._keeper = keeper
        self._kind = kind
        self._name = name
        self._said = said
        self._scheduler = scheduler
        super().__init__(group, keeper.due)

    @property
    def name(self) -> str:
        """The node's."""
        return self._name

    @property
    def timeout_s(self) -> float:
        """See `Sender.timeout_s`."""
        return self._keeper.rules.request_timeout_s

    @property
    def period_s(self) -> float:
        """See `Sender.period_s`."""
        return self._keeper.rules.report_frequency_s

    @property
    def lasts_s(self) -> float:
        """See `Sender.lasts_s`."""
        return self._keeper.rules.report_frequency_s

    def reborn(self, due: float) -> StatusBeat:
        """The same for a process that was started again: it computes and writes at once. See `Beat.reborn`."""
        keeper = StatusKeeper(self._keeper.rules, due, reported=False)
        keeper.drift = self._keeper.drift
        if self.renewal.state is State.IDLE:
            self._keeper = keeper
            self.last_error = None
            self.goes_on(due)
            return self
        return StatusBeat(self._group, self._scheduler, keeper, self._name, self._kind, said=self._said)

    def saw(self, node: Node | None) -> None:
        """What the watch has told of the Node; None: that it is gone."""
        drift = MISSING if node is None else drift_of(node, self._kind, self._unready())
        self._due_at(self._keeper.seen(drift, self._group.clock.now()))

    def readiness_changed(self) -> None:
        """Whether the node is ready is otherwise now: the next computation finds that."""
        self._due_at(self._keeper.changed(self._group.clock.now()))

    def reconnects(self, now: float) -> float:
        """See `Sender.reconnects`: the computations went on, and the next one writes."""
        self._group.held.pop(self, None)
        due = self._keeper.reconnected(now)
        return due if self._unready() == self._said else self._keeper.changed(now)

    def resumes(self, now: float) -> float:
        """See `Sender.resumes`: what was due meanwhile is due now."""
        return max(now, self._keeper.due)

    def _due_at(self, due: float) -> None:
        """Come again then. A request that is held is sent in its own time, and its answer looks at all this."""
        if self not in self._group.held:
            self._scheduler.change(self.renewal, due=due)

    def _request(self, wall_us: int) -> Wanted:
        unready = self._unready()
        ask = self._keeper.ask(self._group.clock.now(), changed=unready != self._said)
        if ask is Ask.READ:
            return ReadNode()
        if ask is Ask.NOTHING:
            return None
        drift = self._keeper.drift or NO_DRIFT
        if unready != self._said:
            drift = drift.with_ready(turned=bool(unready) is not bool(self._said))
        return Patch(status_patch(self._name, self._kind, unready, drift, wall_us), self._keeper.drift, unready)

    def _hold(self, request: Wanted, delay_s: float) -> Verdict:
        return self._idle() if request is None else super()._hold(request, delay_s)

    async def _exchange(self, request: Wanted, timeout_s: float) -> Verdict:
        return self._idle() if request is None else await super()._exchange(request, timeout_s)

    def _idle(self) -> Verdict:
        return self._verdict(self._keeper.idle(self._group.clock.now()), sent=False)

    async def _perform(self, request: Wanted, timeout_s: float) -> Node:
        api = self._group.api
        if isinstance(request, Patch):
            return await api.patch(
                NODES,
                self._name,
                body=request.body,
                type=PatchType.STRATEGIC,
                subresource="status",
                timeout_s=timeout_s,
            )
        return await api.get(NODES, self._name, timeout_s=timeout_s)

    def _answered(self, request: Wanted, answer: Node) -> Verdict:
        now = self._group.clock.now()
        if isinstance(request, Patch):
            changed = request.unready != self._said
            self._said = request.unready
            due = self._keeper.patched(now, request.mends, changed=changed)
            return self._verdict(due if self._unready() == self._said else self._keeper.changed(now))
        return self._verdict(self._keeper.read(drift_of(answer, self._kind, self._unready()), now))

    def _failed(self, error: ApiError) -> Verdict:
        now = self._group.clock.now()
        self.last_error = error
        self._group.failed(self._name, now, error)
        return self._verdict(self._keeper.failed(error, now), error, sent=error.sent)

    def _verdict(self, due: float, error: ApiError | None = None, *, sent: bool = True) -> Verdict:
        """It renews nothing: the scheduler's gaps are those of leases."""
        now = self._group.clock.now()
        return Verdict(
            due=self._due_in_trouble(due, now) if self._group.troubles else due,
            renewed=False,
            failed=error is not None,
            sent=sent,
            deadline=due + self._keeper.rules.report_frequency_s,
            retry_after_s=None if error is None else error.retry_after_s,
        )

    def _unready(self) -> str:
        trouble = self._group.troubles.get(self._name) if self._group.troubles else None
        return "" if trouble is None else trouble.unready

    def _call(self) -> Call:
        return Call(verb="patch", resource=f"{NODES.label}/status", name=self._name)
