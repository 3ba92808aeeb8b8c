"""One process, one loop, one scheduler on a real kube-apiserver: elections, node Leases and identities at once."""

import sys

import anyio
import pytest

import lease_aio
from lease_aio.testing.envtest import ControlPlane
from tests.cluster.probe import probed

pytestmark = pytest.mark.cluster

ELECTIONS, NODES, IDENTITIES = 100, 2_000, 3
HOLD_S = 60
LONGEST_GAP_S = 12


async def test_a_hundred_elections_two_thousand_nodes_and_three_identities_keep_their_cadence(
    control_plane: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    lost: list[str] = []
    async with (
        lease_aio.connect(kubeconfig=str(control_plane.kubeconfig)) as leases,
        anyio.create_task_group() as elections,
        leases.fleet(NODES, prefix="one-process-") as fleet,
        leases.apiserver_identity(hostname="one-process-1"),
        leases.apiserver_identity(hostname="one-process-2"),
        leases.apiserver_identity(hostname="one-process-3"),
        probed(control_plane) as probe,
    ):

        async def hold(name: str) -> None:
            async with leases.lead(name) as term:
                lost.append(f"{name}: {await term.lost()}")

        for number in range(ELECTIONS):
            elections.start_soon(hold, f"one-process-{number}")
        await anyio.sleep(HOLD_S)
        report, nodes = leases.report(), fleet.report()
        held = [lease for lease in (await leases.list()).items if lease.holder == leases.identity]
        elections.cancel_scope.cancel()
    assert lost == []
    assert len(held) == ELECTIONS
    assert nodes.fresh == NODES
    assert report.elections.gap.max_s < LONGEST_GAP_S + probe.slow_s
    assert report.beats.gap.max_s < LONGEST_GAP_S + probe.slow_s
    assert report.beats.gap.count >= NODES * (HOLD_S / 10.4 - 2)
    with capsys.disabled():
        for name, each in (("elections", report.elections), ("beats", report.beats)):
            p50, p99 = each.gap.percentile(50), each.gap.percentile(99)
            sys.stdout.write(
                f"\n{name}: {each.successes} renewals, gap p50 {p50:.2f} p99 {p99:.2f} max {each.gap.max_s:.2f} s,"
                f" lateness p99 {each.lateness.percentile(99) * 1000:.0f} ms,"
                f" slowest answer to anybody {probe.slowest_s:.2f} s\n"
            )
