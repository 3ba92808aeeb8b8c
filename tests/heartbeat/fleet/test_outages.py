"""Many nodes behind a server that is gone, hangs, asks for rest or is too slow: who comes back when, how evenly."""

import itertools
import random
from collections import Counter
from contextlib import asynccontextmanager

import anyio
import pytest

from lease_aio.api.memory import Moment
from lease_aio.errors import Throttled, Unavailable
from lease_aio.heartbeat import Fleet
from tests.heartbeat.stage import staged, unreachable

pytestmark = pytest.mark.virtual_time

NODES = 1_000
MAX_IN_FLIGHT = 28  # 16 of them are for elections: in proportion to the nodes, as 128 with 10,000
STEADY_PER_S = NODES / 10.2


class Outage:
    """A server that is away until it is `up`; then it notes what is sent, and when each node is renewed first."""

    def __init__(self, clock, away):
        self.up = anyio.Event()
        self.sent = Counter()
        self.renewed_after_s = {}
        self._clock = clock
        self._away = away
        self._back_at = None

    def return_now(self):
        self._back_at = self._clock.now()
        self.up.set()

    async def __call__(self, moment, call):
        if moment is Moment.AFTER:
            if self.up.is_set() and call.verb in {"update", "create"}:
                self.renewed_after_s.setdefault(call.name, self._since())
        elif self.up.is_set():
            self.sent[int(self._since())] += 1
        else:
            await self._away(self, moment, call)

    def _since(self):
        return self._clock.now() - self._back_at


async def refuses(outage, moment, call):
    await unreachable(moment, call)


async def hangs(outage, moment, call):
    await outage.up.wait()


async def breaks_down(outage, moment, call):
    raise Unavailable(call, "etcdserver: request timed out", status=500, outcome_unknown=True)


async def asks_for_rest(outage, moment, call):
    raise Throttled(call, "slow down", status=429, retry_after_s=25)


@asynccontextmanager
async def fleet_on_stage(*, latency_s=0.0, **options):
    seeded = random.Random(7).random
    async with (
        staged(latency_s=latency_s, max_in_flight=MAX_IN_FLIGHT) as stage,
        Fleet(*stage.fleet_parts, nodes=NODES, random=seeded, **options) as fleet,
    ):
        await anyio.sleep(25)
        yield stage, fleet


# After an outage


@pytest.mark.parametrize("away", [refuses, hangs, breaks_down, asks_for_rest])
async def test_after_an_outage_all_are_renewed_within_ten_seconds_and_never_in_a_burst(away):
    async with fleet_on_stage(latency_s=0.005) as (stage, fleet):
        stage.faults = outage = Outage(stage.clock, away)
        await anyio.sleep(60 if away is not asks_for_rest else 24)
        outage.return_now()
        await anyio.sleep(45)
        assert len(outage.renewed_after_s) == NODES, "nothing is lost"
        assert max(outage.renewed_after_s.values()) < 10
        assert max(outage.sent.values()) < 3 * STEADY_PER_S
        assert sum(outage.sent[second] for second in range(25, 45)) == pytest.approx(20 * STEADY_PER_S, rel=0.1)
        report = fleet.report()
        assert (report.fresh, report.late) == (NODES, 0)


async def test_while_nobody_listens_each_node_keeps_to_its_own_row_and_its_own_back_off():
    async with fleet_on_stage() as (stage, fleet):
        stage.faults = unreachable
        stage.calls.clear()
        await anyio.sleep(30)
        assert stage.calls.count("update leases") == 5 * NODES
        assert fleet.report().lateness.max_s < 0.05


# A server that is too slow


class Queueing:
    """A server that does one request at a time, each in `takes_s`; those that wait are done in order."""

    def __init__(self, takes_s):
        self._takes_s = takes_s
        self._turn = anyio.Lock()

    async def __call__(self, moment, _call):
        if moment is Moment.BEFORE:
            async with self._turn:
                await anyio.sleep(self._takes_s)


async def test_a_server_of_half_the_capacity_delays_all_nodes_alike():
    async with fleet_on_stage() as (stage, fleet):
        stage.faults = Queueing(2 / STEADY_PER_S)
        await anyio.sleep(60)
        renewed = {name: [] for name in fleet.names}

        async def note(moment, call):
            await slow(moment, call)
            if moment is Moment.AFTER:
                renewed[call.name].append(stage.clock.now())

        slow, stage.faults = stage.faults, note
        await anyio.sleep(200)
        gaps = [b - a for times in renewed.values() for a, b in itertools.pairwise(times)]
        assert min(len(times) for times in renewed.values()) >= 8
        assert max(gaps) < 1.5 * min(gaps)
        assert sum(gaps) / len(gaps) == pytest.approx(2 * 10.2, rel=0.05)
        beats = stage.scheduler.report().beats
        assert beats.lateness.max_s > 7, "and it says how late it is"
        assert beats.overdue > 0.3 * NODES
        assert (beats.queued + beats.in_flight, len(renewed)) == (NODES, NODES), "each stands in the queue once"


@pytest.mark.parametrize("lease_duration_s", [40, 400])
async def test_nodes_whose_writes_always_fail_do_not_starve_the_others(lease_duration_s):
    interval_s = lease_duration_s / 4
    async with fleet_on_stage(lease_duration_s=lease_duration_s) as (stage, fleet):
        await anyio.sleep(interval_s)
        failing = set(fleet.names[: NODES // 2])

        async def break_down(moment, call):
            if moment is Moment.BEFORE and call.name in failing and call.verb == "update":
                raise Unavailable(call, "admission webhook failed", status=500)

        renewed = {name: stage.clock.now() for name in fleet.names}
        gaps = []

        async def note(moment, call):
            await break_down(moment, call)
            if moment is Moment.AFTER and call.verb == "update":
                gaps.append(stage.clock.now() - renewed[call.name])
                renewed[call.name] = stage.clock.now()

        stage.faults = note
        await anyio.sleep(6 * interval_s)
        assert len(gaps) >= 5 * NODES // 2
        assert max(gaps) < 1.06 * interval_s
