"""Leases as they are: read, written and watched, typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lease_aio.api import LEASES, Follow, Page, PatchType, follow
from lease_aio.client.base import ClientBase
from lease_aio.model import Lease
from lease_aio.naming import check_lease_name


class PlainLeases(ClientBase):
    """CRUD and watch on Leases."""

    async def get(self, name: str, *, namespace: str | None = None) -> Lease:
        """Read one Lease. Raises `NotFound` if it does not exist."""
        return await self.api.get(LEASES, check_lease_name(name), self._namespace(namespace))

    async def list(
        self,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> Page[Lease]:
        """List the Leases of a namespace (`""` for all namespaces)."""
        return await self.api.list(
            LEASES,
            self._namespace(namespace) if namespace != "" else "",
            label_selector=label_selector,
            field_selector=field_selector,
            limit=limit,
            continue_token=continue_token,
        )

    async def create(self, lease: Lease) -> Lease:
        """Create a Lease, in the client's namespace if it names none. Raises `AlreadyExists` if the name is taken."""
        return await self.api.create(LEASES, self._placed(lease))

    async def replace(self, lease: Lease) -> Lease:
        """Write a whole Lease if its resourceVersion is still the current one, else raise `Conflict`."""
        return await self.api.replace(LEASES, self._placed(lease))

    async def patch(
        self,
        name: str,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        namespace: str | None = None,
        type: PatchType = PatchType.MERGE,  # noqa: A002 - the field's word
    ) -> Lease:
        """Change parts of a Lease. Compare-and-swap only if the body carries `metadata.resourceVersion`."""
        return await self.api.patch(LEASES, check_lease_name(name), self._namespace(namespace), body=body, type=type)

    async def delete(
        self, name: str, *, namespace: str | None = None, uid: str = "", resource_version: str = ""
    ) -> None:
        """Delete a Lease; with preconditions only that incarnation or version, else raise `Conflict`."""
        await self.api.delete(
            LEASES, check_lease_name(name), self._namespace(namespace), uid=uid, resource_version=resource_version
        )

    def watch(self, *, namespace: str | None = None, label_selector: str = "") -> Follow[Lease]:
        """Follow the Leases of a namespace (`""` for all): `async with` it, then `async for change in`.

        Never loses an event between its list and its watch, and goes on over broken connections.
        """
        return follow(
            self.api,
            LEASES,
            self._namespace(namespace) if namespace != "" else "",
            label_selector=label_selector,
            clock=self._clock,
            random=self._random,
        )

    def _placed(self, lease: Lease) -> Lease:
        return lease if lease.namespace else lease.with_metadata(namespace=self.namespace)
