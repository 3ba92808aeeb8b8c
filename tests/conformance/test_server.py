"""What is not about an object: discovery, health, content types, routes."""

from __future__ import annotations

import pytest

from tests.conformance.rig import COORDINATION, Api, Json, Namespace, failure, lease, unique

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
LEASE_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
WRONG_METHOD = failure(
    405,
    "the server does not allow this method on the requested resource",
    reason="MethodNotAllowed",
    details={},
)
NO_SUCH_RESOURCE = failure(404, "the server could not find the requested resource", reason="NotFound", details={})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{COORDINATION}/leases"),
        ("DELETE", f"{COORDINATION}/leases"),
        ("PUT", f"{COORDINATION}/namespaces/default/leases"),
        ("PATCH", f"{COORDINATION}/namespaces/default/leases"),
        ("POST", f"{COORDINATION}/namespaces/default/leases/lock"),
        ("DELETE", "/api/v1/namespaces"),
        ("PUT", "/api/v1/nodes"),
    ],
)
async def test_a_method_that_a_path_does_not_have_is_refused(api: Api, method: str, path: str) -> None:
    answer = await api.call(method, path, {})
    assert (answer.status, answer.json) == (405, WRONG_METHOD)


@pytest.mark.parametrize(
    "path",
    [
        f"{COORDINATION}/nothing",
        f"{COORDINATION}/namespaces/default/nothing/x",
        f"{COORDINATION}/namespaces/default/leases/lock/status",
        "/api/v1/nothing",
        "/api/v9",
    ],
)
async def test_an_unknown_resource_of_a_known_group_is_not_found(api: Api, path: str) -> None:
    answer = await api.get(path)
    assert (answer.status, answer.json) == (404, NO_SUCH_RESOURCE)


@pytest.mark.parametrize("path", ["/nothing", "/apis/nothing.example.com/v1"])
async def test_an_unknown_path_is_not_found_in_plain_text(api: Api, path: str) -> None:
    answer = await api.get(path)
    assert (answer.status, answer.text.strip()) == (404, "404 page not found")
    assert answer.headers["Content-Type"].startswith("text/plain")


async def test_a_body_of_unknown_type_is_refused(api: Api, ns: Namespace) -> None:
    answer = await api.call("POST", ns.leases, data="a,b", headers={"Content-Type": "text/csv"})
    opening = "the body of the request was in an unknown format - accepted media types include: application/json"
    assert (answer.status, answer.json["reason"]) == (415, "UnsupportedMediaType")
    assert answer.json["message"].startswith(opening)


@pytest.mark.parametrize("sent", ["application/json; charset=utf-8", "application/json;charset=UTF-8"])
async def test_a_charset_is_no_matter(api: Api, ns: Namespace, sent: str) -> None:
    answer = await api.call("POST", ns.leases, lease("lock"), headers={"Content-Type": sent})
    assert answer.status == 201


@pytest.mark.parametrize("accept", ["text/csv", "application/*", "application/json;as=Table;v=v1"])
async def test_an_answer_of_unknown_type_is_refused(api: Api, ns: Namespace, accept: str) -> None:
    await ns.create("lock")
    answer = await api.get(ns.path("lock"), accept=accept)
    assert (answer.status, answer.json["reason"]) == (406, "NotAcceptable")
    assert "application/json" in answer.json["message"]


@pytest.mark.parametrize("accept", ["", "*/*", "text/csv, application/json;q=0.5"])
async def test_json_is_the_answer_to_a_broad_offer(api: Api, ns: Namespace, accept: str) -> None:
    answer = await api.get(ns.leases, accept=accept)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")


async def test_json_is_compact_and_ends_with_a_newline(api: Api, ns: Namespace) -> None:
    await ns.create("lock")
    answer = await api.get(ns.path("lock"))
    assert answer.text.endswith("}\n")
    assert answer.text.count("\n") == 1
    assert list(answer.json) == ["kind", "apiVersion", "metadata", "spec"]


@pytest.mark.parametrize("switch", ["1", "true", "True"])
async def test_json_is_indented_on_request(api: Api, ns: Namespace, switch: str) -> None:
    await ns.create("lock")
    answer = await api.get(ns.path("lock"), pretty=switch)
    assert answer.text.startswith('{\n  "kind": "Lease",\n')


async def test_answers_are_not_to_be_cached_and_have_an_audit_id(api: Api, ns: Namespace) -> None:
    answer = await api.get(ns.leases)
    assert answer.headers["Cache-Control"] == "no-cache, private"
    assert answer.headers["Audit-Id"]


async def test_metadata_alone_can_be_asked_for(api: Api, ns: Namespace) -> None:
    made = await ns.create("lock", holderIdentity="a")
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": made["metadata"]}
    one = await api.get(ns.path("lock"), accept="application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")
    assert one.json == partial
    many = await api.get(ns.leases, accept="application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")
    assert (many.json["kind"], many.json["items"]) == ("PartialObjectMetadataList", [partial])


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
async def test_health_is_plain_text(api: Api, path: str) -> None:
    answer = await api.get(path)
    assert (answer.status, answer.text) == (200, "ok")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_the_version_is_told(api: Api) -> None:
    told = (await api.get("/version")).json
    wanted = {"major", "minor", "gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "platform"}
    assert wanted <= told.keys()
    assert all(isinstance(value, str) for value in told.values())
    assert told["gitVersion"].startswith(f"v{told['major']}.{told['minor']}.")


async def test_the_core_versions_are_listed(api: Api) -> None:
    told = (await api.get("/api")).json
    (address,) = told.pop("serverAddressByClientCIDRs")
    assert told == {"kind": "APIVersions", "versions": ["v1"]}
    assert address["clientCIDR"] == "0.0.0.0/0"
    assert api.url.endswith(address["serverAddress"])


async def test_the_groups_are_listed(api: Api) -> None:
    told = (await api.get("/apis")).json
    assert (told["kind"], told["apiVersion"]) == ("APIGroupList", "v1")
    (ours,) = (group for group in told["groups"] if group["name"] == "coordination.k8s.io")
    version = {"groupVersion": "coordination.k8s.io/v1", "version": "v1"}
    assert version in ours["versions"]
    assert ours["preferredVersion"] == version


async def test_one_group_is_described(api: Api) -> None:
    told = (await api.get("/apis/coordination.k8s.io")).json
    assert (told["kind"], told["apiVersion"], told["name"]) == ("APIGroup", "v1", "coordination.k8s.io")
    assert told["preferredVersion"] == {"groupVersion": "coordination.k8s.io/v1", "version": "v1"}


async def test_leases_are_described(api: Api) -> None:
    told = (await api.get(COORDINATION)).json
    assert (told["kind"], told["apiVersion"]) == ("APIResourceList", "v1")
    assert told["groupVersion"] == "coordination.k8s.io/v1"
    (ours,) = (resource for resource in told["resources"] if resource["name"] == "leases")
    assert ours == {
        "name": "leases",
        "singularName": "lease",
        "namespaced": True,
        "kind": "Lease",
        "verbs": LEASE_VERBS,
        "storageVersionHash": "gqkMMb/YqFM=",
    }


@pytest.mark.parametrize(
    "expected",
    [
        {
            "name": "nodes",
            "singularName": "node",
            "namespaced": False,
            "kind": "Node",
            "verbs": LEASE_VERBS,
            "shortNames": ["no"],
            "storageVersionHash": "XwShjMxG9Fs=",
        },
        {
            "name": "nodes/status",
            "singularName": "",
            "namespaced": False,
            "kind": "Node",
            "verbs": ["get", "patch", "update"],
        },
        {
            "name": "namespaces",
            "singularName": "namespace",
            "namespaced": False,
            "kind": "Namespace",
            "verbs": [verb for verb in LEASE_VERBS if verb != "deletecollection"],
            "shortNames": ["ns"],
            "storageVersionHash": "Q3oi5N2YM8M=",
        },
    ],
    ids=["nodes", "nodes status", "namespaces"],
)
async def test_core_resources_are_described(api: Api, expected: Json) -> None:
    told = (await api.get("/api/v1")).json
    assert told["groupVersion"] == "v1"
    (ours,) = (resource for resource in told["resources"] if resource["name"] == expected["name"])
    assert ours == expected


async def test_groups_and_resources_come_together_on_request(api: Api) -> None:
    answer = await api.get("/apis", accept=f"{AGGREGATED},application/json")
    kind, *parameters = answer.headers["Content-Type"].split(";")
    assert (kind, set(parameters)) == (
        "application/json",
        {"g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"},
    )
    told = answer.json
    assert (told["kind"], told["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
    (group,) = (item for item in told["items"] if item["metadata"]["name"] == "coordination.k8s.io")
    (version,) = (item for item in group["versions"] if item["version"] == "v1")
    assert version["freshness"] == "Current"
    (ours,) = (item for item in version["resources"] if item["resource"] == "leases")
    assert {key: ours[key] for key in ("scope", "singularResource", "verbs")} == {
        "scope": "Namespaced",
        "singularResource": "lease",
        "verbs": LEASE_VERBS,
    }
    assert ours["responseKind"]["kind"] == "Lease"


async def test_core_resources_come_together_on_request(api: Api) -> None:
    told = (await api.get("/api", accept=f"{AGGREGATED},application/json")).json
    (group,) = told["items"]
    assert not group["metadata"].get("name")
    (version,) = group["versions"]
    resources = {item["resource"]: item for item in version["resources"]}
    assert (resources["nodes"]["scope"], resources["nodes"]["shortNames"]) == ("Cluster", ["no"])
    assert "status" in {item["subresource"] for item in resources["nodes"]["subresources"]}
    assert resources["namespaces"]["shortNames"] == ["ns"]


@pytest.mark.parametrize("group", ["api/v1", "apis/coordination.k8s.io/v1"])
async def test_each_group_has_an_openapi_document(api: Api, group: str) -> None:
    root = (await api.get("/openapi/v3")).json
    address = root["paths"][group]["serverRelativeURL"]
    assert address.startswith(f"/openapi/v3/{group}?hash=")
    document = await api.get(f"/openapi/v3/{group}", hash=address.partition("hash=")[2])
    assert (document.status, document.json["openapi"][:2]) == (200, "3.")


async def test_the_openapi_document_tells_kubectl_how_to_patch_a_lease(api: Api) -> None:
    document = (await api.get("/openapi/v3/apis/coordination.k8s.io/v1")).json
    kind = {"group": "coordination.k8s.io", "version": "v1", "kind": "Lease"}
    (patch,) = (
        path["patch"]
        for path in document["paths"].values()
        if path.get("patch", {}).get("x-kubernetes-group-version-kind") == kind
    )
    assert ("fieldValidation", "query") in {(item["name"], item["in"]) for item in patch["parameters"]}
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]
    (schema,) = (
        schema
        for schema in document["components"]["schemas"].values()
        if kind in schema.get("x-kubernetes-group-version-kind", []) and "spec" in schema.get("properties", {})
    )
    assert {"apiVersion", "kind", "metadata", "spec"} <= schema["properties"].keys()


async def test_an_object_of_another_resource_is_not_found(api: Api) -> None:
    name = unique("absent")
    answer = await api.get(f"/api/v1/nodes/{name}")
    details = {"name": name, "kind": "nodes"}
    expected = failure(404, f'nodes "{name}" not found', reason="NotFound", details=details)
    assert (answer.status, answer.json) == (404, expected)
