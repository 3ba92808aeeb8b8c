"""The whole client, with a coordinator that comes and goes, networks that fail and wrong wall clocks: by seed."""

from __future__ import annotations

import random

import anyio
import pytest

from lease_aio import Unavailable
from lease_aio.election.coordinated import CandidateInfo
from tests.coordinated.stage import TIMING, Stage
from tests.election.rig import Network

pytestmark = pytest.mark.virtual_time
VERSIONS = {"a": "1.30.0", "b": "1.31.0", "c": "1.32.0"}
WRONG_BY_S = (0.0, 0.0, 3.0, 600.0, -600.0)


class Play:
    """Three members, a coordinator that is there or not, and dice."""

    def __init__(self, seed: int) -> None:
        self.dice, self.stage = random.Random(seed), Stage()
        self.networks = {name: Network() for name in (*VERSIONS, "coordinator")}
        self.coordinates = anyio.CancelScope()
        self.wrong_by_s = {name: self.dice.choice(WRONG_BY_S) for name in VERSIONS}

    async def member(self, name: str) -> None:
        about = CandidateInfo(binary_version="1.40.0", emulation_version=VERSIONS[name])
        wrong_by_s = self.wrong_by_s[name]
        async with self.stage.client(name, self.networks[name], wall_offset_s=wrong_by_s) as leases:
            while True:
                try:
                    await self.stage._lead_on(leases, about, TIMING)
                except Unavailable:
                    await anyio.sleep(1)

    async def coordinator(self) -> None:
        while True:
            with anyio.CancelScope() as self.coordinates:
                wrong_by_s, network = self.dice.choice(WRONG_BY_S), self.networks["coordinator"]
                client = self.stage.client("coordinator", network, wall_offset_s=wrong_by_s)
                async with client as leases, leases.coordinator():
                    await anyio.sleep_forever()
            await anyio.sleep(self.dice.uniform(0, 60))

    async def storm(self) -> None:
        for _ in range(30):
            network = self.networks[self.dice.choice(list(self.networks))]
            match self.dice.randrange(6):
                case 0:
                    network.cut = not network.cut
                case 1:
                    network.hang = not network.hang
                case 2:
                    network.lose_answers = not network.lose_answers
                case 3:
                    self.coordinates.cancel()
                case _:
                    network.cut = network.hang = network.lose_answers = False
            await anyio.sleep(self.dice.expovariate(1 / 8))

    def calm(self) -> None:
        for network in self.networks.values():
            network.cut = network.hang = network.lose_answers = False


@pytest.mark.parametrize("seed", range(25))
async def test_no_two_are_ever_at_work_and_in_the_calm_the_best_one_is(seed: int) -> None:
    play = Play(seed)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(play.coordinator)
        for name in VERSIONS:
            tasks.start_soon(play.member, name)
        await play.storm()
        play.calm()
        await play.stage.leader("a", within_s=240)
        await anyio.sleep(60)
        assert play.stage.at_work == ["a"], "and it stays"
        tasks.cancel_scope.cancel()
