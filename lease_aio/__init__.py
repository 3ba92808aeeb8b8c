"""Coordination through Kubernetes Leases for asyncio.

Start with `connect`, which gives a `LeaseClient`. What it raises is in `lease_aio.errors`, what it reads and
writes in `lease_aio.model`.
"""

from lease_aio.client import LeaseClient, connect
from lease_aio.election import EndReason, Guard, Term
from lease_aio.errors import (
    AlreadyExists,
    ApiError,
    ConfigurationError,
    Conflict,
    Expired,
    Invalid,
    LeaseAioError,
    NoCluster,
    NotFound,
    Refused,
    TermLost,
    Throttled,
    Unavailable,
)
from lease_aio.model import Lease, LeaseSpec, MicroTime, ObjectMeta
from lease_aio.timing import Timing

__all__ = [
    "AlreadyExists",
    "ApiError",
    "ConfigurationError",
    "Conflict",
    "EndReason",
    "Expired",
    "Guard",
    "Invalid",
    "Lease",
    "LeaseAioError",
    "LeaseClient",
    "LeaseSpec",
    "MicroTime",
    "NoCluster",
    "NotFound",
    "ObjectMeta",
    "Refused",
    "Term",
    "TermLost",
    "Throttled",
    "Timing",
    "Unavailable",
    "connect",
]
