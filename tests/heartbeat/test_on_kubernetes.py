"""Heartbeats on a real kube-apiserver: what it makes of them."""

import anyio
import pytest

import lease_aio
from lease_aio.api.protocol import LEASES, NODES
from lease_aio.testing.envtest import ControlPlane

pytestmark = pytest.mark.cluster

NAMESPACE = "kube-node-lease"


async def test_a_registered_node_is_ready_and_its_lease_is_owned_renewed_and_taken_away(control_plane: ControlPlane):
    async with lease_aio.connect(kubeconfig=str(control_plane.kubeconfig)) as leases:
        options = {"register": True, "delete_on_exit": True, "lease_duration_s": 4}
        async with leases.fleet(3, prefix="real-", **options) as fleet:
            await anyio.sleep(4)
            node = await leases.api.get(NODES, "real-0")
            lease = await leases.api.get(LEASES, "real-0", NAMESPACE)
            assert node.status.condition("Ready").status == "True"
            assert node.status.capacity["pods"] == "110"
            assert lease.holder == "real-0"
            assert [owner.uid for owner in lease.metadata.owner_references] == [node.metadata.uid]
            assert lease.metadata.managed_fields, "leaving them out of an update does not clear them"
            report = fleet.report()
            assert report.fresh == 3
            assert report.renewals >= 9
            assert report.errors == {}
        for resource, namespace in ((NODES, ""), (LEASES, NAMESPACE)):
            with pytest.raises(lease_aio.NotFound):
                await leases.api.get(resource, "real-0", namespace)


async def test_a_lease_deleted_under_its_renewer_comes_back(control_plane: ControlPlane):
    async with (
        lease_aio.connect(kubeconfig=str(control_plane.kubeconfig)) as leases,
        leases.heartbeat("deleted", register=True, lease_duration_s=4) as beat,
    ):
        first = await leases.api.get(LEASES, "deleted", NAMESPACE)
        await leases.api.delete(LEASES, "deleted", NAMESPACE)
        await anyio.sleep(1.5)
        second = await leases.api.get(LEASES, "deleted", NAMESPACE)
        assert second.metadata.uid != first.metadata.uid
        assert second.metadata.owner_references == first.metadata.owner_references
        assert beat.last_error is None
