"""Candidates and a coordinator of ours, together on one store."""

import anyio
import pytest

from lease_aio.election import EndReason
from lease_aio.election.coordinated import FALLBACK_AFTER_S
from tests.coordinated.stage import TIMING, Stage

pytestmark = pytest.mark.virtual_time
TAKEOVER_S = TIMING.takeover_after_s(15)


async def test_without_a_coordinator_a_candidate_leads_after_its_patience_is_at_an_end():
    stage = Stage()
    async with stage.member("a"):
        took_s = await stage.leader("a", within_s=60)
    assert FALLBACK_AFTER_S <= took_s < FALLBACK_AFTER_S + 1
    assert not stage.terms[0]._record.appointed


async def test_with_a_coordinator_a_candidate_leads_at_once():
    stage = Stage()
    async with stage.client("coordinator") as leases, leases.coordinator(), stage.member("a"):
        assert await stage.leader("a", within_s=60) < 1
        assert stage.terms[0]._record.appointed
        lease = await stage.lease()
        assert (lease.holder, lease.spec.strategy, lease.spec.lease_duration_seconds) == (
            "a",
            "OldestEmulationVersion",
            15,
        )


async def test_the_oldest_version_takes_over_in_order_when_it_comes():
    stage = Stage()
    async with stage.client("coordinator") as leases, leases.coordinator(), stage.member("new", "1.32.0"):
        await stage.leader("new", within_s=5)
        await anyio.sleep(20)
        async with stage.member("old", "1.31.0"):
            assert await stage.leader("old", within_s=60) < 5 + 1
            await anyio.sleep(60)
            assert stage.led == ["new", "old"]
            assert stage.reasons == [EndReason.YIELDED]
        assert await stage.leader("new", within_s=60) < 2
    assert stage.led == ["new", "old", "new"]


async def test_a_candidate_that_leaves_is_no_candidate_any_more():
    stage = Stage()
    async with stage.client("coordinator") as leases, leases.coordinator():
        async with stage.member("a"):
            await stage.leader("a", within_s=5)
            assert [each.name for each in await stage.candidates()] == ["a"]
        assert await stage.candidates() == []
        assert (await stage.lease()).holder == ""
