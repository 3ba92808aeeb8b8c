"""Metrics over HTTP, for a command that has no server of its own."""

import aiohttp
import pytest

import lease_aio
from lease_aio.errors import ConfigurationError
from lease_aio.telemetry.fleet import FleetCollector
from lease_aio.telemetry.serve import serve_metrics


async def test_metrics_are_served_until_the_block_is_left() -> None:
    async with lease_aio.connect("embedded") as leases, leases.fleet(2) as fleet, aiohttp.ClientSession() as session:
        async with serve_metrics(FleetCollector(leases, fleet)) as address:
            async with session.get(address) as answer:
                assert answer.status == 200
                assert answer.headers["Content-Type"].startswith("text/plain; version=")
                assert 'lease_aio_fleet_nodes{fleet="fleet",state="' in await answer.text()
            async with session.get(address, headers={"Accept": "application/openmetrics-text"}) as answer:
                assert (await answer.text()).endswith("# EOF\n")
            async with session.get(address.replace("/metrics", "/")) as answer:
                assert answer.status == 404
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(address)


async def test_a_port_that_is_taken_is_named() -> None:
    async with serve_metrics() as address:
        port = int(address.split(":")[2].split("/")[0])
        with pytest.raises(ConfigurationError, match=f"cannot serve metrics on port {port}: .*; choose another, or 0"):
            async with serve_metrics(port=port):
                pytest.fail("two listen on one port")


@pytest.mark.parametrize("port", [-1, 65_536])
async def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(ConfigurationError, match=f"port={port} must lie between 0 and 65535"):
        async with serve_metrics(port=port):
            pytest.fail("there is no such port")
