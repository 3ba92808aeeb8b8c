"""Identities counted."""

import anyio
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from lease_aio.api.memory import MemoryApi
from lease_aio.api.protocol import LEASES
from lease_aio.errors import ClockSkewed, Refused
from lease_aio.identity import ApiServerIdentity, IdentityCollector, Shared
from lease_aio.model import LeaseSpec, MicroTime, new_lease
from lease_aio.telemetry import identities
from lease_aio.telemetry.identities import IdentityMetrics
from lease_aio.testing import VirtualClock
from tests.heartbeat.stage import refusing, staged, unreachable

pytestmark = pytest.mark.virtual_time

LABELS = {"apiserver.kubernetes.io/identity": "kube-apiserver"}


class Scrape:
    def __init__(self):
        self.registry = CollectorRegistry()
        self.metrics = IdentityMetrics(registry=self.registry)

    def value(self, name, **labels):
        return self.registry.get_sample_value(f"lease_aio_{name}", {"server": "kube-apiserver", **labels})


async def test_what_is_published_and_withdrawn_is_counted():
    scrape = Scrape()
    async with staged() as stage, ApiServerIdentity(*stage.parts, hostname="a", observer=scrape.metrics):
        async with ApiServerIdentity(*stage.parts, hostname="b", observer=scrape.metrics):
            assert scrape.value("identities_published") == 2
        assert scrape.value("identities_published") == 1
    assert scrape.value("identities_published") == 0


async def test_one_that_was_never_published_is_not_counted():
    scrape = Scrape()
    async with staged() as stage:
        stage.faults = refusing
        with pytest.raises(Refused):
            async with ApiServerIdentity(*stage.parts, hostname="a", observer=scrape.metrics):
                pytest.fail("entered")
    assert scrape.value("identities_published") in {None, 0}


async def test_a_take_over_is_counted():
    scrape = Scrape()
    async with (
        staged() as stage,
        ApiServerIdentity(*stage.parts, hostname="vm", observer=scrape.metrics),
        ApiServerIdentity(*stage.parts, hostname="vm"),
    ):
        await anyio.sleep(60)
        assert scrape.value("identities_superseded_total") == 1
        assert scrape.value("identities_shared_total") is None
    scrape.metrics(Shared(name="a", server="kube-apiserver"))
    assert scrape.value("identities_shared_total") == 1


async def test_a_pass_tells_what_is_there_after_it_and_what_it_deleted():
    scrape = Scrape()
    async with staged() as stage:
        for name, age_s in (("a", 1), ("b", 2), ("c", 100), ("d", 4000)):
            renewed = MicroTime(stage.clock.wall_us() - age_s * 1_000_000)
            spec = LeaseSpec(holder_identity=name, lease_duration_seconds=3600, renew_time=renewed)
            await MemoryApi(stage.store).create(LEASES, new_lease(name, "kube-system", spec, labels=LABELS))
        await IdentityCollector(stage.api, stage.clock, observer=scrape.metrics, dry_run=True)
        assert scrape.value("identities", freshness="expired") == 1
        assert scrape.value("identities_collected_total") == 0
        await IdentityCollector(stage.api, stage.clock, observer=scrape.metrics)
    found = {freshness: scrape.value("identities", freshness=freshness) for freshness in ("fresh", "late", "expired")}
    assert found == {"fresh": 2, "late": 1, "expired": 0}
    assert scrape.value("identities_collected_total") == 1
    assert scrape.value("identity_collections_total", outcome="done") == 2
    assert scrape.value("identity_clock_skew_seconds") == 0


async def test_passes_that_come_to_nothing_are_counted_by_their_reason():
    scrape, ours = Scrape(), VirtualClock()
    async with staged() as stage, anyio.create_task_group() as tasks:
        stage.faults = unreachable
        async with IdentityCollector(stage.api, ours, tasks, observer=scrape.metrics):
            assert scrape.value("identity_collections_total", outcome="failed") == 1
        stage.faults = None
        ours.step_wall(7200)
        with pytest.raises(ClockSkewed):
            async with IdentityCollector(stage.api, ours, tasks, observer=scrape.metrics):
                pytest.fail("entered")
    assert scrape.value("identity_collections_total", outcome="skewed") == 1


async def test_the_exposition_is_what_the_docs_list():
    scrape = Scrape()
    text = generate_latest(scrape.registry).decode()
    told = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    listed = {line.split("`")[1] for line in identities.__doc__.splitlines() if line.startswith("| `")}
    assert told == listed
