"""Deleting Leases, one by one and many at once."""

from __future__ import annotations

import pytest

from tests.conformance.rig import Api, Namespace, bad_option, changed, conflict, lease, not_found


async def test_a_missing_lease_is_not_found(api: Api, ns: Namespace) -> None:
    answer = await api.delete(ns.path("lock"))
    assert (answer.status, answer.json) == (404, not_found("lock"))


async def test_the_answer_names_what_was_deleted(api: Api, ns: Namespace) -> None:
    made = await ns.create("lock")
    answer = await api.delete(ns.path("lock"), {"propagationPolicy": "Background"})
    details = {"name": "lock", "group": "coordination.k8s.io", "kind": "leases", "uid": made["metadata"]["uid"]}
    assert answer.status == 200
    assert answer.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }
    assert (await api.get(ns.path("lock"))).json == not_found("lock")


async def test_another_uid_in_the_precondition_conflicts(api: Api, ns: Namespace) -> None:
    made = await ns.create("lock")
    answer = await api.delete(ns.path("lock"), {"preconditions": {"uid": "other"}})
    message = (
        f"the UID in the precondition (other) does not match the UID in record ({made['metadata']['uid']}). "
        "The object might have been deleted and then recreated"
    )
    expected = conflict("lock", message, noun="Lease")
    assert (answer.status, answer.json) == (409, expected)
    assert await ns.read("lock") == made


async def test_another_version_in_the_precondition_conflicts(api: Api, ns: Namespace) -> None:
    made = await ns.create("lock")
    answer = await api.delete(ns.path("lock"), {"preconditions": {"resourceVersion": "1"}})
    message = (
        "the ResourceVersion in the precondition (1) does not match the ResourceVersion in record "
        f"({made['metadata']['resourceVersion']}). The object might have been modified"
    )
    assert (answer.status, answer.json) == (409, conflict("lock", message, noun="Lease"))


async def test_preconditions_that_hold_let_the_delete_through(api: Api, ns: Namespace) -> None:
    metadata = (await ns.create("lock"))["metadata"]
    conditions = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    assert (await api.delete(ns.path("lock"), {"preconditions": conditions})).status == 200
    assert (await api.get(ns.path("lock"))).status == 404


@pytest.mark.parametrize(
    ("options", "reason", "text"),
    [
        (
            {"propagationPolicy": "Sometimes"},
            "FieldValueNotSupported",
            'Unsupported value: "Sometimes": supported values: "Foreground", "Background", "Orphan", "nil"',
        ),
        (
            {"propagationPolicy": "Orphan", "orphanDependents": True},
            "FieldValueInvalid",
            'Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set',
        ),
    ],
)
async def test_impossible_options_are_refused(
    api: Api, ns: Namespace, options: dict[str, object], reason: str, text: str
) -> None:
    await ns.create("lock")
    answer = await api.delete(ns.path("lock"), options)
    expected = bad_option("DeleteOptions", ("propagationPolicy", reason, text))
    assert (answer.status, answer.json) == (422, expected)
    assert (await api.get(ns.path("lock"))).status == 200


async def test_a_dry_run_deletes_nothing(api: Api, ns: Namespace) -> None:
    await ns.create("lock")
    assert (await api.delete(ns.path("lock"), dryRun="All")).status == 200
    assert (await api.get(ns.path("lock"))).status == 200


async def test_a_finalizer_holds_the_lease_until_it_is_removed(api: Api, ns: Namespace) -> None:
    await ns.create("lock", metadata={"finalizers": ["example.com/hold"]})
    marked = await api.delete(ns.path("lock"))
    assert (marked.status, marked.json["kind"]) == (200, "Lease")
    assert marked.json["metadata"]["deletionTimestamp"]
    assert marked.json["metadata"]["deletionGracePeriodSeconds"] == 0
    again = await api.post(ns.leases, lease("lock"))
    assert (again.status, again.json["reason"]) == (409, "AlreadyExists")
    assert again.json["message"] == 'object is being deleted: leases.coordination.k8s.io "lock" already exists'
    freed = await api.put(ns.path("lock"), changed(marked.json, metadata={"finalizers": None}))
    assert freed.status == 200
    assert (await api.get(ns.path("lock"))).status == 404


async def test_a_collection_is_deleted_by_its_selector(api: Api, ns: Namespace) -> None:
    for name in ("a", "b"):
        await ns.create(name, metadata={"labels": {"group": "x"}})
    await ns.create("c", metadata={"labels": {"group": "y"}})
    answer = await api.delete(ns.leases, labelSelector="group=x")
    assert (answer.status, answer.json["kind"]) == (200, "LeaseList")
    assert [item["metadata"]["name"] for item in answer.json["items"]] == ["a", "b"]
    left = await api.get(ns.leases)
    assert [item["metadata"]["name"] for item in left.json["items"]] == ["c"]


async def test_a_collection_is_deleted_whole_without_a_selector(api: Api, ns: Namespace) -> None:
    await ns.create("a")
    await ns.create("b")
    assert (await api.delete(ns.leases)).status == 200
    assert (await api.get(ns.leases)).json["items"] == []
