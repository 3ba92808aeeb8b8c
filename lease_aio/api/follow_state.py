"""What a follower of a collection knows, and what each list and event changes about it. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic

from lease_aio.api.protocol import EventType, Page, T, WatchEvent


class ChangeType(enum.Enum):
    """What a follower learns."""

    SET = "set"
    GONE = "gone"
    SYNCED = "synced"


@dataclass(frozen=True, kw_only=True, slots=True)
class Change(Generic[T]):
    """One thing learnt.

    Attributes:
        type: SET: the object exists and looks like this; GONE: it no longer exists, or no longer matches the selectors;
            SYNCED: all that a list showed has been told, whatever was not SET by now does not exist.
        name: Of the object; empty for SYNCED.
        namespace: Of the object; empty for SYNCED.
        object: For SET the object; for GONE its last state, or None where the deletion itself was not seen.
        resource_version: Of the collection at this change: whatever has a lower one has been told before.
        listed: A list showed it: of several changes before that, only the last.
    """

    type: ChangeType
    name: str = ""
    namespace: str = ""
    object: T | None = None
    resource_version: str = ""
    listed: bool = False


_Key = tuple[str, str]


class FollowState(Generic[T]):
    """Folds lists and watch events into changes, without telling anything twice or missing anything.

    Each list goes through `begin_list`, `on_page` for every page, and `end_list`. A list after the first is a
    difference: only what is new, changed or gone is told.
    """

    def __init__(self) -> None:
        self._versions: dict[_Key, str] = {}
        self._listed: set[_Key] = set()
        self._resume_from = ""

    @property
    def resume_from(self) -> str:
        """The resourceVersion to watch from; empty where a list has to come first."""
        return self._resume_from

    def __len__(self) -> int:
        return len(self._versions)

    def begin_list(self) -> None:
        """A list starts, perhaps for the second time after its pages have expired."""
        self._listed = set()
        self._resume_from = ""

    def on_page(self, page: Page[T]) -> list[Change[T]]:
        """What one page tells that was not known."""
        return [change for item in page.items if (change := self._on_listed(item, page.resource_version))]

    def end_list(self, resource_version: str) -> list[Change[T]]:
        """The last page has come: what was known and not listed is gone, and the follower is in step."""
        vanished = self._versions.keys() - self._listed
        changes = [self._forget(key, None, resource_version) for key in sorted(vanished)]
        self._listed = set()
        self._resume_from = resource_version
        return [*changes, Change(type=ChangeType.SYNCED, resource_version=resource_version)]

    def on_event(self, event: WatchEvent[T]) -> Change[T] | None:
        """What one event of a watch tells; None for a bookmark."""
        self._resume_from = event.resource_version or self._resume_from
        if event.object is None:
            return None
        key = (event.object.namespace, event.object.name)
        if event.type is EventType.DELETED:
            return self._forget(key, event.object, event.resource_version)
        return self._remember(key, event.object, event.resource_version)

    def on_expired(self) -> None:
        """The server no longer knows the events since `resume_from`: list again."""
        self._resume_from = ""

    def known(self) -> Iterable[_Key]:
        """Namespace and name of all that exists, as far as was told."""
        return self._versions.keys()

    def _on_listed(self, item: T, resource_version: str) -> Change[T] | None:
        key = (item.namespace, item.name)
        self._listed.add(key)
        if self._versions.get(key) == item.resource_version:
            return None
        return self._remember(key, item, resource_version, listed=True)

    def _remember(self, key: _Key, item: T, resource_version: str, *, listed: bool = False) -> Change[T]:
        self._versions[key] = item.resource_version
        return Change(
            type=ChangeType.SET,
            namespace=key[0],
            name=key[1],
            object=item,
            resource_version=resource_version,
            listed=listed,
        )

    def _forget(self, key: _Key, last: T | None, resource_version: str) -> Change[T]:
        self._versions.pop(key, None)
        return Change(
            type=ChangeType.GONE, namespace=key[0], name=key[1], object=last, resource_version=resource_version
        )
