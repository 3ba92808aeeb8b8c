"""The scheduler's figures as Prometheus metrics, read when they are scraped: nothing is counted twice.

| metric | type | labels | what |
|---|---|---|---|
| `lease_aio_renewal_attempts_total` | counter | class, outcome | attempts: `renewed`, `failed`, `other` (reads) |
| `lease_aio_renewals_throttled_total` | counter | class | attempts that the server asked to rest |
| `lease_aio_renewals_queued`, `_overdue`, `_in_flight` | gauge | class | where renewals stand now |
| `lease_aio_renewal_lateness_seconds` | histogram | class | start of an attempt less its due time |
| `lease_aio_renewal_latency_seconds` | histogram | class | end of an attempt less its start |
| `lease_aio_renewal_gap_seconds` | histogram | class | between two successes of one renewal |

`class` is `election` (elections and locks) or `beat` (heartbeats and identities).
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lease_aio.client import LeaseClient
from lease_aio.scheduler import ClassReport, HistogramSnapshot

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0)


class LeaseClientCollector(Collector):
    """A collector for one client: `REGISTRY.register(LeaseClientCollector(leases))`.

    Unregister it when the client closes. Two clients in one registry need two registries, or a prefix each.

    Args:
        client: Whose figures.
        prefix: Starts every metric's name.
    """

    def __init__(self, client: LeaseClient, *, prefix: str = "lease_aio") -> None:
        self._client = client
        self._prefix = prefix

    def collect(self) -> Iterable[Metric]:
        """The figures at this moment."""
        report = self._client.report()
        classes = {"election": report.elections, "beat": report.beats}
        yield from self._counters(classes)
        for name in ("queued", "overdue", "in_flight"):
            gauge = GaugeMetricFamily(f"{self._prefix}_renewals_{name}", f"Renewals that are {name}.", labels=["class"])
            for label, each in classes.items():
                gauge.add_metric([label], getattr(each, name))
            yield gauge
        for name in ("lateness", "latency", "gap"):
            yield self._histogram(name, classes)

    def _counters(self, classes: dict[str, ClassReport]) -> Iterable[Metric]:
        attempts = CounterMetricFamily(
            f"{self._prefix}_renewal_attempts", "Attempts that ended.", labels=["class", "outcome"]
        )
        throttled = CounterMetricFamily(
            f"{self._prefix}_renewals_throttled", "Attempts that the server asked to rest.", labels=["class"]
        )
        for label, each in classes.items():
            attempts.add_metric([label, "renewed"], each.successes)
            attempts.add_metric([label, "failed"], each.failures)
            attempts.add_metric([label, "other"], each.attempts - each.successes - each.failures)
            throttled.add_metric([label], each.throttles)
        return attempts, throttled

    def _histogram(self, name: str, classes: dict[str, ClassReport]) -> Metric:
        family = HistogramMetricFamily(
            f"{self._prefix}_renewal_{name}_seconds", f"The {name} of renewals.", labels=["class"]
        )
        for label, each in classes.items():
            snapshot: HistogramSnapshot = getattr(each, name)
            family.add_metric([label], buckets=cumulated(snapshot), sum_value=snapshot.sum_s)
        return family


def cumulated(snapshot: HistogramSnapshot, bounds_s: Sequence[float] = BOUNDS_S) -> list[tuple[str, float]]:
    """The counts up to each of the bounds; a fine bucket counts where its upper end falls."""
    counts = [0] * (len(bounds_s) + 1)
    for upper_s, count in snapshot.buckets:
        counts[bisect.bisect_left(bounds_s, upper_s)] += count
    total, rows = 0, list[tuple[str, float]]()
    for bound, count in zip((*map(str, bounds_s), "+Inf"), counts, strict=True):
        total += count
        rows.append((bound, total))
    return rows
