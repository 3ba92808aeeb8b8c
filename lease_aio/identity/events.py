"""What a publisher and a collector of identities say of themselves: frozen records, safe to log, count or send on."""

from __future__ import annotations

from dataclasses import dataclass

from lease_aio.identity.record import Identity
from lease_aio.identity.skew import Skew


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """The Lease is there, and fresh.

    Attributes:
        name: The Lease's name.
        server: The server's name.
        holder: Whom the Lease names: this process, unless a former one's Lease was kept.
        adopted: It was.
    """

    name: str
    server: str
    holder: str
    adopted: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Superseded:
    """The Lease has come to name another process: a newer one of this server and host name has begun.

    Attributes:
        name: The Lease's name.
        server: The server's name.
        by: The holder that it names now.
    """

    name: str
    server: str
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Shared:
    """Another process renews the Lease, too, under the holder that stands in it.

    Either a newer one that keeps the former's holder, as kube-apiserver did until 1.34, or an older one whose Lease
    this process has replaced, and which goes on renewing whatever it finds.
    """

    name: str
    server: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Withdrawn:
    """The publisher has ended.

    Attributes:
        name: The Lease's name.
        server: The server's name.
        deleted: The Lease is gone; else it was kept on purpose, is another's, or could not be deleted (`error`).
        error: What kept it from being deleted.
    """

    name: str
    server: str
    deleted: bool
    error: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Collection:
    """One pass of a collector.

    Attributes:
        server: The name of the servers whose identities were looked at.
        found: All identities that were there, in order of their names, as they were listed.
        collected: Those that were deleted; in a dry run those that would have been.
        spared: Names of those that looked expired in the list and proved to be renewed, relabelled or gone.
        failed: What was met instead of a deletion, by name.
        skew: This machine's wall clock against the server's; None where the server gave no time.
        dry_run: Nothing was deleted.
    """

    server: str
    found: tuple[Identity, ...]
    collected: tuple[Identity, ...] = ()
    spared: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    skew: Skew | None = None
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectionFailed:
    """A pass came to nothing.

    Attributes:
        server: The name of the servers.
        error: Why.
        skewed: Because the clocks differ too much.
    """

    server: str
    error: str
    skewed: bool


IdentityEvent = Published | Superseded | Shared | Withdrawn | Collection | CollectionFailed
