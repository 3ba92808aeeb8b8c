"""Every metric that an alert in `docs/production.md` asks for is told."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

import lease_aio
from lease_aio.telemetry.elections import ElectionMetrics
from lease_aio.telemetry.prometheus import LeaseClientCollector
from lease_aio.testing import VirtualClock

pytestmark = pytest.mark.virtual_time

PAGE = Path(__file__).parents[2].joinpath("docs", "production.md").read_text()
NAMES = sorted(set(re.findall(r"\b(?:lease_aio_\w+|leader_election_\w+?)(?=[{\[)])", PAGE)))


async def test_no_alert_waits_for_a_metric_that_nobody_tells():
    registry, clock = CollectorRegistry(), VirtualClock()
    metrics = ElectionMetrics(registry=registry, clock=clock)
    async with lease_aio.connect("embedded", clock=clock) as leases:
        registry.register(LeaseClientCollector(leases))
        async with leases.lead("x", observer=metrics.of("x")):
            pass
        told = generate_latest(registry).decode()
    assert len(NAMES) >= 5
    assert [name for name in NAMES if f"\n{name}{{" not in told] == []
