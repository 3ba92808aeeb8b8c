"""Creates Nodes and takes them away again, many at once but never too many."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import anyio
import anyio.lowlevel

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

_TRIES = 10  # 26.7 s of pauses between them
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.1, 7.0

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Registered:
    """A Node that is there and Ready. `created`: it was not there before, so it may be deleted afterwards."""

    uid: str
    created: bool


async def register_node(api: Api, name: str, kind: NodeKind, wall_us: Callable[[], int]) -> Registered:
    """Create a Node with a Ready status; one that exists is adopted: it gets the labels and a fresh status.

    Args:
        api: Where.
        name: The Node's.
        kind: What it looks like.
        wall_us: The wall clock.

    Raises:
        ApiError: what the last try met, after about 27 s if it passes.
    """
    return await Registration(api, name, kind).run(wall_us)


async def with_patience(
    work: Callable[[], Awaitable[T]],
    *,
    over: tuple[type[ApiError], ...],
    endless: Callable[[], bool] = lambda: False,
    heard: Callable[[ApiError], None] = lambda _: None,
) -> T:
    """Do `work`, and try it again while it meets what passes: for about 27 s, or as long as it takes.

    The pauses are those of a kubelet that registers: 0.1 s, doubled up to 7 s. A kubelet never gives up.

    Args:
        work: Is done.
        over: The errors that pass.
        endless: Asked when the time is over: whether to go on.
        heard: Told of each error after which it goes on.

    Raises:
        ApiError: another one, or what the last try met.
    """
    backoff_s, tries = _FIRST_BACKOFF_S, 0
    while True:
        try:
            return await work()
        except over as error:
            tries += 1
            if tries >= _TRIES and not endless():
                raise
            heard(error)
            await anyio.sleep(error.retry_after_s or backoff_s)
        backoff_s = min(2 * backoff_s, _LONGEST_BACKOFF_S)


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


class Registration:
    """One Node, until it is registered.

    Args:
        api: Where.
        name: The Node's.
        kind: What it looks like.
        adopt_any: Adopt one of another fleet, or of none, too.
        shielded: Wait for the answer to a create also when cancelled, so that it is known what has been created.

    Attributes:
        name: As given.
    """

    def __init__(self, api: Api, name: str, kind: NodeKind, *, adopt_any: bool = True, shielded: bool = False) -> None:
        self._api, self.name, self._kind = api, name, kind
        self._adopt_any, self._shielded = adopt_any, shielded
        self._lost: set[str] = set()  # heartbeat times in creates to which no answer came
        self._own_uid = ""  # of the Node that one of those has created

    @property
    def unanswered(self) -> bool:
        """Whether a Node may have been created of which `run` has not told."""
        return bool(self._lost)

    async def run(
        self,
        wall_us: Callable[[], int],
        *,
        endless: Callable[[], bool] = lambda: False,
        heard: Callable[[ApiError], None] = lambda _: None,
    ) -> Registered:
        """See `register_node`, and `with_patience` for the last two.

        Args:
            wall_us: The wall clock.
            endless: Asked when the time is over: whether to go on.
            heard: Told of each error after which it goes on.

        Raises:
            ConfigurationError: the Node is not this fleet's.
            ApiError: what the last try met.
        """
        passing = (Unavailable, Throttled, Conflict, NotFound)
        found = await with_patience(lambda: self._attempt(wall_us()), over=passing, endless=endless, heard=heard)
        self._lost.clear()
        return found

    async def uid_of_unanswered(self) -> str:
        """Of the Node that a create has made to which no answer came; empty if there is none.

        Raises:
            ApiError: it cannot be told.
        """
        with contextlib.suppress(NotFound):
            found = await self._api.get(NODES, self.name)
            return found.metadata.uid if self._is_own(found) else ""
        return ""

    async def _attempt(self, wall_us: int) -> Registered:
        try:
            node = await self._create(new_node(self.name, self._kind, wall_us))
        except AlreadyExists:
            found = await self._api.get(NODES, self.name)
            self._refuse_foreign(found)
            own = self._is_own(found)
            return Registered(uid=(await self._adopt(found, wall_us)).metadata.uid, created=own)
        return Registered(uid=node.metadata.uid, created=True)

    def _is_own(self, node: Node) -> bool:
        """Whether a create of this has made it: to the second what it has written, and nobody else."""
        if self._is_of_the_fleet(node) and _heartbeat(node) in self._lost:
            self._own_uid = node.metadata.uid  # the adoption writes another time
        return bool(self._own_uid) and node.metadata.uid == self._own_uid

    async def _create(self, node: Node) -> Node:
        stored = node
        await anyio.lowlevel.checkpoint_if_cancelled()
        try:
            with anyio.CancelScope(shield=self._shielded):
                stored = await self._api.create(NODES, node)
        except ApiError as error:
            if error.outcome_unknown:
                self._lost.add(_heartbeat(node))
            raise
        return stored

    def _is_of_the_fleet(self, node: Node) -> bool:
        return node.metadata.labels.get(FLEET_LABEL, "") == self._kind.shared.get(FLEET_LABEL, "")

    def _refuse_foreign(self, node: Node) -> None:
        if not self._adopt_any and not self._is_of_the_fleet(node):  # it came after all were looked at
            owner, fleet = node.metadata.labels.get(FLEET_LABEL, ""), self._kind.shared.get(FLEET_LABEL, "")
            raise not_ours(self.name, owner, fleet) from None

    async def _adopt(self, node: Node, wall_us: int) -> Node:
        """Give it our labels, as a kubelet does with a Node that it finds, and report its status."""
        wanted = self._kind.labels(node.name)
        labels = {key: value for key, value in wanted.items() if node.metadata.labels.get(key) != value}
        if labels:
            await self._api.patch(NODES, node.name, body={"metadata": {"labels": labels}})
        body = status_patch(node.name, self._kind, "", drift_of(node, self._kind, "") or NO_DRIFT, wall_us)
        return await self._api.patch(NODES, node.name, body=body, type=PatchType.STRATEGIC, subresource="status")


def _heartbeat(node: Node) -> str:
    """As it is written: whole seconds."""
    ready = node.status.condition("Ready")
    return "" if ready is None else str(ready.last_heartbeat_time)
