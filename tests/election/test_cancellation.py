"""Cancelled at each point where it can be, a candidate leaves nothing behind."""

import asyncio

import anyio
import anyio.lowlevel
import pytest

from lease_aio.api import LEASES
from lease_aio.errors import LeaseAioError, NotFound
from tests.election.rig import TIMING, Network, Rig

pytestmark = pytest.mark.virtual_time


async def _cancelled_after(turns: int, scenario, rig: Rig) -> bool:
    """Run the scenario, cancel it after so many turns of the event loop, and say whether it was still running."""
    async with anyio.create_task_group() as tasks:
        done = anyio.Event()

        async def run():
            await scenario(rig)
            done.set()

        tasks.start_soon(run)
        for _ in range(turns):
            await asyncio.sleep(0)
        tasks.cancel_scope.cancel()
    return not done.is_set()


async def _lead_and_leave(rig: Rig) -> None:
    async with rig.client("a") as leases, leases.lead("x", timing=TIMING):
        await asyncio.sleep(0)


async def _hand_over(rig: Rig) -> None:
    async with rig.client("a") as first, rig.client("b") as second, anyio.create_task_group() as tasks:

        async def wait_for_it():
            async with second.lead("x", timing=TIMING):
                pass

        async with first.lead("x", timing=TIMING):
            tasks.start_soon(wait_for_it)
            for _ in range(20):
                await asyncio.sleep(0)


async def _lead_over_a_slow_network(rig: Rig) -> None:
    async def slow(moment, call):
        for _ in range(3):
            await asyncio.sleep(0)

    async with rig.client("a", slow) as leases, leases.lead("x", timing=TIMING) as term:
        term.resign()
        await anyio.sleep_forever()


@pytest.mark.parametrize("scenario", [_lead_and_leave, _hand_over, _lead_over_a_slow_network])
async def test_cancelled_at_any_turn_of_the_loop_it_holds_no_lease_and_leaves_no_task(scenario):
    cancelled = 0
    for turns in range(500):
        rig, before = Rig(), asyncio.all_tasks()
        was_running = await _cancelled_after(turns, scenario, rig)
        assert asyncio.all_tasks() == before, f"a task outlived the cancellation after {turns} turns"
        assert await _holder(rig) == "", f"the Lease is still held after a cancellation after {turns} turns"
        cancelled += was_running
        if not was_running:
            break
    else:
        pytest.fail("the scenario never ended by itself")
    assert cancelled > 10


async def _holder(rig: Rig) -> str:
    try:
        return (await rig.admin.get(LEASES, "x", "default")).holder
    except NotFound:
        return ""


async def test_a_term_that_was_won_but_not_entered_is_renewed_until_the_next_is_asked_for():
    rig, network = Rig(), Network()
    async with rig.client("a", network) as leases:
        terms = leases.terms("x", timing=TIMING)
        first = await anext(terms)
        await anyio.sleep(60)
        first.check()
        second = await anext(terms)
        assert second.token > first.token
        with pytest.raises(LeaseAioError):
            first.check()


async def test_a_cancellation_while_the_server_hangs_ends_after_two_request_timeouts():
    rig, network = Rig(), Network()
    async with anyio.create_task_group() as tasks:

        async def run():
            async with rig.client("a", network) as leases, leases.lead("x", timing=TIMING):
                network.hang = True
                await anyio.sleep_forever()

        tasks.start_soon(run)
        await anyio.sleep(5)
        cancelled_at = rig.clock.now()
        tasks.cancel_scope.cancel()
    assert rig.clock.now() - cancelled_at <= 2 * TIMING.request_timeout_s + 0.001
    assert (await rig.lease()).holder == "a", "it runs out by itself"
