"""Every error of this package, split by what the caller should do next.

| raised | do next |
|---|---|
| `ConfigurationError` | mend the program or its settings: the message names the value and the remedy |
| `Conflict` | read the object again and decide anew; somebody wrote first |
| `NotFound` | create it, or create its namespace |
| `Refused` | mend the credentials or the RBAC rules; trying again changes nothing |
| `Invalid` | mend the object; trying again changes nothing |
| `Expired` | list again; the resourceVersion is too old to watch or page from |
| `Throttled` | wait `retry_after_s` |
| `Unavailable` | try again later; with `outcome_unknown`, read first: the write may have been done |
| `TermLost` | stop the guarded work; somebody else may lead |
| `ClockSkewed` | set this machine's clock; nothing was done that compares it with another's |
"""

from __future__ import annotations

import msgspec


class LeaseAioError(Exception):
    """The root: `except LeaseAioError` catches all that this package raises on purpose."""


class ConfigurationError(LeaseAioError, ValueError):
    """A value given by the caller cannot work. The message names the value and the remedy."""


class MalformedObject(LeaseAioError, ValueError):
    """What the server (or the caller) gave is not the object that it should be."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(f"not a {kind}: {why}")


class NoCluster(LeaseAioError):
    """No API server was found to talk to. The message lists what was tried."""


class TermLost(LeaseAioError):
    """The term is over: the guarded work must stop.

    Attributes:
        reason: Why it ended, e.g. `expired`, `taken`, `deleted`, `resigned`.
        token: The fencing token of the term, which tells whose it is.
    """

    def __init__(self, lease: str, reason: str, token: int | None = None) -> None:
        super().__init__(f"the term on Lease {lease} is over: {reason}")
        self.reason = reason
        self.token = token


class ClockSkewed(LeaseAioError):
    """This machine's wall clock and the API server's are too far apart for what compares them."""


class Call(msgspec.Struct, frozen=True, kw_only=True, gc=False):  # one per request
    """What was asked of the API server: the part of an error message that says where it happened."""

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        place = "/".join(part for part in (self.namespace, self.name) if part)
        return f"{self.verb} {self.resource}{f' {place}' if place else ''}"


class ApiError(LeaseAioError):
    """The API server, or the way to it, said no.

    Attributes:
        call: The verb, resource, namespace and name that were asked for.
        status: The HTTP status; 0 where no answer came.
        reason: The server's own reason word (`Conflict`, `NotFound`, …), or empty.
        server_message: The server's own words, or the transport's.
        retry_after_s: Seconds that the server asked to wait, if it did; a minute where it asked for more.
        outcome_unknown: A write was sent and no answer tells whether it was done.
        sent: The request may have reached the server; false where there was not even a connection.
    """

    def __init__(
        self,
        call: Call,
        server_message: str,
        *,
        status: int = 0,
        reason: str = "",
        retry_after_s: float | None = None,
        outcome_unknown: bool = False,
        sent: bool = True,
    ) -> None:
        self.call = call
        self.status = status
        self.reason = reason
        self.server_message = server_message
        self.retry_after_s = retry_after_s
        self.outcome_unknown = outcome_unknown
        self.sent = sent
        super().__init__(self._text())

    def _text(self) -> str:
        answer = " ".join(part for part in (str(self.status or ""), self.reason) if part)
        unknown = " (whether the write was done is unknown: read before trying again)" if self.outcome_unknown else ""
        return f"{self.call}: {answer}{': ' if answer else ''}{self.server_message}{unknown}"


class Conflict(ApiError):
    """409: the resourceVersion or uid is not the current one. Read again."""


class AlreadyExists(Conflict):
    """409 on create: the name is taken."""


class NotFound(ApiError):
    """404: the object, or its namespace, does not exist."""

    @property
    def namespace_missing(self) -> bool:
        """The namespace itself is gone, so a create would fail too."""
        return self.server_message.startswith("namespaces ")


class Refused(ApiError):
    """403, or 401 after fresh credentials were tried: mend RBAC or the credentials."""


class Invalid(ApiError):
    """400, 405, 406, 413, 415, 422: the request can never succeed as it is."""


class Expired(ApiError):
    """410: list again."""


class Throttled(ApiError):
    """429: wait `retry_after_s` (or back off where the server named no time)."""


class Unavailable(ApiError):
    """5xx, a time-out, a refused or broken connection, or an answer that no API server gives."""
