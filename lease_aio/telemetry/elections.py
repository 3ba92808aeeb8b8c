"""Elections as Prometheus metrics, counted as they happen; `prometheus` has the requests behind them.

| metric | type | labels | what |
|---|---|---|---|
| `leader_election_master_status` | gauge | name | 1 while this process leads, else 0 |
| `lease_aio_terms_total` | counter | name, appointed | terms won, by a coordinator's choice or not |
| `lease_aio_candidacies_total` | counter | name, led, reason | candidacies that ended, with a term (led) or without |
| `lease_aio_request_failures_total` | counter | name, request, failure | requests that failed, by purpose and meaning |
| `lease_aio_duplicate_identities_total` | counter | name | candidates whose identity another process uses |
| `lease_aio_term_seconds` | histogram | name | from winning a term until the work is told to stop |
| `lease_aio_term_stop_seconds` | histogram | name | from then until the work has stopped and the Lease is given back |
| `lease_aio_handover_seconds` | histogram | name | from the sight of a Lease without a holder to the next holder's |

The first is client-go's, name and label, so its dashboards and alerts work; unlike client-go's it is 0 after every end
of a term, a cancelled one too. client-go's other one, `leader_election_slowpath_total`, has no counterpart: it counts
renewals that had to read first, and here a renewal is always one write. (Reads, which follow doubts, are
`lease_aio_renewal_attempts_total{outcome="other"}` in `prometheus`.)
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import prometheus_client

from lease_aio.clock import Clock, SystemClock
from lease_aio.election import DuplicateIdentity, Ended, EndReason, Event, RequestFailed, Started, Stopping, Waiting
from lease_aio.telemetry.prometheus import BOUNDS_S

TERM_BOUNDS_S = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 3 * 24 * 3600, 7 * 24 * 3600)
_LOST_TO_NOBODY = {EndReason.EXPIRED, EndReason.DELETED}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Families:
    clock: Clock
    leading: Counter[str]
    status: prometheus_client.Gauge
    terms: prometheus_client.Counter
    candidacies: prometheus_client.Counter
    failures: prometheus_client.Counter
    duplicates: prometheus_client.Counter
    term: prometheus_client.Histogram
    stop: prometheus_client.Histogram
    handover: prometheus_client.Histogram


class ElectionMetrics:
    """The metrics of all elections of a process: `leases.lead("x", observer=metrics.of("x"))`.

    Args:
        registry: Where they are registered. One of these a registry.
        clock: What durations are measured by.
    """

    def __init__(
        self,
        *,
        registry: prometheus_client.CollectorRegistry = prometheus_client.REGISTRY,
        clock: Clock | None = None,
    ) -> None:
        def histogram(name: str, about: str, bounds: tuple[float, ...]) -> prometheus_client.Histogram:
            return prometheus_client.Histogram(
                f"lease_aio_{name}_seconds", about, ["name"], registry=registry, buckets=bounds
            )

        self._families = _Families(
            clock=clock or SystemClock(),
            leading=Counter(),
            status=prometheus_client.Gauge(
                "leader_election_master_status", "1 while this process leads, else 0.", ["name"], registry=registry
            ),
            terms=prometheus_client.Counter("lease_aio_terms", "Terms won.", ["name", "appointed"], registry=registry),
            candidacies=prometheus_client.Counter(
                "lease_aio_candidacies", "Candidacies that ended.", ["name", "led", "reason"], registry=registry
            ),
            failures=prometheus_client.Counter(
                "lease_aio_request_failures", "Requests that failed.", ["name", "request", "failure"], registry=registry
            ),
            duplicates=prometheus_client.Counter(
                "lease_aio_duplicate_identities",
                "Candidates whose identity another process uses.",
                ["name"],
                registry=registry,
            ),
            term=histogram("term", "From winning a term until the work is told to stop.", TERM_BOUNDS_S),
            stop=histogram("term_stop", "From being told to stop until the Lease is given back.", BOUNDS_S),
            handover=histogram("handover", "From the sight of no holder to that of the next.", BOUNDS_S),
        )

    def of(self, name: str) -> ElectionObserver:
        """The observer for one candidate. From now on its gauge is there, and 0.

        Args:
            name: The label, which client-go takes from its configuration: by custom the Lease's name. Candidates may
                share one; the gauge is 1 while any of them leads.
        """
        return ElectionObserver(self._families, name)


class ElectionObserver:
    """Counts for one candidate. Made by `ElectionMetrics.of`."""

    def __init__(self, families: _Families, name: str) -> None:
        self._families, self._name = families, name
        self._started: float | None = None
        self._told_to_stop: float | None = None
        self._vacant_since: float | None = None
        self._holder = ""
        self._leads(change=0)
        for family in (families.term, families.stop, families.handover, families.duplicates):
            family.labels(name)  # there, and empty

    def __call__(self, event: Event) -> None:
        """Take an event of the election."""
        now = self._families.clock.now()
        match event:
            case Waiting():
                self.saw(event.holder)
            case Started():
                self._started = now
                self._families.terms.labels(self._name, "true" if event.term.appointed else "false").inc()
                self._leads(change=1)
                self.saw(event.term.holder)
            case Stopping():
                self._term_over(now)
                if event.reason in _LOST_TO_NOBODY:
                    self.saw("")
            case Ended():
                self._ended(event, now)
            case RequestFailed():
                self._families.failures.labels(self._name, event.request, event.failure).inc()
            case DuplicateIdentity():
                self._families.duplicates.labels(self._name).inc()

    def saw(self, holder: str) -> None:
        """Take the sight of a holder, or of nobody (`""`): a hand-over is the time between the two.

        The events of the election tell only of one's own releases and losses, and of who comes after. Who follows the
        Lease for all of its holders' may tell them here.
        """
        now = self._families.clock.now()
        if holder and self._vacant_since is not None:
            self._families.handover.labels(self._name).observe(now - self._vacant_since)
        if holder:
            self._vacant_since = None
        elif self._holder:
            self._vacant_since = now
        self._holder = holder

    def _term_over(self, now: float) -> None:
        if self._started is not None:
            self._families.term.labels(self._name).observe(now - self._started)
            self._started, self._told_to_stop = None, now
            self._leads(change=-1)

    def _ended(self, event: Ended, now: float) -> None:
        self._term_over(now)
        if self._told_to_stop is not None:
            self._families.stop.labels(self._name).observe(now - self._told_to_stop)
            self._told_to_stop = None
        led = "false" if event.term is None else "true"
        self._families.candidacies.labels(self._name, led, event.reason.value).inc()
        if event.released:
            self.saw("")

    def _leads(self, *, change: int) -> None:
        leading = self._families.leading
        leading[self._name] += change
        self._families.status.labels(self._name).set(min(1, leading[self._name]))
