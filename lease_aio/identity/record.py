"""What an API server's identity Lease says. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from lease_aio.model import Lease, MicroTime

IDENTITY_NAMESPACE = "kube-system"
"""Where identities are published, and the only namespace in which they are looked for."""

IDENTITY_LABEL = "apiserver.kubernetes.io/identity"
"""Its value is the server's name, `kube-apiserver` for the real one; expired Leases with it are collected."""

HOSTNAME_LABEL = "kubernetes.io/hostname"
PEER_ANNOTATION = "kubernetes.io/peer-advertise-address"


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """One API server, as its Lease says.

    Attributes:
        name: The Lease's name; `lease_aio.naming.identity_style` tells which releases name it so.
        server: `kube-apiserver`, or another server's name.
        hostname: Where it runs; empty if the Lease does not say.
        holder: Which process: another one after each start.
        renew_time: When it said last that it is alive, by its own wall clock.
        expired: Whether a kube-apiserver whose wall clock shows the time that was asked about would collect it.
        peer_address: `host:port` at which other API servers reach it, where it says so.
    """

    name: str
    server: str
    hostname: str
    holder: str
    renew_time: MicroTime | None
    expired: bool
    peer_address: str


def read_identity(lease: Lease, wall_us: int) -> Identity:
    """What the Lease says, judged at that wall-clock time (microseconds since the epoch)."""
    labels = lease.metadata.labels
    return Identity(
        name=lease.name,
        server=labels.get(IDENTITY_LABEL, ""),
        hostname=labels.get(HOSTNAME_LABEL, ""),
        holder=lease.holder,
        renew_time=lease.spec.renew_time,
        expired=is_expired(lease, wall_us),
        peer_address=lease.metadata.annotations.get(PEER_ANNOTATION, ""),
    )


def is_expired(lease: Lease, wall_us: int) -> bool:
    """The rule by which kube-apiserver collects identities: no renewTime, no duration, or their sum is in the past.

    It compares the clocks of two machines, as Kubernetes does here and nowhere else.
    """
    spec = lease.spec
    if spec.renew_time is None or spec.lease_duration_seconds is None:
        return True
    return spec.renew_time.epoch_us + spec.lease_duration_seconds * 1_000_000 < wall_us
