"""The monitor on a real kube-apiserver, without a controller beside it."""

from functools import partial

import anyio
import pytest

import lease_aio
from lease_aio.api.protocol import NODES
from lease_aio.errors import Refused
from lease_aio.heartbeat import Availability, Finding, MonitorSettings, NodeVerdict, Sight, SightVerdict
from lease_aio.testing.envtest import ControlPlane
from tests.torture.processes import until

pytestmark = pytest.mark.cluster

QUICK = MonitorSettings(grace_s=6, period_s=1, renew_interval_s=1)
PATIENCE_S = 90
FLEET = {"prefix": "monitored-", "register": True, "delete_on_exit": True, "lease_duration_s": 4}


async def verdicts(monitor, of):
    """Those on nodes whose names begin so."""
    async for verdict in monitor:
        if isinstance(verdict, NodeVerdict) and verdict.node.startswith(of):
            yield verdict


async def findings(monitor, of):
    """The same, but not that they are new."""
    async for verdict in verdicts(monitor, of):
        if verdict.finding is not Finding.NEW:
            yield verdict


async def test_silenced_nodes_become_unknown_others_never_and_revived_ones_recover(control_plane: ControlPlane):
    async with (
        lease_aio.connect(kubeconfig=str(control_plane.kubeconfig)) as leases,
        leases.fleet(30, **FLEET) as fleet,
        leases.monitor(QUICK) as monitor,
    ):
        told = findings(monitor, "monitored-")
        await anyio.sleep(3)
        gone = set(fleet.select().sample(count=4).silence())
        with anyio.fail_after(PATIENCE_S):
            unknown = [await anext(told) for _ in gone]
        assert {(one.node, one.finding) for one in unknown} == {(name, Finding.UNKNOWN) for name in gone}
        slow_s = monitor.report().pass_s.max_s  # it asks the server, which may be slow
        assert all(6 < one.silent_s < 9 + 2 * slow_s for one in unknown)
        node = await leases.api.get(NODES, next(iter(gone)))
        assert node.status.condition("Ready").status == "True", "it writes nothing"
        fleet.select().revive()
        with anyio.fail_after(PATIENCE_S):
            back = [await anext(told) for _ in gone]
        assert {(one.node, one.finding) for one in back} == {(name, Finding.RECOVERED) for name in gone}
        await told.aclose()
        states = {one.state for name, one in monitor.nodes.items() if name.startswith("monitored-")}
        assert states == {Availability.READY}
        assert monitor.report().asked >= len(gone)


async def test_nodes_that_come_and_go_are_told(control_plane: ControlPlane):
    async with (
        lease_aio.connect(kubeconfig=str(control_plane.kubeconfig)) as leases,
        leases.monitor(QUICK) as monitor,
    ):
        told = verdicts(monitor, "comes-")
        with anyio.fail_after(PATIENCE_S):
            async with leases.fleet(2, **FLEET | {"prefix": "comes-"}):
                new = [await anext(told) for _ in range(2)]
            deleted = [await anext(told) for _ in range(2)]
        assert [one.finding for one in (*new, *deleted)] == [Finding.NEW] * 2 + [Finding.DELETED] * 2
        await told.aclose()


async def test_a_restart_of_the_api_server_makes_blind_and_nobody_unknown(control_plane: ControlPlane):
    async with (
        lease_aio.connect(kubeconfig=str(control_plane.kubeconfig)) as leases,
        leases.fleet(10, **FLEET | {"prefix": "restart-"}),
        leases.monitor(MonitorSettings(grace_s=25, period_s=1)) as monitor,
    ):
        await anyio.sleep(3)
        await anyio.to_thread.run_sync(partial(control_plane.stop_apiserver, kill=True))
        assert await until(lambda: monitor.sight is Sight.BLIND, PATIENCE_S)
        await anyio.sleep(4)
        assert monitor.sight is Sight.BLIND
        await anyio.to_thread.run_sync(control_plane.start_apiserver)
        with anyio.fail_after(PATIENCE_S):
            sights = []
            async for verdict in monitor:
                if isinstance(verdict, NodeVerdict) and verdict.node.startswith("restart-"):  # others left theirs here
                    assert verdict.finding is not Finding.UNKNOWN
                if isinstance(verdict, SightVerdict):
                    sights.append(verdict.sight)
                if sights == [Sight.FULL, Sight.BLIND, Sight.FULL]:
                    break
        assert {one.state for name, one in monitor.nodes.items() if name.startswith("restart-")} == {Availability.READY}


async def test_who_may_not_list_leases_is_told_so(control_plane: ControlPlane):
    async with lease_aio.connect(kubeconfig=str(control_plane.kubeconfig), context="user") as leases:
        with pytest.raises(Refused, match="list leases.coordination.k8s.io kube-node-lease: 403"):
            async with leases.monitor():
                pass
