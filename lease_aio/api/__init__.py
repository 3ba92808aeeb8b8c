"""The seam to an API server: `Api`, what its verbs take and return, and `RestApi`, which speaks it over HTTP.

`lease_aio.api.memory.MemoryApi` speaks it to an embedded store.
"""

from lease_aio.api.backoff import Backoff
from lease_aio.api.direct import open_transport
from lease_aio.api.follow_state import Change, ChangeType
from lease_aio.api.following import Follow, follow
from lease_aio.api.http import AiohttpTransport
from lease_aio.api.protocol import (
    LEASE_CANDIDATES,
    LEASE_CANDIDATES_V1ALPHA2,
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
from lease_aio.api.rest import RestApi
from lease_aio.api.transport import Transport

__all__ = [
    "LEASES",
    "LEASE_CANDIDATES",
    "LEASE_CANDIDATES_V1ALPHA2",
    "NAMESPACES",
    "NODES",
    "AiohttpTransport",
    "Api",
    "Backoff",
    "Change",
    "ChangeType",
    "EventType",
    "Follow",
    "Page",
    "PatchType",
    "Resource",
    "RestApi",
    "Transport",
    "Watch",
    "WatchEvent",
    "follow",
    "open_transport",
]
