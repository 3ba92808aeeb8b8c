"""The API server: one Lease under compare-and-swap, its history, and whether anybody answers.

What keeps the Lease is either the embedded server's own `Store` or a swap that costs a tenth of it. Both give the same
versions, uids and errors: a test runs them side by side, and runs whole seeds on both.
"""

from __future__ import annotations

import math
from typing import Protocol

from lease_aio.errors import AlreadyExists, ApiError, Call, Conflict, NotFound
from lease_aio.model import Lease, Time, from_dict, to_dict
from lease_aio.server import LEASES, StatusError, Store
from lease_aio.testing.simulator.clock import TrueTime

NAME, NAMESPACE = "x", "default"
UNCONDITIONAL = "*"
"""The version of a write that compares nothing, as a patch does; the rules never send it."""

_CALL = Call(verb="update", resource="leases", namespace=NAMESPACE, name=NAME)
CONFLICT = Conflict(_CALL, "the object has been modified", status=409, reason="Conflict")
TAKEN = AlreadyExists(_CALL, "already exists", status=409, reason="AlreadyExists")
ABSENT = NotFound(_CALL, f'leases "{NAME}" not found', status=404, reason="NotFound")
_HISTORY = 200


class Backing(Protocol):
    """What keeps the Lease. A refusal is returned, not raised."""

    @property
    def lease(self) -> Lease | None:
        """What is stored."""
        ...

    @property
    def version(self) -> int:
        """Of the last write."""
        ...

    def write(self, lease: Lease, wall_us: int) -> Lease | ApiError:
        """Create it if it carries no version, else replace."""
        ...

    def delete(self, wall_us: int) -> None:
        """Remove what is there."""
        ...


def _uid(version: int) -> str:
    """The uid of an object that is created after that version: never given twice, whatever was refused meanwhile."""
    return f"uid-{version + 1}"


class Swap:
    """One typed object."""

    __slots__ = ("lease", "version")

    def __init__(self) -> None:
        self.lease: Lease | None = None
        self.version = 1

    def write(self, lease: Lease, wall_us: int) -> Lease | ApiError:
        """See `Backing`."""
        old, meta = self.lease, lease.metadata
        if not meta.resource_version:
            if old is not None:
                return TAKEN
            return self._store(
                lease.with_metadata(uid=_uid(self.version), creation_timestamp=Time(wall_us // 10**6 * 10**6))
            )
        if old is None or meta.uid != old.metadata.uid:
            return CONFLICT
        if meta.resource_version not in {old.metadata.resource_version, UNCONDITIONAL}:
            return CONFLICT
        if lease.with_metadata(resource_version=old.metadata.resource_version) == old:
            return old
        return self._store(lease)

    def _store(self, lease: Lease) -> Lease:
        self.version += 1
        self.lease = stored = lease.with_metadata(resource_version=str(self.version))
        return stored

    def delete(self, wall_us: int) -> None:
        """See `Backing`."""
        del wall_us
        if self.lease is not None:
            self.version += 1
            self.lease = None


class Real:
    """The embedded server's store."""

    __slots__ = ("_store", "lease")

    def __init__(self) -> None:
        self._store = Store(now=0, resources=(LEASES,), coordinated=True, history_limit=1, new_uid=self._new_uid)
        self.lease: Lease | None = None

    def _new_uid(self) -> str:
        return _uid(self._store.resource_version)

    @property
    def version(self) -> int:
        """Of the last write."""
        return self._store.resource_version

    def write(self, lease: Lease, wall_us: int) -> Lease | ApiError:
        """See `Backing`."""
        meta = lease.metadata
        if meta.resource_version == UNCONDITIONAL and self.lease is not None:
            lease = lease.with_metadata(resource_version=self.lease.resource_version)
        try:
            if meta.resource_version:
                body = self._store.replace(LEASES, NAMESPACE, NAME, to_dict(lease), now=wall_us)
            else:
                body = self._store.create(LEASES, NAMESPACE, to_dict(lease), now=wall_us)
        except StatusError as error:
            return {"Conflict": CONFLICT, "AlreadyExists": TAKEN, "NotFound": ABSENT}[error.reason]
        self.lease = from_dict(body, Lease)
        return self.lease

    def delete(self, wall_us: int) -> None:
        """See `Backing`."""
        if self.lease is not None:
            self._store.delete(LEASES, NAMESPACE, NAME, now=wall_us)
            self.lease = None


class Server:
    """The Lease, what became of it, and whether the server is up.

    Attributes:
        history: What changed, oldest first: the version, and the Lease as it was then, None where it was deleted.
        down_until: Before that true time nothing is answered.
    """

    __slots__ = ("_backing", "_time", "down_until", "history")

    def __init__(self, time: TrueTime, backing: Backing) -> None:
        self._time, self._backing = time, backing
        self.history: list[tuple[int, Lease | None]] = []
        self.down_until = -math.inf

    @property
    def lease(self) -> Lease | None:
        """What is stored."""
        return self._backing.lease

    @property
    def version(self) -> int:
        """Of the last write."""
        return self._backing.version

    @property
    def down(self) -> bool:
        """Whether it is."""
        return self._time.now < self.down_until

    def write(self, lease: Lease) -> Lease | ApiError:
        """Create or replace it, if compare-and-swap allows."""
        before = self._backing.version
        stored = self._backing.write(lease, self._time.wall_us)
        if isinstance(stored, Lease) and self._backing.version != before:
            self._remember(stored)
        return stored

    def delete(self) -> None:
        """Remove the Lease."""
        self._backing.delete(self._time.wall_us)
        self._remember(None)

    def _remember(self, lease: Lease | None) -> None:
        self.history.append((self._backing.version, lease))
        if len(self.history) > 2 * _HISTORY:
            del self.history[:_HISTORY]
