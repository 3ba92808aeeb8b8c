"""A coordinator's decisions as Prometheus metrics, counted as they happen.

| metric | type | labels | what |
|---|---|---|---|
| `lease_aio_coordinator_appointments_total` | counter | namespace, lease | Leases given to a candidate |
| `lease_aio_coordinator_preferences_total` | counter | namespace, lease | holders asked to make room for a better one |
| `lease_aio_coordinator_questions_total` | counter | namespace, lease | candidates asked for a sign of life |
| `lease_aio_coordinator_stuck` | gauge | namespace, lease | 1 while nobody can be elected |

A candidate's own are in `lease_aio.telemetry.elections`: a term that made room ended with the reason `yielded`.
"""

from __future__ import annotations

import prometheus_client

from lease_aio.election import Decision


class CoordinatorMetrics:
    """An observer of a coordinator: `leases.coordinator(observer=CoordinatorMetrics())`.

    Args:
        registry: Where they are registered. One of these a registry.
    """

    def __init__(self, *, registry: prometheus_client.CollectorRegistry = prometheus_client.REGISTRY) -> None:
        def counter(name: str, about: str) -> prometheus_client.Counter:
            return prometheus_client.Counter(
                f"lease_aio_coordinator_{name}", about, ["namespace", "lease"], registry=registry
            )

        self._appointments = counter("appointments", "Leases given to a candidate.")
        self._preferences = counter("preferences", "Holders that were asked to make room for a better candidate.")
        self._questions = counter("questions", "Candidates asked for a sign of life.")
        self._stuck = prometheus_client.Gauge(
            "lease_aio_coordinator_stuck", "1 while nobody can be elected.", ["namespace", "lease"], registry=registry
        )

    def __call__(self, decision: Decision) -> None:
        """Take a decision."""
        where = decision.namespace, decision.lease
        self._questions.labels(*where).inc(len(decision.asked))
        if decision.chosen:
            (self._preferences if decision.preferred else self._appointments).labels(*where).inc()
        if not decision.asked:
            self._stuck.labels(*where).set(bool(decision.problem))
