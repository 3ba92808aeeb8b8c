"""What a renewal costs the client: CPU of this package's `RestApi` beside kubernetes_asyncio's generated models.

Both renew their own Leases on the same server in the same run, in turns (A B A B ...), since a busy machine slows both.
CPU is user + system time of this process alone, all its threads included; a renewal is one PUT whose answer is read
into an object that the next one is made of. By default the server is the embedded one in a process of its own.

    python benchmarks/renewal_cpu.py
    python benchmarks/renewal_cpu.py --kubeconfig ~/.kube/config --renewals 2000 --rounds 5 --json
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio
from kubernetes_asyncio.client import ApiClient, Configuration, CoordinationV1Api

from lease_aio.api import LEASES, AiohttpTransport, RestApi
from lease_aio.api.config import load_configuration
from lease_aio.errors import NotFound
from lease_aio.model import LeaseSpec, MicroTime, new_lease
from lease_aio.model.compat import lease_to_v1

SERVER = """
import anyio, sys
from lease_aio.server import serve
async def main():
    async with serve() as server:
        print(server.url, flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)
anyio.run(main)
"""
PREFIX = "renewal-cpu"

Renew = Callable[[int], Awaitable[None]]
"""Renew the Lease of that number once."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """How much is done in one turn of one client."""

    renewals: int
    leases: int
    in_flight: int


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one turn of one client has cost."""

    cpu_us: float
    per_s: float


@contextmanager
def embedded_server() -> Iterator[str]:
    """The embedded server in another process; its URL."""
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


@asynccontextmanager
async def own_client(configuration: Configuration, namespace: str, load: Load) -> AsyncGenerator[Renew]:
    """This package's way."""
    async with RestApi(AiohttpTransport(configuration)) as api:
        spec = LeaseSpec(holder_identity="benchmark", lease_duration_seconds=40, renew_time=now())
        names = [f"{PREFIX}-own-{number}" for number in range(load.leases)]
        held = [await api.create(LEASES, new_lease(name, namespace, spec)) for name in names]

        async def renew(number: int) -> None:
            held[number] = await api.replace(LEASES, held[number].with_spec(renew_time=now()))

        yield renew


@asynccontextmanager
async def generated_client(configuration: Configuration, namespace: str, load: Load) -> AsyncGenerator[Renew]:
    """kubernetes_asyncio's way: its session, its generated API and models."""
    async with ApiClient(configuration) as client:
        api = CoordinationV1Api(client)
        spec = LeaseSpec(holder_identity="benchmark", lease_duration_seconds=40, renew_time=now())
        bodies = [
            lease_to_v1(new_lease(f"{PREFIX}-generated-{number}", namespace, spec)) for number in range(load.leases)
        ]
        held = [await api.create_namespaced_lease(namespace, body) for body in bodies]

        async def renew(number: int) -> None:
            lease = held[number]
            lease.spec.renew_time = now().datetime()
            held[number] = await api.replace_namespaced_lease(lease.metadata.name, namespace, lease)

        yield renew


def now() -> MicroTime:
    """The wall clock, never at a whole second: kubernetes_asyncio would write one without its six digits."""
    moment = datetime.now(UTC)
    return MicroTime.from_datetime(moment.replace(microsecond=moment.microsecond or 1))


def cpu_s() -> float:
    """User and system time that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def take_turn(renew: Renew, load: Load, renewals: int) -> Turn:
    """So many renewals, `in_flight` at a time; each worker has Leases of its own."""

    async def work(worker: int) -> None:
        for step in range(renewals // load.in_flight):
            await renew((worker + step * load.in_flight) % load.leases)

    began, used = time.perf_counter(), cpu_s()
    async with anyio.create_task_group() as tasks:
        for worker in range(load.in_flight):
            tasks.start_soon(work, worker)
    done = renewals // load.in_flight * load.in_flight
    return Turn(cpu_us=(cpu_s() - used) / done * 1e6, per_s=done / (time.perf_counter() - began))


async def compare(configuration: Configuration, namespace: str, load: Load, rounds: int) -> dict[str, list[Turn]]:
    """Let both clients take turns."""
    turns: dict[str, list[Turn]] = {"lease_aio": [], "kubernetes_asyncio": []}
    try:
        async with (
            own_client(configuration, namespace, load) as own,
            generated_client(configuration, namespace, load) as generated,
        ):
            clients = {"lease_aio": own, "kubernetes_asyncio": generated}
            for renew in clients.values():
                await take_turn(renew, load, max(load.in_flight, load.renewals // 10))
            for _ in range(rounds):
                for name, renew in clients.items():
                    turns[name].append(await take_turn(renew, load, load.renewals))
    finally:
        with anyio.CancelScope(shield=True):
            await clean_up(configuration, namespace, load)
    return turns


async def clean_up(configuration: Configuration, namespace: str, load: Load) -> None:
    """Leave nothing behind on a server that is not ours."""
    async with RestApi(AiohttpTransport(configuration)) as api:
        for number in range(load.leases):
            for client in ("own", "generated"):
                try:
                    await api.delete(LEASES, f"{PREFIX}-{client}-{number}", namespace)
                except NotFound:
                    continue


def report(turns: dict[str, list[Turn]], *, as_json: bool) -> None:
    """Median, spread and the ratio of the medians."""
    medians = {name: statistics.median(turn.cpu_us for turn in found) for name, found in turns.items()}
    ratio = medians["kubernetes_asyncio"] / medians["lease_aio"]
    if as_json:
        rates = {name: statistics.median(turn.per_s for turn in found) for name, found in turns.items()}
        print(json.dumps({"cpu_us": medians, "renewals_per_s": rates, "ratio": ratio}))
        return
    print(f"{'client':<20} {'µs CPU a renewal':>18} {'least':>8} {'most':>8} {'renewals/s':>11}")
    for name, found in turns.items():
        costs = [turn.cpu_us for turn in found]
        rate = statistics.median(turn.per_s for turn in found)
        print(f"{name:<20} {medians[name]:>18.0f} {min(costs):>8.0f} {max(costs):>8.0f} {rate:>11.0f}")
    print(f"ratio: kubernetes_asyncio's models use {ratio:.2f} times the CPU of lease_aio")


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", help="a real cluster, in place of the embedded server")
    parser.add_argument("--context", help="of the kubeconfig")
    parser.add_argument("-n", "--namespace", default="default", help="where the Leases are made (default: default)")
    parser.add_argument("--renewals", type=int, default=2000, help="in one turn of one client (default: 2000)")
    parser.add_argument("--leases", type=int, default=64, help="of each client (default: 64)")
    parser.add_argument("--in-flight", type=int, default=16, help="requests at a time (default: 16)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each client (default: 3)")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    chosen = parser.parse_args()
    if not 1 <= chosen.in_flight <= chosen.leases or chosen.leases % chosen.in_flight:
        parser.error("--leases must be a multiple of --in-flight, so that no two requests renew one Lease")
    if chosen.renewals < chosen.in_flight or chosen.rounds < 1:
        parser.error("--renewals must be at least --in-flight, and --rounds at least 1")
    return chosen


async def run(chosen: argparse.Namespace) -> dict[str, list[Turn]]:
    """Against the cluster that was named, or the embedded server."""
    load = Load(renewals=chosen.renewals, leases=chosen.leases, in_flight=chosen.in_flight)
    if chosen.kubeconfig or chosen.context:
        loaded = await load_configuration(chosen.kubeconfig, chosen.context)
        return await compare(loaded.configuration, chosen.namespace, load, chosen.rounds)
    with embedded_server() as url:
        return await compare(Configuration(host=url), chosen.namespace, load, chosen.rounds)


if __name__ == "__main__":
    arguments = options()
    report(anyio.run(run, arguments), as_json=arguments.json)
