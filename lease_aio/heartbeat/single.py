"""The heartbeat of one node."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable
from types import TracebackType
from typing import Self

import anyio.abc

from lease_aio.api.protocol import NODES, Api
from lease_aio.clock import Clock
from lease_aio.errors import ApiError, ConfigurationError, NotFound
from lease_aio.heartbeat.node.profile import NodeKind, NodeProfile
from lease_aio.heartbeat.node.register import register_node
from lease_aio.heartbeat.renewal.renewer import Renewer
from lease_aio.heartbeat.renewal.rules import NODE_LEASES, Owner, node_rules
from lease_aio.heartbeat.renewal.solo import Solo
from lease_aio.heartbeat.status.keeper import StatusRules, status_rules
from lease_aio.heartbeat.status.solo import SoloStatus
from lease_aio.model import Lease
from lease_aio.naming import check_lease_name
from lease_aio.scheduler import Scheduler


class Heartbeat:
    """Renews one node's lease while its `async with` block runs, as a kubelet does.

    Entering waits for the first renewal, so that what can never work is raised where it was asked for. After that
    nothing is raised into the block: a control plane that cannot be reached is no reason to stop a node. See
    `last_error`. Leaving neither empties nor deletes the lease, as a kubelet does not: it runs out.

    Args:
        api: The API server.
        scheduler: Drives the renewals; its `run()` must be running when the block is entered.
        clock: The scheduler's.
        tasks: Owns what runs beside the block; nothing of it outlives the block.
        node: Name of the Node, of its lease, and the holder.
        register: Create the Node first, with a Ready status, unless it exists.
        profile: What a created Node looks like.
        status: Keep the Node's status as well: written every 5 minutes, and within 10 s of a change by others, such as
            Ready=Unknown. Left out: if `register` is given. `StatusRules` for other periods.
        owner: Whether the lease is owned by the Node. A kubelet writes nothing while its Node does not exist.
        lease_duration_s: Whole seconds; a quarter of it is the renew interval.
        renew_interval_s: Another interval.
        namespace: Where the control plane looks for node leases.
        ready_timeout_s: Longest wait for the first renewal, in seconds; None enters without waiting.
        random: Uniform in [0, 1), for jitter.

    Raises:
        ConfigurationError: at construction, a name or duration that cannot work; on entering, the Node does not exist.
        Refused: on entering.
        Invalid: on entering.
        ApiError: on entering, whatever the last request met, if there was no renewal within `ready_timeout_s`.
    """

    def __init__(
        self,
        api: Api,
        scheduler: Scheduler,
        clock: Clock,
        tasks: anyio.abc.TaskGroup,
        *,
        node: str,
        register: bool = False,
        profile: NodeProfile | None = None,
        status: bool | StatusRules | None = None,
        owner: Owner = Owner.REQUIRED,
        lease_duration_s: int = 40,
        renew_interval_s: float | None = None,
        namespace: str = NODE_LEASES,
        ready_timeout_s: float | None = 30.0,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._api = api
        self._scheduler = scheduler
        self._clock = clock
        self._node = check_lease_name(node)
        self._register = register
        self._kind = NodeKind(profile or NodeProfile())
        self._ready_timeout_s = ready_timeout_s
        self._rules = node_rules(
            lease_duration_s=lease_duration_s,
            renew_interval_s=renew_interval_s,
            namespace=namespace,
            owner=owner,
            random=random,
        )
        self._tasks = tasks
        self._status_rules = status_rules(status=status, register=register, random=random)
        self._solo: Solo | None = None
        self._status: SoloStatus | None = None

    @property
    def node(self) -> str:
        """The node's name."""
        return self._node

    @property
    def lease(self) -> Lease | None:
        """The lease as last confirmed, but for renewTime and duration; None before that."""
        return self._solo.lease if self._solo else None

    @property
    def renewals(self) -> int:
        """Confirmed writes so far."""
        return self._solo.renewals if self._solo else 0

    @property
    def last_renewed(self) -> float | None:
        """When a write was last confirmed, on the clock's `now()`."""
        return self._solo.last_renewed if self._solo else None

    @property
    def last_error(self) -> ApiError | None:
        """What the last request for the lease met, if it failed; None again after one that did not."""
        return self._solo.last_error if self._solo else None

    @property
    def status_error(self) -> ApiError | None:
        """The same for the Node's status."""
        return self._status.last_error if self._status else None

    async def __aenter__(self) -> Self:
        uid: str | None = None
        if self._register:
            uid = (await register_node(self._api, self._node, self._kind, self._clock.wall_us)).uid
        renewer = Renewer(self._rules, self._node, self._node, owner_uid=uid)
        self._solo = Solo(self._api, self._scheduler, self._clock, renewer, ready_timeout_s=self._ready_timeout_s)
        try:
            await self._solo.start()
        except NotFound as error:
            if error.call.resource != NODES.label:
                raise
            raise ConfigurationError(
                f"Node {self._node!r} does not exist, and a kubelet writes no lease without it: create the Node, or "
                "have it created with register=True, or give owner=Owner.NONE for a lease that stands alone"
            ) from error
        if self._status_rules is not None:
            parts = (self._api, self._scheduler, self._clock, self._tasks)
            self._status = SoloStatus(*parts, rules=self._status_rules, name=self._node, kind=self._kind)
            self._status.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._status is not None:
                await self._status.stop()
        finally:
            if self._solo is not None:
                await self._solo.stop()
