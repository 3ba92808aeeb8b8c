"""Elections over HTTP in real time, on the loops that users run."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from kubernetes_asyncio.client import ApiClient, Configuration

from lease_aio.client import LeaseClient
from lease_aio.errors import TermLost
from lease_aio.server import serve
from lease_aio.timing import Timing
from tests.lateness import alarm

pytest.importorskip("uvloop", reason="an extra of its own")

QUICK = Timing(lease_duration_s=2, renew_interval_s=0.2, request_timeout_s=0.5, stop_grace_s=0.5, retry_interval_s=0.2)
STEADY = Timing(lease_duration_s=30, renew_interval_s=0.2)
GIVEN_BACK_WITHIN_S = 20
"""Sooner than it would run out by itself."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("asyncio", id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    ],
)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    return request.param


@pytest.fixture
async def server():
    async with serve() as server:
        yield server


@asynccontextmanager
async def _client(server, identity="a"):
    async with (
        ApiClient(Configuration(host=server.url)) as api_client,
        LeaseClient(api_client, identity=identity) as leases,
    ):
        yield leases


async def test_the_lease_is_handed_over_renewed_and_lost(server, anyio_backend):
    expected = "uvloop" if isinstance(anyio_backend, tuple) else "asyncio"
    assert type(asyncio.get_running_loop()).__module__.startswith(expected)
    tokens = []
    async with _client(server, "first") as first, _client(server, "second") as second:

        async def follow():
            async with second.lead("x", timing=STEADY) as term:
                tokens.append(term.token)

        async with first.lead("x", timing=STEADY) as term:
            tokens.append(term.token)
            following = asyncio.ensure_future(follow())
            await asyncio.sleep(0.6)
            term.check()
        async with asyncio.timeout(GIVEN_BACK_WITHIN_S):
            await following
        with pytest.raises(TermLost, match="taken"):
            async with asyncio.timeout(GIVEN_BACK_WITHIN_S), first.lead("x", timing=STEADY) as term:
                tokens.append(term.token)
                lease = await second.get("x")
                await second.patch("x", {"spec": {"holderIdentity": "thief"}})
                assert lease.holder == "first"
                await asyncio.Event().wait()
    assert tokens == sorted(set(tokens))
    assert len(tokens) == 3


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.003, 0.01, 0.1])
async def test_a_cancelled_service_ends_cancelled_and_gives_the_lease_back(server, after_s):
    async def service():
        async with _client(server) as client:
            async for term in client.terms("x", timing=STEADY):
                async with term:
                    await asyncio.Event().wait()

    before = asyncio.all_tasks()
    task = asyncio.ensure_future(service())
    await asyncio.sleep(after_s)
    task.cancel()
    async with asyncio.timeout(GIVEN_BACK_WITHIN_S):
        await asyncio.wait([task])
    assert task.cancelled()
    async with _client(server) as client, asyncio.timeout(GIVEN_BACK_WITHIN_S), client.lead("x", timing=STEADY):
        pass
    await asyncio.sleep(0.05)  # the server's own tasks see their connections close
    assert {one for one in asyncio.all_tasks() - before if "lease" in one.get_name()} == set()


async def test_a_timeout_around_the_body_is_a_timeout(server):
    async with _client(server) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as limit, client.lead("x", timing=STEADY):
                limit.reschedule(asyncio.get_running_loop().time() + 0.1)
                await asyncio.Event().wait()
        assert (await client.get("x")).holder == ""


@pytest.mark.slow
async def test_the_term_ends_in_time_when_the_server_goes_away():
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack, _client(await stack.enter_async_context(serve())) as client:
        with pytest.raises(TermLost, match="expired"):
            async with client.lead("x", timing=QUICK) as term:
                await stack.aclose()
                rang_at = alarm(term.valid_for())
                try:
                    await asyncio.Event().wait()
                finally:
                    ended_at = loop.time()
    await asyncio.sleep(0.1)
    assert ended_at - rang_at[0] < 0.25
