"""Cancelled at each turn of the loop, every public context manager ends clean: no task left, nothing still held."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import pytest

from lease_aio.api import LEASE_CANDIDATES, LEASES
from lease_aio.client import LeaseClient
from lease_aio.election.coordinated import CandidateInfo
from lease_aio.model import LeaseSpec, new_lease
from tests.election.rig import TIMING, Rig

pytestmark = pytest.mark.virtual_time

Scenario = Callable[[LeaseClient], Awaitable[None]]


async def _lead(leases: LeaseClient) -> None:
    async with leases.lead("x", timing=TIMING):
        await asyncio.sleep(0)


async def _terms(leases: LeaseClient) -> None:
    async for term in leases.terms("x", timing=TIMING):
        async with term:
            break


async def _coordinated(leases: LeaseClient) -> None:
    info = CandidateInfo(binary_version="1.31.0")
    async with leases.coordinator(timing=TIMING), leases.lead("x", timing=TIMING, coordinated=info):
        await asyncio.sleep(0)


async def _lock(leases: LeaseClient) -> None:
    async with leases.lock("x", timing=TIMING):
        await asyncio.sleep(0)


async def _transfer(leases: LeaseClient) -> None:
    async with leases.lead("x", timing=TIMING) as term:
        term.transfer_to("b")
        await anyio.sleep_forever()


async def _observe(leases: LeaseClient) -> None:
    async with leases.observe("x", timing=TIMING) as holdings:
        await anext(holdings)


async def _watch(leases: LeaseClient) -> None:
    async with leases.watch() as changes:
        await anext(changes)


async def _heartbeat(leases: LeaseClient) -> None:
    async with leases.heartbeat("n1", register=True):
        await asyncio.sleep(0)


async def _fleet(leases: LeaseClient) -> None:
    async with leases.fleet(5, register=True, delete_on_exit=True, spread_start=False):
        for _ in range(20):
            await asyncio.sleep(0)


async def _identity(leases: LeaseClient) -> None:
    async with leases.apiserver_identity("cp-1"):
        await asyncio.sleep(0)


async def _identities(leases: LeaseClient) -> None:
    async with leases.apiserver_identity("cp-1"), leases.observe_identities() as changes:
        await anext(changes)


async def _collect(leases: LeaseClient) -> None:
    labels = {"apiserver.kubernetes.io/identity": "kube-apiserver"}
    await leases.create(new_lease("expired", "kube-system", LeaseSpec(), labels=labels))
    async with leases.collect_identities():
        await asyncio.sleep(0)


async def _member(leases: LeaseClient) -> None:
    async with leases.member_of("workers", "w-0"):
        await asyncio.sleep(0)


async def _members(leases: LeaseClient) -> None:
    async with leases.member_of("workers"), leases.members("workers") as changes:
        await anext(changes)


async def _take_over(leases: LeaseClient) -> None:
    async with leases.member_of("workers", "w-0", lease_duration_s=1) as old, leases.member_of("workers", "w-0"):
        await old.taken_over()


async def _client_alone(leases: LeaseClient) -> None:
    leases.report()
    await asyncio.sleep(0)


SCENARIOS = (
    *(_client_alone, _lead, _terms, _coordinated, _lock, _transfer, _observe, _watch),
    *(_heartbeat, _fleet, _identity, _identities, _collect),
    *(_member, _members, _take_over),
)


async def _three_turns(moment: object, call: object) -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def _cancelled_after(turns: int, scenario: Scenario, rig: Rig) -> bool:
    done = False

    async def run() -> None:
        nonlocal done
        async with rig.client("a", _three_turns) as leases:
            await scenario(leases)
        done = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        for _ in range(turns):
            await asyncio.sleep(0)
        tasks.cancel_scope.cancel()
    return not done


async def _held(rig: Rig) -> AsyncIterator[str]:
    """What outlives its block although it should not: held elections, published identities, a fleet's leases."""
    for lease in (await rig.admin.list(LEASES)).items:
        # a kubelet's is left to run out, and so is an appointment: whoever did not take it up may not call it free
        left = lease.name == "n1" or (lease.name == "x" and lease.spec.acquire_time is None)
        if lease.holder and not left:
            yield f"{lease.namespace}/{lease.name} held by {lease.holder}"
    for candidate in (await rig.admin.list(LEASE_CANDIDATES)).items:
        yield f"candidate {candidate.namespace}/{candidate.name}"


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_it_ends_clean_wherever_it_is_cancelled(scenario: Scenario, capsys: pytest.CaptureFixture[str]) -> None:
    points = 0
    for turns in range(2_000):
        rig, before = Rig(), asyncio.all_tasks()
        was_running = await _cancelled_after(turns, scenario, rig)
        assert asyncio.all_tasks() == before, f"a task outlived a cancellation after {turns} turns"
        assert [what async for what in _held(rig)] == [], f"after a cancellation after {turns} turns"
        if not was_running:
            break
        points += 1
    else:
        pytest.fail("the scenario never ended by itself")
    assert points > 5
    with capsys.disabled():
        sys.stdout.write(f"\n{scenario.__name__.strip('_')}: clean at {points} of {points} points ")
