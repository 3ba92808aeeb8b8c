"""The times that are written into Leases: what others may take from them, whatever the wall clock does."""

from itertools import pairwise

import anyio
import pytest

from lease_aio.election import Stamps
from lease_aio.testing import VirtualClock
from tests.election.rig import TIMING, Rig

pytestmark = pytest.mark.virtual_time


async def test_they_are_the_wall_clocks_while_that_runs_on():
    clock = VirtualClock()
    stamps = Stamps(clock)
    for step_s in (0, 0, 5, 3600):
        clock.step_wall(step_s)
        await anyio.sleep(1)
        assert stamps.next_us() == clock.wall_us()


async def test_no_two_are_the_same_also_in_one_instant():
    stamps = Stamps(VirtualClock())
    given = [stamps.next_us() for _ in range(100)]
    assert all(later - earlier == 1 for earlier, later in pairwise(given))


async def test_a_wall_clock_that_was_set_back_is_caught_up_with_at_half_its_speed():
    clock = VirtualClock()
    stamps = Stamps(clock)
    before = stamps.next_us()
    clock.step_wall(-60)
    await anyio.sleep(20)
    assert stamps.next_us() - before == 10_000_000
    await anyio.sleep(60)
    assert stamps.next_us() == clock.wall_us()


@pytest.mark.parametrize("step_s", [-3, -3600, 3600])
async def test_a_client_that_compares_whole_seconds_sees_each_renewal_also_when_the_wall_clock_is_set(step_s):
    """Or else client-go, which does, would take a leader for dead that renews, and take over."""
    rig = Rig()
    async with rig.client("a") as leases, leases.lead("x", timing=TIMING) as term:
        rig.clock.step_wall(step_s)
        seconds = [-1]
        while len(seconds) < 100:
            lease = await rig.lease()
            assert lease.spec.renew_time is not None
            if seconds[-1] != (second := lease.spec.renew_time.epoch_us // 1_000_000):
                seconds.append(second)
                seen_at = rig.clock.now()
            assert rig.clock.now() - seen_at <= TIMING.renew_interval_s + 1
            await anyio.sleep(0.1)
        term.check()
