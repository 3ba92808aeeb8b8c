"""`lease-aio identity`: publish an API server's identity, and list those that are there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from lease_aio.cli.numbers import span
from lease_aio.cli.output import Output
from lease_aio.client import LeaseClient
from lease_aio.identity import Identity, read_identity
from lease_aio.identity.record import IDENTITY_LABEL, IDENTITY_NAMESPACE
from lease_aio.model import Lease
from lease_aio.naming import KUBE_APISERVER

FRESH_S = 30.0
"""Renewed every 10 s, so an identity that is older than this has missed two renewals."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One identity in the list.

    Attributes:
        identity: What its Lease says.
        age_s: Since its Lease was created; None if unknown.
        renewed_s: Since its last renewal; None if there was none.
    """

    identity: Identity
    age_s: float | None
    renewed_s: float | None

    @property
    def state(self) -> str:
        """`fresh`, `late` (renewals were missed), or `expired` (a kube-apiserver would collect it)."""
        if self.identity.expired or self.renewed_s is None:
            return "expired"
        return "fresh" if self.renewed_s <= FRESH_S else "late"


def row_of(lease: Lease, wall_us: int) -> Row:
    """A Lease as a row, at that wall-clock time."""
    created, renewed = lease.metadata.creation_timestamp, lease.spec.renew_time
    return Row(
        identity=read_identity(lease, wall_us),
        age_s=None if created is None else max(0.0, (wall_us - created.epoch_us) / 1e6),
        renewed_s=None if renewed is None else (wall_us - renewed.epoch_us) / 1e6,
    )


def table(rows: Sequence[Row]) -> str:
    """The list in kubectl's layout, with freshness."""
    lines = [("NAME", "HOST", "HOLDER", "AGE", "RENEWED", "STATE")]
    lines += [
        (
            row.identity.name,
            row.identity.hostname or "<unknown>",
            row.identity.holder or "<none>",
            "<unknown>" if row.age_s is None else span(row.age_s).replace(" ", ""),
            "<never>" if row.renewed_s is None else f"{span(row.renewed_s).replace(' ', '')} ago",
            row.state,
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


async def publish(leases: LeaseClient, output: Output, *, hostname: str | None) -> int:
    """Publish until cancelled; the Lease is deleted at the end."""
    identity = leases.apiserver_identity(hostname=hostname)
    fields: dict[str, Any] = {}
    async with identity as me:
        where = f"{IDENTITY_NAMESPACE}/{me.name}"
        fields = {"lease": where, "hostname": me.hostname, "holder": me.holder}
        try:
            output.event("published", f"published {where} for host {me.hostname} as {me.holder}", **fields)
            await anyio.sleep_forever()
        finally:
            output.event("withdrawing", f"withdrawing {where} after {me.renewals} renewals", **fields)
    return 0


async def list_identities(leases: LeaseClient, output: Output) -> int:
    """Print the identities of kube-apiservers, and of this package's publishers."""
    page = await leases.list(namespace=IDENTITY_NAMESPACE, label_selector=f"{IDENTITY_LABEL}={KUBE_APISERVER}")
    rows = [row_of(lease, time.time_ns() // 1000) for lease in page.items]
    for row in rows:
        output.event("identity", **fields_of(row))
    if not output.json:
        nothing = f"No API server identities found in {IDENTITY_NAMESPACE}."
        output.event("identities", table(rows) if rows else nothing)
    return 0


def fields_of(row: Row) -> dict[str, Any]:
    """A row for programs."""
    identity = row.identity
    return {
        "name": identity.name,
        "hostname": identity.hostname,
        "holder": identity.holder,
        "renew_time": None if identity.renew_time is None else str(identity.renew_time),
        "age_s": row.age_s,
        "renewed_s": row.renewed_s,
        "state": row.state,
    }
