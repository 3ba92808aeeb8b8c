"""The store: what it refuses, what it changes, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from lease_aio.server import LEASE_CANDIDATES, LEASES, NAMESPACES, NODES, Patch, PatchKind, StatusError, Store

NOW = 1_800_000_000_000_000
Json = dict[str, Any]


def lease(name: str = "lock", *, metadata: Json | None = None, **spec: Any) -> Json:
    return {"metadata": {"name": name, **(metadata or {})}, "spec": spec}


def create(store: Store, name: str = "lock", *, metadata: Json | None = None, **spec: Any) -> Json:
    return store.create(LEASES, "default", lease(name, metadata=metadata, **spec), now=NOW)


def held_by(obj: Json, holder: str) -> Json:
    return {**obj, "metadata": dict(obj["metadata"]), "spec": {**obj["spec"], "holderIdentity": holder}}


def replace(store: Store, body: Json, name: str = "lock") -> Json:
    return store.replace(LEASES, "default", name, body, now=NOW)


def refusal(code: int, reason: str) -> Any:
    def matches(error: StatusError) -> bool:
        return (error.code, error.reason) == (code, reason)

    return pytest.raises(StatusError, check=matches)


# --- compare-and-swap


def test_a_replace_from_an_old_version_conflicts_and_changes_nothing(store: Store) -> None:
    first = create(store, holderIdentity="a")
    second = replace(store, held_by(first, "b"))
    with refusal(409, "Conflict"):
        replace(store, held_by(first, "c"))
    assert store.get(LEASES, "default", "lock") is second


def test_a_replace_of_a_deleted_lease_conflicts_on_its_uid(store: Store) -> None:
    first = create(store)
    store.delete(LEASES, "default", "lock", now=NOW)
    with refusal(409, "Conflict") as caught:
        replace(store, held_by(first, "b"))
    assert caught.value.message.endswith(f"UID in precondition: {first['metadata']['uid']}, UID in object meta: ")


def test_a_replace_with_another_uid_conflicts_even_at_the_current_version(store: Store) -> None:
    current = create(store)
    body = {**current, "metadata": {**current["metadata"], "uid": "other"}}
    with refusal(409, "Conflict"):
        replace(store, body)


def test_a_replace_without_a_version_is_refused(store: Store) -> None:
    create(store)
    with refusal(422, "Invalid"):
        replace(store, lease(holderIdentity="b"))


def test_nodes_may_be_replaced_without_a_version(store: Store) -> None:
    store.create(NODES, "", {"metadata": {"name": "n"}}, now=NOW)
    labels = {"metadata": {"name": "n", "labels": {"a": "b"}}}
    assert store.replace(NODES, "", "n", labels, now=NOW)["metadata"]["labels"] == {"a": "b"}


def test_a_replace_creates_a_missing_lease_but_not_a_missing_node(store: Store) -> None:
    assert replace(store, lease(holderIdentity="a", metadata={"resourceVersion": "77"}))["metadata"]["uid"]
    with refusal(404, "NotFound"):
        store.replace(NODES, "", "n", {"metadata": {"name": "n"}}, now=NOW)


def test_a_replace_that_changes_nothing_writes_nothing(store: Store) -> None:
    current = create(store, holderIdentity="a", metadata={"labels": {"a": "b"}})
    before = store.resource_version
    copied = {**current, "metadata": {**current["metadata"], "labels": {"a": "b"}}, "spec": {"holderIdentity": "a"}}
    assert replace(store, copied) is current
    assert store.resource_version == before


def test_a_refused_write_leaves_no_trace(store: Store) -> None:
    create(store)
    before = (store.resource_version, store.get(LEASES, "default", "lock"))
    for body in (lease("other", leaseDurationSeconds=0), lease("Bad"), lease("lock"), {"metadata": 5}):
        with pytest.raises(StatusError):
            store.create(LEASES, "default", body, now=NOW)
    assert (store.resource_version, store.get(LEASES, "default", "lock")) == before


def test_the_server_keeps_its_own_fields_over_a_replace(store: Store) -> None:
    current = create(store)
    meta = {**current["metadata"], "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 9, "selfLink": "x"}
    changed = replace(store, {**current, "metadata": meta, "spec": {"holderIdentity": "b"}})
    kept = ("uid", "creationTimestamp")
    assert [changed["metadata"][key] for key in kept] == [current["metadata"][key] for key in kept]
    assert not {"generation", "selfLink"} & set(changed["metadata"])


def test_unchanged_labels_are_shared_between_versions(store: Store) -> None:
    first = create(store, metadata={"labels": {"a": "b"}})
    meta = {**first["metadata"], "labels": {"a": "b"}}
    second = replace(store, {**first, "metadata": meta, "spec": {"holderIdentity": "b"}})
    assert second["metadata"]["labels"] is first["metadata"]["labels"]


# --- create


def test_a_name_that_is_taken_is_refused(store: Store) -> None:
    create(store)
    with refusal(409, "AlreadyExists"):
        create(store)


def test_a_lease_needs_its_namespace(store: Store) -> None:
    with refusal(404, "NotFound"):
        store.create(LEASES, "nowhere", lease(), now=NOW)


def test_generated_names_are_tried_eight_times() -> None:
    store = Store(now=NOW, new_suffix=lambda: "aaaaa")
    body: Json = {"metadata": {"generateName": "x-"}}
    assert store.create(LEASES, "default", body, now=NOW)["metadata"]["name"] == "x-aaaaa"
    with refusal(409, "AlreadyExists") as caught:
        store.create(LEASES, "default", {"metadata": {"generateName": "x-"}}, now=NOW)
    assert caught.value.retry_after_s == 1


def test_a_dry_run_stores_nothing(store: Store) -> None:
    before = store.resource_version
    shown = store.create(LEASES, "default", lease(), now=NOW, dry_run=True)
    assert "resourceVersion" not in shown["metadata"]
    assert store.find(LEASES, "default", "lock") is None
    assert store.resource_version == before


def test_unknown_fields_can_be_refused_before_anything_is_stored(store: Store) -> None:
    def refuse(fields: Any) -> None:
        raise LookupError(fields)

    with pytest.raises(LookupError, match=r"spec\.colour"):
        store.create(LEASES, "default", lease(colour="red"), now=NOW, on_unknown=refuse)
    assert store.find(LEASES, "default", "lock") is None


def test_a_candidate_must_say_how_it_wants_to_be_chosen(store: Store) -> None:
    body = {"metadata": {"name": "c"}, "spec": {"leaseName": "l", "binaryVersion": "1.0", "emulationVersion": "1.0.0"}}
    with refusal(422, "Invalid") as caught:
        store.create(LEASE_CANDIDATES, "default", body, now=NOW)
    fields = [cause["field"] for cause in (caught.value.details or {})["causes"]]
    assert fields == ["spec.binaryVersion", "spec.binaryVersion", "spec.strategy"]  # no version is older than any


@pytest.mark.parametrize("version", ["9" * 20 + ".0.0", "1.0.0-" + "9" * 5000])
def test_a_version_with_a_number_that_is_too_large_is_none(store: Store, version: str) -> None:
    spec = {"leaseName": "a", "binaryVersion": version, "emulationVersion": version, "strategy": "example.com/x"}
    with refusal(422, "Invalid"):
        store.create(LEASE_CANDIDATES, "default", {"metadata": {"name": "c"}, "spec": spec}, now=NOW)


# --- patch


def test_a_patch_from_an_old_version_conflicts(store: Store) -> None:
    old = create(store)["metadata"]["resourceVersion"]
    replace(store, held_by(store.get(LEASES, "default", "lock"), "b"))
    patch = Patch(PatchKind.MERGE, {"metadata": {"resourceVersion": old}, "spec": {"holderIdentity": "c"}})
    with refusal(409, "Conflict"):
        store.patch(LEASES, "default", "lock", patch, now=NOW)


def test_a_patch_of_a_missing_object_is_not_found(store: Store) -> None:
    with refusal(404, "NotFound"):
        store.patch(LEASES, "default", "lock", Patch(PatchKind.MERGE, {}), now=NOW)


def test_a_patch_leaves_the_stored_version_as_it_was(store: Store) -> None:
    first = create(store, holderIdentity="a", metadata={"labels": {"a": "b"}})
    patch = Patch(PatchKind.JSON, [{"op": "add", "path": "/metadata/labels/c", "value": "d"}])
    second = store.patch(LEASES, "default", "lock", patch, now=NOW)
    assert first["metadata"]["labels"] == {"a": "b"}
    assert second["metadata"]["labels"] == {"a": "b", "c": "d"}


def test_the_status_of_a_node_changes_only_through_its_subresource(store: Store) -> None:
    store.create(NODES, "", {"metadata": {"name": "n"}}, now=NOW)
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}, "spec": {"unschedulable": True}}
    patch = Patch(PatchKind.STRATEGIC, ready)
    assert "conditions" not in store.patch(NODES, "", "n", patch, now=NOW)["status"]
    assert store.get(NODES, "", "n")["spec"] == {"unschedulable": True}
    through = store.patch(NODES, "", "n", patch, now=NOW, subresource="status")
    assert through["status"]["conditions"][0]["status"] == "True"


# --- delete


def test_a_precondition_that_does_not_hold_keeps_the_object(store: Store) -> None:
    current = create(store)
    with refusal(409, "Conflict"):
        store.delete(LEASES, "default", "lock", now=NOW, uid="other")
    with refusal(409, "Conflict"):
        store.delete(LEASES, "default", "lock", now=NOW, resource_version="1")
    assert store.find(LEASES, "default", "lock") is current


def test_a_finalizer_holds_an_object_until_it_is_removed(store: Store) -> None:
    create(store, metadata={"finalizers": ["a/b"]})
    marked = store.delete(LEASES, "default", "lock", now=NOW)
    assert marked["metadata"]["deletionTimestamp"]
    with refusal(409, "AlreadyExists") as caught:
        create(store)
    assert caught.value.message.startswith("object is being deleted: ")
    store.patch(LEASES, "default", "lock", Patch(PatchKind.MERGE, {"metadata": {"finalizers": None}}), now=NOW)
    assert store.find(LEASES, "default", "lock") is None


@pytest.mark.parametrize("policy", ["Foreground", "Orphan"])
def test_what_a_garbage_collector_would_do_is_done_at_once(store: Store, policy: str) -> None:
    create(store)
    marked = store.delete(LEASES, "default", "lock", now=NOW, propagation_policy=policy)
    assert len(marked["metadata"]["finalizers"]) == 1
    assert store.find(LEASES, "default", "lock") is None


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_the_first_namespaces_cannot_be_deleted(store: Store, name: str) -> None:
    with refusal(403, "Forbidden"):
        store.delete(NAMESPACES, "", name, now=NOW)


def test_a_namespace_takes_its_leases_with_it(store: Store) -> None:
    store.create(NAMESPACES, "", {"metadata": {"name": "team"}}, now=NOW)
    store.create(LEASES, "team", lease(), now=NOW)
    create(store)
    store.delete(NAMESPACES, "", "team", now=NOW)
    assert store.find(NAMESPACES, "", "team") is None
    assert [obj["metadata"]["namespace"] for obj in store.list(LEASES).items] == ["default"]


def test_a_namespace_waits_for_the_finalizers_of_what_is_in_it(store: Store) -> None:
    store.create(NAMESPACES, "", {"metadata": {"name": "team"}}, now=NOW)
    store.create(LEASES, "team", lease(metadata={"finalizers": ["a/b"]}), now=NOW)
    store.delete(NAMESPACES, "", "team", now=NOW)
    assert store.get(NAMESPACES, "", "team")["status"]["phase"] == "Terminating"
    with refusal(403, "Forbidden") as caught:
        store.create(LEASES, "team", lease("late"), now=NOW)
    assert (caught.value.details or {})["causes"][0]["reason"] == "NamespaceTerminating"
    store.patch(LEASES, "team", "lock", Patch(PatchKind.MERGE, {"metadata": {"finalizers": []}}), now=NOW)
    assert store.find(NAMESPACES, "", "team") is None


# --- lists


def test_a_version_of_the_future_is_too_large(store: Store) -> None:
    ahead = str(store.resource_version + 1)
    for read in (
        lambda: store.list(LEASES, resource_version=ahead),
        lambda: store.get(LEASES, "default", "lock", resource_version=ahead),
    ):
        with refusal(504, "Timeout"):
            read()


def test_a_version_with_more_digits_than_a_number_has_is_refused(store: Store) -> None:
    with refusal(400, "BadRequest"):
        store.list(LEASES, "default", resource_version="9" * 5000)
    with refusal(500, ""):
        create(store, metadata={"resourceVersion": "9" * 5000})


def test_an_exact_list_shows_the_past(store: Store) -> None:
    first = create(store, "a", holderIdentity="x")
    then = store.resource_version
    replace(store, held_by(first, "y"), "a")
    create(store, "b")
    store.delete(LEASES, "default", "a", now=NOW)
    page = store.list(LEASES, resource_version=str(then), match="Exact")
    assert (page.items, page.resource_version) == ((first,), then)


def test_an_exact_list_of_a_forgotten_state_is_expired(store: Store) -> None:
    create(store, "a")
    then = store.resource_version
    create(store, "b")
    store.compact()
    with refusal(410, "Expired"):
        store.list(LEASES, resource_version=str(then), match="Exact")


def test_pages_show_one_state_whatever_happens_in_between(store: Store) -> None:
    for name in "abcde":
        create(store, name)
    first = store.list(LEASES, "default", limit=2)
    store.delete(LEASES, "default", "c", now=NOW)
    create(store, "cc")
    second = store.list(LEASES, "default", limit=2, continue_token=first.continue_token)
    third = store.list(LEASES, "default", limit=2, continue_token=second.continue_token)
    names = [obj["metadata"]["name"] for page in (first, second, third) for obj in page.items]
    assert names == list("abcde")
    assert {page.resource_version for page in (first, second, third)} == {first.resource_version}
    assert [first.remaining, second.remaining, third.continue_token] == [3, 1, ""]


def test_the_rest_of_a_list_is_deleted_though_some_of_it_is_gone_by_then(store: Store) -> None:
    for name in "abc":
        create(store, name)
    first = store.list(LEASES, "default", limit=1)
    store.delete(LEASES, "default", "b", now=NOW)
    store.delete_collection(LEASES, "default", now=NOW, continue_token=first.continue_token)
    assert [obj["metadata"]["name"] for obj in store.list(LEASES, "default").items] == ["a"]


def test_a_forgotten_page_offers_to_go_on_inconsistently(store: Store) -> None:
    for name in "abc":
        create(store, name)
    first = store.list(LEASES, "default", limit=1)
    create(store, "bb")
    store.compact()
    with refusal(410, "Expired") as caught:
        store.list(LEASES, "default", limit=1, continue_token=first.continue_token)
    rest = store.list(LEASES, "default", continue_token=caught.value.continue_token)
    assert [obj["metadata"]["name"] for obj in rest.items] == ["b", "bb", "c"]


def test_lists_are_ordered_by_the_bytes_of_their_keys(store: Store) -> None:
    for namespace in ("a-b", "a"):
        store.create(NAMESPACES, "", {"metadata": {"name": namespace}}, now=NOW)
        store.create(LEASES, namespace, lease(), now=NOW)
    assert [obj["metadata"]["namespace"] for obj in store.list(LEASES).items] == ["a-b", "a"]
    assert [obj["metadata"]["namespace"] for obj in store.list(LEASES, "a").items] == ["a"]
