"""`lease-aio candidates`: list those of coordinated elections, and coordinate; `run` is the `lead` of a candidate."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from lease_aio.api import LEASE_CANDIDATES, LEASE_CANDIDATES_V1ALPHA2, LEASES
from lease_aio.cli.connection import probe
from lease_aio.cli.output import Output
from lease_aio.cli.tables import ago, columns
from lease_aio.client import LeaseClient
from lease_aio.election import COORDINATOR_LEASE, Decision
from lease_aio.election.appointment import preferred_holder
from lease_aio.election.coordinated.rules import has_answered
from lease_aio.errors import ConfigurationError, NotFound
from lease_aio.model import Lease, LeaseCandidate

_UNSERVED = (
    "the API server has no LeaseCandidates: start kube-apiserver (1.33 or later) with "
    "--feature-gates=CoordinatedLeaderElection=true --runtime-config=coordination.k8s.io/v1beta1=true"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One candidate in the list.

    Attributes:
        candidate: What it says.
        lease: What it contends for; None if that does not exist.
        renewed_s: Since its last sign of life; None if there was none.
    """

    candidate: LeaseCandidate
    lease: Lease | None
    renewed_s: float | None

    @property
    def state(self) -> str:
        """Where it stands: it leads, is preferred, is asked for a sign of life, or waits."""
        if self.lease is not None and self.lease.holder == self.candidate.name:
            return "leads"
        if self.lease is not None and preferred_holder(self.lease) == self.candidate.name:
            return "preferred"
        return "waits" if has_answered(self.candidate) else "asked"

    @property
    def cells(self) -> tuple[str, ...]:
        """What stands in the table's columns."""
        spec = self.candidate.spec
        versions = spec.binary_version, spec.emulation_version or "<none>", spec.strategy
        return self.candidate.name, spec.lease_name, *versions, ago(self.renewed_s), self.state

    @property
    def fields(self) -> dict[str, Any]:
        """The row for programs."""
        spec = self.candidate.spec
        return {
            "name": self.candidate.name,
            "namespace": self.candidate.namespace,
            "lease": spec.lease_name,
            "binary_version": spec.binary_version,
            "emulation_version": spec.emulation_version or None,
            "strategy": spec.strategy,
            "renewed_s": self.renewed_s,
            "state": self.state,
        }


def rows_of(
    candidates: Iterable[LeaseCandidate], leases: Mapping[tuple[str, str], Lease], wall_us: int
) -> tuple[Row, ...]:
    """Candidates as rows, in order of namespaces, Leases and names, at that wall-clock time."""
    ordered = sorted(candidates, key=lambda each: (each.namespace, each.spec.lease_name, each.name))
    return tuple(
        Row(
            candidate=each,
            lease=leases.get((each.namespace, each.spec.lease_name)),
            renewed_s=None if each.spec.renew_time is None else (wall_us - each.spec.renew_time.epoch_us) / 1e6,
        )
        for each in ordered
    )


def table(rows: Iterable[Row], *, everywhere: bool = False) -> str:
    """The list in kubectl's layout; with `everywhere`, it says in which namespace each is."""
    header = ("NAME", "LEASE", "BINARY", "EMULATES", "STRATEGY", "RENEWED", "STATE")
    if not everywhere:
        return columns(header, (row.cells for row in rows))
    return columns(("NAMESPACE", *header), ((row.candidate.namespace, *row.cells) for row in rows))


async def list_candidates(leases: LeaseClient, output: Output, *, everywhere: bool) -> int:
    """Print the candidates of the namespace, or of all.

    Raises:
        ConfigurationError: the API server has none at all.
    """
    namespace = "" if everywhere else leases.namespace
    found = await _candidates(leases, namespace)
    held = await leases.api.list(LEASES, namespace)
    by_name = {(lease.namespace, lease.name): lease for lease in held.items}
    rows = rows_of(found, by_name, time.time_ns() // 1000)
    for row in rows:
        output.event("candidate", **row.fields)
    if not output.json:
        nothing = f"No candidates found in {'any namespace' if everywhere else namespace}."
        output.event("candidates", table(rows, everywhere=everywhere) if rows else nothing)
    return 0


async def _candidates(leases: LeaseClient, namespace: str) -> Sequence[LeaseCandidate]:
    for resource in (LEASE_CANDIDATES, LEASE_CANDIDATES_V1ALPHA2):
        with contextlib.suppress(NotFound):
            return (await leases.api.list(resource, namespace)).items
    raise ConfigurationError(_UNSERVED)


async def coordinate(leases: LeaseClient, output: Output, *, everywhere: bool) -> int:
    """Coordinate by `OldestEmulationVersion` until cancelled.

    Raises:
        ApiError: the server refuses, or cannot be reached at the start.
        ConfigurationError: the API server has no candidates, or not in v1beta1.
    """

    def hear(decision: Decision) -> None:
        where = f"{decision.namespace}/{decision.lease}"
        if decision.chosen:
            text = f"{where}: {'prefers' if decision.preferred else 'appointed'} {decision.chosen}"
            event = "preferred" if decision.preferred else "appointed"
            output.event(event, text, lease=where, chosen=decision.chosen)
        elif decision.asked:
            output.event("asked", f"{where}: asked {', '.join(decision.asked)}", lease=where, asked=decision.asked)
        elif decision.problem:
            output.event("stuck", f"{where}: {decision.problem}", lease=where, problem=decision.problem)
        else:
            output.event("unstuck", f"{where}: somebody can be elected again", lease=where)

    namespace = "" if everywhere else None
    await probe(leases, name=COORDINATOR_LEASE)
    try:
        async with leases.coordinator(namespace=namespace, observer=hear) as coordinator:
            output.event("coordinating", f"coordinating as {coordinator.identity}", identity=coordinator.identity)
            await anyio.sleep_forever()
    except NotFound as error:
        if error.call.resource == LEASE_CANDIDATES.label:
            raise ConfigurationError(_UNSERVED) from error
        raise
    return 0
