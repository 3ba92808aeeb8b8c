"""An API server in the box: enough of a kube-apiserver for Leases, without a cluster.

`serve` runs it on loopback, for any client that speaks to Kubernetes (kubectl included). `Store` is its pure
state (objects, compare-and-swap, history); a client that needs no network may sit right on it.

Served: leases and lease candidates, nodes, namespaces, events. Not served: everything else, and server-side apply.
"""

from lease_aio.server.embedded import EmbeddedServer, serve
from lease_aio.server.faults import DropConnectionError, Faults
from lease_aio.server.history import Watch, WatchEvent
from lease_aio.server.listing import Page
from lease_aio.server.patch import Patch, PatchKind
from lease_aio.server.resources import (
    EVENTS,
    LEASE_CANDIDATES,
    LEASE_CANDIDATES_V1ALPHA2,
    LEASES,
    NAMESPACES,
    NODES,
    RESOURCES,
    ResourceType,
)
from lease_aio.server.status import StatusError
from lease_aio.server.store import Store

__all__ = [
    "EVENTS",
    "LEASES",
    "LEASE_CANDIDATES",
    "LEASE_CANDIDATES_V1ALPHA2",
    "NAMESPACES",
    "NODES",
    "RESOURCES",
    "DropConnectionError",
    "EmbeddedServer",
    "Faults",
    "Page",
    "Patch",
    "PatchKind",
    "ResourceType",
    "StatusError",
    "Store",
    "Watch",
    "WatchEvent",
    "serve",
]
