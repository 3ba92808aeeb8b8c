"""The status of one Node, kept on its own: a watch of that Node, and one entry in the scheduler."""

from __future__ import annotations

import anyio
import anyio.abc

from lease_aio.api.protocol import Api
from lease_aio.clock import Clock
from lease_aio.errors import ApiError
from lease_aio.heartbeat.background import Background
from lease_aio.heartbeat.node.profile import NodeKind
from lease_aio.heartbeat.node.watch import NodeWatch
from lease_aio.heartbeat.sender import BeatGroup
from lease_aio.heartbeat.status.beat import StatusBeat
from lease_aio.heartbeat.status.keeper import StatusKeeper, StatusRules
from lease_aio.model import Node
from lease_aio.scheduler import Scheduler


class SoloStatus:
    """Starts and stops the keeping of one Node's status; its own `NodeListener`.

    Args:
        api: The API server.
        scheduler: Drives it; its `run()` must be running.
        clock: The scheduler's.
        tasks: Owns the watch.
        rules: When the status is written.
        name: The Node's.
        kind: What it looks like.
    """

    def __init__(
        self,
        api: Api,
        scheduler: Scheduler,
        clock: Clock,
        tasks: anyio.abc.TaskGroup,
        *,
        rules: StatusRules,
        name: str,
        kind: NodeKind,
    ) -> None:
        self._scheduler = scheduler
        self._rules = rules
        self._background = Background(tasks)
        self._watch = NodeWatch(api, clock, rules.random, self, field_selector=f"metadata.name={name}")
        keeper = StatusKeeper(rules, clock.now(), reported=True)
        self._beat = StatusBeat(BeatGroup(api, clock), scheduler, keeper, name, kind)

    @property
    def last_error(self) -> ApiError | None:
        """What the last request met, if it failed; None again after one that did not."""
        return self._beat.last_error

    def start(self) -> None:
        """Keep it, from its writing at the Node's registration on."""
        self._scheduler.add(self._beat.renewal)
        self._background.start(self._watch.run, "watch of a Node")

    async def stop(self) -> None:
        """Keep it no more; ends with no request under way, and waits for one no longer than it may take."""
        await self._background.stop()
        with anyio.move_on_after(self._rules.request_timeout_s + 1, shield=True):
            await self._scheduler.drain(self._beat.renewal)

    def node_changed(self, node: Node) -> None:
        """See `NodeListener.node_changed`."""
        self._beat.saw(node)

    def node_gone(self, name: str) -> None:
        """See `NodeListener.node_gone`."""
        del name
        self._beat.saw(None)
