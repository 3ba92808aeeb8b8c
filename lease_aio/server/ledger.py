"""Where all objects are and what the revision is: the one place that writes. It checks nothing."""

from __future__ import annotations

from collections.abc import Sequence

from lease_aio.server.history import at_revision
from lease_aio.server.resources import ResourceType
from lease_aio.server.shelf import Shelf
from lease_aio.server.status import Json


class Ledger:
    """The shelves of all resources under one revision. An object served in two versions is on two shelves.

    Args:
        resources: the resources that are served.
        history_limit: changes kept per resource.

    Attributes:
        resources: as given.
        shelves: by resource.
        revision: that of the last write, over all resources.
    """

    def __init__(self, resources: Sequence[ResourceType], history_limit: int) -> None:
        self.resources = tuple(resources)
        self.shelves = {resource: Shelf(resource, history_limit) for resource in self.resources}
        self.revision = 1
        self._mirrors = _mirrors(self.resources)

    def find(self, resource: ResourceType, namespace: str, name: str) -> Json | None:
        """The stored object, or None."""
        shelf = self.shelves[resource]
        return shelf.objects.get(shelf.key(namespace, name))

    def commit(self, resource: ResourceType, obj: Json, previous: Json | None) -> None:
        """Store an object under the next revision, which is written into it."""
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        shelf = self.shelves[resource]
        shelf.put(self.revision, obj, previous)
        for mirror in self._mirrors.get(resource, ()):
            shown = self.shelves[mirror]
            before = shown.objects.get(shelf.key_of(obj["metadata"]))
            shown.put(self.revision, {**obj, "apiVersion": mirror.group_version}, before)

    def remove(self, resource: ResourceType, obj: Json) -> Json:
        """Take an object off, and return its last state under the next revision."""
        self.revision += 1
        shelf = self.shelves[resource]
        shelf.drop(self.revision, obj)
        for mirror in self._mirrors.get(resource, ()):
            shown = self.shelves[mirror]
            shown.drop(self.revision, shown.objects[shelf.key_of(obj["metadata"])])
        return at_revision(obj, self.revision)

    def compact(self) -> None:
        """Forget the whole history."""
        for shelf in self.shelves.values():
            shelf.compact(self.revision)


def _mirrors(resources: Sequence[ResourceType]) -> dict[ResourceType, tuple[ResourceType, ...]]:
    """Under which other resources the objects of each one are served as well."""
    found: dict[ResourceType, tuple[ResourceType, ...]] = {}
    for one in resources:
        own = one.mirror_of or one
        others = tuple(each for each in resources if each is not one and (each.mirror_of or each) is own)
        if others:
            found[one] = others
    return found
