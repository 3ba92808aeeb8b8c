"""The demo's scenes, in virtual time."""

from __future__ import annotations

import anyio
import pytest

import lease_aio
from lease_aio.cli.connection import Opened
from lease_aio.cli.demo.plan import SHORTEST_S, SILENCED, plan_for
from lease_aio.cli.demo.stage import Stage
from lease_aio.cli.output import Output
from lease_aio.testing import VirtualClock

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("late_s", [0.0, 0.4, 2.0])
async def test_no_node_falls_silent_before_it_has_renewed_even_if_the_fleet_started_late(
    virtual_clock: VirtualClock, late_s: float
) -> None:
    async with lease_aio.connect("embedded", clock=virtual_clock) as leases:
        stage = Stage(Opened(leases=leases, server=None), plan_for(SHORTEST_S), Output(json=False))
        await anyio.sleep(late_s)
        async with stage.fleet:
            await stage.silence_scene()
            report = stage.fleet.report()

    assert len(stage.silenced) == report.silenced == SILENCED
    assert report.pending == 0
    assert report.renewals >= report.nodes
