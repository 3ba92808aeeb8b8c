"""The heartbeat of one node."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import anyio

from lease_aio.api.protocol import LEASES, NODES, Api
from lease_aio.clock import Clock
from lease_aio.errors import ApiError, Call, ConfigurationError, Invalid, NotFound, Refused, Unavailable
from lease_aio.heartbeat.beat import Beat, BeatGroup
from lease_aio.heartbeat.node import NodeProfile
from lease_aio.heartbeat.register import register_node
from lease_aio.heartbeat.renewer import Next, Renewer
from lease_aio.heartbeat.rules import NODE_LEASES, Owner, node_rules
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
        node: Name of the Node, of its lease, and the holder.
        register: Create the Node first, with a Ready status, unless it exists.
        profile: What a created Node looks like.
        owner: Whether the lease is owned by the Node. A kubelet writes nothing while its Node does not exist.
        lease_duration_s: Whole seconds; a quarter of it is the renew interval.
        renew_interval_s: Another interval.
        namespace: Where the control plane looks for node leases.
        ready_timeout_s: Longest wait for the first renewal, in seconds; None enters without waiting.

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
        *,
        node: str,
        register: bool = False,
        profile: NodeProfile | None = None,
        owner: Owner = Owner.REQUIRED,
        lease_duration_s: int = 40,
        renew_interval_s: float | None = None,
        namespace: str = NODE_LEASES,
        ready_timeout_s: float | None = 30.0,
    ) -> None:
        self._scheduler = scheduler
        self._register = register
        self._profile = profile or NodeProfile()
        self._node = check_lease_name(node)
        self._rules = node_rules(
            lease_duration_s=lease_duration_s, renew_interval_s=renew_interval_s, namespace=namespace, owner=owner
        )
        self._group = BeatGroup(api, clock, self._observe)
        self._beat: Beat | None = None
        self._ready_timeout_s = ready_timeout_s
        self._ready = anyio.Event()
        self._fatal: ApiError | None = None

    @property
    def node(self) -> str:
        """The node's name."""
        return self._node

    @property
    def lease(self) -> Lease | None:
        """The lease as last confirmed, but for renewTime and duration; None before that."""
        return self._beat.renewer.lease if self._beat else None

    @property
    def renewals(self) -> int:
        """Confirmed writes so far."""
        return self._group.tally.renewals

    @property
    def last_renewed(self) -> float | None:
        """When a write was last confirmed, on the clock's `now()`."""
        return self._beat.renewal.last_success if self._beat else None

    @property
    def last_error(self) -> ApiError | None:
        """What the last request met, if it failed; None again after one that did not."""
        return self._beat.last_error if self._beat else None

    async def __aenter__(self) -> Self:
        uid = await self._registered()
        beat = Beat(
            self._group,
            Renewer(self._rules, self._node, self._node, owner_uid=uid),
            due=self._group.clock.now(),
        )
        self._beat = beat
        self._scheduler.add(beat.renewal)
        try:
            if self._ready_timeout_s is not None:
                await self._first_renewal(self._ready_timeout_s)
        except BaseException:
            await self._stop(beat)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._beat is not None:
            await self._stop(self._beat)

    async def _registered(self) -> str | None:
        if not self._register:
            return None
        registered = await register_node(self._group.api, self._node, self._profile, self._group.clock.wall_us)
        return registered.uid

    async def _first_renewal(self, timeout_s: float) -> None:
        with anyio.move_on_after(timeout_s):
            await self._ready.wait()
        if self._fatal is not None:
            raise self._explained(self._fatal) from self._fatal
        if not self._ready.is_set():
            raise self.last_error or self._no_answer(timeout_s)

    def _no_answer(self, timeout_s: float) -> Unavailable:
        call = Call(verb="update", resource=LEASES.label, namespace=self._rules.namespace, name=self._node)
        return Unavailable(call, f"no renewal within {timeout_s:g} s; does the scheduler run?")

    def _explained(self, error: ApiError) -> Exception:
        if isinstance(error, NotFound):
            return ConfigurationError(
                f"Node {self._node!r} does not exist, and a kubelet writes no lease without it: create the Node, or "
                "have it created with register=True, or give owner=Owner.NONE for a lease that stands alone"
            )
        return error

    def _observe(self, beat: Beat, step: Next, error: ApiError | None) -> None:
        del beat
        if error is not None and step.failed and _is_fatal(error):
            self._fatal = error
            self._ready.set()
        elif step.renewed:
            self._fatal = None
            self._ready.set()

    async def _stop(self, beat: Beat) -> None:
        """Ends with no attempt running; waits for one no longer than a request may take."""
        with anyio.move_on_after(self._rules.request_timeout_s + 1, shield=True):
            await self._scheduler.drain(beat.renewal)


def _is_fatal(error: ApiError) -> bool:
    """Asking again changes nothing. A namespace that is missing is created by the control plane within a minute."""
    missing_node = isinstance(error, NotFound) and error.call.resource == NODES.label
    return missing_node or isinstance(error, (Refused, Invalid))
