"""Cancelled as asyncio cancels: by `Task.cancel`, `asyncio.timeout`, `wait_for` and `TaskGroup`, once or more."""

import asyncio

import anyio
import pytest

from lease_aio.election import EndReason
from lease_aio.errors import NotFound, TermLost
from tests.election.rig import TIMING, Network, Rig

pytestmark = pytest.mark.virtual_time


async def _holder(rig: Rig) -> str:
    try:
        return (await rig.lease()).holder
    except NotFound:
        return ""


# ---------------------------------------------------------------- once, at any point


async def _lead(rig: Rig) -> None:
    async with rig.client("a") as leases, leases.lead("x", timing=TIMING):
        await asyncio.sleep(0)


async def _lead_over_a_slow_network(rig: Rig) -> None:
    async def slow(moment, call):
        for _ in range(3):
            await asyncio.sleep(0)

    async with rig.client("a", slow) as leases, leases.lead("x", timing=TIMING) as term:
        term.resign()
        await asyncio.Event().wait()


async def _terms(rig: Rig) -> None:
    async with rig.client("a") as leases:
        terms = leases.terms("x", timing=TIMING)
        for _ in range(2):
            async with await anext(terms):
                await asyncio.sleep(0)


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("scenario", [_lead, _lead_over_a_slow_network, _terms])
async def test_cancelled_at_any_turn_once_or_more_it_ends_cancelled_leaves_no_task_and_holds_no_lease(scenario, times):
    cancelled = 0
    for turns in range(500):
        rig, before = Rig(), asyncio.all_tasks()
        task = asyncio.ensure_future(scenario(rig))
        for _ in range(turns):
            await asyncio.sleep(0)
        was_running = not task.done()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await asyncio.wait([task])
        assert task.cancelled() or not was_running, f"it went on after {turns} turns: {task}"
        assert asyncio.all_tasks() == before, f"a task outlived the cancellation after {turns} turns"
        assert await _holder(rig) == "", f"the Lease is still held after a cancellation after {turns} turns"
        cancelled += was_running
        if not was_running:
            break
    else:
        pytest.fail("the scenario never ended by itself")
    assert cancelled > 10


# ---------------------------------------------------------------- around the body


async def test_a_timeout_around_the_body_releases_and_is_a_timeout():
    rig = Rig()
    async with rig.client("a") as leases:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5), leases.lead("x", timing=TIMING):
                await asyncio.Event().wait()
        assert (await rig.lease()).holder == ""
        assert not _current().cancelling()


async def test_a_timeout_around_the_wait_leaves_no_trace():
    rig = Rig()
    before = await rig.held_by("other")
    async with rig.client("a") as leases:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5), leases.lead("x", timing=TIMING):
                pytest.fail("led though another holds it")
        assert leases.report().elections.queued == 0
        assert leases.engine.roster.size == 0
    assert await rig.lease() == before


async def test_wait_for_around_a_function_that_leads_releases_and_is_a_timeout():
    rig = Rig()
    async with rig.client("a") as leases:

        async def lead():
            async with leases.lead("x", timing=TIMING):
                await asyncio.Event().wait()

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(lead(), 5)
        assert (await rig.lease()).holder == ""


async def test_wait_for_around_the_next_term_gives_it_or_leaves_no_trace():
    rig = Rig()
    await rig.held_by("other")
    async with rig.client("a") as leases:
        terms = leases.terms("x", timing=TIMING)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(terms), 5)
        assert leases.report().elections.queued == 0
        async with await asyncio.wait_for(anext(terms), 60) as term:
            await rig.edit(holder_identity="thief")
            await asyncio.Event().wait()
        assert term.reason is EndReason.TAKEN


async def test_a_sibling_that_fails_in_a_task_group_stops_the_work_and_the_lease_is_released():
    rig = Rig()
    async with rig.client("a") as leases:
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as tasks:

                async def lead():
                    async with leases.lead("x", timing=TIMING):
                        await asyncio.Event().wait()

                tasks.create_task(lead())
                await asyncio.sleep(1)
                raise ZeroDivisionError
        assert caught.value.subgroup(ZeroDivisionError) is not None
        assert (await rig.lease()).holder == ""


async def test_a_task_group_inside_the_body_is_cancelled_with_the_term():
    rig, stopped = Rig(), []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(True)

    async with rig.client("a") as leases:
        with pytest.raises(TermLost, match="taken"):
            async with leases.lead("x", timing=TIMING), asyncio.TaskGroup() as tasks:
                for _ in range(3):
                    tasks.create_task(work())
                await asyncio.sleep(1)
                await rig.edit(holder_identity="thief")
    assert stopped == [True] * 3


async def test_a_task_group_may_be_around_the_client():
    rig = Rig()
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as tasks:

            async def serve():
                async with rig.client("a") as leases, leases.lead("x", timing=TIMING):
                    await asyncio.Event().wait()

            tasks.create_task(serve())
            await asyncio.sleep(1)
            raise ZeroDivisionError
    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError]
    assert (await rig.lease()).holder == ""


# ---------------------------------------------------------------- together with the end of the term


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancellation_that_meets_the_end_of_the_term_is_not_lost(turns):
    """Else a loop over terms would contend on for ever, after its service was told to stop."""
    rig = Rig()

    async def serve():
        async with rig.client("a") as leases:
            async for term in leases.terms("x", timing=TIMING):
                async with term:
                    entered.append(term)
                    await asyncio.Event().wait()

    entered = []
    task = asyncio.ensure_future(serve())
    await asyncio.sleep(1)
    entered[0].resign()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(60):
        await asyncio.wait([task])
    assert task.cancelled()
    assert (await rig.lease()).holder == ""


async def test_a_body_that_is_cancelled_while_it_cleans_up_after_the_terms_end_is_cancelled():
    rig = Rig()

    async def serve():
        async with rig.client("a") as leases, leases.lead("x", timing=TIMING) as term:
            term.resign()
            try:
                await asyncio.Event().wait()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(2)

    task = asyncio.ensure_future(serve())
    await asyncio.sleep(1)
    task.cancel()
    async with asyncio.timeout(60):
        await asyncio.wait([task])
    assert task.cancelled()
    assert (await rig.lease()).holder == ""


# ---------------------------------------------------------------- during the release


async def test_cancelled_over_and_over_during_the_release_it_waits_its_time_and_is_cancelled():
    rig, network = Rig(), Network()
    async with rig.client("a", network) as leases:

        async def lead():
            async with leases.lead("x", timing=TIMING):
                network.hang = True
                await asyncio.Event().wait()

        task = asyncio.ensure_future(lead())
        await asyncio.sleep(1)
        cancelled_at = rig.clock.now()
        while not task.done():
            task.cancel()
            await asyncio.sleep(0.25)
        assert task.cancelled()
        assert rig.clock.now() - cancelled_at <= 2 * TIMING.request_timeout_s + 0.25
        assert (leases.engine.roster.size, leases.report().elections.queued) == (0, 0)


async def test_a_cancellation_during_the_release_is_raised_once_the_lease_is_free():
    rig = Rig()

    async def slow(moment, call):
        await asyncio.sleep(0.5)

    async with rig.client("a", slow) as leases:

        async def lead():
            async with leases.lead("x", timing=TIMING):
                await asyncio.sleep(3)

        task = asyncio.ensure_future(lead())
        await asyncio.sleep(4.6)
        assert (await rig.lease()).holder == "a", "the work is over and the release on its way"
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert (await rig.lease()).holder == ""


async def test_a_timeout_that_passes_during_the_release_is_a_timeout():
    rig = Rig()

    async def slow(moment, call):
        await asyncio.sleep(0.5)

    async with rig.client("a", slow) as leases:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(4.6), leases.lead("x", timing=TIMING):
                await asyncio.sleep(3)
        assert (await rig.lease()).holder == ""


# ---------------------------------------------------------------- entered in one task, left in another


async def test_a_term_entered_in_a_task_that_has_ended_is_told_to_be_without_guard_and_released_at_its_end(logs):
    rig = Rig()
    async with rig.client("a") as leases:
        leadership = leases.lead("x", timing=TIMING)
        term = await asyncio.ensure_future(leadership.__aenter__())
        await asyncio.sleep(0)
        told = [line for line in logs if line["event"] == "election.term_unguarded"]
        assert [(line["lease"], line["token"]) for line in told] == [("default/x", term.token)]
        with pytest.raises(RuntimeError, match="different task"):
            await leadership.__aexit__(None, None, None)
        assert (await rig.lease()).holder == ""
        assert leases.engine.roster.size == 0


async def test_a_term_whose_task_ended_inside_can_be_finished_by_another():
    rig = Rig()
    async with rig.client("a") as leases:
        term = await anext(leases.terms("x", timing=TIMING))
        await asyncio.ensure_future(term.__aenter__())
        await term.finish()
        assert (await rig.lease()).holder == ""


def _current() -> asyncio.Task:
    task = asyncio.current_task()
    assert task is not None
    return task
