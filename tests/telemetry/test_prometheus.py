"""What a scrape sees is what the scheduler reports."""

import anyio
import pytest
from prometheus_client import CollectorRegistry, generate_latest

import lease_aio
from lease_aio.scheduler import Histogram
from lease_aio.telemetry.prometheus import BOUNDS_S, LeaseClientCollector, cumulated
from lease_aio.testing import VirtualClock

pytestmark = pytest.mark.virtual_time


async def test_a_scrape_counts_every_renewal_once(virtual_clock: VirtualClock) -> None:
    async with lease_aio.connect("embedded", clock=virtual_clock) as leases, leases.lead("x"):
        registry = CollectorRegistry()
        registry.register(LeaseClientCollector(leases))
        await anyio.sleep(60)
        report = leases.report().elections
        assert report.successes > 15
        value = registry.get_sample_value
        assert (
            value("lease_aio_renewal_attempts_total", {"class": "election", "outcome": "renewed"}) == report.successes
        )
        assert value("lease_aio_renewal_gap_seconds_count", {"class": "election"}) == report.gap.count
        assert value("lease_aio_renewal_gap_seconds_bucket", {"class": "election", "le": "1.0"}) == 0
        assert value("lease_aio_renewal_gap_seconds_bucket", {"class": "election", "le": "5.0"}) == report.gap.count
        assert value("lease_aio_renewals_queued", {"class": "election"}) == 1
        assert b"lease_aio_renewal_lateness_seconds_sum" in generate_latest(registry)


def test_counts_are_cumulated_up_to_each_bound() -> None:
    histogram = Histogram()
    for value in (0.0001, 0.02, 3.0, 1000.0):
        histogram.record(value)
    rows = dict(cumulated(histogram.snapshot()))
    assert rows["0.001"] == 1
    assert rows["0.025"] == 2
    assert rows["5.0"] == 3
    assert rows["40.0"] == 3
    assert rows["+Inf"] == 4
    assert len(rows) == len(BOUNDS_S) + 1
