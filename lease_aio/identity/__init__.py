"""API servers' identities: Leases in kube-system that say which servers are alive."""

from lease_aio.identity.publisher import ApiServerIdentity
from lease_aio.identity.record import Identity, read_identity
from lease_aio.identity.registry import identities

__all__ = ["ApiServerIdentity", "Identity", "identities", "read_identity"]
