"""A fleet whose API server goes away for a minute: who comes back when, and how many at once, by the audit log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

import lease_aio
from lease_aio.testing.envtest import ControlPlane
from tests.cluster.assets import assets
from tests.cluster.probe import probed
from tests.torture.analysis import percentile
from tests.torture.history import Audit, Request
from tests.torture.processes import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

NODES = 1_000
STEADY_S, AWAY_S, AFTER_S = 20, 60, 16
STOP_WITHIN_S = 3.0
RENEWED_WITHIN_S = 10
PATIENCE_S = 120
BURST = 3
"""How many times the steady rate may reach the server within one second."""

AUDITED = tuple[ControlPlane, Audit]


@pytest.fixture
def audited(tmp_path: Path) -> Iterator[AUDITED]:
    audit = Audit(tmp_path, level="Metadata")
    with ControlPlane(assets(), apiserver_flags=audit.flags, stop_timeout_s=STOP_WITHIN_S) as plane:
        yield plane, audit


def ours(audit: Audit) -> list[Request]:
    """What the fleet asked for, in the order in which it reached the server."""
    found = [each for each in audit.requests() if each.agent == "lease-aio" and each.verb != "watch"]
    return sorted(found, key=lambda request: request.received)


def between(requests: Sequence[Request], since: float, until: float) -> list[Request]:
    return [each for each in requests if since <= each.received < until]


def busiest_second(requests: Sequence[Request]) -> int:
    """The most that reached the server within any one second."""
    most = first = 0
    for last, request in enumerate(requests):
        while request.received - requests[first].received >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def first_renewals(requests: Sequence[Request], since: float) -> dict[str, float]:
    """When each node's Lease was first written again."""
    found: dict[str, float] = {}
    for each in between(requests, since, float("inf")):
        if each.verb == "update" and each.code == 200:
            found.setdefault(each.name, each.answered)
    return found


async def uids(leases: lease_aio.LeaseClient) -> dict[str, str]:
    """Of all node Leases."""
    return {lease.metadata.name: lease.metadata.uid for lease in (await leases.list(namespace="kube-node-lease")).items}


async def test_after_a_minute_without_the_api_server_all_come_back_soon_and_not_all_at_once(
    audited: AUDITED, capsys: pytest.CaptureFixture[str]
) -> None:
    plane, audit = audited
    async with (
        lease_aio.connect(kubeconfig=str(plane.kubeconfig)) as leases,
        leases.fleet(NODES, register=True) as fleet,
        probed(plane) as probe,
    ):
        await anyio.sleep(11)  # the first renewals are spread over an interval
        before = await uids(leases)
        steady_since = time.time()
        await anyio.sleep(STEADY_S)
        stopping = time.time()
        await anyio.to_thread.run_sync(plane.stop_apiserver)
        gone = time.time()
        await anyio.sleep(AWAY_S)
        await anyio.to_thread.run_sync(plane.start_apiserver)
        returned, probe.slowest_s = time.time(), 0.0
        await anyio.sleep(AFTER_S)
        await until(lambda: fleet.report().fresh == NODES, PATIENCE_S)
        report = fleet.report()
        after = await uids(leases)
    requests = ours(audit)
    steady_per_s = len(between(requests, steady_since, stopping)) / (stopping - steady_since)
    busiest = busiest_second(between(requests, gone, returned + AFTER_S))
    back = [at - returned for at in first_renewals(requests, gone).values()]
    with capsys.disabled():
        sys.stdout.write(
            f"\naway {returned - gone:.1f} s; steady {steady_per_s:.0f} requests/s, busiest second after: {busiest}"
            f" ({busiest / steady_per_s:.2f}×); renewed again after min {percentile(back, 0):.2f}"
            f" p50 {percentile(back, 50):.2f} max {percentile(back, 100):.2f} s; errors: {report.errors};"
            f" slowest answer to anybody: {probe.slowest_s:.2f} s\n"
        )
    assert len(before) == NODES
    assert after == before, "the same Leases, none made anew"
    assert len(back) == NODES
    assert max(back) <= RENEWED_WITHIN_S + probe.slow_s
    # What was due while nobody was served comes together with what is due in the second after.
    assert busiest <= BURST * steady_per_s * (1 + probe.slowest_s)
    assert report.fresh == NODES
