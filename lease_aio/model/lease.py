"""`Lease` (coordination.k8s.io/v1) and `LeaseCandidate` (v1beta1, v1alpha2)."""

from __future__ import annotations

import msgspec

from lease_aio.model.meta import KubeObject, ObjectMeta
from lease_aio.model.times import MicroTime
from lease_aio.model.wire import Wire, always


class LeaseSpec(Wire, frozen=True, kw_only=True):
    """The record that contenders compare. Every field may be absent.

    An empty `holder_identity` (`""`) means released; `None` means that nobody ever wrote one.
    """

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: MicroTime | None = None
    renew_time: MicroTime | None = None
    lease_transitions: int | None = None
    strategy: str | None = None
    preferred_holder: str | None = None


class Lease(KubeObject, frozen=True, kw_only=True):
    """One Lease as the API server stores it."""

    api_version: str = always("coordination.k8s.io/v1")
    kind: str = always("Lease")
    spec: LeaseSpec = LeaseSpec()

    @property
    def holder(self) -> str:
        """Who holds it; empty when nobody does."""
        return self.spec.holder_identity or ""

    def with_spec(self, **changes: object) -> Lease:
        """A copy with some fields of the spec replaced and all else kept."""
        spec = msgspec.structs.replace(self.spec, **changes)
        return msgspec.structs.replace(self, spec=spec)

    def with_metadata(self, **changes: object) -> Lease:
        """A copy with some fields of the metadata replaced and all else kept."""
        metadata = msgspec.structs.replace(self.metadata, **changes)
        return msgspec.structs.replace(self, metadata=metadata)


class LeaseCandidateSpec(Wire, frozen=True, kw_only=True):
    """What a candidate of coordinated leader election says of itself (KEP-4355)."""

    lease_name: str = ""
    ping_time: MicroTime | None = None
    renew_time: MicroTime | None = None
    binary_version: str = ""
    emulation_version: str = ""
    strategy: str = ""


class LeaseCandidate(KubeObject, frozen=True, kw_only=True):
    """A candidate of coordinated leader election (coordination.k8s.io/v1beta1)."""

    api_version: str = always("coordination.k8s.io/v1beta1")
    kind: str = always("LeaseCandidate")
    spec: LeaseCandidateSpec = LeaseCandidateSpec()


class LeaseCandidateV1Alpha2(LeaseCandidate, frozen=True, kw_only=True):
    """The same as Kubernetes 1.32 and later serve it in v1alpha2."""

    api_version: str = always("coordination.k8s.io/v1alpha2")


def new_lease(name: str, namespace: str, spec: LeaseSpec, *, labels: dict[str, str] | None = None) -> Lease:
    """A Lease that the server has not seen yet."""
    return Lease(metadata=ObjectMeta(name=name, namespace=namespace, labels=labels or {}), spec=spec)
