"""Beside kubernetes_asyncio's elector on one Lease, as in a rollout from the one to the other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import anyio
import pytest
from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.leaderelection import electionconfig, leaderelection
from kubernetes_asyncio.leaderelection.resourcelock.leaselock import LeaseLock

import lease_aio
from lease_aio import Timing
from lease_aio.server import serve

pytestmark = pytest.mark.slow

DURATION_S = 4
"""Renewed every second at least: on a busy machine both may stand still for a second or two."""
OURS = Timing(
    lease_duration_s=DURATION_S, renew_interval_s=0.5, request_timeout_s=1, stop_grace_s=0.5, retry_interval_s=0.2
)


@contextlib.asynccontextmanager
async def theirs(api_client: ApiClient, identity: str) -> AsyncIterator[asyncio.Event]:
    """One that contends; tells when it leads, and is gone with the block."""
    leads = asyncio.Event()

    async def work() -> None:
        leads.set()

    async def stopped() -> None:
        pytest.fail("it was told to stop")

    config = electionconfig.Config(
        LeaseLock("x", "default", identity, api_client),
        lease_duration=DURATION_S, renew_deadline=3, retry_period=1, onstarted_leading=work, onstopped_leading=stopped,
    )  # fmt: skip
    contending = asyncio.create_task(leaderelection.LeaderElection(config).run())
    try:
        yield leads
    finally:
        contending.cancel()
        await asyncio.wait([contending])


async def test_each_waits_for_the_other_and_takes_over_what_it_left_or_gave_back():
    async with (
        serve() as server,
        ApiClient(Configuration(host=server.url)) as api_client,
        lease_aio.LeaseClient(api_client) as leases,
        contextlib.AsyncExitStack() as stack,
    ):
        leading = leases.lead("x", timing=OURS)
        with anyio.fail_after(50):
            async with theirs(api_client, "old") as leads:
                await leads.wait()
                with anyio.move_on_after(DURATION_S + 1):
                    async with leading:
                        pytest.fail("led beside it")
            async with leading:  # it is gone, and has given nothing back
                new = await stack.enter_async_context(theirs(api_client, "new"))
                await anyio.sleep(DURATION_S + 1)
                assert not new.is_set(), "it led beside ours"
            await new.wait()
