"""Which API servers there are."""

from __future__ import annotations

from dataclasses import dataclass

from lease_aio.api.protocol import LEASES, Api, Page
from lease_aio.errors import Expired
from lease_aio.identity.record import (
    IDENTITY_LABEL,
    IDENTITY_NAMESPACE,
    OLD_IDENTITY_LABEL,
    Identity,
    read_identity,
)
from lease_aio.model import Lease, Time
from lease_aio.naming import KUBE_APISERVER, check_label_value

_PAGE = 500


async def identities(
    api: Api,
    *,
    wall_us: int,
    server: str = KUBE_APISERVER,
    old_releases: bool = False,
    namespace: str = IDENTITY_NAMESPACE,
) -> list[Identity]:
    """All identities that servers of that name have published, also those that have expired, in order of their names.

    A cluster whose API servers publish none (the gate APIServerIdentity is off) gives an empty list.

    Args:
        api: The API server to ask.
        wall_us: The time at which to judge what is expired, microseconds since the epoch: `clock.wall_us()`.
        server: The name of the servers; the value of their label.
        old_releases: Find those of 1.20 to 1.26, too, which have another label; costs one more list.
        namespace: Where to look.

    Raises:
        ConfigurationError: the server's name cannot be a label.
        ApiError: the list could not be had.
    """
    check_label_value("server", server)
    found: dict[str, Lease] = {}
    for label in (IDENTITY_LABEL, OLD_IDENTITY_LABEL) if old_releases else (IDENTITY_LABEL,):
        listing = await list_labelled(api, namespace, f"{label}={server}")
        found.update((lease.name, lease) for lease in listing.leases)
    return [read_identity(found[name], wall_us) for name in sorted(found)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What a list showed; `date` is the server's clock at its last page, if it told."""

    leases: tuple[Lease, ...]
    date: Time | None


async def list_labelled(api: Api, namespace: str, selector: str) -> Listing:
    """All Leases that match, in pages; in one piece where those expire on the way."""
    try:
        return await _pages(api, namespace, selector, limit=_PAGE)
    except Expired:  # between two pages; a list in one piece cannot be
        return await _pages(api, namespace, selector, limit=0)


async def _pages(api: Api, namespace: str, selector: str, *, limit: int) -> Listing:
    found: list[Lease] = []
    token = ""
    while True:
        page: Page[Lease] = await api.list(
            LEASES, namespace, label_selector=selector, limit=limit, continue_token=token
        )
        found += page.items
        token = page.continue_token
        if not token:
            return Listing(leases=tuple(found), date=page.date)
