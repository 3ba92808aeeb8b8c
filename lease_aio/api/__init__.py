"""The seam to an API server: `Api`, and what its verbs take and return."""

from lease_aio.api.protocol import (
    LEASE_CANDIDATES,
    LEASES,
    NAMESPACES,
    NODES,
    Api,
    EventType,
    Page,
    PatchType,
    Resource,
    Watch,
    WatchEvent,
)

__all__ = [
    "LEASES",
    "LEASE_CANDIDATES",
    "NAMESPACES",
    "NODES",
    "Api",
    "EventType",
    "Page",
    "PatchType",
    "Resource",
    "Watch",
    "WatchEvent",
]
