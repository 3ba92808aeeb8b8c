"""Candidacies come and go by the thousand, and nothing of them stays."""

import asyncio
import gc
import weakref

import anyio
import pytest

from lease_aio.election import Candidate
from tests.election.rig import TIMING, Network, Rig

pytestmark = pytest.mark.virtual_time

CANDIDACIES = 300
KEPT = 80  # a worker knows its last renewal until its next, and up to 64 stale places wait for a sweep


async def _wins(leases, number):
    async with leases.lead(f"x{number % 7}", timing=TIMING):
        pass


async def _is_cancelled(leases, number):
    with anyio.move_on_after(0.01 * (number % 7)):
        async with leases.lead("held", timing=TIMING):
            pytest.fail("led though another holds it")


async def _is_cancelled_natively(leases, number):
    async def lead():
        async with leases.lead(f"x{number % 7}", timing=TIMING):
            await asyncio.Event().wait()

    task = asyncio.ensure_future(lead())
    for _ in range(number % 20):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize("once", [_wins, _is_cancelled, _is_cancelled_natively])
async def test_nothing_of_a_candidacy_stays_in_the_client(once, monkeypatch):
    rig, candidates = Rig(), weakref.WeakSet()
    start = Candidate.start

    def noted(self):
        candidates.add(self)
        start(self)

    monkeypatch.setattr(Candidate, "start", noted)
    async with rig.client("a") as leases, leases.lead("held", timing=TIMING) as held:
        await once(leases, 1)
        tasks = len(asyncio.all_tasks())
        for number in range(CANDIDACIES):
            await once(leases, number)
        await anyio.sleep(1)
        gc.collect()
        assert len(candidates) < KEPT
        assert len(asyncio.all_tasks()) <= tasks + 2, "workers are kept, not added"
        assert leases.report().elections.queued == 1
        assert leases.engine.roster.size == 1
        assert rig.store.open_watches == 1
        held.check()


async def test_a_thousand_that_wait_for_one_lease_cost_no_task_and_one_watch():
    rig, network = Rig(), Network()
    await rig.held_by("other", duration_s=3600)
    async with rig.client("a", network) as leases:
        before = len(asyncio.all_tasks())
        candidates = [
            Candidate(leases.engine, name="x", namespace="default", identity=f"c{number}", timing=TIMING)
            for number in range(1000)
        ]
        for candidate in candidates:
            candidate.start()
        await anyio.sleep(60)
        assert len(asyncio.all_tasks()) <= before + 128 + 1, "the workers of the scheduler, and the watch"
        assert (network.sent("list"), network.sent("get")) == (1, 1000)
        network.calls.clear()
        await anyio.sleep(60)
        assert network.requests == []
        async with anyio.create_task_group() as tasks:
            for candidate in candidates:
                tasks.start_soon(candidate.finish)
        assert leases.report().elections.queued == 0
        await anyio.sleep(1)
        assert rig.store.open_watches == 0
