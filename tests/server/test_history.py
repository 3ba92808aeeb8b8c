"""Watches: nothing is lost, nothing comes twice, and nothing grows without bound."""

from __future__ import annotations

from typing import Any

import pytest

from lease_aio.server import LEASES, NODES, StatusError, Store, WatchEvent

NOW = 1_800_000_000_000_000
Json = dict[str, Any]


def write(store: Store, name: str, holder: str, **labels: str) -> Json:
    current = store.find(LEASES, "default", name)
    version = {"resourceVersion": current["metadata"]["resourceVersion"]} if current is not None else {}
    body = {"metadata": {"name": name, "labels": labels, **version}, "spec": {"holderIdentity": holder}}
    return store.replace(LEASES, "default", name, body, now=NOW)


def told(events: list[WatchEvent]) -> list[tuple[str, str, str]]:
    return [
        (event.type, event.object["metadata"]["name"], event.object["spec"].get("holderIdentity", ""))
        for event in events
    ]


def test_events_that_are_forgotten_are_refused(store: Store) -> None:
    old = write(store, "a", "x")["metadata"]["resourceVersion"]
    write(store, "a", "y")
    store.compact()
    with pytest.raises(StatusError, match=rf"too old resource version: {old} \(\d+\)") as caught:
        store.watch(LEASES, "default", resource_version=old)
    assert (caught.value.code, caught.value.reason) == (410, "Expired")


def test_the_history_drops_its_oldest_changes() -> None:
    store = Store(now=NOW, history_limit=4)
    for number in range(20):
        write(store, "a", str(number))
    newest = store.resource_version
    assert len(store.watch(LEASES, resource_version=str(newest - 4)).pull()) == 4
    with pytest.raises(StatusError, match="too old"):
        store.watch(LEASES, resource_version=str(newest - 10))


def test_a_watch_that_is_not_read_loses_its_place() -> None:
    store = Store(now=NOW, watch_capacity=3)
    calls: list[None] = []
    watch = store.watch(LEASES, resource_version=str(store.resource_version))
    watch.on_ready = lambda: calls.append(None)
    for number in range(10):
        write(store, "a", str(number))
    assert told(watch.pull()) == [("ADDED", "a", "0"), ("MODIFIED", "a", "1"), ("MODIFIED", "a", "2")]
    with pytest.raises(StatusError, match="too old resource version"):
        watch.pull()
    assert store.open_watches == 0
    assert len(calls) == 2  # something came; the place was lost


def test_a_closed_watch_is_told_nothing(store: Store) -> None:
    watch = store.watch(LEASES)
    watch.close()
    watch.close()
    write(store, "a", "x")
    assert (watch.pull(), store.open_watches) == ([], 0)


def test_a_watch_from_a_version_brings_what_came_after_it(store: Store) -> None:
    version = write(store, "a", "x")["metadata"]["resourceVersion"]
    write(store, "b", "y")
    watch = store.watch(LEASES, "default", resource_version=version)
    store.delete(LEASES, "default", "a", now=NOW)
    assert told(watch.pull()) == [("ADDED", "b", "y"), ("DELETED", "a", "x")]


@pytest.mark.parametrize("version", ["", "0"])
def test_a_watch_from_nowhere_begins_with_what_there_is(store: Store, version: str) -> None:
    write(store, "a", "x")
    watch = store.watch(LEASES, "default", resource_version=version)
    write(store, "a", "y")
    assert told(watch.pull()) == [("ADDED", "a", "x"), ("MODIFIED", "a", "y")]


def test_a_watch_from_the_future_is_silent_until_then(store: Store) -> None:
    watch = store.watch(LEASES, resource_version=str(store.resource_version + 1))
    write(store, "a", "x")
    write(store, "a", "y")
    assert told(watch.pull()) == [("MODIFIED", "a", "y")]


def test_a_deleted_object_comes_with_the_version_of_its_deletion(store: Store) -> None:
    write(store, "a", "x")
    watch = store.watch(LEASES, resource_version=str(store.resource_version))
    store.delete(LEASES, "default", "a", now=NOW)
    (event,) = watch.pull()
    assert event.object["metadata"]["resourceVersion"] == str(store.resource_version)


def test_a_selector_sees_objects_come_and_go(store: Store) -> None:
    watch = store.watch(LEASES, label_selector="team=a", resource_version=str(store.resource_version))
    write(store, "l", "1", team="b")
    write(store, "l", "2", team="a")
    write(store, "l", "3", team="a")
    write(store, "l", "4", team="b")
    assert told(watch.pull()) == [("ADDED", "l", "2"), ("MODIFIED", "l", "3"), ("DELETED", "l", "3")]


def test_a_watch_of_one_name_is_woken_by_no_other(store: Store) -> None:
    woken: list[None] = []
    watch = store.watch(LEASES, "default", field_selector="metadata.name=a", resource_version="1")
    watch.on_ready = lambda: woken.append(None)
    write(store, "b", "x")
    store.create(NODES, "", {"metadata": {"name": "a"}}, now=NOW)
    assert not woken
    write(store, "a", "x")
    assert (len(woken), told(watch.pull())) == (1, [("ADDED", "a", "x")])


def test_the_end_of_the_initial_events_is_marked(store: Store) -> None:
    write(store, "a", "x")
    watch = store.watch(LEASES, send_initial_events=True, bookmarks=True)
    added, end = watch.pull()
    assert (added.type, end.type) == ("ADDED", "BOOKMARK")
    assert end.object["metadata"] == {
        "resourceVersion": str(store.resource_version),
        "annotations": {"k8s.io/initial-events-end": "true"},
    }


def test_many_initial_events_come_in_portions_with_the_mark_last(store: Store) -> None:
    for number in range(5):
        write(store, f"l{number}", "x")
    watch = store.watch(LEASES, send_initial_events=True, bookmarks=True)
    portions = [[event.type for event in watch.pull(limit=2)] for _ in range(3)]
    assert portions == [["ADDED", "ADDED"], ["ADDED", "ADDED"], ["ADDED", "BOOKMARK"]]


def test_a_bookmark_never_runs_ahead_of_what_was_delivered(store: Store) -> None:
    start = store.resource_version
    watch = store.watch(LEASES, resource_version=str(start))
    write(store, "a", "x")
    assert watch.bookmark(store.resource_version).object["metadata"]["resourceVersion"] == str(start)
    watch.pull()
    store.create(NODES, "", {"metadata": {"name": "n"}}, now=NOW)
    marked = watch.bookmark(store.resource_version).object
    assert marked == {
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "metadata": {"resourceVersion": str(store.resource_version)},
        "spec": {},
    }
