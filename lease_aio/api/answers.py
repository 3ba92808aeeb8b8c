"""What an answer means: an object, or the error that says what to do next. Pure.

The server's `reason` counts before the HTTP code, as in client-go; an answer that carries no Kubernetes Status
(a proxy's HTML, a plain-text 429) is judged by its code.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec

from lease_aio.api.transport import Answer, Fault, TransportError
from lease_aio.errors import (
    AlreadyExists,
    ApiError,
    Call,
    Conflict,
    Expired,
    Invalid,
    MalformedObject,
    NotFound,
    Refused,
    Throttled,
    Unavailable,
)
from lease_aio.model import KubeObject, Time, decode
from lease_aio.model.wire import read

T = TypeVar("T", bound=KubeObject)

WRITES = frozenset({"create", "update", "patch", "delete"})
LONGEST_S = 60.0
"""The longest `Retry-After` that counts. API servers ask for 32 s at most; a proxy's page may ask for hours, for which
nobody should be blind."""
_LONGEST_MESSAGE = 4_000  # of a Status so much is passed on, into logs and exceptions
_WORDS = 300  # of a body that is no Status, so much is quoted

_BY_REASON: Mapping[str, type[ApiError]] = {
    "AlreadyExists": AlreadyExists,
    "Conflict": Conflict,
    "NotFound": NotFound,
    "Unauthorized": Refused,
    "Forbidden": Refused,
    "BadRequest": Invalid,
    "Invalid": Invalid,
    "MethodNotAllowed": Invalid,
    "NotAcceptable": Invalid,
    "RequestEntityTooLarge": Invalid,
    "UnsupportedMediaType": Invalid,
    "Expired": Expired,
    "Gone": Expired,
    "TooManyRequests": Throttled,
    "ServerTimeout": Unavailable,
    "Timeout": Unavailable,
    "InternalError": Unavailable,
    "ServiceUnavailable": Unavailable,
}
_BY_CODE: Mapping[int, type[ApiError]] = {
    400: Invalid,
    401: Refused,
    403: Refused,
    404: NotFound,
    405: Invalid,
    406: Invalid,
    409: Conflict,
    410: Expired,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: Throttled,
    501: Invalid,
}
_REMEDY: Mapping[Fault, str] = {
    Fault.UNRESOLVED: "check the server URL in the kubeconfig, and DNS",
    Fault.REFUSED: "check that the API server runs and that the server URL in the kubeconfig is right",
    Fault.PROXY: "check HTTPS_PROXY, NO_PROXY and proxy-url in the kubeconfig",
    Fault.TLS: "check that the server URL is https and that certificate-authority in the kubeconfig is its CA",
    Fault.TIMEOUT: "the server is overloaded or cannot be reached",
    Fault.BROKEN: "the server, or something on the way to it, hung up",
    Fault.TOO_LONG: "list in pages (limit), or check that the server URL in the kubeconfig is that of an API server",
    Fault.CREDENTIALS: "mend the user's credentials in the kubeconfig",
}


class StatusDetails(msgspec.Struct, rename="camel"):
    """`details` of a Status."""

    retry_after_seconds: int | None = None


class Status(msgspec.Struct):
    """The body of an error: `v1.Status`."""

    kind: str = ""
    message: str | None = None
    reason: str | None = None
    code: int | None = None
    details: StatusDetails | None = None


_status_decoder = msgspec.json.Decoder(Status)


def read_object(call: Call, answer: Answer, kind: type[T], origin: str) -> T:
    """The object that the server answered with.

    Raises:
        ApiError: by what the answer says; `Unavailable` where no API server would have answered so.
    """
    require_success(call, answer, origin)
    try:
        return decode(answer.body, kind)
    except MalformedObject as error:
        raise unintelligible(call, answer, origin, str(error)) from error


def require_success(call: Call, answer: Answer, origin: str) -> None:
    """Nothing, if the server did what was asked; else raise what it answered."""
    if answer.status not in {200, 201, 202}:
        raise error_from_answer(call, answer, origin)


def unintelligible(call: Call, answer: Answer, origin: str, why: str) -> Unavailable:
    """The error for an answer of success that holds no such object."""
    media = answer.headers.get("Content-Type", "no content type").partition(";")[0]
    return Unavailable(
        call,
        f"{origin} answered {media}, {why}: is it a Kubernetes API server? Check the server URL in the kubeconfig, "
        "and whether a proxy or a login page stands in between",
        status=answer.status,
        outcome_unknown=call.verb in WRITES,
    )


def error_from_answer(call: Call, answer: Answer, origin: str) -> ApiError:
    """The error that an answer other than success stands for."""
    wait_s = retry_after_s(answer.headers)
    try:
        status = read(_status_decoder, answer.body, "Status")
    except MalformedObject:
        status = Status()
    if status.kind == "Status":
        return error_from_status(call, status, code=answer.status, retry_after_s=wait_s)
    return _error_without_status(call, answer, origin, wait_s)


def error_from_status(
    call: Call, status: Status, *, code: int | None = None, retry_after_s: float | None = None
) -> ApiError:
    """The error that a Status stands for; `code` is the HTTP one, if it came as an answer of its own."""
    code = code or status.code or 500
    reason = status.reason or ""
    if retry_after_s is None and status.details is not None and status.details.retry_after_seconds:
        retry_after_s = _bounded(float(status.details.retry_after_seconds))
    kind = _BY_REASON.get(reason) or _kind_by_code(call, code)
    return kind(
        call,
        (status.message or "no message")[:_LONGEST_MESSAGE],
        status=code,
        reason=reason,
        retry_after_s=retry_after_s,
        outcome_unknown=_unknown(call, kind),
    )


def error_from_transport(call: Call, error: TransportError, origin: str) -> ApiError:
    """The error for a request without a complete answer."""
    kind = Refused if error.fault is Fault.CREDENTIALS else Unavailable
    return kind(
        call,
        f"{origin}: {error.fault.value} ({error.detail}); {_REMEDY[error.fault]}",
        outcome_unknown=error.sent and call.verb in WRITES,
        sent=error.sent,
    )


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The Retry-After header: seconds, or a date, which is counted from the answer's own Date; at most `LONGEST_S`."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return _bounded(float(value))
    try:
        seconds = (parsedate_to_datetime(value) - parsedate_to_datetime(headers["Date"])).total_seconds()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    return _bounded(seconds)


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), LONGEST_S)


def date_of(headers: Mapping[str, str]) -> Time | None:
    """The Date header: when the server answered by its own clock, to the second; None if it gave none."""
    try:
        return Time.from_datetime(parsedate_to_datetime(headers.get("Date", "")))
    except (ValueError, TypeError, OverflowError):
        return None


def _kind_by_code(call: Call, code: int) -> type[ApiError]:
    if code == 409 and call.verb == "create":
        return AlreadyExists
    return _BY_CODE.get(code, Unavailable)


def _unknown(call: Call, kind: type[ApiError]) -> bool:
    """A write after which the server failed may have been stored: etcd's own time-outs come as 500."""
    return kind is Unavailable and call.verb in WRITES


def _error_without_status(call: Call, answer: Answer, origin: str, wait_s: float | None) -> ApiError:
    kind = _kind_by_code(call, answer.status)
    words = _words(answer)
    if answer.status < 400 or kind in {NotFound, Conflict, AlreadyExists, Expired}:
        # the API server gives these as a Status; from somebody else they say nothing about the object
        kind = Unavailable
        words = f"{origin} is no Kubernetes API server, or does not serve {call.resource}: {words}"
        if location := answer.headers.get("Location"):
            words = f"{words} (it points to {location})"
    return kind(call, words, status=answer.status, retry_after_s=wait_s, outcome_unknown=_unknown(call, kind))


_TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def _words(answer: Answer) -> str:
    text = answer.body[:20_000].decode("utf-8", "replace")
    if "html" in answer.headers.get("Content-Type", "") or text.lstrip().startswith("<"):
        text = html.unescape(_TAGS.sub(" ", text))
    short = " ".join(text.split())[:_WORDS]
    return short or "empty answer"
