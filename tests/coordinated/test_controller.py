"""Our coordinator on mere objects: upstream's `TestController` and `TestLeaseCandidateGCController`, case by case.

The first watches which candidate a real controller names, with candidates that do nothing but answer, and
deletes the Lease on behalf of a holder that should yield.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest

from lease_aio import NotFound
from lease_aio.api import LEASE_CANDIDATES, LEASES
from lease_aio.election.coordinated import CandidateInfo, CoordinatorTiming
from lease_aio.model import LeaseSpec, MicroTime, new_lease
from tests.coordinated.stage import Stage

pytestmark = pytest.mark.virtual_time


async def test_a_coordinator_that_is_left_at_once_ends_in_order():
    async with Stage().client("c") as leases, leases.coordinator():
        pass


class Cast:
    """Candidates of the Lease `x` that are mere objects, and a coordinator that runs."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    async def join(self, name: str, version: str, *, lease: str = "x", renewed_s: float = 0.0) -> None:
        info = CandidateInfo(binary_version=version)
        at = MicroTime(self.stage.clock.wall_us() - int(renewed_s * 1e6))
        await self.stage.admin.create(LEASE_CANDIDATES, info.candidate(name, "default", lease=lease, at=at))

    async def answer(self) -> None:
        """Answer each question as soon as it is asked."""
        while True:
            for each in await self.stage.candidates():
                asked, renewed = each.spec.ping_time, each.spec.renew_time
                if asked is not None and (renewed is None or renewed.epoch_us < asked.epoch_us):
                    spec = msgspec.structs.replace(each.spec, renew_time=MicroTime(self.stage.clock.wall_us()))
                    await self.stage.admin.replace(LEASE_CANDIDATES, msgspec.structs.replace(each, spec=spec))
            await anyio.sleep(0.05)

    async def delete_lease(self) -> None:
        await self.stage.admin.delete(LEASES, "x", "default")

    async def named(self, name: str, *, but: str = "") -> str:
        """Wait until the Lease names that one as holder; its uid, which must not be `but`."""
        with anyio.fail_after(60):
            while True:
                try:
                    lease = await self.stage.lease()
                except NotFound:
                    pass
                else:
                    if lease.holder == name and lease.metadata.uid != but:
                        return lease.metadata.uid
                await anyio.sleep(0.05)


@asynccontextmanager
async def coordinated(stage: Stage | None = None) -> AsyncIterator[Cast]:
    stage = stage or Stage()
    async with stage.client("coordinator") as leases, leases.coordinator(), anyio.create_task_group() as tasks:
        cast = Cast(stage)
        tasks.start_soon(cast.answer)
        yield cast
        tasks.cancel_scope.cancel()


async def test_single_candidate_leader_election():
    async with coordinated() as cast:
        await cast.join("component-identity-1", "1.19.0")
        await cast.named("component-identity-1")


async def test_multiple_candidate_leader_election_the_lowest_wins():
    async with coordinated() as cast:
        for name, version in (("component-identity-1", "1.19.0"), ("component-identity-2", "1.18.0"), ("z", "1.20.0")):
            await cast.join(name, version)
        await cast.named("component-identity-2")


async def test_deletion_of_the_lease_triggers_re_election():
    async with coordinated() as cast:
        await cast.join("component-identity-1", "1.19.0")
        first = await cast.named("component-identity-1")
        await cast.delete_lease()
        assert await cast.named("component-identity-1", but=first) != first


async def test_an_expired_lease_is_replaced():
    stage = Stage()
    long_ago = MicroTime(stage.clock.wall_us() - 600 * 10**6)
    spec = LeaseSpec(holder_identity="somebody-gone", lease_duration_seconds=10, renew_time=long_ago)
    await stage.admin.create(LEASES, new_lease("x", "default", spec))
    async with coordinated(stage) as cast:
        await cast.join("component-identity-1", "1.19.0")
        await cast.named("component-identity-1")


async def test_a_better_candidate_triggers_re_election():
    async with coordinated() as cast:
        await cast.join("component-identity-1", "1.20.0")
        first = await cast.named("component-identity-1")
        await cast.join("component-identity-2", "1.19.0")
        with anyio.fail_after(60):
            while (await cast.stage.lease()).spec.preferred_holder != "component-identity-2":  # noqa: ASYNC110
                await anyio.sleep(0.05)
        await cast.delete_lease()  # in the place of the holder, which should yield
        await cast.named("component-identity-2", but=first)


@pytest.mark.parametrize(
    ("renewed_s", "left"),
    [
        pytest.param([1800, 1800, 0], {"candidate3"}, id="delete expired lease candidates"),
        pytest.param([0], {"candidate1"}, id="no expired lease candidates"),
    ],
)
async def test_candidates_that_were_silent_for_half_an_hour_are_collected(renewed_s: list[float], left: set[str]):
    async with coordinated() as cast:
        for number, ago_s in enumerate(renewed_s, start=1):
            await cast.join(f"candidate{number}", "1.19.0", lease=f"component-{number}", renewed_s=ago_s)
        await anyio.sleep(CoordinatorTiming().candidate_s + 1)
        assert {each.name for each in await cast.stage.candidates()} == left


async def test_what_was_left_before_it_acts_is_collected_when_it_begins():
    """As by kube-apiserver's, which passes at its start and then every half an hour."""
    stage = Stage()
    await Cast(stage).join("left-behind", "1.19.0", renewed_s=7200)
    async with coordinated(stage):
        await anyio.sleep(10)
        assert await stage.candidates() == []
