"""Heartbeats on a real kube-apiserver: what it makes of them."""

import contextlib
from collections.abc import Callable

import anyio
import pytest
from anyio.to_thread import run_sync

import lease_aio
from lease_aio.api import AiohttpTransport, RestApi
from lease_aio.api.config import load_configuration
from lease_aio.api.protocol import LEASES, NODES, PatchType
from lease_aio.heartbeat import NodeGroup, NodeProfile, StatusRules
from lease_aio.model import Node, ObjectMeta, Taint
from lease_aio.testing.envtest import ControlPlane
from tests.torture.processes import until

pytestmark = pytest.mark.cluster

NAMESPACE = "kube-node-lease"
PATIENCE_S = 60


async def test_a_registered_node_is_ready_and_its_lease_is_owned_renewed_and_taken_away(control_plane: ControlPlane):
    async with lease_aio.connect(kubeconfig=str(control_plane.kubeconfig)) as leases:
        options = {"register": True, "delete_on_exit": True, "lease_duration_s": 4}
        async with leases.fleet(3, prefix="real-", **options) as fleet:
            assert await until(lambda: fleet.report().renewals >= 9, PATIENCE_S)
            node = await leases.api.get(NODES, "real-0")
            lease = await leases.api.get(LEASES, "real-0", NAMESPACE)
            assert node.status.condition("Ready").status == "True"
            assert node.status.capacity["pods"] == "110"
            assert lease.holder == "real-0"
            assert [owner.uid for owner in lease.metadata.owner_references] == [node.metadata.uid]
            assert lease.metadata.managed_fields, "leaving them out of an update does not clear them"
            report = fleet.report()
            assert report.fresh == 3
            assert report.errors == {}
        for resource, namespace in ((NODES, ""), (LEASES, NAMESPACE)):
            with pytest.raises(lease_aio.NotFound):
                await leases.api.get(resource, "real-0", namespace)


async def test_kubectl_shows_a_profile_and_readiness_is_written_again(
    control_plane: ControlPlane, kubectl_output: Callable[..., str]
):
    profile = NodeProfile(
        capacity={"cpu": "0.5", "memory": "2048Mi", "pods": "20"},
        taints=(Taint(key="gpu", value="yes", effect="NoSchedule"),),
        zone="zone-a",
        instance_type="m5.large",
        provider_id="sim:///{name}",
        kubelet_version="v1.36.7",
        os_image="Some Linux 9",
        kernel_version="6.8.0-42",
        container_runtime="containerd://9.9.9",
        internal_cidr="10.77.0.0/16",
    )
    group = NodeGroup(count=2, prefix="shown-", profile=profile)
    kubeconfig = str(control_plane.kubeconfig)
    async with lease_aio.connect(kubeconfig=kubeconfig) as leases:
        rules = StatusRules(update_frequency_s=1)
        async with leases.fleet(group, register=True, status=rules, delete_on_exit=True) as fleet:
            shown = await run_sync(kubectl_output, kubeconfig, "get", "nodes", "shown-0", "-owide", "--no-headers")
            name, status, _, _, version, address, _, *rest = shown.split()
            assert (name, status, version) == ("shown-0", "Ready", "v1.36.7")
            assert address.startswith("10.77.")
            assert " ".join(rest) == "Some Linux 9 6.8.0-42 (amd64) containerd://9.9.9"
            described = await run_sync(kubectl_output, kubeconfig, "describe", "node", "shown-0")
            for said in ("gpu=yes:NoSchedule", "m5.large", "topology.kubernetes.io/zone=zone-a", "sim:///shown-0"):
                assert said in described
            before, after = await versions_of(leases, "shown-0", seconds=4)
            assert before == after, "a quantity that the server wrote its own way is no difference"
            await condemn(leases, "shown-0")
            with anyio.fail_after(20):
                while [one.verdict for one in fleet.timeline.last_verdicts] != ["unknown", "ready"]:  # noqa: ASYNC110
                    await anyio.sleep(0.1)
            node = await leases.api.get(NODES, "shown-0")
            ready = node.status.condition("Ready")
            assert (ready.status, ready.reason) == ("True", "KubeletReady")
            assert node.status.condition("Late").status == "True", "what others wrote is kept"
            assert len(node.status.addresses) == 2
            assert fleet.report().errors == {}


async def test_nodes_of_others_are_refused_and_taken_over_when_told(control_plane: ControlPlane):
    async with lease_aio.connect(kubeconfig=str(control_plane.kubeconfig)) as leases:
        await leases.api.create(NODES, Node(metadata=ObjectMeta(name="foreign-1")))
        with pytest.raises(lease_aio.ConfigurationError, match="Node 'foreign-1' exists and carries no label"):
            async with leases.fleet(2, prefix="foreign-", register=True):
                pytest.fail("entered")
        with pytest.raises(lease_aio.NotFound):
            await leases.api.get(NODES, "foreign-0")
        async with leases.fleet(2, prefix="foreign-", register=True, adopt="any", delete_on_exit=True):
            node = await leases.api.get(NODES, "foreign-1")
            assert node.metadata.labels["lease-aio/fleet"] == "fleet"
            assert node.status.condition("Ready").status == "True"
        await leases.api.delete(NODES, "foreign-1")


async def test_what_a_fleet_may_not_do_is_said_with_the_rule_to_grant(control_plane: ControlPlane):
    impersonated = {"Impersonate-User": "nobody"}
    loaded = await load_configuration(str(control_plane.kubeconfig))
    transport = AiohttpTransport(loaded.configuration, headers={**loaded.headers, **impersonated})
    async with RestApi(transport) as api, lease_aio.LeaseClient(api) as leases:
        with pytest.raises(lease_aio.Refused, match=r'list nodes: 403.*ClusterRole with the rule \{apiGroups: \[""\]'):
            async with leases.fleet(2, prefix="refused-", register=True):
                pytest.fail("entered")


async def condemn(leases, name):
    """By hand, as the control plane does with a node of which it has heard nothing."""
    conditions = [{"type": "Ready", "status": "Unknown"}, {"type": "Late", "status": "True"}]
    body = {"status": {"conditions": conditions}}
    await leases.api.patch(NODES, name, body=body, type=PatchType.STRATEGIC, subresource="status")


async def versions_of(leases, name, *, seconds):
    """The Node's resourceVersion now, and so many seconds later."""
    before = await leases.api.get(NODES, name)
    await anyio.sleep(seconds)
    return before.resource_version, (await leases.api.get(NODES, name)).resource_version


async def test_a_lease_deleted_under_its_renewer_comes_back(control_plane: ControlPlane):
    async with (
        lease_aio.connect(kubeconfig=str(control_plane.kubeconfig)) as leases,
        leases.heartbeat("deleted", register=True, lease_duration_s=4) as beat,
    ):
        first = await leases.api.get(LEASES, "deleted", NAMESPACE)
        await leases.api.delete(LEASES, "deleted", NAMESPACE)
        second = None
        with anyio.fail_after(PATIENCE_S):
            while second is None:
                await anyio.sleep(0.1)
                with contextlib.suppress(lease_aio.NotFound):
                    second = await leases.api.get(LEASES, "deleted", NAMESPACE)
        assert second.metadata.uid != first.metadata.uid
        assert second.metadata.owner_references == first.metadata.owner_references
        assert beat.last_error is None
