"""API servers' identities as Prometheus metrics, counted as they happen.

| metric | type | labels | what |
|---|---|---|---|
| `lease_aio_identities_published` | gauge | server | how many this process publishes now |
| `lease_aio_identities_superseded_total` | counter | server | how often a newer process took one of them over |
| `lease_aio_identities_shared_total` | counter | server | how often another process was found to renew one of them |
| `lease_aio_identities` | gauge | server, freshness | identities there at the last pass of a collector, after it |
| `lease_aio_identities_collected_total` | counter | server | identities that a collector deleted |
| `lease_aio_identity_collections_total` | counter | server, outcome | its passes: `done`, `failed`, `skewed` |
| `lease_aio_identity_clock_skew_seconds` | gauge | server | this wall clock less the API server's, as far as certain |

A pass is `skewed` when the clocks are too far apart for it: it has deleted nothing.
"""

from __future__ import annotations

from collections import Counter

import prometheus_client

from lease_aio.identity import (
    Collection,
    CollectionFailed,
    Freshness,
    IdentityEvent,
    Published,
    Shared,
    Superseded,
    Withdrawn,
)


class IdentityMetrics:
    """An observer for publishers and collectors of identities: `leases.apiserver_identity(observer=metrics)`.

    Args:
        registry: Where they are registered. One of these a registry; it serves any number of publishers and collectors.
    """

    def __init__(self, *, registry: prometheus_client.CollectorRegistry = prometheus_client.REGISTRY) -> None:
        def gauge(name: str, about: str, *labels: str) -> prometheus_client.Gauge:
            return prometheus_client.Gauge(f"lease_aio_{name}", about, ["server", *labels], registry=registry)

        def counter(name: str, about: str, *labels: str) -> prometheus_client.Counter:
            return prometheus_client.Counter(f"lease_aio_{name}", about, ["server", *labels], registry=registry)

        self._published = gauge("identities_published", "Identities that this process publishes.")
        self._superseded = counter("identities_superseded", "Identities that a newer process took over.")
        self._shared = counter("identities_shared", "Identities that another process was found to renew.")
        self._there = gauge("identities", "Identities there after the last pass of a collector.", "freshness")
        self._collected = counter("identities_collected", "Identities that a collector deleted.")
        self._passes = counter("identity_collections", "Passes of a collector.", "outcome")
        self._skew = gauge("identity_clock_skew_seconds", "This wall clock less the API server's.")

    def __call__(self, event: IdentityEvent) -> None:
        """Take an event of a publisher or a collector."""
        match event:
            case Published():
                self._published.labels(event.server).inc()
            case Withdrawn():
                self._published.labels(event.server).dec()
            case Superseded():
                self._superseded.labels(event.server).inc()
            case Shared():
                self._shared.labels(event.server).inc()
            case Collection():
                self._collection(event)
            case CollectionFailed():
                self._passes.labels(event.server, "skewed" if event.skewed else "failed").inc()

    def _collection(self, event: Collection) -> None:
        deleted = () if event.dry_run else event.collected
        gone = {identity.name for identity in deleted}
        there = Counter(identity.freshness for identity in event.found if identity.name not in gone)
        for freshness in Freshness:
            self._there.labels(event.server, freshness.value).set(there[freshness])
        self._collected.labels(event.server).inc(len(deleted))
        self._passes.labels(event.server, "done").inc()
        if event.skew is not None:
            self._skew.labels(event.server).set(event.skew.least_s)
