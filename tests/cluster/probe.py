"""A plain question, asked again and again beside what is tested: how slow this machine is, whoever asks."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import anyio

from lease_aio.testing.envtest import ControlPlane

EVERY_S = 0.2
USUAL_S = 0.5
"""On a machine that is not overloaded every answer is there by then."""


@dataclass
class Probe:
    """Reads one small object from the store, over the same loop and from the same API server.

    Attributes:
        slowest_s: From when it was due to be asked to the answer; while there is no API server, nothing counts.
    """

    slowest_s: float = 0.0

    @property
    def slow_s(self) -> float:
        """What a bound in seconds has to give to this machine: nothing, where it is not overloaded."""
        return max(0.0, self.slowest_s - USUAL_S)

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Ask until cancelled."""
        due = anyio.current_time()
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with session.get("/api/v1/namespaces/default") as answer:
                    await answer.read()
                self.slowest_s = max(self.slowest_s, anyio.current_time() - due)
            due = max(due + EVERY_S, anyio.current_time())
            await anyio.sleep_until(due)


@asynccontextmanager
async def probed(plane: ControlPlane) -> AsyncGenerator[Probe]:
    """Ask beside the body."""
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=plane.ca_file))
    headers = {"Authorization": f"Bearer {plane.admin_token}"}
    probe = Probe()
    async with (
        aiohttp.ClientSession(plane.url, headers=headers, connector=connector) as session,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(probe.run, session)
        yield probe
        tasks.cancel_scope.cancel()
