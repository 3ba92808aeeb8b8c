"""Fencing: what the work writes to refuses a token older than one it has seen.

A term is a promise about time, and a process that was frozen, or a request that lay in a network, can break it: a
write of an ended term may arrive in the middle of the next. `Term.token` grows from term to term, so whoever keeps
the largest token seen *with the data*, and compares it in the same atomic step that writes, lets no such write in.

| the work writes to | use |
|---|---|
| SQLite or PostgreSQL, by a DB-API driver | `CREATE_TABLE` once, then `fenced` in each transaction |
| the same, by another driver | the statement `FENCE`: no row changed means that the token is stale |
| a Kubernetes object | `fenced_patch`, or `api.replace` of what `stamped` returns |

Tokens compare within one API server's storage only. If that is restored from a backup, tokens start lower than what
was seen, and every write is refused until the kept tokens are removed by hand: once no older term works any more.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from lease_aio.api import Api, Resource
from lease_aio.errors import ConfigurationError, Conflict, LeaseAioError, MalformedObject
from lease_aio.model import KubeObject

T = TypeVar("T", bound=KubeObject)

CREATE_TABLE = "CREATE TABLE IF NOT EXISTS lease_aio_fence (resource VARCHAR(255) PRIMARY KEY, token BIGINT NOT NULL)"
"""Where `fenced` keeps the largest token of each resource."""

FENCE = (
    "INSERT INTO lease_aio_fence (resource, token) VALUES (?, ?) "
    "ON CONFLICT (resource) DO UPDATE SET token = excluded.token WHERE lease_aio_fence.token <= excluded.token"
)
"""What `fenced` executes: one row changed, or none where a larger token was seen."""

FENCE_ANNOTATION = "lease-aio/fence"
"""The annotation that holds the largest token of a Kubernetes object, in decimal digits."""

_SEEN = "SELECT token FROM lease_aio_fence WHERE resource = ?"
_TOKEN = re.compile(r"\d{1,20}", re.ASCII)  # a resourceVersion is a uint64
_PATCH_ATTEMPTS = 5


class StaleToken(LeaseAioError):
    """A later term has written here: this one is over, stop the work.

    Attributes:
        resource: What was to be written.
        token: The one that came.
        seen: The larger one that was seen before; None where it could not be read.
    """

    def __init__(self, resource: str, token: int, seen: int | None) -> None:
        later = "a later one" if seen is None else f"token {seen}"
        super().__init__(f"token {token} is stale, {resource} has seen {later}: the term is over, stop the work")
        self.resource, self.token, self.seen = resource, token, seen


class Cursor(Protocol):
    """The part of a DB-API cursor (PEP 249) that is used."""

    @property
    def rowcount(self) -> int:
        """Rows that the last statement changed."""
        ...

    def execute(self, operation: str, parameters: Sequence[Any], /) -> Any:
        """Execute a statement."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def close(self) -> Any:
        """End it."""


class Connection(Protocol):
    """The part of a DB-API connection (PEP 249) that is used."""

    def cursor(self) -> Cursor:
        """A new cursor."""
        ...


def fenced(connection: Connection, resource: str, token: int, *, placeholder: str = "?") -> None:
    """Go on only if no later term has written to `resource`; call it first in the transaction that does the work.

    The row of `resource` is locked from here to the end of the transaction. So of two terms that write at once, one
    waits for the other; the older one, if it comes second, is refused, and if it comes first, is complete before the
    newer one reads anything. This holds on every isolation level, if the work's writes are committed in this very
    transaction, and its reads come after this call. On SQLite begin it with `BEGIN IMMEDIATE`, else a transaction
    that has read before is refused with "database is locked" instead of waiting; on PostgreSQL above READ COMMITTED,
    one that waited may fail with a serialization error. Neither lets a stale write in. Never in autocommit.

    Args:
        connection: A DB-API connection in a transaction.
        resource: Any name of what the token guards: a table, a queue, `orders/2024`.
        token: `Term.token`.
        placeholder: How the driver writes a parameter: `?` (sqlite3), `%s` (psycopg).

    Raises:
        StaleToken: a larger token was seen. Roll back and stop.
        ConfigurationError: sqlite3 is in autocommit mode, where this and the work would not be one step.
    """
    cursor = connection.cursor()
    try:
        cursor.execute(FENCE.replace("?", placeholder), (resource, token))
        if cursor.rowcount < 1:
            cursor.execute(_SEEN.replace("?", placeholder), (resource,))
            row = cursor.fetchone()
            raise StaleToken(resource, token, int(row[0]) if row else None)
    finally:
        cursor.close()
    if getattr(connection, "in_transaction", True) is False:
        raise ConfigurationError("the connection is in autocommit mode: BEGIN a transaction around fenced and the work")


def fence_of(value: KubeObject) -> int:
    """The largest token that has written to the object; 0 where none has.

    Raises:
        MalformedObject: somebody wrote something else into the annotation.
    """
    text = value.metadata.annotations.get(FENCE_ANNOTATION, "0")
    if _TOKEN.fullmatch(text) is None:
        raise MalformedObject(
            value.kind or "object", f"its annotation {FENCE_ANNOTATION} is {text[:40]!r}, not a number"
        )
    return int(text)


def stamped(value: T, token: int) -> T:
    """A copy of an object as it was read, that carries `token`; write it with `Api.replace`, which compares and swaps.

    Raises:
        StaleToken: a larger token has written to it.
        MalformedObject: its annotation is no number.
    """
    seen = fence_of(value)
    if seen > token:
        raise StaleToken(f"{value.kind or 'object'} {_place(value)}", token, seen)
    annotations = {**value.metadata.annotations, FENCE_ANNOTATION: str(token)}
    metadata = msgspec.structs.replace(value.metadata, annotations=annotations)
    return msgspec.structs.replace(value, metadata=metadata)


async def fenced_patch(
    api: Api,
    resource: Resource[T],
    name: str,
    namespace: str = "",
    *,
    token: int,
    body: Mapping[str, Any],
    timeout_s: float | None = None,
) -> T:
    """Merge `body` into an object and stamp it with `token`, unless a later term has written to it.

    The patch carries the resourceVersion that was read, so nobody writes between the look and the write. It needs
    the rights `get` and `patch`. Who writes to the object without a token is not held up by this, and who deletes it
    deletes the fence, too.

    Args:
        api: `LeaseClient.api`.
        resource: `LEASES`, `NODES`, or a `Resource` of one's own.
        name: The object.
        namespace: Its namespace, if it has one.
        token: `Term.token`.
        body: A JSON merge patch.
        timeout_s: Bound of each request.

    Raises:
        StaleToken: a larger token has written to the object. Stop.
        Conflict: others wrote in between, five times.
        ApiError: the API server refuses or is away. With `outcome_unknown`, the same call may be made again.
    """

    async def look_and_write() -> T:
        read = await api.get(resource, name, namespace, timeout_s=timeout_s)
        patch = _stamped_patch(body, stamped(read, token))
        return await api.patch(resource, name, namespace, body=patch, timeout_s=timeout_s)

    for _ in range(_PATCH_ATTEMPTS - 1):
        with contextlib.suppress(Conflict):
            return await look_and_write()
    return await look_and_write()


def _stamped_patch(body: Mapping[str, Any], value: KubeObject) -> dict[str, Any]:
    metadata: dict[str, Any] = dict(body.get("metadata") or {})
    stamp = {FENCE_ANNOTATION: value.metadata.annotations[FENCE_ANNOTATION]}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **stamp}
    metadata["resourceVersion"] = value.resource_version
    return {**body, "metadata": metadata}


def _place(value: KubeObject) -> str:
    return f"{value.namespace}/{value.name}" if value.namespace else value.name
