"""Patches, as values."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from lease_aio.server import LEASES, NODES, Patch, PatchKind, StatusError
from lease_aio.server.patch import merge

Json = dict[str, Any]
LEASE: Json = {
    "kind": "Lease",
    "apiVersion": "coordination.k8s.io/v1",
    "metadata": {
        "name": "l",
        "finalizers": ["a/a", "b/b"],
        "ownerReferences": [{"uid": "1", "name": "x"}, {"uid": "2"}],
    },
    "spec": {"holderIdentity": "h", "leaseDurationSeconds": 15},
}
NODE: Json = {
    "kind": "Node",
    "apiVersion": "v1",
    "metadata": {"name": "n"},
    "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]},
    "status": {"conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}]},
}


def strategic(body: Any, target: Json = LEASE) -> Json:
    schema = (LEASES if target["kind"] == "Lease" else NODES).schema
    return Patch(PatchKind.STRATEGIC, body).apply(target, schema)


def by_operations(*operations: Json) -> Any:
    return Patch(PatchKind.JSON, list(operations)).apply(LEASE, LEASES.schema)


def test_a_json_patch_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonpatch", None)
    with pytest.raises(StatusError, match=r"install lease-aio\[server\]"):
        by_operations({"op": "test", "path": "/kind", "value": "Lease"})


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/spec/holderIdentity", "value": "other"},
        {"op": "remove", "path": "/spec/nothing"},
        {"op": "explode", "path": "/spec"},
        {"op": "add", "path": "spec", "value": 1},
        {"op": "add", "path": "/spec/a/b/c", "value": 1},
        {"path": "/spec"},
    ],
)
def test_an_operation_that_fails_rejects_the_whole_patch(operation: Json) -> None:
    with pytest.raises(StatusError) as caught:
        by_operations({"op": "replace", "path": "/spec/holderIdentity", "value": "b"}, operation)
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert LEASE["spec"]["holderIdentity"] == "h"


def test_too_many_operations_are_refused() -> None:
    with pytest.raises(StatusError) as caught:
        by_operations(*[{"op": "test", "path": "/kind", "value": "Lease"}] * 10_001)
    assert caught.value.code == 413


def test_a_replace_of_what_is_not_there_adds_it() -> None:
    patched = by_operations({"op": "replace", "path": "/spec/leaseTransitions", "value": 1})
    assert patched["spec"]["leaseTransitions"] == 1
    assert "leaseTransitions" not in LEASE["spec"]


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": "foo"}, "bar", "bar"),
    ],
)
def test_the_examples_of_rfc_7386(target: Any, patch: Any, expected: Any) -> None:
    assert merge(target, patch) == expected


def test_a_strategic_patch_joins_owners_by_uid() -> None:
    owners = [{"uid": "1", "controller": True}, {"uid": "3"}]
    patched = strategic({"metadata": {"ownerReferences": owners}})["metadata"]["ownerReferences"]
    assert {owner["uid"]: owner for owner in patched} == {
        "1": {"uid": "1", "name": "x", "controller": True},
        "2": {"uid": "2"},
        "3": {"uid": "3"},
    }


def test_a_strategic_patch_deletes_by_directive() -> None:
    body = {
        "metadata": {
            "ownerReferences": [{"$patch": "delete", "uid": "1"}],
            "$deleteFromPrimitiveList/finalizers": ["a/a"],
        }
    }
    meta = strategic(body)["metadata"]
    assert (meta["ownerReferences"], meta["finalizers"]) == ([{"uid": "2"}], ["b/b"])


def test_a_strategic_patch_replaces_and_retains_by_directive() -> None:
    assert strategic({"spec": {"$patch": "replace", "leaseTransitions": 1}})["spec"] == {"leaseTransitions": 1}
    retained = strategic({"spec": {"$retainKeys": ["holderIdentity"], "holderIdentity": "x"}})["spec"]
    assert retained == {"holderIdentity": "x"}


def test_an_order_directive_orders() -> None:
    body = {"metadata": {"$setElementOrder/finalizers": ["c/c", "b/b", "a/a"], "finalizers": ["c/c"]}}
    assert strategic(body)["metadata"]["finalizers"] == ["c/c", "b/b", "a/a"]


def test_conditions_join_by_type_and_keep_their_order() -> None:
    body = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    conditions = strategic(body, NODE)["status"]["conditions"]
    assert [(one["type"], one["status"]) for one in conditions] == [("MemoryPressure", "False"), ("Ready", "False")]


def test_taints_are_replaced_whole() -> None:
    assert strategic({"spec": {"taints": [{"key": "b"}]}}, NODE)["spec"]["taints"] == [{"key": "b"}]


def test_a_directive_that_is_not_known_is_refused() -> None:
    with pytest.raises(StatusError, match="unknown patch type: explode in map"):
        strategic({"spec": {"$patch": "explode"}})


def test_an_entry_without_its_merge_key_is_refused() -> None:
    with pytest.raises(StatusError, match=r"map: map\[name:x\] does not contain declared merge key: uid"):
        strategic({"metadata": {"ownerReferences": [{"name": "x"}]}})
