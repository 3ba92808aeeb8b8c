"""How many nodes one process keeps alive on one event loop at the kubelet's true cadence: lateness, CPU, memory.

    python benchmarks/fleet_scale.py                                          # short: both modes, a few thousand nodes
    python benchmarks/fleet_scale.py memory --nodes 100000 --seconds 120      # no sockets: the embedded server's store
    python benchmarks/fleet_scale.py tls --nodes 50000 --seconds 120          # TLS, a fast stub in another process
    python benchmarks/fleet_scale.py memory --nodes 50000 --elections 100     # and leaders on the same client

Each side runs in a process of its own, on uvloop where that is installed. Beside the fleet, in the same run, a peer:
one asyncio task a node, which renews and sleeps; over the same store (memory), or with kubernetes_asyncio's generated
API (tls, on 2,000 nodes at most, since it carries fewer). After a warm-up in which every Lease is created, lateness,
renewals and CPU are counted over the window of `--seconds` alone; renewals by who stores them. `least /s` is that of
the worst ten seconds in it. Memory is what the process's resident set grows by from before the fleet to the end,
divided by the nodes; a store in the same process is filled before, with its history, and told apart. The collector is
set as `lease-aio fleet` sets it; `--default-gc` shows what it costs otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import importlib.util
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import trustme
from kubernetes_asyncio.client import ApiClient, Configuration, CoordinationV1Api

from lease_aio.api import LEASES, RestApi, open_transport
from lease_aio.api.memory import MemoryApi
from lease_aio.api.protocol import Api
from lease_aio.cli.collector import rarely_collecting
from lease_aio.client import LeaseClient
from lease_aio.model import Lease, LeaseSpec, MicroTime, new_lease, to_dict
from lease_aio.model.compat import lease_to_v1
from lease_aio.scheduler import ClassReport, Histogram, HistogramSnapshot, jittered, spread
from lease_aio.server.resources import LEASES as STORED_LEASES
from lease_aio.server.store import Store

STUB = Path(__file__).parent / "support" / "lease_stub.py"
NAMESPACE = "kube-node-lease"
PERIOD_S, JITTER = 10.0, 0.04
PEER_NODES_TLS = 2_000
_WINDOW_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """What a side tells of itself, from its start: how late it began what was due, and how its elections fared."""

    lateness: HistogramSnapshot
    elections: ClassReport | None = None


Tell = Callable[[], Accounts]

Writes = Callable[[], Awaitable[int]]
"""The server's count of what it stored: not a side's own."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One side over the window."""

    side: str
    nodes: int
    renewals_per_s: float
    least_per_s: float
    late_p50_ms: float
    late_p99_ms: float
    late_max_ms: float
    cpu_us: float
    cpu_percent: float
    bytes_per_node: float
    store_bytes_per_node: float
    collections: int
    collector_ms: float
    longest_collection_ms: float
    elections: dict[str, float] | None


class Collector:
    """What the garbage collector takes."""

    def __init__(self) -> None:
        self.count = 0
        self.total_s = self.longest_s = self._began = 0.0
        gc.callbacks.append(self._told)

    def _told(self, phase: str, info: dict[str, int]) -> None:
        del info
        if phase == "start":
            self._began = time.perf_counter()
            return
        took_s = time.perf_counter() - self._began
        self.count += 1
        self.total_s += took_s
        self.longest_s = max(self.longest_s, took_s)

    def reset(self) -> None:
        self.count = 0
        self.total_s = self.longest_s = 0.0


def resident() -> int:
    """Bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def since(before: HistogramSnapshot, after: HistogramSnapshot) -> HistogramSnapshot:
    """What was recorded between two snapshots of one histogram; its ends are those of the buckets."""
    earlier = dict(before.buckets)
    buckets = tuple((upper, n) for upper, count in after.buckets if (n := count - earlier.get(upper, 0)))
    return HistogramSnapshot(
        count=after.count - before.count,
        sum_s=after.sum_s - before.sum_s,
        min_s=0.0,
        max_s=min(after.max_s, buckets[-1][0]) if buckets else 0.0,
        buckets=buckets,
    )


def names(nodes: int) -> Sequence[str]:
    return [f"node-{number}" for number in range(nodes)]


def now() -> MicroTime:
    return MicroTime(time.time_ns() // 1000)


# ---------------------------------------------------------------------------------------------------- the sides


@asynccontextmanager
async def our_fleet(api: Api, nodes: int, elections: int = 0) -> AsyncGenerator[Tell]:
    """This package's, and leaders beside it. One that lost its term would end the benchmark."""

    async def lead(leases: LeaseClient, name: str) -> None:
        async with leases.lead(name):
            await anyio.sleep_forever()

    async with LeaseClient(api) as leases, leases.fleet(nodes=nodes), anyio.create_task_group() as leaders:
        for number in range(elections):
            leaders.start_soon(lead, leases, f"leader-{number}")

        def tell() -> Accounts:
            report = leases.report()  # not the fleet's: that looks at every node
            return Accounts(lateness=report.beats.lateness, elections=report.elections if elections else None)

        yield tell
        leaders.cancel_scope.cancel()


Renew = Callable[[int], Any]


@asynccontextmanager
async def task_each(nodes: int, renew: Renew) -> AsyncGenerator[Tell]:
    """The peer: one task a node; its period counts from the end of a renewal, its phase is spread, as ours."""
    lateness = Histogram()

    async def keep(number: int, due: float) -> None:
        clock = time.monotonic
        while True:
            await asyncio.sleep(max(0.0, due - clock()))
            lateness.record(max(0.0, clock() - due))
            await renew(number)
            due = clock() + jittered(PERIOD_S, JITTER, random.random)

    async with asyncio.TaskGroup() as group:
        began = time.monotonic()
        tasks = [group.create_task(keep(number, began + spread(number, PERIOD_S))) for number in range(nodes)]
        yield lambda: Accounts(lateness=lateness.snapshot())
        for task in tasks:
            task.cancel()


def tasks_on_store(api: Api, nodes: int) -> contextlib.AbstractAsyncContextManager[Tell]:
    """The peer of mode memory."""
    held: dict[int, Lease] = {}

    async def renew(number: int) -> None:
        lease = held.get(number) or await api.get(LEASES, f"node-{number}", NAMESPACE)
        held[number] = await api.replace(LEASES, lease.with_spec(renew_time=now()))

    return task_each(nodes, renew)


@asynccontextmanager
async def tasks_on_generated(configuration: Configuration, nodes: int) -> AsyncGenerator[Tell]:
    """The peer of mode tls."""
    async with ApiClient(configuration) as client:
        api = CoordinationV1Api(client)
        held: dict[int, Any] = {}

        async def renew(number: int) -> None:
            if number not in held:
                spec = LeaseSpec(holder_identity=f"node-{number}", lease_duration_seconds=40, renew_time=now())
                body = lease_to_v1(new_lease(f"node-{number}", NAMESPACE, spec))
                held[number] = await api.create_namespaced_lease(NAMESPACE, body)
                return
            lease = held[number]
            lease.spec.renew_time = datetime.now(UTC)
            held[number] = await api.replace_namespaced_lease(lease.metadata.name, NAMESPACE, lease)

        async with task_each(nodes, renew) as tell:
            yield tell


# ---------------------------------------------------------------------------------------------------- the servers


def filled_store(nodes: int) -> Store:
    """A store that has all Leases, each written twice, and a full history."""
    wall_us = time.time_ns() // 1000
    store = Store(now=wall_us)
    for name in names(nodes):
        spec = LeaseSpec(holder_identity=name, lease_duration_seconds=40, renew_time=now())
        store.create(STORED_LEASES, NAMESPACE, to_dict(new_lease(name, NAMESPACE, spec)), now=wall_us)
    for turn in range(1 + 25_000 // max(1, nodes)):
        for name in names(nodes):
            body = json.loads(json.dumps(store.get(STORED_LEASES, NAMESPACE, name)))
            body["spec"]["leaseDurationSeconds"] = 41 + turn
            store.replace(STORED_LEASES, NAMESPACE, name, body, now=wall_us)
    gc.collect()
    return store


@contextmanager
def stub() -> Iterator[Configuration]:
    """The stub in another process, and the way to it."""
    authority = trustme.CA()
    with tempfile.TemporaryDirectory(prefix="lease-aio-scale-") as folder:
        certificate, trusted = Path(folder) / "server.pem", Path(folder) / "ca.pem"
        authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
        authority.cert_pem.write_to_path(str(trusted))
        command = [sys.executable, str(STUB), "--certificate", str(certificate)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                url = process.stdout.readline().strip()
                yield Configuration(host=url, ssl_ca_cert=str(trusted))
            finally:
                process.communicate()


# ---------------------------------------------------------------------------------------------------- measuring


@dataclass(frozen=True, kw_only=True)
class Load:
    side: str
    nodes: int
    seconds: float
    warm_up_s: float
    as_command: bool
    elections: int = 0


async def watch(load: Load, tell: Tell, writes: Writes, collector: Collector, rss: tuple[int, int]) -> Measured:
    """Warm up, then count; `rss` is what was resident before anything, and before the side."""

    async def beats() -> int:
        led = tell().elections
        return await writes() - (led.successes if led else 0)

    if load.as_command:
        gc.freeze()
    await anyio.sleep(load.warm_up_s)
    collector.reset()
    counts, before, cpu, began = [await beats()], tell(), time.process_time(), time.monotonic()
    while (left := load.seconds - (time.monotonic() - began)) > 0:
        await anyio.sleep(min(left, _WINDOW_S))
        counts.append(await beats())
    spent, passed = time.process_time() - cpu, time.monotonic() - began
    after = tell()
    renewals, late = counts[-1] - counts[0], since(before.lateness, after.lateness)
    windows = [b - a for a, b in itertools.pairwise(counts)][: int(load.seconds // _WINDOW_S)]
    return Measured(
        side=load.side,
        nodes=load.nodes,
        renewals_per_s=renewals / passed,
        least_per_s=min(windows, default=0) / _WINDOW_S,
        late_p50_ms=late.percentile(50) * 1e3,
        late_p99_ms=late.percentile(99) * 1e3,
        late_max_ms=late.max_s * 1e3,
        cpu_us=spent / max(1, renewals) * 1e6,
        cpu_percent=spent / passed * 100,
        bytes_per_node=(resident() - rss[1]) / load.nodes,
        store_bytes_per_node=(rss[1] - rss[0]) / load.nodes,
        collections=collector.count,
        collector_ms=collector.total_s * 1e3,
        longest_collection_ms=collector.longest_s * 1e3,
        elections=beside(before.elections, after.elections),
    )


def beside(before: ClassReport | None, after: ClassReport | None) -> dict[str, float] | None:
    """How the elections fared in the window."""
    if before is None or after is None:
        return None
    late, gap = since(before.lateness, after.lateness), since(before.gap, after.gap)
    return {
        "renewals": after.successes - before.successes,
        "late_p99_ms": late.percentile(99) * 1e3,
        "late_max_ms": late.max_s * 1e3,
        "gap_p50_s": gap.percentile(50),
        "gap_max_s": gap.max_s,
    }


async def in_memory(load: Load) -> Measured:
    collector, empty = Collector(), resident()
    store = filled_store(load.nodes)
    api = MemoryApi(store)
    side = our_fleet(api, load.nodes, load.elections) if load.side == "fleet" else tasks_on_store(api, load.nodes)
    before = resident()

    async def writes() -> int:
        return store.resource_version

    async with side as tell:
        return await watch(load, tell, writes, collector, (empty, before))


async def over_tls(load: Load) -> Measured:
    async with AsyncExitStack() as stack:
        configuration = stack.enter_context(stub())
        transport = await stack.enter_async_context(open_transport(configuration))
        collector, before = Collector(), resident()

        async def writes() -> int:
            return int((await transport.request("GET", "/stub/writes", headers={}, timeout_s=10)).body)

        if load.side == "fleet":
            side = our_fleet(await stack.enter_async_context(RestApi(open_transport(configuration))), load.nodes)
        else:
            side = tasks_on_generated(configuration, load.nodes)
        return await watch(load, await stack.enter_async_context(side), writes, collector, (before, before))


def in_own_process(mode: str, load: Load) -> Measured:
    """Another Python, so that each side has a heap and a collector of its own."""
    command = [sys.executable, __file__, mode, "--one", json.dumps(asdict(load))]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Measured(**json.loads(found.stdout))


def run_one(mode: str, load: Load) -> None:
    work = in_memory if mode == "memory" else over_tls
    uvloop = importlib.util.find_spec("uvloop") is not None
    with rarely_collecting() if load.as_command else contextlib.nullcontext():
        print(json.dumps(asdict(anyio.run(work, load, backend_options={"use_uvloop": uvloop}))))


def compare(mode: str, given: argparse.Namespace) -> list[Measured]:
    """The fleet `--repeat` times, then the peer once."""
    common = {"seconds": given.seconds, "warm_up_s": given.warm_up, "as_command": given.as_command}
    ours = Load(side="fleet", nodes=given.nodes, elections=given.elections, **common)
    found = [in_own_process(mode, ours) for _ in range(given.repeat)]
    nodes = given.nodes if mode == "memory" else min(given.nodes, PEER_NODES_TLS)
    return [*found, in_own_process(mode, Load(side="a task each", nodes=nodes, **common))] if given.peer else found


def table(mode: str, seconds: float, found: Sequence[Measured]) -> str:
    head = (
        f"{mode}: {seconds:g} s at a period of {PERIOD_S:g} s, {JITTER:.0%} jitter\n"
        f"{'':<12}{'nodes':>8}{'renewals/s':>12}{'least /s':>10}{'late p50':>10}{'p99':>8}{'max':>8}"
        f"{'µs CPU each':>13}{'core':>6}{'B a node':>10}{'store':>7}{'collector (longest)':>22}"
    )
    rows = [
        f"{each.side:<12}{each.nodes:>8,}{each.renewals_per_s:>12,.0f}{each.least_per_s:>10,.0f}"
        f"{each.late_p50_ms:>7.1f} ms{each.late_p99_ms:>8.0f}{each.late_max_ms:>8.0f}{each.cpu_us:>13.1f}"
        f"{each.cpu_percent:>5.0f}%{each.bytes_per_node:>10,.0f}{each.store_bytes_per_node:>7,.0f}"
        f"{each.collections:>7} × {each.collector_ms:,.0f} ({each.longest_collection_ms:.0f}) ms"
        for each in found
    ]
    ours, peers = ([each for each in found if (each.side == "fleet") is own] for own in (True, False))
    cost = statistics.median(each.cpu_us for each in ours)
    ratios = [f"ratio: a task each uses {each.cpu_us / cost:.1f} times the CPU a renewal" for each in peers]
    leaders = [leaders_text(each.elections) for each in ours if each.elections]
    return "\n".join([head, *rows, *leaders, *ratios])


def leaders_text(found: dict[str, float]) -> str:
    late = f"late p99 {found['late_p99_ms']:.1f} ms, max {found['late_max_ms']:.0f} ms"
    gap = f"gap p50 {found['gap_p50_s']:.2f} s, max {found['gap_max_s']:.2f} s"
    return f"beside: {found['renewals']:,.0f} renewals of elections, {late}, {gap}"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", nargs="?", choices=("memory", "tls", "both"), default="both")
    parser.add_argument("--nodes", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="measured, after the warm-up")
    parser.add_argument("--warm-up", type=float, default=12.0, help="seconds, before what is measured")
    parser.add_argument("--elections", type=int, default=0, help="led by the fleet's client, in mode memory")
    parser.add_argument("--repeat", type=int, default=1, help="times that the fleet runs")
    parser.add_argument("--no-peer", dest="peer", action="store_false")
    parser.add_argument("--default-gc", dest="as_command", action="store_false", help="leave the collector alone")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.nodes < 1 or given.repeat < 1 or given.seconds <= 0 or given.warm_up < 0:
        parser.error("--nodes and --repeat must be 1 or more, --seconds positive, --warm-up zero or more")
    return given


def main() -> None:
    given = options()
    if given.one:
        run_one(given.mode, Load(**json.loads(given.one)))
        return
    modes = ("memory", "tls") if given.mode == "both" else (given.mode,)
    found = {mode: compare(mode, given) for mode in modes}
    if given.json:
        print(json.dumps({mode: [asdict(each) for each in sides] for mode, sides in found.items()}))
    else:
        print("\n\n".join(table(mode, given.seconds, sides) for mode, sides in found.items()))


if __name__ == "__main__":
    main()
