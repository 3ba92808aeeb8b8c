"""Patching a Lease with the three JSON patch types."""

from __future__ import annotations

import pytest

from tests.conformance.rig import (
    JSON_PATCH,
    MERGE_PATCH,
    MODIFIED,
    STRATEGIC_PATCH,
    Api,
    Namespace,
    bad_request,
    conflict,
    failure,
    invalid,
    not_found,
)

OWNER = {"apiVersion": "v1", "kind": "Node", "name": "n1"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (MERGE_PATCH, {"spec": {}}),
        (STRATEGIC_PATCH, {"spec": {}}),
        (JSON_PATCH, [{"op": "add", "path": "/spec/holderIdentity", "value": "a"}]),
    ],
)
async def test_a_missing_lease_is_not_found(api: Api, ns: Namespace, kind: str, body: object) -> None:
    answer = await api.patch(ns.path("lock"), body, kind=kind)
    assert (answer.status, answer.json) == (404, not_found("lock"))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (MERGE_PATCH, {"spec": {"holderIdentity": "b", "leaseTransitions": None}}),
        (STRATEGIC_PATCH, {"spec": {"holderIdentity": "b", "leaseTransitions": None}}),
        (
            JSON_PATCH,
            [
                {"op": "test", "path": "/spec/holderIdentity", "value": "a"},
                {"op": "replace", "path": "/spec/holderIdentity", "value": "b"},
                {"op": "remove", "path": "/spec/leaseTransitions"},
            ],
        ),
    ],
)
async def test_what_is_named_changes_and_the_rest_stays(api: Api, ns: Namespace, kind: str, body: object) -> None:
    old = await ns.create("lock", holderIdentity="a", leaseTransitions=1, leaseDurationSeconds=15)
    answer = await api.patch(ns.path("lock"), body, kind=kind)
    assert answer.status == 200
    assert answer.json["spec"] == {"holderIdentity": "b", "leaseDurationSeconds": 15}
    assert int(answer.version) > int(old["metadata"]["resourceVersion"])
    assert await ns.read("lock") == answer.json


@pytest.mark.parametrize("kind", [MERGE_PATCH, STRATEGIC_PATCH])
async def test_a_patch_that_changes_nothing_keeps_the_version(api: Api, ns: Namespace, kind: str) -> None:
    old = await ns.create("lock", holderIdentity="a")
    answer = await api.patch(ns.path("lock"), {"spec": {"holderIdentity": "a"}}, kind=kind)
    assert (answer.status, answer.version) == (200, old["metadata"]["resourceVersion"])


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/spec/holderIdentity", "value": "z"},
        {"op": "remove", "path": "/spec/leaseTransitions"},
        {"op": "replace", "path": "/spec/nowhere/deep", "value": 1},
    ],
)
async def test_a_json_patch_that_does_not_apply_is_refused(
    api: Api, ns: Namespace, operation: dict[str, object]
) -> None:
    old = await ns.create("lock", holderIdentity="a")
    change = {"op": "replace", "path": "/spec/holderIdentity", "value": "b"}
    answer = await api.patch(ns.path("lock"), [change, operation], kind=JSON_PATCH)
    assert (answer.status, answer.json["reason"]) == (422, "Invalid")
    assert answer.json["message"] == "the server rejected our request due to an error in our request"
    assert await ns.read("lock") == old


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (JSON_PATCH, "{", "invalid JSON patch"),
        (MERGE_PATCH, "{", "invalid JSON patch"),
        (STRATEGIC_PATCH, "{", "invalid JSON patch"),
        (JSON_PATCH, '{"a":1}', "error decoding patch: json: cannot unmarshal object into Go value of type "),
        (MERGE_PATCH, "7", "error decoding patch: json: cannot unmarshal number into Go value of type "),
    ],
)
async def test_a_malformed_patch_is_refused(api: Api, ns: Namespace, kind: str, data: str, message: str) -> None:
    await ns.create("lock")
    answer = await api.call("PATCH", ns.path("lock"), data=data, headers={"Content-Type": kind})
    assert (answer.status, answer.json["reason"]) == (400, "BadRequest")
    assert answer.json["message"].startswith(message)


async def test_a_bad_result_is_refused(api: Api, ns: Namespace) -> None:
    await ns.create("lock", leaseDurationSeconds=15)
    answer = await api.patch(ns.path("lock"), {"spec": {"leaseDurationSeconds": 0}})
    cause = ("spec.leaseDurationSeconds", "FieldValueInvalid", "Invalid value: 0: must be greater than 0")
    assert (answer.status, answer.json) == (422, invalid("lock", cause))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (MERGE_PATCH, {"spec": {"renewTime": "2026-08-11T19:37:19Z"}}),
        (STRATEGIC_PATCH, {"spec": {"renewTime": "2026-08-11T19:37:19Z"}}),
        (JSON_PATCH, [{"op": "add", "path": "/spec/renewTime", "value": "2026-08-11T19:37:19Z"}]),
    ],
)
async def test_a_time_that_cannot_be_read_is_refused(api: Api, ns: Namespace, kind: str, body: object) -> None:
    await ns.create("lock", holderIdentity="a")
    answer = await api.patch(ns.path("lock"), body, kind=kind)
    (cause,) = answer.json["details"]["causes"]
    assert (answer.status, answer.json["reason"]) == (422, "Invalid")
    assert (cause["reason"], cause["field"]) == ("FieldValueInvalid", "patch")
    assert cause["message"].endswith(': cannot parse "Z" as ".000000"')
    assert answer.json["message"] == ' "" is invalid: patch: ' + cause["message"]


async def test_a_stale_version_in_the_patch_conflicts(api: Api, ns: Namespace) -> None:
    await ns.create("lock")
    body = {"metadata": {"resourceVersion": "1"}, "spec": {"holderIdentity": "a"}}
    answer = await api.patch(ns.path("lock"), body)
    assert (answer.status, answer.json) == (409, conflict("lock", MODIFIED))


async def test_the_current_version_in_the_patch_is_accepted(api: Api, ns: Namespace) -> None:
    version = (await ns.create("lock"))["metadata"]["resourceVersion"]
    body = {"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": "a"}}
    assert (await api.patch(ns.path("lock"), body)).json["spec"] == {"holderIdentity": "a"}


async def test_a_uid_cannot_be_changed(api: Api, ns: Namespace) -> None:
    await ns.create("lock")
    answer = await api.patch(ns.path("lock"), {"metadata": {"uid": "other"}})
    cause = ("metadata.uid", "FieldValueInvalid", 'Invalid value: "other": field is immutable')
    assert (answer.status, answer.json) == (422, invalid("lock", cause))


async def test_an_empty_version_in_the_patch_is_refused(api: Api, ns: Namespace) -> None:
    await ns.create("lock")
    answer = await api.patch(ns.path("lock"), {"metadata": {"resourceVersion": ""}})
    cause = ("metadata.resourceVersion", "FieldValueInvalid", "Invalid value: 0: must be specified for an update")
    assert (answer.status, answer.json) == (422, invalid("lock", cause, kind="leases"))


async def test_a_name_cannot_be_changed(api: Api, ns: Namespace) -> None:
    await ns.create("lock")
    answer = await api.patch(ns.path("lock"), {"metadata": {"name": "other"}})
    message = "the name of the object (other) does not match the name on the URL (lock)"
    assert (answer.status, answer.json) == (400, bad_request(message))


async def test_labels_are_merged_by_key(api: Api, ns: Namespace) -> None:
    await ns.create("lock", metadata={"labels": {"a": "1", "b": "2"}})
    answer = await api.patch(ns.path("lock"), {"metadata": {"labels": {"b": None, "c": "3"}}})
    assert answer.json["metadata"]["labels"] == {"a": "1", "c": "3"}


async def test_owners_are_merged_by_uid_in_a_strategic_patch(api: Api, ns: Namespace) -> None:
    await ns.create("lock", metadata={"ownerReferences": [{**OWNER, "uid": "u1"}, {**OWNER, "uid": "u2"}]})
    owners = [{**OWNER, "uid": "u2", "name": "n2"}, {**OWNER, "uid": "u3"}]
    answer = await api.patch(ns.path("lock"), {"metadata": {"ownerReferences": owners}}, kind=STRATEGIC_PATCH)
    names = {owner["uid"]: owner["name"] for owner in answer.json["metadata"]["ownerReferences"]}
    assert names == {"u1": "n1", "u2": "n2", "u3": "n1"}


async def test_an_owner_is_deleted_by_uid_in_a_strategic_patch(api: Api, ns: Namespace) -> None:
    await ns.create("lock", metadata={"ownerReferences": [{**OWNER, "uid": "u1"}, {**OWNER, "uid": "u2"}]})
    owners = [{"$patch": "delete", "uid": "u1"}]
    answer = await api.patch(ns.path("lock"), {"metadata": {"ownerReferences": owners}}, kind=STRATEGIC_PATCH)
    assert [owner["uid"] for owner in answer.json["metadata"]["ownerReferences"]] == ["u2"]


async def test_owners_are_replaced_in_a_merge_patch(api: Api, ns: Namespace) -> None:
    await ns.create("lock", metadata={"ownerReferences": [{**OWNER, "uid": "u1"}]})
    answer = await api.patch(ns.path("lock"), {"metadata": {"ownerReferences": [{**OWNER, "uid": "u3"}]}})
    assert [owner["uid"] for owner in answer.json["metadata"]["ownerReferences"]] == ["u3"]


async def test_finalizers_are_a_set_in_a_strategic_patch(api: Api, ns: Namespace) -> None:
    await ns.create("lock", metadata={"finalizers": ["example.com/a"]})
    body = {"metadata": {"finalizers": ["example.com/b", "example.com/a"]}}
    answer = await api.patch(ns.path("lock"), body, kind=STRATEGIC_PATCH)
    assert sorted(answer.json["metadata"]["finalizers"]) == ["example.com/a", "example.com/b"]


@pytest.mark.parametrize("kind", [MERGE_PATCH, STRATEGIC_PATCH])
async def test_an_unknown_field_is_refused_under_strict_validation(api: Api, ns: Namespace, kind: str) -> None:
    await ns.create("lock")
    answer = await api.patch(ns.path("lock"), {"spec": {"colour": "red"}}, kind=kind, fieldValidation="Strict")
    assert (answer.status, answer.json["reason"]) == (422, "Invalid")
    assert 'unknown field "spec.colour"' in answer.json["message"]
    assert answer.json["details"]["causes"][0]["field"] == "patch"


async def test_a_dry_run_changes_nothing(api: Api, ns: Namespace) -> None:
    old = await ns.create("lock", holderIdentity="a")
    answer = await api.patch(ns.path("lock"), {"spec": {"holderIdentity": "b"}}, dryRun="All")
    assert (answer.status, answer.json["spec"]) == (200, {"holderIdentity": "b"})
    assert await ns.read("lock") == old


@pytest.mark.parametrize("kind", ["application/json", "text/csv"])
async def test_an_unknown_patch_type_is_refused(api: Api, ns: Namespace, kind: str) -> None:
    await ns.create("lock")
    answer = await api.patch(ns.path("lock"), {"spec": {}}, kind=kind)
    expected = failure(415, "415: Unsupported Media Type", reason="UnsupportedMediaType", details={})
    assert (answer.status, answer.json) == (415, expected)
