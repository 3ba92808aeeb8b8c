"""What a fleet writes down of itself while it runs, and what runs beside it."""

import anyio
import pytest

from lease_aio.heartbeat import Fleet
from lease_aio.heartbeat.background import Background
from tests.heartbeat.stage import staged, unreachable

pytestmark = pytest.mark.virtual_time


async def test_a_timeline_is_there_from_the_entering_on_and_stays():
    async with staged() as stage:
        fleet = Fleet(*stage.fleet_parts, nodes=3)
        assert fleet.timeline is None
        async with fleet:
            await anyio.sleep(30.5)
        before = fleet.report().timeline
        assert sum(slot.renewals for slot in before.slots) == fleet.report().renewals
        assert sum(slot.gap.count for slot in before.slots) == fleet.report().gap.count
        await anyio.sleep(60)
        assert fleet.report().timeline.slots == before.slots, "nothing looks any more"


async def test_a_timeline_holds_the_nodes_by_state_each_second():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=5000, spread_start=False) as fleet:
        await anyio.sleep(5.5)
        fleet.select().sample(count=2000).silence()
        await anyio.sleep(5)
        states = [slot.states for slot in fleet.report().timeline.slots]
        assert states[1] == states[4] == {"fresh": 5000}
        assert states[7] == {"fresh": 3000, "silenced": 2000}


async def test_a_timeline_holds_what_failed():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=10) as fleet:
        stage.faults = unreachable
        await anyio.sleep(15)
        slots = fleet.report().timeline.slots
        assert sum(slot.errors.get("unavailable", 0) for slot in slots) == fleet.report().errors["unavailable"]


async def test_a_report_says_how_the_fleet_was_set_up():
    async with staged() as stage, Fleet(*stage.fleet_parts, nodes=1, name="f1", lease_duration_s=20) as fleet:
        parameters = fleet.report().parameters
        assert (parameters.name, parameters.lease_duration_s, parameters.renew_interval_s) == ("f1", 20, 5)
        assert parameters.started_wall_us == stage.clock.wall_us()


async def test_what_runs_beside_a_block_ends_with_it_even_if_it_takes_its_time():
    ended = []

    async def work():
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2)
            ended.append(True)

    async with anyio.create_task_group() as tasks:
        background = Background(tasks)
        background.start(work, "one")
        background.start(anyio.lowlevel.checkpoint, "one that ends by itself")
        await anyio.sleep(1)
        await background.stop()
        assert ended == [True]
        await background.stop()


async def test_a_block_is_left_when_what_owns_its_tasks_has_ended_before():
    async with anyio.create_task_group() as tasks:
        background = Background(tasks)
        background.start(anyio.sleep_forever, "one")
        tasks.cancel_scope.cancel()
        await background.stop()
