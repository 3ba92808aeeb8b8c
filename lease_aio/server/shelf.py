"""The objects of one resource: by key, in order, with their history and those who follow it.

A key is `namespace/name`, or the bare name where there are no namespaces; keys sort by bytes, as etcd's do.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from lease_aio.server import listing, status
from lease_aio.server.history import Change, History, Watch
from lease_aio.server.listing import Page, Place
from lease_aio.server.resources import ResourceType
from lease_aio.server.selectors import Selector
from lease_aio.server.status import Json

Scope: TypeAlias = tuple[str, str]
"""A namespace and a name; either may be empty, for any."""

_SNAPSHOTS = 2


class Shelf:
    """The state of one resource.

    Args:
        resource: which resource.
        history_limit: changes that are kept.
    """

    def __init__(self, resource: ResourceType, history_limit: int) -> None:
        self.objects: dict[str, Json] = {}
        self.history = History(history_limit)
        self._resource = resource
        self._keys: list[str] = []
        self._watches: dict[Scope, list[Watch]] = {}
        # Old states that pages of a list under way are read from. They hold references, not copies of objects.
        self._snapshots: OrderedDict[int, tuple[list[str], dict[str, Json]]] = OrderedDict()

    def key(self, namespace: str, name: str) -> str:
        """The key of an object."""
        return f"{namespace}/{name}" if self._resource.namespaced else name

    def key_of(self, meta: Json) -> str:
        """The key of the object with this metadata."""
        return f"{meta['namespace']}/{meta['name']}" if self._resource.namespaced else str(meta["name"])

    def put(self, revision: int, obj: Json, previous: Json | None) -> None:
        """Store an object and tell the followers."""
        key = self.key_of(obj["metadata"])
        if previous is None:
            insort(self._keys, key)
        self.objects[key] = obj
        self._publish(Change(revision, key, obj, previous))

    def drop(self, revision: int, obj: Json) -> None:
        """Remove an object and tell the followers its last state."""
        key = self.key_of(obj["metadata"])
        del self.objects[key]
        del self._keys[bisect_left(self._keys, key)]
        self._publish(Change(revision, key, None, obj))

    def is_empty(self, namespace: str) -> bool:
        """Whether a namespace holds nothing of this resource."""
        return next(_keys_in(self._keys, (namespace, "")), None) is None

    def compact(self, revision: int) -> None:
        """Forget all states before a revision."""
        self.history.compact(revision)
        self._snapshots.clear()

    # --- lists --------------------------------------------------------------------------------------------------

    def knows(self, revision: int) -> bool:
        """Whether the state at a revision can still be shown."""
        return revision >= self.history.floor or revision in self._snapshots

    def check_known(self, revision: int) -> None:
        """Refuse a list of a state that is forgotten.

        Raises:
            StatusError: 410.
        """
        if not self.knows(revision):
            raise status.expired(listing.LIST_TOO_OLD)

    def page(self, namespace: str, selector: Selector, limit: int, place: Place) -> Page:
        """One page of the state at a revision that is known."""
        revision = place.revision
        keys, objects = self._state(revision)
        items: list[Json] = []
        last = ""
        candidates = _keys_in(keys, self.scope(namespace, selector), place.after)
        for key in candidates:
            obj = objects[key]
            if selector and not selector.matches(obj):
                continue
            if limit and len(items) == limit:
                # One more is selected, so there is a next page; it must show this state.
                self._keep(revision, keys, objects)
                left = None if selector else 1 + sum(1 for _ in candidates)
                token = Place(revision, last).token()
                return Page(items=tuple(items), resource_version=revision, continue_token=token, remaining=left)
            items.append(obj)
            last = key
        return Page(items=tuple(items), resource_version=revision)

    def selected(self, scope: Scope, selector: Selector) -> list[Json]:
        """The current objects of a scope that a selector selects."""
        found = (self.objects[key] for key in _keys_in(self._keys, scope))
        return [obj for obj in found if not selector or selector.matches(obj)]

    def _state(self, revision: int) -> tuple[Sequence[str], dict[str, Json]]:
        if revision in self._snapshots:
            return self._snapshots[revision]
        changes = self.history.since(revision)
        if not changes:
            return self._keys, self.objects
        objects = dict(self.objects)
        for change in reversed(changes):
            if change.before is None:
                del objects[change.key]
            else:
                objects[change.key] = change.before
        keys = sorted(objects)
        self._keep(revision, keys, objects)
        return keys, objects

    def _keep(self, revision: int, keys: Sequence[str], objects: dict[str, Json]) -> None:
        if revision in self._snapshots:
            return
        self._snapshots[revision] = (list(keys), dict(objects))
        while len(self._snapshots) > _SNAPSHOTS:
            self._snapshots.popitem(last=False)

    # --- watches ------------------------------------------------------------------------------------------------

    def scope(self, namespace: str, selector: Selector) -> Scope:
        """The narrowest scope that holds all that a selector can select."""
        name = selector.exact("metadata.name")
        if not self._resource.namespaced:
            return "", name
        return namespace or selector.exact("metadata.namespace"), name

    def changes_since(self, revision: int, scope: Scope) -> list[Change]:
        """The changes of a scope after a revision.

        Raises:
            StatusError: 410, when some of them are no longer known.
        """
        return [change for change in self.history.since(revision) if _in_scope(scope, change.key)]

    @property
    def followers(self) -> int:
        """How many watches follow this resource."""
        return sum(len(watches) for watches in self._watches.values())

    def follow(self, watch: Watch) -> None:
        """Offer all changes of its scope to a watch from now on."""
        self._watches.setdefault(watch.scope, []).append(watch)

    def release(self, watch: Watch) -> None:
        """Offer nothing more to a watch; harmless if it was released before."""
        followers = self._watches.get(watch.scope, [])
        if watch in followers:
            followers.remove(watch)
        if not followers:
            self._watches.pop(watch.scope, None)

    def _publish(self, change: Change) -> None:
        self.history.append(change)
        if not self._watches:
            return
        namespace, _, name = change.key.rpartition("/")
        scopes = [("", ""), ("", name)]
        if namespace:
            scopes += [(namespace, ""), (namespace, name)]
        for scope in scopes:
            for watch in tuple(self._watches.get(scope, ())):
                watch.offer(change)


def _in_scope(scope: Scope, key: str) -> bool:
    namespace, _, name = key.rpartition("/")
    return scope[0] in {"", namespace} and scope[1] in {"", name}


def _keys_in(keys: Sequence[str], scope: Scope, after: str = "") -> Iterator[str]:
    """The keys of a scope in order, behind the key `after`. A namespace is one range: `/` sorts before `0`."""
    namespace, name = scope
    if namespace and name:
        wanted = f"{namespace}/{name}"
        low = bisect_left(keys, wanted)
        return iter([wanted] if keys[low : low + 1] == [wanted] and wanted > after else [])
    low, high = 0, len(keys)
    if namespace:
        low, high = bisect_left(keys, f"{namespace}/"), bisect_left(keys, f"{namespace}0")
    start = max(low, bisect_right(keys, after)) if after else low
    found = (keys[at] for at in range(start, high))
    return (key for key in found if key.rpartition("/")[2] == name) if name else found
