"""The one seam to an API server: seven verbs on typed objects.

`RestApi` speaks it over HTTP, `MemoryApi` over the embedded server's store. What is above the seam
cannot tell them apart.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

from lease_aio.model import KubeObject, Lease, LeaseCandidate, LeaseCandidateV1Alpha2, Namespace, Node, Time

T = TypeVar("T", bound=KubeObject)


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource(Generic[T]):
    """A kind of object: where it is served and the type it is read into."""

    group: str
    version: str
    plural: str
    type: type[T]
    namespaced: bool = True

    @property
    def label(self) -> str:
        """The name in messages: `leases.coordination.k8s.io`, `nodes`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


LEASES: Resource[Lease] = Resource(group="coordination.k8s.io", version="v1", plural="leases", type=Lease)
LEASE_CANDIDATES: Resource[LeaseCandidate] = Resource(
    group="coordination.k8s.io", version="v1beta1", plural="leasecandidates", type=LeaseCandidate
)
LEASE_CANDIDATES_V1ALPHA2: Resource[LeaseCandidate] = Resource(
    group="coordination.k8s.io", version="v1alpha2", plural="leasecandidates", type=LeaseCandidateV1Alpha2
)
NODES: Resource[Node] = Resource(group="", version="v1", plural="nodes", type=Node, namespaced=False)
NAMESPACES: Resource[Namespace] = Resource(
    group="", version="v1", plural="namespaces", type=Namespace, namespaced=False
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Page(Generic[T]):
    """One answer to a list.

    Attributes:
        items: The objects, in the server's order.
        resource_version: The state that the list shows; a watch from here misses nothing.
        continue_token: Opaque; empty on the last page.
        remaining: How many more there are, if the server said so.
        date: When the server answered by its own wall clock, to the second (the header Date; a proxy may have written
            it); None where it did not say. It is what the skew of a wall clock can be judged by.
    """

    items: tuple[T, ...]
    resource_version: str
    continue_token: str = ""
    remaining: int | None = None
    date: Time | None = None


class EventType(enum.Enum):
    """What happened to an object, as seen through the watch's selectors."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchEvent(Generic[T]):
    """One event of a watch.

    `object` is the state after the event, for DELETED the last state; it is None for a BOOKMARK.
    `resource_version` is where a later watch may resume.
    """

    type: EventType
    object: T | None
    resource_version: str


class PatchType(enum.Enum):
    """The content type of a patch."""

    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    JSON = "application/json-patch+json"


class Watch(Protocol[T]):
    """An open watch: iterate it, and close it. Ends cleanly when the server ends the stream."""

    def __aiter__(self) -> AsyncIterator[WatchEvent[T]]: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...


class Api(Protocol):
    """Seven verbs. Each raises the errors of `lease_aio.errors`, and nothing else on purpose.

    Every request ends within its `timeout_s` (the implementation's default where None): an answer, or
    `Unavailable`; for a write that may have been done, with `outcome_unknown` set. None of them
    retries a write on its own.
    """

    async def get(self, resource: Resource[T], name: str, namespace: str = "", *, timeout_s: float | None = None) -> T:
        """Read one object, at least as new as everything confirmed before the call."""
        ...

    async def list(
        self,
        resource: Resource[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_token: str = "",
        resource_version: str = "",
        resource_version_match: str = "",
        timeout_s: float | None = None,
    ) -> Page[T]:
        """Read many; an empty namespace means all. `limit=0` reads all in one page."""
        ...

    async def create(self, resource: Resource[T], value: T, *, timeout_s: float | None = None) -> T:
        """Create; `AlreadyExists` if the name is taken. Returns what the server stored."""
        ...

    async def replace(self, resource: Resource[T], value: T, *, timeout_s: float | None = None) -> T:
        """Write the whole object if its resourceVersion is the current one, else `Conflict`."""
        ...

    async def patch(
        self,
        resource: Resource[T],
        name: str,
        namespace: str = "",
        *,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        type: PatchType = PatchType.MERGE,  # noqa: A002 - the field's word
        subresource: str = "",
        timeout_s: float | None = None,
    ) -> T:
        """Change parts; compare-and-swap only where the body carries a resourceVersion."""
        ...

    async def delete(
        self,
        resource: Resource[T],
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        timeout_s: float | None = None,
    ) -> None:
        """Delete; with preconditions, only that incarnation or that version, else `Conflict`."""
        ...

    async def watch(
        self,
        resource: Resource[T],
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        timeout_s: float = 120.0,
    ) -> Watch[T]:
        """Open a watch from that resourceVersion; bookmarks are asked for.

        Returns when the server has accepted it. The stream ends by itself after about `timeout_s`, and
        raises `Unavailable` if the connection breaks or stays dead beyond that, `Expired` if the
        resourceVersion is too old.
        """
        ...
