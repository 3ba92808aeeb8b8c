"""Watching Leases."""

from __future__ import annotations

import pytest

from tests.conformance.rig import COORDINATION, MERGE_PATCH, Api, Json, Namespace, bad_option, changed, unique

FORBIDDEN = "FieldValueForbidden"


def told(events: list[tuple[str, Json]]) -> list[tuple[str, str]]:
    return [(kind, obj["metadata"]["name"]) for kind, obj in events]


async def _version(ns: Namespace) -> str:
    return (await ns.api.get(ns.leases)).version


@pytest.mark.parametrize("params", [{}, {"resourceVersion": ""}, {"resourceVersion": "0"}])
async def test_what_exists_comes_first_as_added(api: Api, ns: Namespace, params: dict[str, str]) -> None:
    made = [await ns.create("a"), await ns.create("b")]
    await api.get(ns.leases)
    async with await api.watch(ns.leases, **params) as watch:
        events = await watch.take(2)
        assert sorted(told(events)) == [("ADDED", "a"), ("ADDED", "b")]
        assert sorted((obj for _, obj in events), key=lambda obj: obj["metadata"]["name"]) == made
        await ns.create("c")
        assert told(await watch.take(1)) == [("ADDED", "c")]


async def test_events_after_a_version_come_in_order(api: Api, ns: Namespace) -> None:
    old = await ns.create("a")
    await ns.create("b")
    await api.put(ns.path("a"), changed(old, holderIdentity="x"))
    await api.delete(ns.path("b"))
    async with await api.watch(ns.leases, resourceVersion=old["metadata"]["resourceVersion"]) as watch:
        events = await watch.take(3)
    assert told(events) == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    versions = [int(obj["metadata"]["resourceVersion"]) for _, obj in events]
    assert versions == sorted(set(versions))


async def test_a_change_made_meanwhile_is_seen_whole(api: Api, ns: Namespace) -> None:
    old = await ns.create("a")
    async with await api.watch(ns.leases, resourceVersion=await _version(ns)) as watch:
        new = (await api.put(ns.path("a"), changed(old, holderIdentity="x"))).json
        assert await watch.next() == {"type": "MODIFIED", "object": new}


async def test_a_write_that_changes_nothing_is_no_event(api: Api, ns: Namespace) -> None:
    old = await ns.create("a", holderIdentity="x")
    async with await api.watch(ns.leases, resourceVersion=await _version(ns)) as watch:
        await api.put(ns.path("a"), old)
        await ns.create("b")
        assert told(await watch.take(1)) == [("ADDED", "b")]


async def test_a_dry_run_is_no_event(api: Api, ns: Namespace) -> None:
    old = await ns.create("a")
    async with await api.watch(ns.leases, resourceVersion=await _version(ns)) as watch:
        await api.put(ns.path("a"), changed(old, holderIdentity="x"), dryRun="All")
        await ns.create("b")
        assert told(await watch.take(1)) == [("ADDED", "b")]


async def test_a_delete_shows_the_last_state_at_the_version_of_the_delete(api: Api, ns: Namespace) -> None:
    old = await ns.create("a", holderIdentity="x")
    async with await api.watch(ns.leases, resourceVersion=await _version(ns)) as watch:
        await api.delete(ns.path("a"))
        ((kind, obj),) = await watch.take(1)
    version = obj["metadata"].pop("resourceVersion")
    assert int(version) > int(old["metadata"].pop("resourceVersion"))
    assert (kind, obj) == ("DELETED", old)


async def test_other_namespaces_are_not_told_about(api: Api, ns: Namespace) -> None:
    async with await api.watch(ns.leases, resourceVersion=await _version(ns)) as watch:
        other = await api.post(f"{COORDINATION}/namespaces/default/leases", {"metadata": {"name": unique("x")}})
        assert other.status == 201
        await ns.create("mine")
        assert told(await watch.take(1)) == [("ADDED", "mine")]


async def test_all_namespaces_can_be_watched_together(api: Api, ns: Namespace) -> None:
    version = await _version(ns)
    made = await ns.create("lock")
    async with await api.watch(f"{COORDINATION}/leases", resourceVersion=version) as watch:
        while (event := await watch.next()) and event["object"]["metadata"]["namespace"] != ns.name:
            pass
    assert event == {"type": "ADDED", "object": made}


async def test_removing_the_last_finalizer_shows_the_state_that_was_stored_before(api: Api, ns: Namespace) -> None:
    await ns.create("a", metadata={"finalizers": ["example.com/hold"]}, holderIdentity="x")
    marked = (await api.delete(ns.path("a"))).json
    async with await api.watch(ns.leases, resourceVersion=marked["metadata"]["resourceVersion"]) as watch:
        freed = await api.put(ns.path("a"), changed(marked, metadata={"finalizers": None}, holderIdentity="y"))
        ((kind, obj),) = await watch.take(1)
    assert (freed.status, freed.json["spec"]["holderIdentity"]) == (200, "y")
    assert int(obj["metadata"].pop("resourceVersion")) > int(marked["metadata"].pop("resourceVersion"))
    assert (kind, obj) == ("DELETED", marked)


async def test_one_name_can_be_watched(api: Api, ns: Namespace) -> None:
    selector = "metadata.name=b"
    async with await api.watch(ns.leases, fieldSelector=selector, resourceVersion=await _version(ns)) as watch:
        for name in "abc":
            await ns.create(name)
        await api.delete(ns.path("c"))
        await api.delete(ns.path("b"))
        assert told(await watch.take(2)) == [("ADDED", "b"), ("DELETED", "b")]


async def test_types_are_those_of_the_selected_view(api: Api, ns: Namespace) -> None:
    async with await api.watch(ns.leases, labelSelector="team=red", resourceVersion=await _version(ns)) as watch:
        await ns.create("a")
        entered = await _label(ns, "red")
        await api.patch(ns.path("a"), {"spec": {"holderIdentity": "x"}})
        left = await _label(ns, "blue")
        events = await watch.take(3)
    assert told(events) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert events[0][1] == entered
    _, gone = events[2]
    assert gone["metadata"]["labels"] == {"team": "red"}
    assert gone["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]


async def _label(ns: Namespace, team: str) -> Json:
    body = {"metadata": {"labels": {"team": team}}}
    return (await ns.api.patch(ns.path("a"), body, kind=MERGE_PATCH)).json


async def test_a_watch_ends_cleanly_at_its_timeout(api: Api, ns: Namespace) -> None:
    version = await _version(ns)
    await ns.create("a")
    async with await api.watch(ns.leases, timeoutSeconds="1", resourceVersion=version) as watch:
        assert told(await watch.take(1)) == [("ADDED", "a")]
        assert await watch.next() is None


async def test_a_watch_is_a_stream_of_json_lines(api: Api, ns: Namespace) -> None:
    async with await api.watch(ns.leases) as watch:
        assert watch.response.headers["Content-Type"] == "application/json"
        assert watch.response.headers["Cache-Control"] == "no-cache, private"


@pytest.mark.parametrize("switch", ["1", "true", "True", ""])
async def test_any_truth_asks_for_a_watch(api: Api, ns: Namespace, switch: str) -> None:
    await ns.create("a")
    async with await api.watch(ns.leases, watch=switch) as watch:
        assert told(await watch.take(1)) == [("ADDED", "a")]


@pytest.mark.parametrize("switch", ["0", "false", "FALSE"])
async def test_any_untruth_asks_for_a_list(api: Api, ns: Namespace, switch: str) -> None:
    assert (await api.get(ns.leases, watch=switch)).json["kind"] == "LeaseList"


async def test_initial_events_end_with_a_marked_bookmark(api: Api, ns: Namespace) -> None:
    made = await ns.create("a")
    asked = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    async with await api.watch(ns.leases, **asked) as watch:
        (kind, first), (mark, obj) = await watch.take(2)
        assert (kind, first, mark) == ("ADDED", made, "BOOKMARK")
        assert (obj["kind"], obj["apiVersion"]) == ("Lease", "coordination.k8s.io/v1")
        assert obj["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert int(obj["metadata"]["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])
        await ns.create("b")
        assert told(await watch.take(1)) == [("ADDED", "b")]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (
            {"sendInitialEvents": "true"},
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (
            {"resourceVersionMatch": "NotOlderThan"},
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
    ],
)
async def test_options_that_contradict_each_other_are_refused(
    api: Api, ns: Namespace, params: dict[str, str], text: str
) -> None:
    answer = await api.get(ns.leases, watch="1", **params)
    expected = bad_option("ListOptions", ("resourceVersionMatch", FORBIDDEN, f"Forbidden: {text}"))
    assert (answer.status, answer.json) == (422, expected)


async def test_a_version_that_is_no_number_is_an_error(api: Api, ns: Namespace) -> None:
    answer = await api.get(ns.leases, watch="1", resourceVersion="abc")
    message = 'resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax'
    assert (answer.status, answer.json["message"]) == (500, message)


async def test_an_unknown_field_is_refused(api: Api, ns: Namespace) -> None:
    answer = await api.get(ns.leases, watch="1", fieldSelector="spec.holderIdentity=a")
    assert (answer.status, answer.json["reason"]) == (400, "BadRequest")


async def test_nodes_and_namespaces_can_be_watched(api: Api, ns: Namespace) -> None:
    name = unique("node")
    selector = f"metadata.name={name}"
    nodes = await api.watch("/api/v1/nodes", fieldSelector=selector, resourceVersion=await _version(ns))
    namespaces = await api.watch("/api/v1/namespaces", fieldSelector=f"metadata.name={ns.name}")
    async with nodes, namespaces:
        await api.post("/api/v1/nodes", {"metadata": {"name": name}})
        assert told(await nodes.take(1)) == [("ADDED", name)]
        assert told(await namespaces.take(1)) == [("ADDED", ns.name)]
