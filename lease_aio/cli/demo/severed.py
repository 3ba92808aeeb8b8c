"""An API server that can stop answering one caller: how a crash looks to all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from lease_aio.api import Api, Page, PatchType, Resource, Watch
from lease_aio.api.protocol import T
from lease_aio.errors import Call, Unavailable

_TIMEOUT_S = 5.0


class SeverableApi:
    """Passes everything on, until it is severed: then nothing is sent, and every request ends with its time-out."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._severed = False

    def sever(self) -> None:
        """Send nothing from now on. A request that was sent may still be carried out."""
        self._severed = True

    async def _pass(self, verb: str, resource: Resource[T], name: str, timeout_s: float | None) -> None:
        if self._severed:
            await anyio.sleep(_TIMEOUT_S if timeout_s is None else timeout_s)
            raise Unavailable(Call(verb=verb, resource=resource.label, name=name), "cut off: the demo's crash")

    async def get(self, resource: Resource[T], name: str, namespace: str = "", *, timeout_s: float | None = None) -> T:
        """See `Api`."""
        await self._pass("get", resource, name, timeout_s)
        return await self._api.get(resource, name, namespace, timeout_s=timeout_s)

    async def list(
        self,
        resource: Resource[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_token: str = "",
        resource_version: str = "",
        resource_version_match: str = "",
        timeout_s: float | None = None,
    ) -> Page[T]:
        """See `Api`."""
        await self._pass("list", resource, "", timeout_s)
        return await self._api.list(
            resource,
            namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            limit=limit,
            continue_token=continue_token,
            resource_version=resource_version,
            resource_version_match=resource_version_match,
            timeout_s=timeout_s,
        )

    async def create(self, resource: Resource[T], value: T, *, timeout_s: float | None = None) -> T:
        """See `Api`."""
        await self._pass("create", resource, value.name, timeout_s)
        return await self._api.create(resource, value, timeout_s=timeout_s)

    async def replace(self, resource: Resource[T], value: T, *, timeout_s: float | None = None) -> T:
        """See `Api`."""
        await self._pass("update", resource, value.name, timeout_s)
        return await self._api.replace(resource, value, timeout_s=timeout_s)

    async def patch(
        self,
        resource: Resource[T],
        name: str,
        namespace: str = "",
        *,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        type: PatchType = PatchType.MERGE,  # noqa: A002 - the field's word
        subresource: str = "",
        timeout_s: float | None = None,
    ) -> T:
        """See `Api`."""
        await self._pass("patch", resource, name, timeout_s)
        return await self._api.patch(
            resource, name, namespace, body=body, type=type, subresource=subresource, timeout_s=timeout_s
        )

    async def delete(
        self,
        resource: Resource[T],
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        timeout_s: float | None = None,
    ) -> None:
        """See `Api`."""
        await self._pass("delete", resource, name, timeout_s)
        await self._api.delete(
            resource, name, namespace, uid=uid, resource_version=resource_version, timeout_s=timeout_s
        )

    async def watch(
        self,
        resource: Resource[T],
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        timeout_s: float = 120.0,
    ) -> Watch[T]:
        """See `Api`; a watch that is open when the caller is severed goes on."""
        await self._pass("watch", resource, "", None)
        return await self._api.watch(
            resource,
            namespace,
            resource_version=resource_version,
            label_selector=label_selector,
            field_selector=field_selector,
            timeout_s=timeout_s,
        )
