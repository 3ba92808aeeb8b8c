"""Requests to a resource: what is read from their headers and bodies before the store is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from lease_aio.server import access, bodies, negotiation, options, status
from lease_aio.server.negotiation import Form, Shape
from lease_aio.server.patch import Patch, PatchKind
from lease_aio.server.routing import Route
from lease_aio.server.status import StatusError

if TYPE_CHECKING:
    from lease_aio.server.resources import ResourceType
    from lease_aio.server.store import OnUnknown

_APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to a resource, understood but not yet answered.

    Attributes:
        request: as it came.
        route: what its path names.
        query: the options in its URL.
        user: who asks.
        now: the wall clock, epoch microseconds.
        warnings: what the client is to be told beside the answer.
    """

    request: web.BaseRequest
    route: Route
    query: Mapping[str, str]
    user: str
    now: Callable[[], int]
    warnings: list[str] = field(default_factory=list[str])


def allow(call: Call, verb: str) -> None:
    """Refuse who may not do this.

    Raises:
        StatusError: 403.
    """
    access.authorize(call.user, verb, call.route.resource, call.route.namespace, call.route.name)


def form_of(call: Call, allowed: frozenset[Shape], *, stream: bool = False) -> Form:
    """The form in which the client wants the answer.

    Raises:
        StatusError: 406.
    """
    return negotiation.choose(call.request.headers.get("Accept", ""), allowed=allowed, stream=stream)


async def read_object(call: Call, chosen: options.WriteOptions) -> tuple[Any, OnUnknown | None]:
    """The object that a write brings, and what to do about its unknown fields.

    Raises:
        StatusError: 400, 415.
    """
    media_type = _body_type(call.request)
    data = await call.request.read()
    resource = call.route.resource
    body = _readable(resource, data, media_type)
    if chosen.field_validation == "Ignore":
        return body, None

    def strict(problems: Sequence[str]) -> StatusError:
        return resource.cannot_be_handled(f"strict decoding error: {', '.join(problems)}")

    duplicated = bodies.duplicates(data) if media_type == bodies.JSON else []
    return body, _on_unknown(chosen.field_validation, call, duplicated, strict)


async def read_patch(call: Call, kind: PatchKind, chosen: options.WriteOptions) -> tuple[Patch, OnUnknown | None]:
    """The patch that a request brings, and what to do about unknown fields.

    Raises:
        StatusError: 400.
    """
    data = await call.request.read()
    patch = Patch(kind, _readable_patch(data))
    duplicated = bodies.duplicates(data) if data.strip() else []
    return patch, _on_unknown(chosen.field_validation, call, duplicated, _strict_patch)


async def read_options(call: Call) -> Any:
    """The options in the body of a deletion; None where it is empty.

    Raises:
        StatusError: 400, 415.
    """
    data = await call.request.read()
    if not data.strip():
        return None
    return bodies.read(data, _body_type(call.request))


def patch_kind(call: Call) -> PatchKind:
    """Which kind of patch the body is.

    Raises:
        StatusError: 415.
    """
    try:
        return PatchKind(_media_type(call.request))
    except ValueError:
        if _media_type(call.request) == _APPLY:
            raise status.unsupported_media_type([kind.value for kind in PatchKind]) from None
        raise StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {}) from None


def _media_type(request: web.BaseRequest) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _body_type(request: web.BaseRequest) -> str:
    media_type = _media_type(request) or bodies.JSON
    if media_type not in bodies.SERVED:
        raise status.unsupported_media_type(bodies.SERVED)
    return media_type


def _readable(resource: ResourceType, data: bytes, media_type: str) -> Any:
    try:
        return bodies.read(data, media_type)
    except StatusError as error:
        raise resource.unrecognized(error.message) from None


def _on_unknown(
    validation: str, call: Call, duplicated: Sequence[str], strict: Callable[[Sequence[str]], StatusError]
) -> OnUnknown | None:
    """What to do about unknown and duplicate fields: nothing, warn, or refuse."""
    if validation == "Ignore":
        return None

    def told(unknown: Sequence[str]) -> None:
        problems = [*duplicated, *unknown]
        if problems and validation == "Strict":
            raise strict(problems)
        call.warnings.extend(problems)

    return told


def _readable_patch(data: bytes) -> Any:
    try:
        return bodies.read(data)
    except StatusError:
        raise status.bad_request("invalid JSON patch") from None


def _strict_patch(problems: Sequence[str]) -> StatusError:
    return status.bad_request(f"strict decoding error: {', '.join(problems)}")
