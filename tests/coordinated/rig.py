"""Candidates and Leases as the tests of coordinated election write them down."""

from __future__ import annotations

from typing import Any

from lease_aio.election.coordinated.info import OLDEST_EMULATION_VERSION
from lease_aio.election.coordinated.step import Step, View, look
from lease_aio.model import Lease, LeaseCandidate, LeaseCandidateSpec, LeaseSpec, MicroTime, ObjectMeta, Time, new_lease

NOW_US = 1_700_000_000_000_000
"""The wall clock of a test that stands still."""
ELECTION_S = 5.0
LEASE = "component-A"


def at(ago_s: float) -> MicroTime:
    return MicroTime(NOW_US - int(ago_s * 1e6))


def candidate(
    name: str = "component-identity-1",
    emulation: str = "1.19.0",
    binary: str = "1.19.0",
    *,
    renewed_s: float | None = 0.0,
    pinged_s: float | None = None,
    strategy: str = OLDEST_EMULATION_VERSION,
    created_s: float = 0.0,
) -> LeaseCandidate:
    """A candidate; all times are seconds ago."""
    spec = LeaseCandidateSpec(
        lease_name=LEASE,
        binary_version=binary,
        emulation_version=emulation,
        strategy=strategy,
        renew_time=None if renewed_s is None else at(renewed_s),
        ping_time=None if pinged_s is None else at(pinged_s),
    )
    created = Time((NOW_US - int(created_s * 1e6)) // 10**6 * 10**6)
    return LeaseCandidate(
        metadata=ObjectMeta(name=name, namespace="default", creation_timestamp=created, resource_version="7"),
        spec=spec,
    )


def lease(holder: str | None, *, renewed_s: float | None = 0.0, duration_s: int | None = 10, **spec: Any) -> Lease:
    fields = {"renew_time": None if renewed_s is None else at(renewed_s), "lease_duration_seconds": duration_s, **spec}
    made = new_lease(LEASE, "default", LeaseSpec(holder_identity=holder, **fields))
    return made.with_metadata(resource_version="9")


def seen(found: Lease | None, *candidates: LeaseCandidate, **more: Any) -> Step:
    """One look at this."""
    view = View(name=LEASE, namespace="default", lease=found, candidates=candidates, wall_us=NOW_US, **more)
    return look(view)
