"""Handing a Lease to a chosen candidate: a hint that delays others for a bounded time, and nothing more."""

import anyio
import pytest

from lease_aio.election.requests import SUCCESSOR
from lease_aio.errors import ConfigurationError
from tests.election.rig import TIMING, Rig

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("identity", ["", "a"])
async def test_a_transfer_to_nobody_or_to_oneself_is_refused(identity):
    async with Rig().client("a") as leases, leases.lead("x", timing=TIMING) as term:
        with pytest.raises(ConfigurationError, match="must be another candidate's"):
            term.transfer_to(identity)
        term.check()


async def _handed_over(rig: Rig, successor: str, *contenders: str) -> list[tuple[str, float]]:
    """Who led after `a` named its successor, and how long after the release."""
    led: list[tuple[str, float]] = []
    released_at = 0.0
    async with anyio.create_task_group() as tasks:

        async def contend(identity: str):
            async with rig.client(identity) as leases, leases.lead("x", timing=TIMING):
                led.append((identity, rig.clock.now() - released_at))
                await anyio.sleep(1)

        async with rig.client("a") as leases, leases.lead("x", timing=TIMING) as term:
            for identity in contenders:
                tasks.start_soon(contend, identity)
            await anyio.sleep(5)
            released_at = rig.clock.now()
            term.transfer_to(successor)
            await anyio.sleep_forever()
    return led


async def test_a_successor_that_is_gone_holds_the_others_up_for_two_retry_intervals_only():
    led = await _handed_over(Rig(), "gone", "b", "c")
    assert led[0][1] == pytest.approx(2 * TIMING.retry_interval_s, abs=0.1)
    assert sorted(identity for identity, _ in led) == ["b", "c"]


@pytest.mark.parametrize("successor", ["b", "c", "d"])
async def test_the_successor_leads_at_once_and_the_hint_is_gone(successor):
    rig = Rig()
    led = await _handed_over(rig, successor, "b", "c", "d")
    assert led[0][0] == successor
    assert led[0][1] < 0.1
    assert SUCCESSOR not in (await rig.lease()).metadata.annotations


async def test_resigning_without_a_successor_leaves_no_hint():
    rig = Rig()
    async with rig.client("a") as leases, leases.lead("x", timing=TIMING) as term:
        term.resign()
        await anyio.sleep_forever()
    assert (await rig.lease()).metadata.annotations == {}
