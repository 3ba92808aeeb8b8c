"""What is remembered of a Lease between two renewals, and what is written from it. Pure.

A fleet remembers one Lease a node. As typed objects that is 2 kB each, most of it the garbage collector's burden; what
differs from node to node in an ordinary Lease are four scalars. So those are kept, and the whole Lease only where it
holds what others wrote.
"""

from __future__ import annotations

from typing import Any

import msgspec

from lease_aio.heartbeat.renewal.rules import RenewalRules
from lease_aio.model import Lease, LeaseSpec, MicroTime, ObjectMeta, OwnerReference, Time


class Plain(msgspec.Struct, frozen=True, gc=False):
    """A Lease as its renewer writes it: the rest of it follows from the rules, the name and the holder."""

    uid: str
    resource_version: str
    created_us: int | None
    owner_uid: str


Kept = Plain | Lease
"""A remembered Lease, in short form where that loses nothing."""

_UNSEEN = Plain("", "", None, "")


def has_owner(kept: Kept | None) -> bool:
    """Whether any owner reference is there; then it is left alone, whatever it names."""
    if isinstance(kept, Lease):
        return bool(kept.metadata.owner_references)
    return kept is not None and bool(kept.owner_uid)


class Template(msgspec.Struct, frozen=True, gc=False):
    """Writes the objects of one Lease, and remembers them shortly.

    Attributes:
        rules: Namespace, duration, labels and annotations.
        name: The Lease's name, and that of its owner.
        holder: Written at creation.
    """

    rules: RenewalRules
    name: str
    holder: str

    def keep(self, lease: Lease) -> Kept:
        """The shortest form of `lease` from which `written` gives what an update must carry.

        What each update rewrites (renewTime, leaseDurationSeconds) is not kept. Nor are the managedFields: a server
        keeps its own where a client sends none, and they are longer than all the rest.
        """
        metadata, spec = lease.metadata, lease.spec
        plain = Plain(
            metadata.uid,
            metadata.resource_version,
            None if metadata.creation_timestamp is None else metadata.creation_timestamp.epoch_us,
            metadata.owner_references[0].uid if metadata.owner_references else "",
        )
        ours = self._spec(spec.lease_duration_seconds, spec.renew_time)
        if self._lease(plain, ours, metadata.managed_fields) == lease:
            return plain
        return lease if metadata.managed_fields is None else lease.with_metadata(managed_fields=None)

    def written(self, kept: Kept | None, owner_uid: str, renew_time: MicroTime) -> Lease:
        """What to write next.

        Args:
            kept: What is remembered; None for a Lease that the server has not seen. Its holder stays, whoever that is.
            owner_uid: The Node to own it, if nothing does; may be empty.
            renew_time: Written as it is.
        """
        if isinstance(kept, Lease):
            return self._updated(kept, owner_uid, renew_time)
        plain = kept or _UNSEEN
        if owner_uid and not plain.owner_uid:
            plain = msgspec.structs.replace(plain, owner_uid=owner_uid)
        return self._lease(plain, self._spec(self.rules.lease_duration_s, renew_time))

    def restore(self, kept: Kept) -> Lease:
        """The Lease that was kept; its renewTime and duration are not to be relied on."""
        return kept if isinstance(kept, Lease) else self._lease(kept, self._spec(None, None))

    def _updated(self, lease: Lease, owner_uid: str, renew_time: MicroTime) -> Lease:
        metadata = lease.metadata
        metadata = msgspec.structs.replace(
            metadata,
            labels={**metadata.labels, **self.rules.labels},
            annotations={**metadata.annotations, **self.rules.annotations},
            owner_references=metadata.owner_references or self._owners(owner_uid),
        )
        spec = msgspec.structs.replace(
            lease.spec, lease_duration_seconds=self.rules.lease_duration_s, renew_time=renew_time
        )
        return msgspec.structs.replace(lease, metadata=metadata, spec=spec)

    def _lease(self, plain: Plain, spec: LeaseSpec, managed_fields: list[Any] | None = None) -> Lease:
        metadata = ObjectMeta(
            name=self.name,
            namespace=self.rules.namespace,
            uid=plain.uid,
            resource_version=plain.resource_version,
            creation_timestamp=None if plain.created_us is None else Time(plain.created_us),
            labels=dict(self.rules.labels),
            annotations=dict(self.rules.annotations),
            owner_references=self._owners(plain.owner_uid),
            managed_fields=managed_fields,
        )
        return Lease(metadata=metadata, spec=spec)

    def _spec(self, duration_s: int | None, renew_time: MicroTime | None) -> LeaseSpec:
        return LeaseSpec(holder_identity=self.holder, lease_duration_seconds=duration_s, renew_time=renew_time)

    def _owners(self, uid: str) -> tuple[OwnerReference, ...]:
        """The one reference that a kubelet sets, without `controller` and `blockOwnerDeletion`."""
        return (OwnerReference(api_version="v1", kind="Node", name=self.name, uid=uid),) if uid else ()
