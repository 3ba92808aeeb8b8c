"""`Api` over the embedded server's store, in the same process: no socket, no bytes, the same answers and errors.

What a network does to requests is brought in through `faults`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeVar

import anyio
import msgspec

from lease_aio.api.answers import error_from_transport
from lease_aio.api.memory_watch import ORIGIN, Faults, MemoryWatch, Moment, api_error, close
from lease_aio.api.paths import object_path, require_namespace
from lease_aio.api.protocol import Page, PatchType, Resource, T
from lease_aio.api.transport import Fault, TransportError
from lease_aio.errors import Call, ConfigurationError
from lease_aio.model import Time, from_dict, to_dict
from lease_aio.server.history import Watch as StoreWatch
from lease_aio.server.patch import Patch, PatchKind
from lease_aio.server.resources import ResourceType
from lease_aio.server.status import StatusError
from lease_aio.server.store import Store

__all__ = ["Faults", "MemoryApi", "Moment"]

R = TypeVar("R")


class MemoryApi:
    """An `Api` whose server is a `Store`.

    Args:
        store: The state; may be shared with others of its kind, and with an embedded server.
        latency_s: How long each call takes, half of it before the store is asked.
        timeout_s: Bound of a call where it names none; it counts only where there are latency or faults.
        wall_us: Epoch microseconds for what the store writes.
        faults: See `Faults`.
    """

    def __init__(
        self,
        store: Store,
        *,
        latency_s: float = 0.0,
        timeout_s: float = 10.0,
        wall_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        faults: Faults | None = None,
    ) -> None:
        self.store = store
        self._latency_s = latency_s
        self._timeout_s = timeout_s
        self._wall_us = wall_us
        self._faults = faults
        self._types = {(one.group, one.version, one.plural): one for one in store.resources}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def get(self, resource: Resource[T], name: str, namespace: str = "", *, timeout_s: float | None = None) -> T:
        """See `Api.get`."""
        call = _call("get", resource, namespace, name)
        kind = self._type(resource)
        found = await self._do(call, timeout_s, lambda: self.store.get(kind, namespace, name))
        return from_dict(found, resource.type)

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
        """See `Api.list`."""
        call = Call(verb="list", resource=resource.label, namespace=namespace)
        kind = self._type(resource)
        page = await self._do(
            call,
            timeout_s,
            lambda: self.store.list(
                kind,
                namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                limit=limit,
                continue_token=continue_token,
                resource_version=resource_version,
                match=resource_version_match,
            ),
        )
        return Page(
            items=tuple(from_dict(item, resource.type) for item in page.items),
            resource_version=str(page.resource_version),
            continue_token=page.continue_token,
            remaining=page.remaining,
            date=Time(self._wall_us() // 1_000_000 * 1_000_000),
        )

    async def create(self, resource: Resource[T], value: T, *, timeout_s: float | None = None) -> T:
        """See `Api.create`."""
        namespace = value.namespace
        require_namespace(resource, namespace)
        call = Call(verb="create", resource=resource.label, namespace=namespace, name=value.name)
        kind, body = self._type(resource), to_dict(value)
        stored = await self._do(call, timeout_s, lambda: self.store.create(kind, namespace, body, now=self._wall_us()))
        return from_dict(stored, resource.type)

    async def replace(self, resource: Resource[T], value: T, *, timeout_s: float | None = None) -> T:
        """See `Api.replace`."""
        namespace, name = value.metadata.namespace, value.metadata.name
        call = _call("update", resource, namespace, name)
        kind, body = self._type(resource), to_dict(value)
        stored = await self._do(
            call, timeout_s, lambda: self.store.replace(kind, namespace, name, body, now=self._wall_us())
        )
        return from_dict(stored, resource.type)

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
        """See `Api.patch`."""
        call = _call("patch", resource, namespace, name, subresource)
        kind = self._type(resource)
        patch = Patch(PatchKind(type.value), msgspec.json.decode(msgspec.json.encode(body)))
        stored = await self._do(
            call,
            timeout_s,
            lambda: self.store.patch(kind, namespace, name, patch, now=self._wall_us(), subresource=subresource),
        )
        return from_dict(stored, resource.type)

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
        """See `Api.delete`."""
        call = _call("delete", resource, namespace, name)
        kind = self._type(resource)
        await self._do(
            call,
            timeout_s,
            lambda: self.store.delete(
                kind, namespace, name, now=self._wall_us(), uid=uid, resource_version=resource_version
            ),
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
    ) -> MemoryWatch[T]:
        """See `Api.watch`. As over HTTP, a resourceVersion that is too old is told by the first event."""
        call = Call(verb="watch", resource=resource.label, namespace=namespace)
        kind = self._type(resource)

        opened: list[StoreWatch | StatusError] = []

        def open_it() -> None:
            try:
                opened.append(
                    self.store.watch(
                        kind,
                        namespace,
                        resource_version=resource_version,
                        label_selector=label_selector,
                        field_selector=field_selector,
                    )
                )
            except StatusError as error:
                if error.code != 410:
                    raise
                opened.append(error)

        try:
            await self._do(call, None, open_it)
        except BaseException:
            close(opened)
            raise
        return MemoryWatch(opened[0], call, resource, self.store, self._faults, timeout_s=timeout_s)

    def _type(self, resource: Resource[Any]) -> ResourceType:
        try:
            return self._types[resource.group, resource.version, resource.plural]
        except KeyError:
            raise ConfigurationError(
                f"{resource.label} is not served by this store; serve it, or ask another"
            ) from None

    async def _do(self, call: Call, timeout_s: float | None, work: Callable[[], R]) -> R:
        """One request: a point where it can be cancelled, then the work, which is atomic."""
        try:
            if self._faults is None and not self._latency_s:
                await asyncio.sleep(0)  # anyio's checkpoint costs twice as much
                return work()
            return await self._do_slowly(call, self._timeout_s if timeout_s is None else timeout_s, work)
        except StatusError as error:
            raise api_error(call, error) from error
        except TransportError as error:
            raise error_from_transport(call, error, ORIGIN) from error

    async def _do_slowly(self, call: Call, timeout_s: float, work: Callable[[], R]) -> R:
        with anyio.move_on_after(timeout_s):
            await anyio.sleep(self._latency_s / 2)
            await self._ask_faults(Moment.BEFORE, call)
            done = work()
            await self._ask_faults(Moment.AFTER, call)
            await anyio.sleep(self._latency_s / 2)
            return done
        raise TransportError(Fault.TIMEOUT, f"waited {timeout_s:g} s", sent=True)

    async def _ask_faults(self, moment: Moment, call: Call) -> None:
        if self._faults is not None:
            await self._faults(moment, call)


def _call(verb: str, resource: Resource[Any], namespace: str, name: str, subresource: str = "") -> Call:
    object_path(resource, namespace, name)  # refuses what HTTP could not ask for
    label = f"{resource.label}/{subresource}" if subresource else resource.label
    return Call(verb=verb, resource=label, namespace=namespace, name=name)
