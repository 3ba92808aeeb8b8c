"""The two cluster-scoped kinds that Leases live with."""

from __future__ import annotations

import pytest

from tests.conformance.rig import (
    COORDINATION,
    NAMESPACES,
    NODES,
    STRATEGIC_PATCH,
    Api,
    Namespace,
    bad_request,
    failure,
    lease,
    unique,
)


def ready(status: str, *, heartbeat: str = "2026-08-11T19:37:19Z") -> dict[str, str]:
    return {"type": "Ready", "status": status, "lastHeartbeatTime": heartbeat, "reason": "KubeletReady"}


async def test_a_node_that_exists_is_refused(api: Api) -> None:
    name = unique("node")
    await api.post(NODES, {"metadata": {"name": name}})
    answer = await api.post(NODES, {"metadata": {"name": name}})
    details = {"name": name, "kind": "nodes"}
    expected = failure(409, f'nodes "{name}" already exists', reason="AlreadyExists", details=details)
    assert (answer.status, answer.json) == (409, expected)


async def test_a_stale_write_to_a_node_conflicts(api: Api) -> None:
    name = unique("node")
    node = (await api.post(NODES, {"metadata": {"name": name}})).json
    await api.patch(f"{NODES}/{name}", {"metadata": {"labels": {"a": "b"}}})
    answer = await api.put(f"{NODES}/{name}", node)
    message = (
        f'Operation cannot be fulfilled on nodes "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    expected = failure(409, message, reason="Conflict", details={"name": name, "kind": "nodes"})
    assert (answer.status, answer.json) == (409, expected)


async def test_a_missing_node_is_not_created_by_a_replace(api: Api) -> None:
    name = unique("node")
    answer = await api.put(f"{NODES}/{name}", {"metadata": {"name": name}})
    expected = failure(404, f'nodes "{name}" not found', reason="NotFound", details={"name": name, "kind": "nodes"})
    assert (answer.status, answer.json) == (404, expected)


async def test_a_node_has_no_namespace(api: Api) -> None:
    name = unique("node")
    answer = await api.post(NODES, {"metadata": {"name": name, "labels": {"a": "b"}}})
    assert answer.status == 201
    assert (answer.json["kind"], answer.json["apiVersion"]) == ("Node", "v1")
    assert "namespace" not in answer.json["metadata"]
    assert answer.json["metadata"]["labels"] == {"a": "b"}


async def test_the_status_of_a_node_is_changed_through_its_own_path(api: Api) -> None:
    name = unique("node")
    await api.post(NODES, {"metadata": {"name": name}})
    answer = await api.patch(
        f"{NODES}/{name}/status", {"status": {"conditions": [ready("True")]}}, kind=STRATEGIC_PATCH
    )
    assert (answer.status, answer.json["kind"]) == (200, "Node")
    (condition,) = (await api.get(f"{NODES}/{name}")).json["status"]["conditions"]
    assert {key: condition[key] for key in ready("True")} == ready("True")


async def test_conditions_are_merged_by_type_in_a_strategic_patch(api: Api) -> None:
    name = unique("node")
    await api.post(NODES, {"metadata": {"name": name}})
    pressure = {**ready("False"), "type": "MemoryPressure"}
    path = f"{NODES}/{name}/status"
    await api.patch(path, {"status": {"conditions": [ready("True"), pressure]}}, kind=STRATEGIC_PATCH)
    await api.patch(path, {"status": {"conditions": [ready("False")]}}, kind=STRATEGIC_PATCH)
    conditions = (await api.get(path)).json["status"]["conditions"]
    assert {item["type"]: item["status"] for item in conditions} == {"Ready": "False", "MemoryPressure": "False"}
    assert len(conditions) == 2


async def test_the_path_of_the_status_changes_no_spec(api: Api) -> None:
    name = unique("node")
    await api.post(NODES, {"metadata": {"name": name}})
    answer = await api.patch(f"{NODES}/{name}/status", {"spec": {"unschedulable": True}})
    assert answer.status == 200
    assert "unschedulable" not in (await api.get(f"{NODES}/{name}")).json["spec"]


async def test_the_path_of_the_node_changes_no_status(api: Api) -> None:
    name = unique("node")
    made = (await api.post(NODES, {"metadata": {"name": name}})).json
    answer = await api.patch(f"{NODES}/{name}", {"status": {"conditions": [ready("True")]}})
    assert answer.status == 200
    assert (await api.get(f"{NODES}/{name}")).json["status"] == made["status"]


async def test_nodes_are_listed_and_selected(api: Api) -> None:
    name = unique("node")
    await api.post(NODES, {"metadata": {"name": name, "labels": {"pool": name}}})
    for selected in ({"labelSelector": f"pool={name}"}, {"fieldSelector": f"metadata.name={name}"}):
        listed = (await api.get(NODES, **selected)).json
        assert (listed["kind"], listed["apiVersion"]) == ("NodeList", "v1")
        assert [item["metadata"]["name"] for item in listed["items"]] == [name]


@pytest.mark.parametrize("path", [NODES, NAMESPACES])
async def test_an_unknown_field_is_refused(api: Api, path: str) -> None:
    answer = await api.get(path, fieldSelector="a.b=c")
    assert (answer.status, answer.json) == (400, bad_request("field label not supported: a.b"))


async def test_a_node_is_deleted(api: Api) -> None:
    name = unique("node")
    made = (await api.post(NODES, {"metadata": {"name": name}})).json
    answer = await api.delete(f"{NODES}/{name}")
    details = {"name": name, "kind": "nodes", "uid": made["metadata"]["uid"]}
    assert (answer.status, answer.json["status"], answer.json["details"]) == (200, "Success", details)
    assert (await api.get(f"{NODES}/{name}")).status == 404


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_a_namespace_of_the_system_cannot_be_deleted(api: Api, name: str) -> None:
    answer = await api.delete(f"{NAMESPACES}/{name}")
    message = f'namespaces "{name}" is forbidden: this namespace may not be deleted'
    expected = failure(403, message, reason="Forbidden", details={"name": name, "kind": "namespaces"})
    assert (answer.status, answer.json) == (403, expected)


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public", "kube-node-lease"])
async def test_the_namespaces_of_the_system_exist(api: Api, name: str) -> None:
    answer = await api.get(f"{NAMESPACES}/{name}")
    assert (answer.status, answer.json["status"]) == (200, {"phase": "Active"})


async def test_a_new_namespace_is_active(api: Api) -> None:
    name = unique("fresh")
    answer = await api.post(NAMESPACES, {"metadata": {"name": name}})
    assert answer.status == 201
    assert answer.json["metadata"]["labels"] == {"kubernetes.io/metadata.name": name}
    assert answer.json["spec"] == {"finalizers": ["kubernetes"]}
    assert answer.json["status"] == {"phase": "Active"}


async def test_a_bad_name_of_a_namespace_is_refused(api: Api) -> None:
    answer = await api.post(NAMESPACES, {"metadata": {"name": "a.b"}})
    text = 'Invalid value: "a.b": must not contain dots'
    causes = [{"reason": "FieldValueInvalid", "message": text, "field": "metadata.name"}]
    message = f'Namespace "a.b" is invalid: metadata.name: {text}'
    details = {"name": "a.b", "kind": "Namespace", "causes": causes}
    assert (answer.status, answer.json) == (422, failure(422, message, reason="Invalid", details=details))


async def test_a_namespace_that_exists_is_refused(api: Api, ns: Namespace) -> None:
    answer = await api.post(NAMESPACES, {"metadata": {"name": ns.name}})
    details = {"name": ns.name, "kind": "namespaces"}
    message = f'namespaces "{ns.name}" already exists'
    assert (answer.status, answer.json) == (409, failure(409, message, reason="AlreadyExists", details=details))


async def test_namespaces_are_selected_by_phase(api: Api, ns: Namespace) -> None:
    active = await api.get(NAMESPACES, fieldSelector=f"metadata.name={ns.name},status.phase=Active")
    assert [item["metadata"]["name"] for item in active.json["items"]] == [ns.name]
    gone = await api.get(NAMESPACES, fieldSelector=f"metadata.name={ns.name},status.phase=Terminating")
    assert gone.json["items"] == []


async def test_a_namespace_is_told_to_go(api: Api, ns: Namespace) -> None:
    answer = await api.delete(f"{NAMESPACES}/{ns.name}")
    assert (answer.status, answer.json["kind"]) == (200, "Namespace")
    assert answer.json["status"]["phase"] == "Terminating"
    assert answer.json["metadata"]["deletionTimestamp"]


async def test_nothing_is_created_in_a_namespace_that_is_going(api: Api) -> None:
    name = unique("going")
    finalized = {"metadata": {"name": name, "finalizers": ["example.com/hold"]}}
    await api.post(NAMESPACES, finalized)
    await api.delete(f"{NAMESPACES}/{name}")
    answer = await api.post(f"{COORDINATION}/namespaces/{name}/leases", lease("lock"))
    message = (
        'leases.coordination.k8s.io "lock" is forbidden: unable to create new content in namespace '
        f"{name} because it is being terminated"
    )
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {name} is being terminated",
        "field": "metadata.namespace",
    }
    details = {"name": "lock", "group": "coordination.k8s.io", "kind": "leases", "causes": [cause]}
    assert (answer.status, answer.json) == (403, failure(403, message, reason="Forbidden", details=details))
