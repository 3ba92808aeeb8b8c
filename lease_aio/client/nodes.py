"""Nodes: their heartbeats, one or many, and who of them is available."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Literal

from lease_aio.client.base import ClientBase
from lease_aio.errors import ApiError
from lease_aio.heartbeat import Fleet, Heartbeat, Monitor, MonitorSettings, NodeGroup, NodeProfile, Owner, StatusRules
from lease_aio.heartbeat.monitor.lifecycle import NodeLifecycle
from lease_aio.heartbeat.scenario import Played, PlayEvent, Scenario, play


class Nodes(ClientBase):
    """The heartbeats and monitors of a client."""

    def heartbeat(
        self,
        node: str,
        *,
        register: bool = False,
        profile: NodeProfile | None = None,
        status: bool | StatusRules | None = None,
        owner: Owner = Owner.REQUIRED,
        lease_duration_s: int = 40,
        renew_interval_s: float | None = None,
        ready_timeout_s: float | None = 30.0,
    ) -> Heartbeat:
        """Renew one node's Lease for the body, as a kubelet does. See `Heartbeat` for what each parameter means."""
        return Heartbeat(
            self.api,
            self._scheduler,
            self._clock,
            self.engine.tasks,
            node=node,
            register=register,
            profile=profile,
            status=status,
            owner=owner,
            lease_duration_s=lease_duration_s,
            renew_interval_s=renew_interval_s,
            ready_timeout_s=ready_timeout_s,
            random=self._random,
        )

    def fleet(
        self,
        nodes: int | NodeGroup | Collection[str] | Sequence[NodeGroup],
        *,
        name: str = "fleet",
        prefix: str = "node-",
        register: bool = False,
        status: bool | StatusRules | None = None,
        adopt: Literal["own", "any"] = "own",
        profile: NodeProfile | None = None,
        partition: tuple[int, int] | None = None,
        owner: Owner | None = None,
        spread_start: bool = True,
        delete_on_exit: bool = False,
        exit_timeout_s: float = 60.0,
        lease_duration_s: int = 40,
        renew_interval_s: float | None = None,
        backoff_jitter: float = 0.0,
        on_failure: Callable[[str, ApiError], None] | None = None,
    ) -> Fleet:
        """Heartbeats of many simulated nodes for the body. See `Fleet` for what each parameter means."""
        return Fleet(
            self.api,
            self._scheduler,
            self._clock,
            self.engine.tasks,
            nodes=nodes,
            name=name,
            prefix=prefix,
            register=register,
            status=status,
            adopt=adopt,
            profile=profile,
            partition=partition,
            owner=owner,
            spread_start=spread_start,
            delete_on_exit=delete_on_exit,
            exit_timeout_s=exit_timeout_s,
            lease_duration_s=lease_duration_s,
            renew_interval_s=renew_interval_s,
            backoff_jitter=backoff_jitter,
            on_failure=on_failure,
            random=self._random,
        )

    async def play(
        self, scenario: Scenario, fleet: Fleet, *, on_event: Callable[[PlayEvent], None] | None = None
    ) -> Played:
        """Play a scenario on a running fleet of this client's, to its end. See `lease_aio.heartbeat.scenario.play`."""
        return await play(scenario, fleet, api=self.api, clock=self._clock, on_event=on_event)

    def monitor(self, settings: MonitorSettings | None = None) -> Monitor:
        """Judge the availability of all nodes as the control plane does: `async with` it, then `async for verdict in`.

        See `Monitor` for what it tells, and `MonitorSettings` for what it judges by.
        """
        return Monitor(self.api, self._clock, self.engine.tasks, settings=settings, random=self._random)

    def node_lifecycle(self, settings: MonitorSettings | None = None) -> NodeLifecycle:
        """Write on Nodes what a monitor finds, for an API server without controllers, for the body.

        See `NodeLifecycle`.
        """
        return NodeLifecycle(self.api, self._clock, self.engine.tasks, settings=settings, random=self._random)
