"""Replacing a Lease: compare-and-swap, its refusals, and create-on-update."""

from __future__ import annotations

import anyio
import pytest

from tests.conformance.rig import (
    COORDINATION,
    MODIFIED,
    Api,
    Namespace,
    about,
    bad_request,
    changed,
    conflict,
    failure,
    invalid,
    lease,
    unique,
)


async def test_a_stale_version_conflicts(api: Api, ns: Namespace) -> None:
    old = await ns.create("lock", holderIdentity="a")
    await api.put(ns.path("lock"), changed(old, holderIdentity="b"))
    stale = await api.put(ns.path("lock"), changed(old, holderIdentity="c"))
    assert (stale.status, stale.json) == (409, conflict("lock", MODIFIED))
    assert (await ns.read("lock"))["spec"] == {"holderIdentity": "b"}


async def test_a_version_of_the_future_conflicts(api: Api, ns: Namespace) -> None:
    old = await ns.create("lock")
    ahead = str(int(old["metadata"]["resourceVersion"]) + 1000)
    answer = await api.put(ns.path("lock"), changed(old, metadata={"resourceVersion": ahead}))
    assert (answer.status, answer.json) == (409, conflict("lock", MODIFIED))


async def test_exactly_one_of_many_writers_with_the_same_version_wins(api: Api, ns: Namespace) -> None:
    old = await ns.create("lock")
    answers: dict[str, int] = {}

    async def write(holder: str) -> None:
        answers[holder] = (await api.put(ns.path("lock"), changed(old, holderIdentity=holder))).status

    async with anyio.create_task_group() as writers:
        for number in range(8):
            writers.start_soon(write, f"writer-{number}")
    assert sorted(answers.values()) == [200] + [409] * 7
    (winner,) = (holder for holder, status in answers.items() if status == 200)
    assert (await ns.read("lock"))["spec"]["holderIdentity"] == winner


async def test_exactly_one_of_many_creators_wins(api: Api, ns: Namespace) -> None:
    statuses: list[int] = []

    async def write() -> None:
        statuses.append((await api.post(ns.leases, lease("lock"))).status)

    async with anyio.create_task_group() as writers:
        for _ in range(8):
            writers.start_soon(write)
    assert sorted(statuses) == [201] + [409] * 7


async def test_a_version_is_required(api: Api, ns: Namespace) -> None:
    old = await ns.create("lock")
    answer = await api.put(ns.path("lock"), changed(old, metadata={"resourceVersion": None}))
    cause = ("metadata.resourceVersion", "FieldValueInvalid", "Invalid value: 0: must be specified for an update")
    assert (answer.status, answer.json) == (422, invalid("lock", cause, kind="leases"))


async def test_a_version_that_is_no_number_is_an_error(api: Api, ns: Namespace) -> None:
    old = await ns.create("lock")
    answer = await api.put(ns.path("lock"), changed(old, metadata={"resourceVersion": "nil"}))
    assert answer.status == 500
    assert 'strconv.ParseUint: parsing "nil": invalid syntax' in answer.json["message"]


async def test_another_uid_conflicts(api: Api, ns: Namespace) -> None:
    old = await ns.create("lock")
    answer = await api.put(ns.path("lock"), changed(old, metadata={"uid": "other"}))
    quarrel = f"UID in precondition: other, UID in object meta: {old['metadata']['uid']}"
    message = (
        f"StorageError: invalid object, Code: 4, Key: /registry/leases/{ns.name}/lock, ResourceVersion: 0, "
        f"AdditionalErrorMsg: Precondition failed: {quarrel}"
    )
    assert (answer.status, answer.json) == (409, conflict("lock", message))


async def test_a_holder_whose_lease_was_deleted_conflicts_by_uid(api: Api, ns: Namespace) -> None:
    old = await ns.create("lock")
    await api.delete(ns.path("lock"))
    answer = await api.put(ns.path("lock"), changed(old, holderIdentity="a"))
    message = (
        f"StorageError: invalid object, Code: 4, Key: /registry/leases/{ns.name}/lock, ResourceVersion: 0, "
        f"AdditionalErrorMsg: Precondition failed: UID in precondition: {old['metadata']['uid']}, "
        "UID in object meta: "
    )
    assert (answer.status, answer.json) == (409, conflict("lock", message))


async def test_a_recreated_lease_is_told_apart_by_uid(api: Api, ns: Namespace) -> None:
    old = await ns.create("lock")
    await api.delete(ns.path("lock"))
    new = await ns.create("lock")
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    answer = await api.put(
        ns.path("lock"), changed(old, metadata={"resourceVersion": new["metadata"]["resourceVersion"]})
    )
    assert (answer.status, answer.json["reason"]) == (409, "Conflict")


async def test_a_missing_lease_is_created(api: Api, ns: Namespace) -> None:
    answer = await api.put(ns.path("lock"), lease("lock", holderIdentity="a"))
    assert answer.status == 201
    assert (await ns.read("lock")) == answer.json


async def test_a_missing_lease_is_created_whatever_the_version(api: Api, ns: Namespace) -> None:
    answer = await api.put(ns.path("lock"), lease("lock", metadata={"resourceVersion": "1"}))
    assert answer.status == 201
    assert int(answer.version) > 1


async def test_nothing_is_created_in_an_unknown_namespace(api: Api) -> None:
    name = unique("absent")
    answer = await api.put(f"{COORDINATION}/namespaces/{name}/leases/lock", lease("lock"))
    details = {"name": name, "kind": "namespaces"}
    expected = failure(404, f'namespaces "{name}" not found', reason="NotFound", details=details)
    assert (answer.status, answer.json) == (404, expected)


async def test_a_change_gets_a_higher_version(api: Api, ns: Namespace) -> None:
    old = await ns.create("lock", holderIdentity="a")
    answer = await api.put(ns.path("lock"), changed(old, holderIdentity="b"))
    assert answer.status == 200
    assert int(answer.version) > int(old["metadata"]["resourceVersion"])
    assert answer.json == await ns.read("lock")


async def test_no_change_keeps_the_version(api: Api, ns: Namespace) -> None:
    old = await ns.create("lock", holderIdentity="a", renewTime="2026-08-11T19:37:19.123456Z")
    answer = await api.put(ns.path("lock"), old)
    assert (answer.status, answer.version) == (200, old["metadata"]["resourceVersion"])


async def test_what_the_server_owns_is_filled_in_from_the_stored_object(api: Api, ns: Namespace) -> None:
    old = await ns.create("lock")
    version = {"resourceVersion": old["metadata"]["resourceVersion"]}
    answer = await api.put(ns.path("lock"), lease("lock", metadata=version, holderIdentity="a"))
    assert answer.status == 200
    for field in ("uid", "creationTimestamp", "namespace"):
        assert answer.json["metadata"][field] == old["metadata"][field]


async def test_creation_time_cannot_be_changed(api: Api, ns: Namespace) -> None:
    old = await ns.create("lock")
    answer = await api.put(
        ns.path("lock"), changed(old, metadata={"creationTimestamp": "2001-01-01T00:00:00Z"}, holderIdentity="a")
    )
    assert answer.status == 200
    assert answer.json["metadata"]["creationTimestamp"] == old["metadata"]["creationTimestamp"]


async def test_what_is_left_out_is_removed(api: Api, ns: Namespace) -> None:
    old = await ns.create("lock", metadata={"labels": {"a": "b"}}, holderIdentity="a", leaseTransitions=3)
    answer = await api.put(ns.path("lock"), changed(old, metadata={"labels": None}, leaseTransitions=None))
    assert answer.json["spec"] == {"holderIdentity": "a"}
    assert "labels" not in answer.json["metadata"]


async def test_the_name_in_the_body_must_match_the_path(api: Api, ns: Namespace) -> None:
    await ns.create("lock")
    answer = await api.put(ns.path("lock"), lease("other"))
    message = "the name of the object (other) does not match the name on the URL (lock)"
    assert (answer.status, answer.json) == (400, bad_request(message))


async def test_the_name_in_the_body_is_required(api: Api, ns: Namespace) -> None:
    await ns.create("lock")
    answer = await api.put(ns.path("lock"), lease(None))
    message = "the name of the object (lock based on URL) was undeterminable: name must be provided"
    assert (answer.status, answer.json) == (400, bad_request(message))


async def test_the_namespace_in_the_body_must_match_the_path(api: Api, ns: Namespace) -> None:
    await ns.create("lock")
    answer = await api.put(ns.path("lock"), lease("lock", metadata={"namespace": "default"}))
    message = "the namespace of the provided object does not match the namespace sent on the request"
    assert (answer.status, answer.json) == (400, bad_request(message))


async def test_a_bad_spec_is_refused(api: Api, ns: Namespace) -> None:
    old = await ns.create("lock", leaseDurationSeconds=15)
    answer = await api.put(ns.path("lock"), changed(old, leaseDurationSeconds=0))
    expected = invalid(
        "lock", ("spec.leaseDurationSeconds", "FieldValueInvalid", "Invalid value: 0: must be greater than 0")
    )
    assert (answer.status, answer.json) == (422, expected)


async def test_a_stale_version_is_told_before_a_bad_spec(api: Api, ns: Namespace) -> None:
    old = await ns.create("lock", leaseDurationSeconds=15)
    await api.put(ns.path("lock"), changed(old, holderIdentity="b"))
    answer = await api.put(ns.path("lock"), changed(old, leaseDurationSeconds=0))
    assert (answer.status, answer.json) == (409, conflict("lock", MODIFIED))


async def test_a_dry_run_changes_nothing(api: Api, ns: Namespace) -> None:
    old = await ns.create("lock", holderIdentity="a")
    answer = await api.put(ns.path("lock"), changed(old, holderIdentity="b"), dryRun="All")
    assert (answer.status, answer.version) == (200, old["metadata"]["resourceVersion"])
    assert answer.json["spec"] == {"holderIdentity": "b"}
    assert await ns.read("lock") == old


@pytest.mark.parametrize("field", ["strategy", "preferredHolder"])
async def test_a_field_behind_a_feature_gate_is_dropped(api: Api, ns: Namespace, field: str) -> None:
    old = await ns.create("lock", holderIdentity="a")
    answer = await api.put(ns.path("lock"), changed(old, **{field: "OldestEmulationVersion"}))
    assert (answer.status, answer.json["spec"]) == (200, {"holderIdentity": "a"})


async def test_a_lease_that_does_not_exist_is_not_found(api: Api, ns: Namespace) -> None:
    answer = await api.get(ns.path("lock"))
    message = 'leases.coordination.k8s.io "lock" not found'
    assert answer.status == 404
    assert answer.json == failure(404, message, reason="NotFound", details=about("lock"))
