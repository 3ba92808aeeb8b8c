"""`Api` over HTTP: paths, bodies and errors. What sends the bytes is a `Transport`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import msgspec

from lease_aio.api.answers import date_of, error_from_transport, read_object, require_success, unintelligible
from lease_aio.api.direct import open_transport
from lease_aio.api.paths import collection_path, object_path, query_string, require_namespace
from lease_aio.api.protocol import Page, PatchType, Resource, T
from lease_aio.api.transport import Answer, Transport, TransportError
from lease_aio.api.watching import RestWatch, open_watch
from lease_aio.errors import Call, ConfigurationError, MalformedObject
from lease_aio.model import decode, encode
from lease_aio.model.wire import read

if TYPE_CHECKING:
    from kubernetes_asyncio.client import ApiClient  # takes most of a second to import

DEFAULT_TIMEOUT_S = 10.0
_ACCEPT = {"Accept": "application/json"}
_SEND_JSON = {"Accept": "application/json", "Content-Type": "application/json"}
_CLIENT_AGENT = "OpenAPI-Generator/"  # what an ApiClient calls itself when nobody named it


class RestApi:
    """An `Api` at the other end of a transport. Enter it before use: it opens and closes the transport.

    Args:
        transport: What sends the bytes; `open_transport(configuration)` normally.
        timeout_s: Bound of a request where the call names none.
    """

    def __init__(self, transport: Transport, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        if not timeout_s > 0:
            raise ConfigurationError(f"timeout_s={timeout_s!r} must be a positive number of seconds")
        self._transport = transport
        self._timeout_s = timeout_s

    @classmethod
    def from_api_client(cls, api_client: ApiClient, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Self:
        """Speak to the server of a user's own `ApiClient`, as the same user.

        Its configuration, default headers (an impersonation, a user agent) and cookie are taken, its session is not:
        the ApiClient stays its owner's to close, and may be closed.
        """
        headers = {str(name): str(value) for name, value in api_client.default_headers.items()}
        if headers.get("User-Agent", "").startswith(_CLIENT_AGENT):
            del headers["User-Agent"]
        if api_client.cookie:
            headers["Cookie"] = str(api_client.cookie)
        return cls(open_transport(api_client.configuration, headers=headers), timeout_s=timeout_s)

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._transport.__aexit__(*exc)

    async def get(self, resource: Resource[T], name: str, namespace: str = "", *, timeout_s: float | None = None) -> T:
        """See `Api.get`."""
        call = Call(verb="get", resource=resource.label, namespace=namespace, name=name)
        answer = await self._ask(call, "GET", object_path(resource, namespace, name), timeout_s=timeout_s)
        return read_object(call, answer, resource.type, self._transport.origin)

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
        query = {
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "limit": str(limit) if limit else "",
            "continue": continue_token,
            "resourceVersion": resource_version,
            "resourceVersionMatch": resource_version_match,
        }
        target = collection_path(resource, namespace) + query_string(query)
        answer = await self._ask(call, "GET", target, timeout_s=timeout_s)
        return read_page(call, answer, resource, self._transport.origin)

    async def create(self, resource: Resource[T], value: T, *, timeout_s: float | None = None) -> T:
        """See `Api.create`."""
        call = Call(verb="create", resource=resource.label, namespace=value.namespace, name=value.name)
        require_namespace(resource, value.namespace)
        target = collection_path(resource, value.namespace)
        answer = await self._ask(call, "POST", target, body=encode(value), timeout_s=timeout_s)
        return read_object(call, answer, resource.type, self._transport.origin)

    async def replace(self, resource: Resource[T], value: T, *, timeout_s: float | None = None) -> T:
        """See `Api.replace`."""
        metadata = value.metadata
        call = Call(verb="update", resource=resource.label, namespace=metadata.namespace, name=metadata.name)
        target = object_path(resource, metadata.namespace, metadata.name)
        answer = await self._ask(call, "PUT", target, body=encode(value), timeout_s=timeout_s)
        return read_object(call, answer, resource.type, self._transport.origin)

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
        label = f"{resource.label}/{subresource}" if subresource else resource.label
        call = Call(verb="patch", resource=label, namespace=namespace, name=name)
        target = object_path(resource, namespace, name, subresource)
        answer = await self._ask(
            call, "PATCH", target, body=msgspec.json.encode(body), media=type.value, timeout_s=timeout_s
        )
        return read_object(call, answer, resource.type, self._transport.origin)

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
        call = Call(verb="delete", resource=resource.label, namespace=namespace, name=name)
        body = delete_options(uid, resource_version)
        answer = await self._ask(call, "DELETE", object_path(resource, namespace, name), body=body, timeout_s=timeout_s)
        require_success(call, answer, self._transport.origin)

    async def watch(
        self,
        resource: Resource[T],
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        timeout_s: float = 120.0,
    ) -> RestWatch[T]:
        """See `Api.watch`."""
        call = Call(verb="watch", resource=resource.label, namespace=namespace)
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, round(timeout_s))),
            "resourceVersion": resource_version,
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
        }
        target = collection_path(resource, namespace) + query_string(query)
        return await open_watch(
            self._transport, call, resource, target, open_timeout_s=self._timeout_s, timeout_s=timeout_s
        )

    async def _ask(
        self,
        call: Call,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        media: str = "application/json",
        timeout_s: float | None,
    ) -> Answer:
        headers = _ACCEPT if body is None else _SEND_JSON if media == "application/json" else _sending(media)
        try:
            return await self._transport.request(
                method,
                target,
                headers=headers,
                body=body,
                timeout_s=self._timeout_s if timeout_s is None else timeout_s,
            )
        except TransportError as error:
            raise error_from_transport(call, error, self._transport.origin) from error


def _sending(media: str) -> dict[str, str]:
    return {"Accept": "application/json", "Content-Type": media}


def delete_options(uid: str, resource_version: str) -> bytes:
    """The body of a delete; Background propagation is every kind's default."""
    wanted = {"uid": uid, "resourceVersion": resource_version}
    preconditions = {name: value for name, value in wanted.items() if value}
    options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
    if preconditions:
        options["preconditions"] = preconditions
    return msgspec.json.encode(options)


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")
    remaining_item_count: int | None = None


class _List(msgspec.Struct):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


_list_decoder = msgspec.json.Decoder(_List)


def read_page(call: Call, answer: Answer, resource: Resource[T], origin: str) -> Page[T]:
    """The page that the server answered with.

    Raises:
        ApiError: as for `read_object`.
    """
    require_success(call, answer, origin)
    try:
        found = read(_list_decoder, answer.body, "list")
        items = tuple(decode(bytes(item), resource.type) for item in found.items or ())
    except MalformedObject as error:
        raise unintelligible(call, answer, origin, str(error)) from error
    return Page(
        items=items,
        resource_version=found.metadata.resource_version,
        continue_token=found.metadata.continue_,
        remaining=found.metadata.remaining_item_count,
        date=date_of(answer.headers),
    )
