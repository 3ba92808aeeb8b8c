"""Events and labels on a real kube-apiserver, as kubectl shows them."""

import contextlib
import json
import subprocess

import anyio
import pytest

import lease_aio
from lease_aio.errors import ApiError
from lease_aio.model import KubeObject, ObjectMeta
from lease_aio.naming import candidate_identity
from lease_aio.telemetry import tell_all
from lease_aio.telemetry.kube_events import LEADER_LABEL, PODS, KubeEvents, PodLabel
from lease_aio.testing.envtest import ControlPlane
from tests.cluster.assets import assets

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

MAY_ELECT = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "may-elect"},
    "rules": [
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "verbs": ["get", "create", "update", "list", "watch"],
        }
    ],
}


def kubectl(plane: ControlPlane, *arguments: str, body: object = None) -> str:
    command = [str(assets() / "kubectl"), "--kubeconfig", str(plane.kubeconfig), *arguments]
    done = subprocess.run(command, input=json.dumps(body), capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_candidate_without_rights_to_either_leads_all_the_same(control_plane, caplog):
    bind = ("create", "rolebinding", "may-elect", "--role=may-elect", "--user=user")
    await anyio.to_thread.run_sync(lambda: kubectl(control_plane, "create", "-f", "-", body=MAY_ELECT))
    await anyio.to_thread.run_sync(lambda: kubectl(control_plane, *bind))
    try:
        async with (
            lease_aio.connect(kubeconfig=str(control_plane.kubeconfig), context="user") as leases,
            KubeEvents(leases) as events,
            PodLabel(leases, pod="nobody") as label,
            leases.lead("without-rights", observer=tell_all(events, label)) as term,
        ):
            await anyio.sleep(1)
            term.check()
    finally:
        for kind in ("role", "rolebinding"):
            kubectl(control_plane, "delete", kind, "may-elect")
    said = [record.getMessage() for record in caplog.records if "telemetry.refused" in record.getMessage()]
    assert len(said) == 2
    assert "create events default/without-rights." in "".join(said)
    assert "patch pods default/nobody: 403" in "".join(said)


async def test_kubectl_shows_who_became_leader(control_plane):
    name = "told-in-events"
    async with (
        lease_aio.connect(kubeconfig=str(control_plane.kubeconfig), identity="me") as leases,
        KubeEvents(leases) as events,
        leases.lead(name, observer=events),
    ):
        pass
    listed = await anyio.to_thread.run_sync(
        lambda: kubectl(control_plane, "get", "events", "--field-selector", f"involvedObject.name={name}", "-o", "wide")
    )
    rows = [line.split() for line in listed.splitlines()[1:]]
    assert sorted(" ".join(row[5:8]) for row in rows) == ["me became leader", "me stopped leading"]
    assert {" ".join(row[1:5]) for row in rows} == {f"Normal LeaderElection lease/{name} lease-aio"}
    described = await anyio.to_thread.run_sync(lambda: kubectl(control_plane, "describe", "lease", name))
    assert "me became leader" in described


async def test_the_pod_is_labelled_while_it_leads(control_plane):
    pod = candidate_identity().replace("_", "-").lower()
    async with lease_aio.connect(kubeconfig=str(control_plane.kubeconfig)) as leases:
        meta = ObjectMeta(name=pod, namespace="default")
        spec = {"containers": [{"name": "c", "image": "i"}], "automountServiceAccountToken": False}
        await leases.api.create(PODS, KubeObject(api_version="v1", kind="Pod", metadata=meta, extra={"spec": spec}))
        try:
            async with PodLabel(leases, pod=pod) as label, leases.lead("labelled", observer=label):
                await anyio.sleep(1)
                assert (await leases.api.get(PODS, pod, "default")).metadata.labels[LEADER_LABEL] == "true"
            assert LEADER_LABEL not in (await leases.api.get(PODS, pod, "default")).metadata.labels
        finally:
            with contextlib.suppress(ApiError):
                await leases.api.delete(PODS, pod, "default")
