"""How well simulated nodes keep a kubelet's cadence, and what that costs: `lease-aio fleet` beside the real kwok.

Each side has a fresh etcd and kube-apiserver on this machine, the same number of Nodes, node leases of 40 s, and
otherwise its own defaults: ours as the command line runs it, kwok v0.8.0 with the Stage documents of its module. What
was renewed and when is told by a watch in a process of its own, CPU and memory by /proc: nothing is believed that a
side says of itself. Measuring begins once each node has been renewed and one more interval has passed. Needs Go;
builds kwok once (about a minute).

    python benchmarks/fleet_vs_kwok.py
    python benchmarks/fleet_vs_kwok.py --nodes 8000 --seconds 180
    python benchmarks/fleet_vs_kwok.py --nodes 8000 --seconds 60 --only ours --json
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the binaries and the witness are those of the tests

import lease_aio
from lease_aio.api.protocol import NODES
from lease_aio.model import Node, ObjectMeta
from lease_aio.testing.envtest import ControlPlane
from lease_aio.testing.servers import Server, launch
from tests.cluster.assets import AssetsError, assets, kwok, kwok_stages
from tests.cluster.witness import renewals_in

ROOT = Path(__file__).resolve().parents[1]
OURS, PEER = "ours", "kwok"
LEASE_DURATION_S = 40
INTERVAL_S = LEASE_DURATION_S / 4
MEAN_INTERVAL_S = INTERVAL_S * 1.02
"""With the jitter of both: 0 to 4 %."""
CREATED_AT_ONCE = 16
SETTLE_WITHIN_S = 300.0
SERVERS = ("kube-apiserver", "etcd")

Start = Callable[[ControlPlane, Path, int], Server]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One side.

    Attributes:
        due_per_s: What kubelets would renew.
        settled_s: From the start of the process until each node had been renewed.
        gap_p50_s: Between successive renewals of a node, as seen by the witness; as are the next two.
        gap_max_s: Gaps that were still open at the end count, too.
        cpu_us: For each renewal: of the process that simulates, and of the servers.
        memory_mib: Resident, of the process that simulates.
        watch_gaps: How often the witness had to list anew; then gaps are upper bounds.
    """

    side: str
    nodes: int
    seconds: float
    due_per_s: float
    per_s: float
    settled_s: float
    gap_p50_s: float
    gap_p99_s: float
    gap_max_s: float
    cpu_us: Mapping[str, float]
    memory_mib: float
    watch_gaps: int


def start_ours(plane: ControlPlane, folder: Path, nodes: int) -> Server:
    """`lease-aio fleet`, which registers its Nodes itself."""
    argv = [sys.executable, "-m", "lease_aio.cli", "fleet", "--kubeconfig", str(plane.kubeconfig), "--json"]
    argv += ["--nodes", str(nodes), "--register"]
    return launch(OURS, argv, folder / "ours.log", {**os.environ, "PYTHONPATH": str(ROOT)})


def start_kwok(plane: ControlPlane, folder: Path, nodes: int) -> Server:
    """The Nodes first, as kwok adopts those that it finds."""
    anyio.run(create_nodes, plane, nodes)
    stages = folder / "stages.yaml"
    stages.write_text(kwok_stages())
    argv = [str(kwok()), "--kubeconfig", str(plane.kubeconfig), "--config", str(stages), "--manage-all-nodes=true"]
    argv += [f"--node-lease-duration-seconds={LEASE_DURATION_S}"]
    return launch(PEER, argv, folder / "kwok.log", {**os.environ, "HOME": str(folder)})


async def create_nodes(plane: ControlPlane, nodes: int) -> None:
    """Bare ones: kwok fills their status."""
    names = iter(range(nodes))

    async def create(leases: lease_aio.LeaseClient) -> None:
        for number in names:
            await leases.api.create(NODES, Node(metadata=ObjectMeta(name=f"node-{number}")))

    async with (
        lease_aio.connect(kubeconfig=str(plane.kubeconfig)) as leases,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(CREATED_AT_ONCE):
            tasks.start_soon(create, leases)


def measure(side: str, start: Start, nodes: int, seconds: float, folder: Path) -> Measured:
    """One side alone on the machine, with servers of its own."""
    with ControlPlane(assets()) as plane, watching(plane, folder / f"{side}.json") as progress:
        began = time.monotonic()
        server = start(plane, folder, nodes)
        try:
            settle(progress, server, nodes)
            settled_s = time.monotonic() - began
            time.sleep(INTERVAL_S)
            pids = {side: server.process.pid, **{name: plane.pids[name] for name in SERVERS}}
            before, since = {name: cpu_s(pid) for name, pid in pids.items()}, time.monotonic()
            time.sleep(seconds)
            after, until = {name: cpu_s(pid) for name, pid in pids.items()}, time.monotonic()
            memory = memory_mib(server.process.pid)
        finally:
            server.stop(10.0)
    seen, watch_gaps = renewals_in(folder / f"{side}.json")
    done = sum(since < at <= until for times in seen.values() for at in times)
    gaps = sorted(gaps_in(seen.values(), since, until))
    return Measured(
        side=side,
        nodes=nodes,
        seconds=until - since,
        due_per_s=nodes / MEAN_INTERVAL_S,
        per_s=done / (until - since),
        settled_s=settled_s,
        gap_p50_s=percentile(gaps, 50),
        gap_p99_s=percentile(gaps, 99),
        gap_max_s=max([*gaps[-1:], *(until - max(at for at in times if at <= until) for times in seen.values())]),
        cpu_us={name: (after[name] - before[name]) / done * 1e6 for name in pids},
        memory_mib=memory,
        watch_gaps=watch_gaps,
    )


@contextmanager
def watching(plane: ControlPlane, out: Path) -> Iterator[Iterator[Mapping[str, int]]]:
    """A witness in a process of its own; yields what it tells each second."""
    argv = [sys.executable, "-m", "tests.cluster.witness", plane.url, str(plane.ca_file), plane.admin_token, str(out)]
    process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield map(json.loads, process.stdout)
    finally:
        process.stdin.close()
        process.stdout.read()
        process.wait(60)
        process.stdout.close()


def settle(progress: Iterator[Mapping[str, int]], server: Server, nodes: int) -> None:
    """Return once each node has been renewed."""
    deadline = time.monotonic() + SETTLE_WITHIN_S
    for told in progress:
        if told["renewed"] == nodes:
            return
        if server.process.poll() is not None or time.monotonic() > deadline:
            tail = server.log.read_text(errors="replace")[-2000:]
            sys.exit(
                f"{server.name}: {told['renewed']} of {nodes} nodes were ever renewed; the end of its log:\n{tail}"
            )


def gaps_in(seen: Iterable[Sequence[float]], since: float, until: float) -> Iterator[float]:
    """Those that ended in the time that is measured."""
    for times in seen:
        for before, after in pairwise(times):
            if since < after <= until:
                yield after - before


def percentile(ordered: Sequence[float], percent: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else float("nan")


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def table(found: Mapping[str, Measured]) -> str:
    """For people; the ratio is kwok's number by ours."""
    some = next(iter(found.values()))
    rows: list[tuple[str, Callable[[Measured], float], str]] = [
        ("renewals/s", lambda each: each.per_s, ".0f"),
        ("gap p50 (s)", lambda each: each.gap_p50_s, ".2f"),
        ("gap p99 (s)", lambda each: each.gap_p99_s, ".2f"),
        ("gap max (s)", lambda each: each.gap_max_s, ".2f"),
        ("CPU a renewal (µs)", lambda each: each.cpu_us[each.side], ".0f"),
        *((f"  {name} (µs)", functools.partial(cost_of, name), ".0f") for name in SERVERS),
        ("memory (MiB)", lambda each: each.memory_mib, ".0f"),
        ("all renewed after (s)", lambda each: each.settled_s, ".1f"),
        ("watch gaps", lambda each: each.watch_gaps, ".0f"),
    ]
    lines = [f"{some.nodes:,} nodes, {some.seconds:.0f} s; due: {some.due_per_s:.0f} renewals/s"]
    lines.append(f"{'':<24}" + "".join(f"{side:>10}" for side in found) + f"{'ratio':>10}")
    for title, value, form in rows:
        values = [value(each) for each in found.values()]
        ratio = f"{values[1] / values[0]:.2f}" if len(values) > 1 and values[0] else ""
        lines.append(f"{title:<24}" + "".join(f"{each:>10{form}}" for each in values) + f"{ratio:>10}")
    return "\n".join(lines)


def cost_of(name: str, each: Measured) -> float:
    return each.cpu_us[name]


def main() -> None:
    parser = argparse.ArgumentParser(description="A fleet of ours beside the real kwok.")
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20.0, help="that are measured, on each side")
    parser.add_argument("--only", choices=(OURS, PEER), help="measure one side")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    given = parser.parse_args()
    starts: dict[str, Start] = {OURS: start_ours, PEER: start_kwok}
    try:
        assets()
        if given.only != OURS:
            kwok()
    except AssetsError as error:
        sys.exit(str(error))
    found: dict[str, Measured] = {}
    for side, start in starts.items():
        if given.only in {None, side}:
            with tempfile.TemporaryDirectory(prefix="lease-aio-fleet-") as folder:
                found[side] = measure(side, start, given.nodes, given.seconds, Path(folder))
            sys.stderr.write(f"{side}: measured\n")
    print(json.dumps({side: asdict(each) for side, each in found.items()}) if given.json else table(found))


if __name__ == "__main__":
    main()
