"""What it costs to judge many nodes: a pass that looks at what was told, beside one that looks at every node.

    python benchmarks/monitor.py [--nodes 100000] [--passes 5] [--json]

Between two passes half of the nodes renew, as kubelets do in 5 s. The controller looks at every node in each pass; here
the same rules are asked about those of which something was told, and of the others only whether their grace has passed.
Both sides run the same `Judge` on the same Leases; times are CPU times of this process, the median pass is shown.
"""

import argparse
import json
import statistics
import time
import tracemalloc
from dataclasses import asdict, dataclass

from lease_aio.heartbeat.monitor import Judge, MonitorSettings
from lease_aio.model import Lease, LeaseSpec, MicroTime, Node, NodeCondition, NodeStatus, ObjectMeta, Time

START_US = 1_750_000_000_000_000
ZONES = 3


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One side, in CPU time."""

    side: str
    pass_ms: float
    event_us: float


class Cluster:
    """Nodes that are well, and a judge of theirs."""

    def __init__(self, nodes: int) -> None:
        self.now, self.version, self.nodes = 0.0, 0, nodes
        self.judge = Judge(MonitorSettings(), now=self.now)
        for number in range(nodes):
            self.judge.node_set(self._node(number), now=self.now, wall_us=START_US)
        for number in range(nodes):
            self.judge.lease_set(self._lease(number), now=self.now, wall_us=START_US)
        self.judge.assess(now=self.now, wall_us=START_US)

    def tell(self, half: int) -> float:
        """Every second node renews; CPU seconds for each event."""
        self.now += 5.0
        renewed = [self._lease(number) for number in range(half, self.nodes, 2)]
        began = time.process_time()
        for lease in renewed:
            self.judge.lease_set(lease, now=self.now, wall_us=START_US)
        return (time.process_time() - began) / len(renewed)

    def one_pass(self) -> float:
        """CPU seconds of a pass."""
        began = time.process_time()
        self.judge.assess(now=self.now, wall_us=START_US)
        return time.process_time() - began

    def touch_all(self) -> None:
        """Let the next pass look at every node, without a cheap way for the common case."""
        for memory in self.judge.nodes.values():
            memory.plain = False
            self.judge._touched[memory.name] = memory  # noqa: SLF001 - no way to ask for what is not wanted

    def _node(self, number: int) -> Node:
        ready = NodeCondition(type="Ready", status="True", last_heartbeat_time=Time(START_US))
        labels = {"topology.kubernetes.io/zone": f"zone-{number % ZONES}"}
        metadata = ObjectMeta(name=f"node-{number}", uid=str(number), labels=labels)
        return Node(metadata=metadata, status=NodeStatus(conditions=(ready,)))

    def _lease(self, number: int) -> Lease:
        self.version += 1
        metadata = ObjectMeta(name=f"node-{number}", resource_version=str(self.version))
        return Lease(metadata=metadata, spec=LeaseSpec(renew_time=MicroTime(START_US + self.version)))


def measure(side: str, nodes: int, passes: int, *, all_nodes: bool) -> Measured:
    cluster = Cluster(nodes)
    events_s, passes_s = [], []
    for number in range(passes):
        events_s.append(cluster.tell(number % 2))
        if all_nodes:
            cluster.touch_all()
        passes_s.append(cluster.one_pass())
    assert all(memory.state.value == "ready" for memory in cluster.judge.nodes.values())
    return Measured(
        side=side,
        pass_ms=statistics.median(passes_s) * 1e3,
        event_us=statistics.median(events_s) * 1e6,
    )


def bytes_per_node(nodes: int) -> float:
    tracemalloc.start()
    try:
        cluster = Cluster(nodes)
        return tracemalloc.get_traced_memory()[0] / cluster.nodes
    finally:
        tracemalloc.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="a pass of the monitor beside one that looks at every node")
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    args = parser.parse_args()
    ours = measure("what was told", args.nodes, args.passes, all_nodes=False)
    theirs = measure("every node", args.nodes, args.passes, all_nodes=True)
    weight = bytes_per_node(args.nodes)
    if args.json:
        print(json.dumps({"nodes": args.nodes, "bytes_per_node": weight, "sides": [asdict(ours), asdict(theirs)]}))
        return
    print(f"{args.nodes:,} nodes, half of them renewed since the last pass; {weight:.0f} B a node with its Lease")
    print(f"{'':<18}{ours.side:>16}{theirs.side:>14}{'ratio':>8}")
    print(f"{'a pass':<18}{ours.pass_ms:>13.1f} ms{theirs.pass_ms:>11.1f} ms{theirs.pass_ms / ours.pass_ms:>8.1f}")
    print(f"{'a Lease told':<18}{ours.event_us:>13.1f} µs{theirs.event_us:>11.1f} µs")


if __name__ == "__main__":
    main()
