"""What a scrape sees of a fleet is what the fleet reports."""

import anyio
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

import lease_aio
from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.states import NodeState
from lease_aio.telemetry.fleet import GAP_BOUNDS_S, LATENESS_BOUNDS_S, FleetCollector
from lease_aio.testing import VirtualClock

pytestmark = pytest.mark.virtual_time


def registry_of(*collectors: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return registry


async def test_a_scrape_tells_what_the_report_tells(virtual_clock: VirtualClock) -> None:
    async with lease_aio.connect("embedded", clock=virtual_clock) as leases, leases.fleet(20, name="ours") as fleet:
        await anyio.sleep(30.5)
        fleet.select().sample(count=5).silence()
        report = fleet.report()
        registry = registry_of(FleetCollector(leases, fleet))

        def value(name: str, **labels: str) -> float | None:
            return registry.get_sample_value(f"lease_aio_fleet_{name}", {"fleet": "ours", **labels})

        nodes = {state: value("nodes", state=state.value) for state in NodeState}
        assert nodes == {**dict.fromkeys(NodeState, 0), NodeState.FRESH: 15, NodeState.SILENCED: 5}
        assert value("renewals_total") == report.renewals > 55
        assert value("renewals_due_per_second") == pytest.approx(15 / 10.2)
        assert value("gap_seconds_count") == report.gap.count
        assert value("gap_seconds_sum") == pytest.approx(report.gap.sum_s)
        assert value("gap_seconds_bucket", le="5.0") == 0
        assert value("gap_seconds_bucket", le="10.5") == report.gap.count
        assert value("lateness_seconds_count") == report.lateness.count
        assert registry.get_sample_value("lease_aio_fleet_overdue") == 0
        assert registry.get_sample_value("lease_aio_fleet_held_for_seconds") == 0


async def test_errors_are_counted_by_kind_and_verdicts_by_word(virtual_clock: VirtualClock) -> None:
    async with lease_aio.connect("embedded", clock=virtual_clock) as leases, leases.fleet(3) as fleet:
        registry = registry_of(FleetCollector(leases, fleet))
        for lease_name in fleet.names:
            fleet.timeline.verdict(virtual_clock.now(), lease_name, "unknown", 51.0)
        found = registry.get_sample_value("lease_aio_fleet_verdicts_total", {"fleet": "fleet", "verdict": "unknown"})
        assert found == 3
        await anyio.sleep(15)
        for lease in (await leases.list(namespace="kube-node-lease")).items:
            await leases.delete(lease.metadata.name, namespace="kube-node-lease")
        await anyio.sleep(15)
        errors = fleet.report().errors
        assert errors
        for kind, count in errors.items():
            found = registry.get_sample_value("lease_aio_fleet_errors_total", {"fleet": "fleet", "kind": kind})
            assert found == count


async def test_both_expositions_are_well_formed(virtual_clock: VirtualClock) -> None:
    async with lease_aio.connect("embedded", clock=virtual_clock) as leases, leases.fleet(3) as fleet:
        await anyio.sleep(25)
        registry = registry_of(FleetCollector(leases, fleet))
        assert b'lease_aio_fleet_nodes{fleet="fleet",state="fresh"} 3.0' in generate_latest(registry)
        families = {
            family.name: family for family in text_string_to_metric_families(generate_openmetrics(registry).decode())
        }
        assert families.keys() == {
            f"lease_aio_fleet_{name}"
            for name in (
                "nodes",
                "renewals",
                "renewals_due_per_second",
                "errors",
                "lateness_seconds",
                "gap_seconds",
                "verdicts",
                "overdue",
                "held_for_seconds",
            )
        }
        for name, bounds in (("gap", GAP_BOUNDS_S), ("lateness", LATENESS_BOUNDS_S)):
            samples = families[f"lease_aio_fleet_{name}_seconds"].samples
            buckets = [sample for sample in samples if sample.name.endswith("_bucket")]
            assert [sample.labels["le"] for sample in buckets] == [*map(str, bounds), "+Inf"]
            assert [sample.value for sample in buckets] == sorted(sample.value for sample in buckets)


async def test_two_fleets_of_a_client_share_a_collector(virtual_clock: VirtualClock) -> None:
    async with (
        lease_aio.connect("embedded", clock=virtual_clock) as leases,
        leases.fleet(2, name="a") as one,
        leases.fleet(3, name="b", prefix="other-") as other,
    ):
        await anyio.sleep(15)
        text = generate_latest(registry_of(FleetCollector(leases, one, other))).decode()
    assert text.count("# TYPE lease_aio_fleet_nodes gauge") == 1
    assert 'lease_aio_fleet_nodes{fleet="a",state="fresh"} 2.0' in text
    assert 'lease_aio_fleet_nodes{fleet="b",state="fresh"} 3.0' in text


async def test_two_fleets_of_one_name_cannot_be_told_apart(virtual_clock: VirtualClock) -> None:
    async with lease_aio.connect("embedded", clock=virtual_clock) as leases:
        with pytest.raises(ConfigurationError, match=r"cannot be told apart in metrics: \['a', 'a'\]"):
            FleetCollector(leases, leases.fleet(1, name="a"), leases.fleet(1, name="a"))
