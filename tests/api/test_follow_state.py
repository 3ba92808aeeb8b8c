"""The pure half of following: nothing told twice, nothing missed."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lease_aio.api import Change, ChangeType, EventType, Page, WatchEvent
from lease_aio.api.follow_state import FollowState
from lease_aio.model import Lease, LeaseSpec, new_lease


def lease(name: str, version: int) -> Lease:
    return new_lease(name, "b", LeaseSpec()).with_metadata(resource_version=str(version))


def page(version: int, *items: Lease) -> Page[Lease]:
    return Page(items=items, resource_version=str(version))


def listed(state: FollowState[Lease], version: int, *items: Lease) -> list[tuple[ChangeType, str]]:
    state.begin_list()
    return told([*state.on_page(page(version, *items)), *state.end_list(str(version))])


def told(changes: list[Change[Lease]]) -> list[tuple[ChangeType, str]]:
    return [(change.type, change.name) for change in changes]


def event(kind: EventType, name: str, version: int) -> WatchEvent[Lease]:
    return WatchEvent(type=kind, object=lease(name, version), resource_version=str(version))


def test_nothing_is_known_before_a_list() -> None:
    state: FollowState[Lease] = FollowState()
    assert (len(state), state.resume_from) == (0, "")


def test_a_list_that_begins_again_forgets_the_pages_it_had_and_no_more() -> None:
    state: FollowState[Lease] = FollowState()
    state.begin_list()
    assert told(state.on_page(page(5, lease("a", 1)))) == [(ChangeType.SET, "a")]
    state.begin_list()
    assert told(state.on_page(page(9, lease("c", 3)))) == [(ChangeType.SET, "c")]
    assert told(state.end_list("9")) == [(ChangeType.GONE, "a"), (ChangeType.SYNCED, "")]
    assert state.resume_from == "9"


def test_a_second_list_tells_only_the_difference() -> None:
    state: FollowState[Lease] = FollowState()
    listed(state, 5, lease("a", 1), lease("b", 2), lease("c", 3))
    state.on_expired()
    assert state.resume_from == ""
    assert listed(state, 9, lease("a", 1), lease("b", 8), lease("d", 9)) == [
        (ChangeType.SET, "b"),
        (ChangeType.SET, "d"),
        (ChangeType.GONE, "c"),
        (ChangeType.SYNCED, ""),
    ]


def test_a_name_in_two_namespaces_is_two_objects() -> None:
    state: FollowState[Lease] = FollowState()
    other = lease("a", 2).with_metadata(namespace="x")
    assert len(listed(state, 5, lease("a", 1), other)) == 3
    assert set(state.known()) == {("b", "a"), ("x", "a")}


def test_a_bookmark_moves_the_place_and_tells_nothing() -> None:
    state: FollowState[Lease] = FollowState()
    listed(state, 5)
    assert state.on_event(WatchEvent(type=EventType.BOOKMARK, object=None, resource_version="8")) is None
    assert state.resume_from == "8"


def test_a_deletion_that_was_seen_tells_the_last_state_and_one_that_was_not_tells_none() -> None:
    state: FollowState[Lease] = FollowState()
    listed(state, 5, lease("a", 1), lease("b", 2))
    seen = state.on_event(event(EventType.DELETED, "a", 6))
    assert seen is not None
    assert (seen.type, seen.object, seen.resource_version) == (ChangeType.GONE, lease("a", 6), "6")
    state.begin_list()
    gone, _synced = state.end_list("9")
    assert (gone.name, gone.object, gone.resource_version) == ("b", None, "9")


@dataclass
class World:
    """A collection with one revision, as a server keeps it."""

    revision: int = 1
    objects: dict[str, int] = field(default_factory=dict)
    log: list[WatchEvent[Lease]] = field(default_factory=list)

    def write(self, name: str) -> None:
        self.revision += 1
        kind = EventType.MODIFIED if name in self.objects else EventType.ADDED
        self.objects[name] = self.revision
        self.log.append(event(kind, name, self.revision))

    def delete(self, name: str) -> None:
        if name in self.objects:
            self.revision += 1
            del self.objects[name]
            self.log.append(event(EventType.DELETED, name, self.revision))


class FollowMachine(RuleBasedStateMachine):
    """Whatever happens to the connection, the mirror that the changes make is what the server has at that place."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.state: FollowState[Lease] = FollowState()
        self.mirror: dict[str, str] = {}
        self.behind = True

    def apply(self, changes: list[Change[Lease]]) -> None:
        for change in changes:
            if change.type is ChangeType.SET:
                assert change.object is not None
                assert self.mirror.get(change.name) != change.object.resource_version, "told twice"
                self.mirror[change.name] = change.object.resource_version
            elif change.type is ChangeType.GONE:
                assert self.mirror.pop(change.name, None) is not None, "gone, but never told"

    @rule(name=st.sampled_from("abcd"))
    def write(self, name: str) -> None:
        self.world.write(name)
        self.behind = True

    @rule(name=st.sampled_from("abcd"))
    def delete(self, name: str) -> None:
        self.world.delete(name)
        self.behind = True

    @rule(size=st.integers(1, 3), stops_after=st.integers(0, 5))
    def list_in_pages(self, size: int, stops_after: int) -> None:
        if self.state.resume_from:
            return
        self.state.begin_list()
        items = [lease(name, version) for name, version in sorted(self.world.objects.items())]
        for number, start in enumerate(range(0, max(len(items), 1), size)):
            if number == stops_after:
                return
            self.apply(self.state.on_page(page(self.world.revision, *items[start : start + size])))
        self.apply(self.state.end_list(str(self.world.revision)))
        self.behind = False

    @rule(most=st.integers(0, 5))
    def watch(self, most: int) -> None:
        if not self.state.resume_from:
            return
        pending = [one for one in self.world.log if int(one.resource_version) > int(self.state.resume_from)]
        for one in pending[:most]:
            change = self.state.on_event(one)
            assert change is not None
            self.apply([change])
        self.behind = len(pending) > most

    @rule()
    def expire(self) -> None:
        self.state.on_expired()
        self.behind = True

    @invariant()
    def the_mirror_is_the_world(self) -> None:
        if not self.behind:
            assert self.mirror == {name: str(version) for name, version in self.world.objects.items()}


FollowMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestFollowing = FollowMachine.TestCase
