"""Observing a Lease without contending for it."""

import anyio
import pytest

from lease_aio.api import LEASES
from lease_aio.errors import ConfigurationError, Refused
from lease_aio.server.status import StatusError
from tests.election.rig import TIMING, Network, Rig

pytestmark = pytest.mark.virtual_time


async def test_who_may_not_read_is_told_so():
    async def refuse(moment, call):
        raise StatusError(403, "Forbidden", "no")

    async with Rig().client("a", refuse) as leases, leases.observe("x") as holdings:
        with pytest.raises(Refused):
            await anext(holdings)


async def test_iterated_outside_its_block_it_says_so_instead_of_hearing_of_nothing():
    async with Rig().client("a") as leases:
        with pytest.raises(RuntimeError, match="iterate it inside `async with`"):
            await anext(leases.observe("x"))


async def test_a_lease_that_does_not_exist_is_held_by_nobody():
    async with Rig().client("a") as leases, leases.observe("x") as holdings:
        holding = await anext(holdings)
    assert (holding.holder, holding.transitions, holding.expired) == ("", 0, False)


async def test_a_holder_that_falls_silent_is_told_as_expired_on_the_own_clock():
    rig = Rig()
    await rig.held_by("silent", duration_s=10)
    async with rig.client("a") as leases, leases.observe("x", timing=TIMING) as holdings:
        assert (await anext(holdings)).holder == "silent"
        seen_at = rig.clock.now()
        holding = await anext(holdings)
        assert rig.clock.now() - seen_at == pytest.approx(10 * 1.01, abs=0.01)
    assert (holding.holder, holding.expired, holding.last_holder, holding.transitions) == ("", True, "silent", 4)


async def test_it_hears_of_each_holder_and_of_release_and_deletion():
    rig, told = Rig(), list[tuple[str, int]]()
    async with rig.client("a") as a, rig.client("b") as b, rig.client("eye") as eye, anyio.create_task_group() as tasks:

        async def watch():
            nonlocal told
            async with eye.observe("x", timing=TIMING) as holdings:
                async for holding in holdings:
                    told += [(holding.holder, holding.transitions)]

        tasks.start_soon(watch)
        for leases in (a, b):
            async with leases.lead("x", timing=TIMING):
                await anyio.sleep(60)
            await anyio.sleep(1)
        await rig.admin.delete(LEASES, "x", "default")
        await anyio.sleep(1)
        tasks.cancel_scope.cancel()
    assert told == [("", 0), ("a", 0), ("", 0), ("b", 1), ("", 1), ("", 0)]


async def test_it_asks_for_nothing_while_nothing_changes_hands():
    rig, network = Rig(), Network()
    async with rig.client("a") as leader, rig.client("eye", network) as eye, leader.lead("x", timing=TIMING):
        async with eye.observe("x", timing=TIMING) as holdings:
            await anext(holdings)
            network.calls.clear()
            with anyio.move_on_after(600):
                await anext(holdings)
        assert network.requests == []


async def test_without_the_right_to_watch_it_reads_now_and_then():
    rig = Rig()

    async def no_watch(moment, call):
        if call.verb in {"list", "watch"}:
            raise StatusError(403, "Forbidden", "no watch")

    await rig.held_by("first", duration_s=3600)
    async with rig.client("eye", no_watch) as leases, leases.observe("x", timing=TIMING) as holdings:
        assert (await anext(holdings)).holder == "first"
        await rig.edit(holder_identity="second")
        with anyio.fail_after(TIMING.renew_interval_s + 0.1):
            assert (await anext(holdings)).holder == "second"


async def test_a_server_that_is_away_for_a_while_is_waited_for():
    rig, network = Rig(), Network()
    await rig.held_by("first")
    network.cut = True
    async with rig.client("eye", network) as leases, anyio.create_task_group() as tasks:

        async def mend():
            await anyio.sleep(30)
            network.cut = False

        tasks.start_soon(mend)
        async with leases.observe("x", timing=TIMING) as holdings:
            assert (await anext(holdings)).holder == "first"


async def test_who_looks_on_in_another_task_is_told_when_the_client_is_left():
    rig, seen = Rig(), []
    await rig.held_by("other")

    async def look_on(leases):
        async with leases.observe("x", timing=TIMING) as holdings:
            seen.append((await anext(holdings)).holder)
            with pytest.raises(ConfigurationError, match="LeaseClient was left, and shows nothing more of default/x"):
                await anext(holdings)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks, rig.client("a") as leases:
            tasks.start_soon(look_on, leases)
            await anyio.sleep(1)
            assert leases.engine.roster.size == 1
    assert seen == ["other"]
    assert leases._roster.size == 0
