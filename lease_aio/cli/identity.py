"""`lease-aio identity`: publish an API server's identity, list those that are there, collect those that are no more."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from lease_aio.cli.connection import probe, reach
from lease_aio.cli.output import Output
from lease_aio.cli.tables import age, ago, columns
from lease_aio.client import LeaseClient
from lease_aio.identity import (
    Collection,
    CollectionFailed,
    Identity,
    IdentityChange,
    IdentityCollector,
    IdentityEvent,
    IdentityObserver,
    Shared,
    Superseded,
)
from lease_aio.identity.record import IDENTITY_NAMESPACE


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
    def cells(self) -> tuple[str, ...]:
        """What stands in the table's columns."""
        return (
            self.identity.name,
            self.identity.hostname or "<unknown>",
            self.identity.holder or "<none>",
            age(self.age_s),
            ago(self.renewed_s),
            self.identity.freshness.value,
        )


def row_of(identity: Identity, wall_us: int) -> Row:
    """An identity as a row, at that wall-clock time."""
    created, renewed = identity.created, identity.renew_time
    return Row(
        identity=identity,
        age_s=None if created is None else max(0.0, (wall_us - created.epoch_us) / 1e6),
        renewed_s=None if renewed is None else (wall_us - renewed.epoch_us) / 1e6,
    )


def table(rows: Iterable[Row]) -> str:
    """The list in kubectl's layout, with freshness."""
    return columns(("NAME", "HOST", "HOLDER", "AGE", "RENEWED", "STATE"), (row.cells for row in rows))


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishOptions:
    """What to publish; see `ApiServerIdentity` for what each means."""

    hostname: str | None
    server: str
    peer_address: str | None
    delete_first: bool
    keep: bool


async def publish(leases: LeaseClient, options: PublishOptions, output: Output) -> int:
    """Publish until cancelled; the Lease is deleted at the end, unless it is to be kept.

    Raises:
        ApiError: the server refuses, or cannot be reached at the start.
    """

    def hear(event: IdentityEvent) -> None:
        match event:
            case Superseded(by=by):
                output.event("superseded", f"superseded: the Lease names {by} now", by=by, **fields)
            case Shared():
                output.event("shared", "shared: another process of this host name renews the Lease, too", **fields)
            case _:
                pass

    identity = leases.apiserver_identity(
        hostname=options.hostname,
        server=options.server,
        peer_address=options.peer_address,
        delete_first=options.delete_first,
        keep_on_exit=options.keep,
        observer=hear,
    )
    where = f"{IDENTITY_NAMESPACE}/{identity.name}"
    fields: dict[str, Any] = {"lease": where, "hostname": identity.hostname, "holder": identity.holder}
    await probe(leases, name=identity.name, namespace=IDENTITY_NAMESPACE)
    async with identity as me:
        try:
            output.event("published", f"published {where} for host {me.hostname} as {me.holder}", **fields)
            await anyio.sleep_forever()
        finally:
            verb = "leaving" if options.keep else "withdrawing"
            output.event(verb, f"{verb} {where} after {me.renewals} renewals", **fields)
    return 0


async def list_identities(leases: LeaseClient, output: Output, *, server: str, watch: bool) -> int:
    """Print the identities of servers of that name; with `watch`, then each change until stopped."""
    if watch:
        await _watch(leases, output, server)
        return 0
    found = await leases.apiserver_identities(server=server, old_releases=True)
    _show(output, found)
    return 0


def _show(output: Output, found: Sequence[Identity]) -> None:
    rows = [row_of(identity, time.time_ns() // 1000) for identity in found]
    for row in rows:
        output.event("identity", **fields_of(row))
    if not output.json:
        nothing = f"No API server identities found in {IDENTITY_NAMESPACE}."
        output.event("identities", table(rows) if rows else nothing)


async def _watch(leases: LeaseClient, output: Output, server: str) -> None:
    observation = leases.observe_identities(server=server)
    await reach(leases, namespace=IDENTITY_NAMESPACE)
    async with observation as changes:
        known = set(changes.identities)
        _show(output, list(changes.identities.values()))
        output.event("watching", server=server)
        async for change in changes:
            if change.identity.name in known:  # told already, as part of the table
                known.discard(change.identity.name)
                continue
            _tell(output, change)


def _tell(output: Output, change: IdentityChange) -> None:
    row = row_of(change.identity, time.time_ns() // 1000)
    text = f"{change.type.value}: {change.identity.name} (host {change.identity.hostname or '<unknown>'})"
    output.event(
        "change", f"{text}, held by {change.identity.holder or '<none>'}", type=change.type.value, **fields_of(row)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectOptions:
    """What to collect; see `IdentityCollector` for what each means."""

    server: str
    once: bool
    dry_run: bool
    period_s: float
    max_skew_s: float


async def collect(leases: LeaseClient, options: CollectOptions, output: Output) -> int:
    """Collect once, or until cancelled."""

    def hear(event: IdentityEvent) -> None:
        match event:
            case Collection():
                _tell_collection(output, event)
            case CollectionFailed(error=error, skewed=skewed) if not options.once:
                output.event("failed", f"collected nothing: {error}", error=error, skewed=skewed)
            case _:
                pass

    collector = _collector(leases, options, hear)
    if options.once:
        done = await collector
        return 1 if done.failed else 0
    async with collector:
        await anyio.sleep_forever()
    return 0


def _collector(leases: LeaseClient, options: CollectOptions, observer: IdentityObserver) -> IdentityCollector:
    return leases.collect_identities(
        server=options.server,
        period_s=options.period_s,
        dry_run=options.dry_run,
        warn_skew_s=min(5.0, options.max_skew_s),
        max_skew_s=options.max_skew_s,
        observer=observer,
    )


def _tell_collection(output: Output, done: Collection) -> None:
    verb = "would collect" if done.dry_run else "collected"
    for identity in done.collected:
        row = row_of(identity, time.time_ns() // 1000)
        text = f"{verb} {identity.name} (host {identity.hostname or '<unknown>'}), renewed {ago(row.renewed_s)}"
        output.event("collected", text, dry_run=done.dry_run, **fields_of(row))
    for name, error in done.failed:
        output.event("not-collected", f"not collected {name}: {error}", name=name, error=error)
    skew_s = None if done.skew is None else round(done.skew.least_s, 3)
    output.event(
        "collection",
        _summary(done),
        found=len(done.found),
        collected=len(done.collected),
        spared=list(done.spared),
        failed=len(done.failed),
        dry_run=done.dry_run,
        skew_s=skew_s,
    )


def _summary(done: Collection) -> str:
    collected = f"{len(done.collected)} {'to collect' if done.dry_run else 'collected'}"
    failed = f", {len(done.failed)} not deleted" if done.failed else ""
    return f"{len(done.found)} identities found, {collected}, {len(done.spared)} spared{failed}"


def fields_of(row: Row) -> dict[str, Any]:
    """A row for programs."""
    identity = row.identity
    return {
        "name": identity.name,
        "server": identity.server,
        "hostname": identity.hostname,
        "holder": identity.holder,
        "renew_time": None if identity.renew_time is None else str(identity.renew_time),
        "peer_address": identity.peer_address or None,
        "age_s": row.age_s,
        "renewed_s": row.renewed_s,
        "state": identity.freshness.value,
    }
