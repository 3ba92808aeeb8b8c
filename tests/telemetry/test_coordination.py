"""What a coordinator decides, as Prometheus sees it."""

import anyio
import pytest
from prometheus_client import CollectorRegistry

from lease_aio.election.coordinated import CandidateInfo
from lease_aio.telemetry.coordination import CoordinatorMetrics
from lease_aio.telemetry.elections import ElectionMetrics
from tests.coordinated.stage import Stage

pytestmark = pytest.mark.virtual_time
WHERE = {"namespace": "default", "lease": "x"}


async def test_appointments_preferences_questions_and_being_stuck_are_counted():
    registry, stage = CollectorRegistry(), Stage()

    def value(name):
        return registry.get_sample_value(f"lease_aio_coordinator_{name}", WHERE)

    metrics = CoordinatorMetrics(registry=registry)
    async with stage.client("c") as leases, leases.coordinator(observer=metrics), stage.member("new", "1.32.0"):
        await stage.leader("new", within_s=5)
        assert (value("appointments_total"), value("stuck")) == (1, 0)
        await anyio.sleep(20)
        async with stage.member("old", "1.31.0"):
            await stage.leader("old", within_s=20)
            assert (value("appointments_total"), value("preferences_total")) == (2, 1)
            assert value("questions_total") >= 1
            async with stage.member("other", "1.31.0", strategy="example.com/other"):
                await anyio.sleep(60)
                assert value("stuck") == 0, "the newest binary decides on the strategy"
        async with stage.member("third", "1.32.0", strategy="example.com/other"):
            await anyio.sleep(30)
            assert value("stuck") == 1
        await anyio.sleep(10)
        assert value("stuck") == 0, "the one that leads is the best of those that are left"
        async with stage.member("third", "1.32.0", strategy="example.com/other"):
            await anyio.sleep(30)
            assert value("stuck") == 1
    assert value("stuck") == 0, "whoever coordinates now may see it otherwise"


async def test_who_leads_by_a_coordinators_choice_and_who_fell_back_are_told_apart_in_metrics_and_log(logs):
    registry, stage = CollectorRegistry(), Stage()
    observer = ElectionMetrics(registry=registry, clock=stage.clock).of("x")
    info = CandidateInfo(binary_version="1.31.0")

    def won(appointed):
        return registry.get_sample_value("lease_aio_terms_total", {"name": "x", "appointed": appointed})

    async with stage.client("a") as leases:
        async with leases.lead("x", coordinated=info, observer=observer):
            assert (won("true"), won("false")) == (None, 1)
        async with stage.client("c") as coordinating, coordinating.coordinator():
            await anyio.sleep(1)
            async with leases.lead("x", coordinated=info, observer=observer):
                assert (won("true"), won("false")) == (1, 1)
        async with leases.lead("plain"):
            pass
    started = [line for line in logs if line["event"] == "election.started" and line["identity"] == "a"]
    assert [line.get("appointed") for line in started] == [False, True, None]
