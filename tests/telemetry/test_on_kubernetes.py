"""Events and labels on a real kube-apiserver, as kubectl shows them."""

import contextlib
import json

import anyio
import pytest

import lease_aio
from lease_aio.errors import ApiError, Refused
from lease_aio.model import KubeObject, ObjectMeta
from lease_aio.naming import candidate_identity
from lease_aio.telemetry import tell_all
from lease_aio.telemetry.kube_events import LEADER_LABEL, PODS, KubeEvents, PodLabel

pytestmark = pytest.mark.cluster

PATIENCE_S = 60
NAMESPACE = "may-elect"
"""Of its own: what `user` may do there is not undone in time for a test that sees it refused elsewhere."""
MAY_ELECT = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "may-elect", "namespace": NAMESPACE},
            "rules": [
                {
                    "apiGroups": ["coordination.k8s.io"],
                    "resources": ["leases"],
                    "verbs": ["get", "create", "update", "list", "watch"],
                }
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "may-elect", "namespace": NAMESPACE},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "may-elect"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "user"}],
        },
    ],
}


async def until_allowed(leases):
    """The API server has heard of the rights: it looks at a copy of them that lags behind."""
    with anyio.fail_after(PATIENCE_S):
        while True:
            with contextlib.suppress(Refused):
                return await leases.list()
            await anyio.sleep(0.05)


async def test_a_candidate_without_rights_to_either_leads_all_the_same(control_plane, kubectl_beside, caplog):
    def said():
        return [record.getMessage() for record in caplog.records if "telemetry.refused" in record.getMessage()]

    kubeconfig = str(control_plane.kubeconfig)
    await kubectl_beside(kubeconfig, "create", "-f", "-", stdin=json.dumps(MAY_ELECT))
    async with (
        lease_aio.connect(kubeconfig=kubeconfig, context="user", namespace=NAMESPACE) as leases,
        KubeEvents(leases) as events,
        PodLabel(leases, pod="nobody") as label,
    ):
        await until_allowed(leases)
        async with leases.lead("without-rights", observer=tell_all(events, label)) as term:
            with anyio.fail_after(PATIENCE_S):
                while len(said()) < 2:  # noqa: ASYNC110
                    await anyio.sleep(0.05)
            term.check()
    assert len(said()) == 2
    assert f"create events {NAMESPACE}/without-rights." in "".join(said())
    assert f"patch pods {NAMESPACE}/nobody: 403" in "".join(said())


async def test_kubectl_shows_who_became_leader(control_plane, kubectl_beside):
    name, kubeconfig = "told-in-events", str(control_plane.kubeconfig)
    async with (
        lease_aio.connect(kubeconfig=kubeconfig, identity="me") as leases,
        KubeEvents(leases) as events,
        leases.lead(name, observer=events),
    ):
        pass
    selector = ("--field-selector", f"involvedObject.name={name}")
    listed = await kubectl_beside(kubeconfig, "get", "events", *selector, "-o", "wide")
    rows = [line.split() for line in listed.splitlines()[1:]]
    assert sorted(" ".join(row[5:8]) for row in rows) == ["me became leader", "me stopped leading"]
    assert {" ".join(row[1:5]) for row in rows} == {f"Normal LeaderElection lease/{name} lease-aio"}
    assert "me became leader" in await kubectl_beside(kubeconfig, "describe", "lease", name)


async def test_the_pod_is_labelled_while_it_leads(control_plane):
    pod = candidate_identity().replace("_", "-").lower()
    async with lease_aio.connect(kubeconfig=str(control_plane.kubeconfig)) as leases:

        async def labels():
            return (await leases.api.get(PODS, pod, "default")).metadata.labels

        meta = ObjectMeta(name=pod, namespace="default")
        spec = {"containers": [{"name": "c", "image": "i"}], "automountServiceAccountToken": False}
        await leases.api.create(PODS, KubeObject(api_version="v1", kind="Pod", metadata=meta, extra={"spec": spec}))
        try:
            async with PodLabel(leases, pod=pod) as label, leases.lead("labelled", observer=label):
                with anyio.fail_after(PATIENCE_S):
                    while LEADER_LABEL not in await labels():  # noqa: ASYNC110
                        await anyio.sleep(0.05)
                assert (await labels())[LEADER_LABEL] == "true"
            assert LEADER_LABEL not in await labels()
        finally:
            with contextlib.suppress(ApiError):
                await leases.api.delete(PODS, pod, "default")
