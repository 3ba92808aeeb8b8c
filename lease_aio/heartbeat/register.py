"""Creates Nodes and takes them away again, many at once but never too many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import anyio

from lease_aio.api.protocol import NODES, Api, PatchType
from lease_aio.errors import AlreadyExists, Conflict, LeaseAioError, NotFound, Throttled, Unavailable
from lease_aio.heartbeat.node import NodeKind, is_ready, made_ready, new_node
from lease_aio.model import Node, to_dict

AT_ONCE = 16
"""Requests in flight while Nodes are registered or deleted."""

_TRIES = 8  # about 25 s
_LONGEST_BACKOFF_S = 7.0

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Registered:
    """A Node that is there and Ready. `created`: it was not there before, so it may be deleted afterwards."""

    uid: str
    created: bool


async def register_node(api: Api, name: str, kind: NodeKind, wall_us: Callable[[], int]) -> Registered:
    """Create a Node with a Ready status; one that exists is adopted, and made Ready if it is not.

    Tries again for about 25 s, with a kubelet's pauses, while the server cannot be reached or others change the Node at
    the same time. Where the answer to a create was lost the Node counts as adopted.

    Raises:
        ApiError: what the last try met.
    """
    backoff_s = 0.1
    for _ in range(_TRIES - 1):
        try:
            return await _register(api, name, kind, wall_us())
        except (Unavailable, Throttled, Conflict, NotFound) as error:
            await anyio.sleep(error.retry_after_s or backoff_s)
        backoff_s = min(2 * backoff_s, _LONGEST_BACKOFF_S)
    return await _register(api, name, kind, wall_us())


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[None]], *, at_once: int = AT_ONCE) -> None:
    """Do `work` for all items, at most `at_once` at a time.

    Raises:
        LeaseAioError: the first that was raised; what had not begun then is not done.
    """
    todo = iter(items)
    raised: list[LeaseAioError] = []

    async def worker() -> None:
        try:
            for item in todo:
                await work(item)
        except LeaseAioError as error:
            raised.append(error)
            workers.cancel_scope.cancel()

    async with anyio.create_task_group() as workers:
        for _ in range(at_once):
            workers.start_soon(worker)
    if raised:
        raise raised[0]


async def _register(api: Api, name: str, kind: NodeKind, wall_us: int) -> Registered:
    try:
        node = await api.create(NODES, new_node(name, kind, wall_us))
    except AlreadyExists:
        node = await _adopt(api, await api.get(NODES, name), wall_us)
        return Registered(uid=node.metadata.uid, created=False)
    return Registered(uid=node.metadata.uid, created=True)


async def _adopt(api: Api, node: Node, wall_us: int) -> Node:
    if is_ready(node):
        return node
    conditions = [to_dict(condition) for condition in made_ready(node, wall_us)]
    body = {"metadata": {"resourceVersion": node.resource_version}, "status": {"conditions": conditions}}
    return await api.patch(NODES, node.name, body=body, type=PatchType.MERGE, subresource="status")
