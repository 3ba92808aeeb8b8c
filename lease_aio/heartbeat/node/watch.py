"""One watch of Nodes for all whose status is kept, as newer kubelets read theirs from an informer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import anyio

from lease_aio.api import NODES, Api, Change, ChangeType, follow
from lease_aio.clock import Clock
from lease_aio.errors import ApiError
from lease_aio.heartbeat.grants import remedy
from lease_aio.log import get_logger
from lease_aio.model import Node

ASK_AGAIN_S = 60.0
"""How long after a refusal the watch is asked for again: rights are given late, and a 401 may come in passing."""


class NodeListener(Protocol):
    """Who wants to know of Nodes. The calls come from the event loop and must not block."""

    def node_changed(self, node: Node) -> None:
        """The Node looks like this now."""

    def node_gone(self, name: str) -> None:
        """The Node does not exist any more, or not among those that are watched."""


class NodeWatch:
    """Follows Nodes until cancelled, and tells a listener. A refusal is said once, and asked about again each minute.

    Args:
        api: Where.
        clock: For back-offs.
        random: Uniform in [0, 1): spreads them.
        listener: Is told.
        label_selector: Which Nodes.
        field_selector: Which Nodes.

    Attributes:
        begun: Set once all Nodes that exist have been told, or the watch was refused: no change is missed from then on.
    """

    def __init__(
        self,
        api: Api,
        clock: Clock,
        random: Callable[[], float],
        listener: NodeListener,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        self._api, self._clock, self._random, self._listener = api, clock, random, listener
        self._label_selector, self._field_selector = label_selector, field_selector
        self._refused = False
        self.begun = anyio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._follow()
            except ApiError as error:
                self._refuse(error)
            await self._clock.sleep_until(self._clock.now() + ASK_AGAIN_S)

    async def _follow(self) -> None:
        watch = follow(
            self._api,
            NODES,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            clock=self._clock,
            random=self._random,
        )
        async with watch as changes:
            async for change in changes:
                self._tell(change)

    def _tell(self, change: Change[Node]) -> None:
        if change.type is ChangeType.SYNCED:
            self.begun.set()
        elif change.type is ChangeType.GONE:
            self._listener.node_gone(change.name)
        elif change.object is not None:
            self._listener.node_changed(change.object)

    def _refuse(self, error: ApiError) -> None:
        self.begun.set()
        if self._refused:
            return
        self._refused = True
        get_logger("heartbeat").warning(
            "heartbeat.node_watch_refused",
            error=str(error),
            effect="a Node that others change is written again at its next report only",
            remedy=remedy(error),
        )
