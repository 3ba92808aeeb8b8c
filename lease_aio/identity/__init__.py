"""API servers' identities: Leases in kube-system that say which servers are alive."""

from lease_aio.identity.collector import IdentityCollector
from lease_aio.identity.events import (
    Collection,
    CollectionFailed,
    IdentityEvent,
    Published,
    Shared,
    Superseded,
    Withdrawn,
)
from lease_aio.identity.listeners import IdentityObserver
from lease_aio.identity.observe import IdentityObservation
from lease_aio.identity.presence import IdentityChange, IdentityChangeType
from lease_aio.identity.publisher import ApiServerIdentity
from lease_aio.identity.record import Freshness, Identity, read_identity
from lease_aio.identity.registry import identities
from lease_aio.identity.skew import Skew

__all__ = [
    "ApiServerIdentity",
    "Collection",
    "CollectionFailed",
    "Freshness",
    "Identity",
    "IdentityChange",
    "IdentityChangeType",
    "IdentityCollector",
    "IdentityEvent",
    "IdentityObservation",
    "IdentityObserver",
    "Published",
    "Shared",
    "Skew",
    "Superseded",
    "Withdrawn",
    "identities",
    "read_identity",
]
