"""Run by the build session in an environment that holds the bare package and nothing else."""

import importlib.metadata
import importlib.util

import anyio

import lease_aio
from lease_aio.heartbeat.scenario import load_scenario


async def main() -> None:
    async with lease_aio.connect("embedded") as leases, leases.lead("alone") as term:
        term.check()
        assert (await leases.get("alone")).holder == term.holder


assert "site-packages" in lease_aio.__file__, lease_aio.__file__
for extra in ("typer", "rich", "prometheus_client", "uvloop", "jsonpatch"):
    assert importlib.util.find_spec(extra) is None, f"the bare install brought {extra}"
assert load_scenario("zone-outage").plan()
anyio.run(main)
print("lease_aio", importlib.metadata.version("lease-aio"), "works alone")
