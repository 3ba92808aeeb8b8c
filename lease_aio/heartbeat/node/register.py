"""Creates Nodes and takes them away again, many at once but never too many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import anyio

from lease_aio.api.protocol import NODES, Api, PatchType
from lease_aio.errors import (
    AlreadyExists,
    ApiError,
    ConfigurationError,
    Conflict,
    LeaseAioError,
    NotFound,
    Throttled,
    Unavailable,
)
from lease_aio.heartbeat.node.description import new_node
from lease_aio.heartbeat.node.drift import NO_DRIFT, drift_of, status_patch
from lease_aio.heartbeat.node.profile import FLEET_LABEL, NodeKind
from lease_aio.model import Node

AT_ONCE = 16
"""Requests in flight while Nodes are registered or deleted."""

_TRIES = 8  # about 25 s
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.1, 7.0

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Registered:
    """A Node that is there and Ready. `created`: it was not there before, so it may be deleted afterwards."""

    uid: str
    created: bool


async def register_node(
    api: Api, name: str, kind: NodeKind, wall_us: Callable[[], int], *, adopt_any: bool = True
) -> Registered:
    """Create a Node with a Ready status; one that exists is adopted: it gets the labels and a fresh status.

    Tries again for about 25 s while the server cannot be reached; a kubelet does so for ever. Where the answer to a
    create was lost the Node counts as adopted.

    Args:
        api: Where.
        name: The Node's.
        kind: What it looks like.
        wall_us: The wall clock.
        adopt_any: Adopt one of another fleet, or of none, too.

    Raises:
        ConfigurationError: the Node is not this fleet's.
        ApiError: what the last try met.
    """
    return await with_patience(
        lambda: _register(api, name, kind, wall_us(), adopt_any=adopt_any),
        over=(Unavailable, Throttled, Conflict, NotFound),
    )


async def with_patience(work: Callable[[], Awaitable[T]], *, over: tuple[type[ApiError], ...]) -> T:
    """Do `work`, and try it again for about 25 s while it meets what passes.

    The pauses are those of a kubelet that registers: 0.1 s, doubled up to 7 s.

    Args:
        work: Is done.
        over: The errors that pass.

    Raises:
        ApiError: another one, or what the last try met.
    """
    backoff_s = _FIRST_BACKOFF_S
    for _ in range(_TRIES - 1):
        try:
            return await work()
        except over as error:
            await anyio.sleep(error.retry_after_s or backoff_s)
        backoff_s = min(2 * backoff_s, _LONGEST_BACKOFF_S)
    return await work()


def not_ours(name: str, owner: str, fleet: str) -> ConfigurationError:
    """The refusal to write the Node of that name, whose label names that owner, or none."""
    whose = f"belongs to the fleet {owner!r}" if owner else f"carries no label {FLEET_LABEL}={fleet}"
    return ConfigurationError(
        f"Node {name!r} exists and {whose}: it is not this fleet's, and was not written. Give another prefix or other "
        "names, or adopt='any' (--adopt-any) to take over whatever has these names"
    )


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


async def _register(api: Api, name: str, kind: NodeKind, wall_us: int, *, adopt_any: bool) -> Registered:
    try:
        node = await api.create(NODES, new_node(name, kind, wall_us))
    except AlreadyExists:
        node = await api.get(NODES, name)
        fleet, owner = kind.shared.get(FLEET_LABEL, ""), node.metadata.labels.get(FLEET_LABEL, "")
        if not adopt_any and owner != fleet:  # it came after all were looked at
            raise not_ours(name, owner, fleet) from None
        node = await _adopt(api, node, kind, wall_us)
        return Registered(uid=node.metadata.uid, created=False)
    return Registered(uid=node.metadata.uid, created=True)


async def _adopt(api: Api, node: Node, kind: NodeKind, wall_us: int) -> Node:
    """Give it our labels, as a kubelet does with a Node that it finds, and report its status."""
    labels = {key: value for key, value in kind.labels(node.name).items() if node.metadata.labels.get(key) != value}
    if labels:
        await api.patch(NODES, node.name, body={"metadata": {"labels": labels}})
    body = status_patch(node.name, kind, "", drift_of(node, kind, "") or NO_DRIFT, wall_us)
    return await api.patch(NODES, node.name, body=body, type=PatchType.STRATEGIC, subresource="status")
