"""Plays node-lifecycle-controller where there is none: writes on Nodes what a monitor finds.

An embedded API server has no controllers, so without this nobody becomes Unknown there, whatever its leases say.
"""

from __future__ import annotations

import contextlib
import random as random_module
import zlib
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeGuard

import anyio
import anyio.abc
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from lease_aio.api.protocol import NODES, Api, PatchType
from lease_aio.clock import Clock
from lease_aio.errors import ApiError, NotFound
from lease_aio.heartbeat.background import Background
from lease_aio.heartbeat.monitor import (
    Availability,
    Finding,
    Monitor,
    MonitorSettings,
    NodeVerdict,
    Reason,
    TaintVerdict,
    Verdict,
    unknown_conditions,
)
from lease_aio.log import get_logger
from lease_aio.model import Node, Taint, Time, to_dict

_WRITERS = 8  # as many as the controller has
_WAITING = 100  # verdicts before one writer, until the monitor's own queue has to hold them
_TRIES = 5
_PAUSE_S = 0.02

Write = NodeVerdict | TaintVerdict


class NodeLifecycle:
    """Keeps the Ready condition and the taints of all Nodes as the control plane would, while its block runs.

    It judges by `Monitor`. A verdict is written by a read and a patch of that version, up to 5 times as the controller
    does; one that cannot be written then is logged, and the node keeps what it has until its next verdict.

    Not for a cluster whose own controller runs: both would write the same.

    Args:
        api: The API server.
        clock: See `Monitor`.
        tasks: Runs it, until the block is left.
        settings: What to judge by.
        random: Uniform in [0, 1), spreads retries.

    Raises:
        Refused: on entering, Leases may not be listed or watched.
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
        self._api, self._clock = api, clock
        self._background = Background(tasks)
        self._monitor = Monitor(api, clock, tasks, settings=settings, random=random)
        self._senders: list[MemoryObjectSendStream[Write]] = []

    @property
    def monitor(self) -> Monitor:
        """Its judgement; whoever iterates it takes verdicts away that are to be written."""
        return self._monitor

    async def __aenter__(self) -> Self:
        await self._monitor.__aenter__()
        for number in range(_WRITERS):
            sender, receiver = anyio.create_memory_object_stream[Write](_WAITING)
            self._senders.append(sender)
            self._background.start(_writing(receiver, self._write), f"node lifecycle's writer {number}")
        self._background.start(self._run, "node lifecycle's verdicts")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._background.stop()
        for sender in self._senders:
            sender.close()
        await self._monitor.__aexit__(kind, error, trace)

    async def _run(self) -> None:
        """Each node has one writer, so that what is said of it is written in its order."""
        try:
            async for verdict in self._monitor:
                if _is_written(verdict):
                    await self._senders[zlib.crc32(verdict.node.encode()) % _WRITERS].send(verdict)
        except ApiError as error:
            get_logger("heartbeat").error("lifecycle.ended", error=str(error))

    async def _write(self, verdict: Write) -> None:
        """On a Node that is gone nothing needs to be written."""
        met = ""
        for _ in range(_TRIES):
            try:
                with contextlib.suppress(NotFound):
                    await self._try_to_write(verdict)
            except ApiError as error:
                met = str(error)
                await self._clock.sleep_until(self._clock.now() + (error.retry_after_s or _PAUSE_S))
            else:
                return
        get_logger("heartbeat").warning("lifecycle.unwritten", node=verdict.node, error=met)

    async def _try_to_write(self, verdict: Write) -> None:
        node = await self._api.get(NODES, verdict.node)
        wall_us = self._clock.wall_us()
        if isinstance(verdict, TaintVerdict):
            taints = with_taint(node, verdict, wall_us)
            if taints != node.spec.taints:
                await self._patch(node, {"spec": {"taints": [to_dict(taint) for taint in taints]}})
        elif self._still_unknown(node):
            conditions = [to_dict(condition) for condition in unknown_conditions(node, wall_us)]
            await self._patch(node, {"status": {"conditions": conditions}}, subresource="status")

    def _still_unknown(self, node: Node) -> bool:
        """Somebody may have been heard meanwhile."""
        view, ready = self._monitor.nodes.get(node.name), node.status.condition("Ready")
        written = ready is not None and ready.status == "Unknown"
        return view is not None and view.state is Availability.UNKNOWN and not written

    async def _patch(self, node: Node, body: Mapping[str, Any], *, subresource: str = "") -> None:
        versioned = {"metadata": {"resourceVersion": node.resource_version}, **body}
        await self._api.patch(NODES, node.name, body=versioned, type=PatchType.MERGE, subresource=subresource)


def _is_written(verdict: Verdict) -> TypeGuard[Write]:
    """Whether it is this controller's to write: an Unknown that it found itself, and all taints."""
    if isinstance(verdict, TaintVerdict):
        return True
    own = {Reason.SILENT, Reason.NEVER_POSTED}
    return isinstance(verdict, NodeVerdict) and verdict.finding is Finding.UNKNOWN and verdict.reason in own


def _writing(
    receiver: MemoryObjectReceiveStream[Write], write: Callable[[Write], Awaitable[None]]
) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        async with receiver:
            async for verdict in receiver:
                await write(verdict)

    return run


def with_taint(node: Node, verdict: TaintVerdict, wall_us: int) -> tuple[Taint, ...]:
    """The Node's taints, with the one put on or taken off. Pure."""
    others = tuple(one for one in node.spec.taints if (one.key, one.effect) != (verdict.key, verdict.effect.value))
    if not verdict.added:
        return others
    if others != node.spec.taints:
        return node.spec.taints  # it is there already, with the time at which it was put on
    return (*others, Taint(key=verdict.key, effect=verdict.effect.value, time_added=Time(wall_us)))
