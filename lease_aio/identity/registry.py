"""Which API servers there are."""

from __future__ import annotations

from lease_aio.api.protocol import LEASES, Api, Page
from lease_aio.errors import Expired
from lease_aio.identity.record import IDENTITY_LABEL, IDENTITY_NAMESPACE, Identity, read_identity
from lease_aio.model import Lease
from lease_aio.naming import KUBE_APISERVER, check_label_value

_PAGE = 500


async def identities(
    api: Api, *, wall_us: int, server: str = KUBE_APISERVER, namespace: str = IDENTITY_NAMESPACE
) -> list[Identity]:
    """All identities that servers of that name have published, also those that have expired, in order of their names.

    A cluster whose API servers publish none gives an empty list.

    Args:
        api: The API server to ask.
        wall_us: The time at which to judge what is expired, microseconds since the epoch: `clock.wall_us()`.
        server: The name of the servers; the value of their label.
        namespace: Where to look.

    Raises:
        ConfigurationError: the server's name cannot be a label.
        ApiError: the list could not be had.
    """
    check_label_value("server", server)
    selector = f"{IDENTITY_LABEL}={server}"
    try:
        leases = await _pages(api, namespace, selector, limit=_PAGE)
    except Expired:  # between two pages; a list in one piece cannot be
        leases = await _pages(api, namespace, selector, limit=0)
    return [read_identity(lease, wall_us) for lease in leases]


async def _pages(api: Api, namespace: str, selector: str, *, limit: int) -> list[Lease]:
    found: list[Lease] = []
    token = ""
    while True:
        page: Page[Lease] = await api.list(
            LEASES, namespace, label_selector=selector, limit=limit, continue_token=token
        )
        found += page.items
        token = page.continue_token
        if not token:
            return found
