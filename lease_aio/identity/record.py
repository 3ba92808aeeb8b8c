"""What an API server's identity Lease says. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from lease_aio.model import Lease, MicroTime, Time
from lease_aio.naming import IdentityStyle, identity_style

IDENTITY_NAMESPACE = "kube-system"
"""Where identities are published, and the only namespace in which they are looked for."""

IDENTITY_LABEL = "apiserver.kubernetes.io/identity"
"""Its value is the server's name, `kube-apiserver` for the real one; expired Leases with it are collected."""

OLD_IDENTITY_LABEL = "k8s.io/component"
"""The label in its place until 1.26."""

HOSTNAME_LABEL = "kubernetes.io/hostname"
PEER_ANNOTATION = "kubernetes.io/peer-advertise-address"

LATE_AFTER_S = 30.0
"""Renewed every 10 to 10.4 s, so an identity that is older than this has missed two renewals."""


class Freshness(enum.Enum):
    """How long ago an identity was renewed."""

    FRESH = "fresh"
    LATE = "late"
    """It has missed renewals: the server has ended, or cannot reach the others."""
    EXPIRED = "expired"
    """A kube-apiserver would collect it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """One API server, as its Lease says.

    Attributes:
        name: The Lease's name.
        server: `kube-apiserver`, or another server's name.
        hostname: Where it runs; empty if the Lease does not say.
        holder: Which process: another one after each start since 1.35, see `ApiServerIdentity`.
        style: Which releases name it so; None for a name that no kube-apiserver gives.
        created: When the Lease was created, by the wall clock of the server that stored it.
        renew_time: When it said last that it is alive, by its own wall clock.
        freshness: What that makes of it at the time that was asked about.
        peer_address: `host:port` at which other API servers reach it, where it says so.
    """

    name: str
    server: str
    hostname: str
    holder: str
    style: IdentityStyle | None
    created: Time | None
    renew_time: MicroTime | None
    freshness: Freshness
    peer_address: str

    @property
    def expired(self) -> bool:
        """Whether a kube-apiserver whose wall clock shows the time that was asked about would collect it."""
        return self.freshness is Freshness.EXPIRED


def read_identity(lease: Lease, wall_us: int) -> Identity:
    """What the Lease says, judged at that wall-clock time (microseconds since the epoch)."""
    labels = lease.metadata.labels
    return Identity(
        name=lease.name,
        server=labels.get(IDENTITY_LABEL) or labels.get(OLD_IDENTITY_LABEL, ""),
        hostname=labels.get(HOSTNAME_LABEL, ""),
        holder=lease.holder,
        style=identity_style(lease.name),
        created=lease.metadata.creation_timestamp,
        renew_time=lease.spec.renew_time,
        freshness=freshness(lease, wall_us),
        peer_address=lease.metadata.annotations.get(PEER_ANNOTATION, ""),
    )


def freshness(lease: Lease, wall_us: int) -> Freshness:
    """How fresh it is at that wall-clock time."""
    renewed = lease.spec.renew_time
    if renewed is None or is_expired(lease, wall_us):
        return Freshness.EXPIRED
    return Freshness.FRESH if wall_us - renewed.epoch_us <= LATE_AFTER_S * 1e6 else Freshness.LATE


def is_expired(lease: Lease, wall_us: int) -> bool:
    """The rule by which kube-apiserver collects identities: no renewTime, no duration, or their sum is in the past.

    It compares the clocks of two machines, as Kubernetes does here and nowhere else.
    """
    spec = lease.spec
    if spec.renew_time is None or spec.lease_duration_seconds is None:
        return True
    return spec.renew_time.epoch_us + spec.lease_duration_seconds * 1_000_000 < wall_us
