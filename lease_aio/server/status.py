"""Errors of the embedded API server, in the exact shape that a kube-apiserver gives them.

Every refusal of the store and of its REST front is a `StatusError`. It renders the `Status` object that
clients parse: client-go trusts its `reason` before the HTTP code, so reasons and messages are kept word for
word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lease_aio.server.resources import ResourceType

Json: TypeAlias = dict[str, Any]
"""One JSON object. Objects that the store hands out are shared values: read them, never change them."""

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


class StatusError(Exception):
    """A request that the API server refuses.

    Args:
        code: HTTP status code.
        reason: machine-readable reason (`NotFound`, `Conflict`, `Expired`, ...); empty for a plain 500.
        message: the sentence that clients print.
        details: the `details` object of the Status, if it has one.
        retry_after_s: whole seconds after which the client may try again; also sent as the header
            `Retry-After`.
        continue_token: for 410 answers to a paged list, a token that continues with inconsistent pages.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Json | None = None,
        *,
        retry_after_s: int | None = None,
        continue_token: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.retry_after_s = retry_after_s
        self.continue_token = continue_token

    def body(self) -> Json:
        """Render the Status object, in the key order of a kube-apiserver."""
        metadata = {"continue": self.continue_token} if self.continue_token else {}
        status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure"}
        status["message"] = self.message
        if self.reason:
            status["reason"] = self.reason
        details = dict(self.details) if self.details is not None else None
        if self.retry_after_s:
            details = {**(details or {}), "retryAfterSeconds": self.retry_after_s}
        if details is not None:
            status["details"] = details
        status["code"] = self.code
        return status


def cause(reason: str, message: str, field: str = "") -> Json:
    """One entry of `details.causes`; `reason` is for example `FieldValueInvalid`."""
    return {"reason": reason, "message": message, "field": field} if field else {"reason": reason, "message": message}


def details(resource: ResourceType, name: str = "", *, by_kind: bool = False) -> Json:
    """The `details` that name an object: by resource, or by Kind as validation errors and delete conflicts do."""
    named = {"name": name, "group": resource.group, "kind": resource.kind if by_kind else resource.plural}
    return {key: value for key, value in named.items() if value}


def bad_request(message: str) -> StatusError:
    """400: the request could not be understood."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """401: a credential was given and is not known."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: ResourceType, name: str, why: str, *causes: Json) -> StatusError:
    """403: understood and refused; `why` follows the words `is forbidden:`."""
    subject = f'{resource.qualified} "{name}"' if name else resource.qualified
    named = details(resource, name)
    if causes:
        named["causes"] = list(causes)
    return StatusError(403, "Forbidden", f"{subject} is forbidden: {why}", named)


def not_found(resource: ResourceType, name: str) -> StatusError:
    """404: no object of this name."""
    return StatusError(404, "NotFound", f'{resource.qualified} "{name}" not found', details(resource, name))


def unknown_route() -> StatusError:
    """404: no such resource or subresource in a group and version that is served."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> StatusError:
    """405: the resource exists, the verb does not."""
    message = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", message, {})


def not_acceptable(accepted: Sequence[str]) -> StatusError:
    """406: nothing that the client accepts can be produced."""
    message = f"only the following media types are accepted: {', '.join(accepted)}"
    return StatusError(406, "NotAcceptable", message)


def already_exists(resource: ResourceType, name: str, *, prefix: str = "", suffix: str = "") -> StatusError:
    """409 on create: the name is taken."""
    message = f'{prefix}{resource.qualified} "{name}" already exists{suffix}'
    return StatusError(409, "AlreadyExists", message, details(resource, name))


def conflict(resource: ResourceType, name: str, why: str = MODIFIED, *, by_kind: bool = False) -> StatusError:
    """409 on a compare-and-swap that lost."""
    subject = resource.qualified_kind if by_kind else resource.qualified
    message = f'Operation cannot be fulfilled on {subject} "{name}": {why}'
    return StatusError(409, "Conflict", message, details(resource, name, by_kind=by_kind))


def expired(message: str, *, continue_token: str = "") -> StatusError:
    """410: the resourceVersion asked for is no longer in the history."""
    return StatusError(410, "Expired", message, continue_token=continue_token)


def too_large(limit: int) -> StatusError:
    """413: the body exceeds the limit in bytes."""
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def unsupported_media_type(accepted: Sequence[str]) -> StatusError:
    """415: the body is of a type that is not understood here."""
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return StatusError(415, "UnsupportedMediaType", message)


def invalid(subject: str, name: str, named: Json, causes: Sequence[Json]) -> StatusError:
    """422: well-formed and against the rules.

    Args:
        subject: qualified Kind, for example `Lease.coordination.k8s.io`.
        name: name of the object, empty for query options.
        named: the `details` that name the object, to which the causes are added.
        causes: one per broken rule. Equal ones are printed once in the message and all kept in the details.
    """
    texts = list(dict.fromkeys(f"{entry['field']}: {entry['message']}" for entry in causes))
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    message = f'{subject} "{name}" is invalid: {listed}'
    return StatusError(422, "Invalid", message, {**named, "causes": list(causes)})


def invalid_object(resource: ResourceType, name: str, causes: Sequence[Json]) -> StatusError:
    """422 for an object that breaks validation rules."""
    return invalid(resource.qualified_kind, name, details(resource, name, by_kind=True), causes)


def invalid_options(kind: str, *causes: Json) -> StatusError:
    """422 for query options; `kind` is `ListOptions`, `CreateOptions`, `PatchOptions` or `DeleteOptions`."""
    named = {"group": "meta.k8s.io", "kind": kind}
    return invalid(f"{kind}.meta.k8s.io", "", named, causes)


def rejected_patch() -> StatusError:
    """422 for a JSON patch whose operation or test failed."""
    return StatusError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def internal(message: str) -> StatusError:
    """500 without a reason: how unexpected errors look."""
    return StatusError(500, "", message)


def version_too_large(wanted: int, current: int) -> StatusError:
    """504: a resourceVersion from the future was asked for."""
    named = {"causes": [cause("ResourceVersionTooLarge", "Too large resource version")]}
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return StatusError(504, "Timeout", message, named, retry_after_s=1)
