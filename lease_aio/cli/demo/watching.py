"""The demo's view of the server: what its watches tell, put on the boards."""

from __future__ import annotations

from collections.abc import Callable

import anyio.abc

from lease_aio.api import ChangeType
from lease_aio.cli.demo.stage import Stage
from lease_aio.heartbeat.renewal.rules import NODE_LEASES
from lease_aio.identity.record import IDENTITY_LABEL, IDENTITY_NAMESPACE
from lease_aio.model import Lease
from lease_aio.naming import KUBE_APISERVER

IDENTITY_SELECTOR = f"{IDENTITY_LABEL}={KUBE_APISERVER}"


async def watch_nodes(stage: Stage, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    """Put every write of a node's Lease on the board."""
    await _watch(stage, NODE_LEASES, "", stage.node_board.saw, task_status)


async def watch_election(stage: Stage, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    """Put every term on the board."""
    await _watch(stage, stage.leases.namespace, "", stage.election_board.saw, task_status)


async def watch_identities(stage: Stage, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    """Note when identities were renewed."""

    def saw(lease: Lease) -> None:
        if lease.spec.renew_time is not None:
            stage.identity_renewed_us[lease.name] = lease.spec.renew_time.epoch_us

    await _watch(stage, IDENTITY_NAMESPACE, IDENTITY_SELECTOR, saw, task_status)


async def _watch(
    stage: Stage, namespace: str, selector: str, saw: Callable[[Lease], None], task_status: anyio.abc.TaskStatus[None]
) -> None:
    """Tell of every change after the first list; `task_status` is told when that is over."""
    synced = False
    async with stage.leases.watch(namespace=namespace, label_selector=selector) as changes:
        async for change in changes:
            if change.type is ChangeType.SYNCED and not synced:
                synced = True
                task_status.started()
            elif synced and change.type is ChangeType.SET and change.object is not None:
                saw(change.object)
