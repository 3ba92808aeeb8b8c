"""The door: one `LeaseClient` owns one connection pool, one scheduler and one watch per namespace.

What it offers stands by area, one module each; all of them stand on `base`.
"""

from __future__ import annotations

from lease_aio.client.base import DEFAULT_NAMESPACE
from lease_aio.client.connecting import connect
from lease_aio.client.door import LeaseClient

__all__ = ["DEFAULT_NAMESPACE", "LeaseClient", "connect"]
