"""What holds of the store after any sequence of requests."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lease_aio.server import LEASES, Patch, PatchKind, StatusError, Store
from lease_aio.server.history import Watch

NOW = 1_800_000_000_000_000
NAMES = st.sampled_from(["a", "b", "c"])
HOLDERS = st.sampled_from(["x", "y", ""])
TEAMS = st.sampled_from(["red", "blue"])
Json = dict[str, Any]


class StoreMachine(RuleBasedStateMachine):
    """Random requests; watches opened at random times must arrive at what a list shows."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(now=NOW)
        self.revision = self.store.resource_version
        self.followers: list[tuple[Watch, str, dict[str, Json]]] = []
        self.past: list[tuple[int, tuple[Json, ...]]] = []

    @initialize()
    def follow_from_the_start(self) -> None:
        self.follow("")
        self.follow("team=red")

    @rule(name=NAMES, holder=HOLDERS, team=TEAMS)
    def create(self, name: str, holder: str, team: str) -> None:
        body = {"metadata": {"name": name, "labels": {"team": team}}, "spec": {"holderIdentity": holder}}
        with contextlib.suppress(StatusError):
            self.store.create(LEASES, "default", body, now=NOW)

    @rule(name=NAMES, holder=HOLDERS, team=TEAMS, stale=st.booleans())
    def replace(self, name: str, holder: str, team: str, *, stale: bool) -> None:
        current = self.store.find(LEASES, "default", name)
        if current is None:
            return
        version = "1" if stale else current["metadata"]["resourceVersion"]
        meta = {"name": name, "labels": {"team": team}, "resourceVersion": version}
        with contextlib.suppress(StatusError):
            self.store.replace(LEASES, "default", name, {"metadata": meta, "spec": {"holderIdentity": holder}}, now=NOW)

    @rule(name=NAMES, finalizers=st.sampled_from([["a/b"], []]))
    def patch(self, name: str, finalizers: list[str]) -> None:
        with contextlib.suppress(StatusError):
            patch = Patch(PatchKind.MERGE, {"metadata": {"finalizers": finalizers}})
            self.store.patch(LEASES, "default", name, patch, now=NOW)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        with contextlib.suppress(StatusError):
            self.store.delete(LEASES, "default", name, now=NOW)

    @rule(selector=st.sampled_from(["", "team=red", "team!=red"]))
    def follow(self, selector: str) -> None:
        page = self.store.list(LEASES, "default", label_selector=selector)
        seen = {obj["metadata"]["name"]: obj for obj in page.items}
        watch = self.store.watch(
            LEASES, "default", label_selector=selector, resource_version=str(page.resource_version)
        )
        self.followers.append((watch, selector, seen))

    @rule()
    def remember(self) -> None:
        page = self.store.list(LEASES, "default")
        self.past.append((page.resource_version, page.items))

    @invariant()
    def versions_only_grow(self) -> None:
        assert self.store.resource_version >= self.revision
        self.revision = self.store.resource_version

    @invariant()
    def every_follower_knows_what_a_list_shows(self) -> None:
        for watch, selector, seen in self.followers:
            for kind, obj in watch.pull():
                name = obj["metadata"]["name"]
                assert (name in seen) is (kind != "ADDED")
                if kind == "DELETED":
                    del seen[name]
                else:
                    seen[name] = obj
            items = self.store.list(LEASES, "default", label_selector=selector).items
            assert sorted(seen) == [obj["metadata"]["name"] for obj in items]
            assert list(items) == [seen[obj["metadata"]["name"]] for obj in items]

    @invariant()
    def the_past_can_be_read_as_it_was(self) -> None:
        for revision, items in self.past:
            page = self.store.list(LEASES, "default", resource_version=str(revision), match="Exact")
            assert page.items == items


StoreMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestStore = StoreMachine.TestCase


@given(st.permutations(range(6)), st.integers(0, 5))
def test_of_many_writers_from_one_version_exactly_one_wins(order: list[int], rounds: int) -> None:
    store = Store(now=NOW)
    current = store.create(LEASES, "default", {"metadata": {"name": "l"}}, now=NOW)
    for _ in range(rounds + 1):
        won: list[str] = []
        for writer in order:
            body = {**current, "metadata": dict(current["metadata"]), "spec": {"holderIdentity": f"{writer}"}}
            with contextlib.suppress(StatusError):
                won.append(store.replace(LEASES, "default", "l", body, now=NOW)["spec"]["holderIdentity"])
        current = store.get(LEASES, "default", "l")
        assert won == [current["spec"]["holderIdentity"]] == [f"{order[0]}"]
        current = store.replace(LEASES, "default", "l", {**current, "spec": {}}, now=NOW)
