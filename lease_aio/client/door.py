"""`LeaseClient`: all areas behind one door."""

from __future__ import annotations

from lease_aio.client.elections import Elections
from lease_aio.client.groups import Groups
from lease_aio.client.identities import Identities
from lease_aio.client.nodes import Nodes
from lease_aio.client.plain import PlainLeases


class LeaseClient(Elections, Nodes, Identities, Groups, PlainLeases):
    """Everything that renews Leases, on one event loop.

    Inside its block (`async with`), any number of elections, heartbeats,
    fleets and identities run at once; each is an async context manager or iterator of its own, and
    nothing outlives its block.

    Args:
        source: The user's own `kubernetes_asyncio` ApiClient (its host, TLS and credentials are used; its
            session is not, see `RestApi.from_api_client`), or any `Api`, which stays its owner's to close.
        namespace: Where Leases live when a call names no namespace.
        identity: The holder identity when a call names none; unique for each client by default.
        clock: For tests and simulations.
        random: Uniform in [0, 1), for jitter.
        max_in_flight: Renewals on their way at once.
        reserved_for_elections: How many of those are never taken by heartbeats and identities.
        guard: A thread that watches this client's terms even while the event loop is blocked; see `Guard`.
    """
