"""Identities on a real kube-apiserver, beside its own."""

import socket

import anyio
import pytest

import lease_aio
from lease_aio import naming
from lease_aio.clock import SystemClock
from lease_aio.identity import ApiServerIdentity, identities
from lease_aio.scheduler import Scheduler
from lease_aio.testing.envtest import ControlPlane

pytestmark = pytest.mark.cluster


async def test_ours_stands_beside_the_servers_own_whose_name_we_compute_too(control_plane: ControlPlane):
    clock = SystemClock()
    scheduler = Scheduler(clock)
    async with (
        lease_aio.connect(kubeconfig=str(control_plane.kubeconfig)) as leases,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(scheduler.run)
        async with ApiServerIdentity(leases.api, scheduler, clock, hostname="ours") as me:
            found = {one.hostname: one for one in await identities(leases.api, wall_us=clock.wall_us())}
            theirs = found[socket.gethostname()]
            assert theirs.name == naming.apiserver_identity_name(socket.gethostname())
            assert theirs.holder.startswith(f"{theirs.name}_")
            assert found["ours"].holder == me.holder
            assert not found["ours"].expired
        left = await identities(leases.api, wall_us=clock.wall_us())
        assert {one.hostname for one in left} == {socket.gethostname()}
        tasks.cancel_scope.cancel()
