"""In a user's pytest-asyncio suite: real time or virtual, fixtures that enter and leave, a task that is cancelled."""

import subprocess
import sys
from pathlib import Path

SUITE = """
import asyncio

import pytest
import pytest_asyncio

import lease_aio
from lease_aio.testing import VirtualLoop


@pytest_asyncio.fixture
async def leases():
    async with lease_aio.connect("embedded") as client:
        yield client


@pytest.mark.asyncio
async def test_a_service_leads(leases):
    async with leases.lead("x") as term:
        term.check()


@pytest.mark.asyncio
async def test_a_cancelled_service_lets_go(leases):
    leading = asyncio.Event()

    async def service():
        async with leases.lead("x"):
            leading.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(service())
    await leading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await leases.get("x")).holder == ""


def test_an_hour_passes_at_once(virtual_clock):
    async def hour():
        async with lease_aio.connect("embedded", clock=virtual_clock) as leases, leases.lead("x") as term:
            await asyncio.sleep(3600)
            term.check()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(hour())
"""


def test_a_suite_of_pytest_asyncio_passes_with_warnings_as_errors(tmp_path: Path):
    tmp_path.joinpath("test_service.py").write_text(SUITE)
    options = ["-W", "error", "-o", "asyncio_default_fixture_loop_scope=function", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, "test_service.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
