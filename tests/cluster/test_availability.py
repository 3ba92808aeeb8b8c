"""What the real node lifecycle controller makes of a fleet, by a watch on what it writes; and our monitor beside it."""

from __future__ import annotations

import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

import lease_aio
from lease_aio.heartbeat import Finding, Monitor, MonitorSettings, NodeVerdict
from lease_aio.heartbeat.monitor.verdicts import Reason
from lease_aio.testing.envtest import ControlPlane
from tests.cluster.fixtures import Kubectl
from tests.cluster.witness import NOT_READY, UNREACHABLE, NodeState, Witness, witnessed
from tests.torture.analysis import percentile
from tests.torture.processes import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

LIFECYCLE = ("node-lifecycle-controller",)
REQUESTS = ["--kube-api-qps=100", "--kube-api-burst=200"]
"""All of the node lifecycle controller is at its defaults, but for how much it may ask. At the controller manager's 20
requests a second 50 nodes that fall silent at once keep it busy for ten seconds: its verdicts are so much later then
(measured: up to 63 s after the last renewal), whoever renews."""
NODES, SILENT = 500, 50
UNKNOWN_AFTER_S, UNKNOWN_WITHIN_S = 40, 60
BACK_WITHIN_S = 25
APART_S = 6
"""How far our monitor may be from the controller."""
PASSES_TAKE_S = 2
"""What the controller's passes may take in all from the silence to the last verdict. It begins the next one 5 s after
the end of the one before and judges ten passes after it last saw a renewal, so what they take beyond this comes on top
of when it judges, whoever renews; by its own metric, and next to nothing where the machine is not overloaded."""
PASSES_METRIC = "node_collector_update_all_nodes_health_duration_seconds_sum"
PATIENCE_S = 90

Verdicts = dict[Finding, dict[str, tuple[float, Reason]]]
"""What a monitor found of which node: when it was heard last, and why."""


@pytest.fixture
def judged(with_controllers: Path) -> Iterator[ControlPlane]:
    with ControlPlane(with_controllers, controllers=LIFECYCLE, controller_manager_flags=REQUESTS) as plane:
        yield plane


def welcome(state: NodeState) -> bool:
    """A scheduler may place pods there."""
    return state.ready == "True" and not {key for key, _ in state.taints} & {NOT_READY, UNREACHABLE}


def unreachable(state: NodeState) -> bool:
    """It is Unknown, and no scheduler places pods there."""
    return state.ready == "Unknown" and state.tainted(UNREACHABLE)


def all_are(witness: Witness, names: Collection[str], true: Callable[[NodeState], bool]) -> bool:
    return all(name in witness.nodes and true(witness.nodes[name][-1]) for name in names)


def established(witness: Witness, names: Collection[str]) -> bool:
    """All have a Lease, and pods may be placed on all."""
    return witness.renewals.keys() >= set(names) and all_are(witness, names, welcome)


def first(witness: Witness, name: str, true: Callable[[NodeState], bool], since: float) -> float:
    """When a node was first seen so; infinity if never."""
    return next((state.seen for state in witness.nodes[name] if state.seen >= since and true(state)), float("inf"))


def ever(witness: Witness, names: Collection[str], true: Callable[[NodeState], bool]) -> list[str]:
    """Those that were ever seen so."""
    return [name for name in names if any(map(true, witness.nodes[name]))]


def lost(state: NodeState) -> bool:
    return state.ready == "Unknown" or state.tainted(UNREACHABLE) or state.tainted(UNREACHABLE, "NoExecute")


def spread(title: str, found: Sequence[float]) -> str:
    return f"{title}: min {min(found):.1f} p50 {percentile(found, 50):.1f} max {max(found):.1f} s of {len(found)}\n"


async def passes_s(plane: ControlPlane) -> float:
    """What the passes of the controller have taken since its start, by its own word."""
    told = await anyio.to_thread.run_sync(plane._secure_answer, plane._controllers_port, "/metrics")
    assert told is not None
    return float(re.search(rf"^{PASSES_METRIC} (\S+)$", told, re.MULTILINE)[1])


async def hear(monitor: Monitor, heard: Verdicts) -> None:
    async for verdict in monitor:
        if isinstance(verdict, NodeVerdict):
            heard[verdict.finding][verdict.node] = time.monotonic(), verdict.reason


async def test_the_controller_and_our_monitor_see_the_silent_nodes_fall_and_rise_and_no_others(
    judged: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: Verdicts = defaultdict(dict)
    async with (
        witnessed(judged, nodes=True) as witness,
        lease_aio.connect(kubeconfig=str(judged.kubeconfig)) as leases,
        leases.fleet(NODES, register=True) as fleet,
        leases.monitor(MonitorSettings(heed_written=False)) as monitor,  # it must find out for itself
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(hear, monitor, heard)
        assert await until(lambda: established(witness, fleet.names), PATIENCE_S)
        silent = fleet.select().sample(count=SILENT)
        others = set(fleet.names) - set(silent)
        silent.silence()
        silenced_at, passes_before_s = time.monotonic(), await passes_s(judged)
        await until(lambda: all_are(witness, silent, unreachable), PATIENCE_S)
        slow_s = max(0.0, await passes_s(judged) - passes_before_s - PASSES_TAKE_S)
        # revived before the monitor's own pass, a node is never Unknown to it; how late it was is looked at below
        await until(lambda: heard[Finding.UNKNOWN].keys() >= set(silent), 2 * APART_S)
        last = {name: witness.renewals[name][-1] for name in silent}
        silent.revive()
        revived_at = time.monotonic()
        await until(lambda: all_are(witness, fleet.names, welcome), PATIENCE_S)
        tasks.cancel_scope.cancel()
    fallen = {name: first(witness, name, lambda s: s.ready == "Unknown", silenced_at) for name in silent}
    tainted = [first(witness, name, unreachable, silenced_at) - last[name] for name in silent]
    unknown = [fallen[name] - last[name] for name in silent]
    back = [first(witness, name, welcome, revived_at) - revived_at for name in silent]
    earlier = [fallen[name] - at for name, (at, _) in heard[Finding.UNKNOWN].items() if name in fallen]
    by_itself = sum(reason is Reason.SILENT for _, reason in heard[Finding.UNKNOWN].values())
    with capsys.disabled():
        sys.stdout.write(
            "\n"
            + spread("last renewal to Unknown", unknown)
            + spread("last renewal to NoSchedule taint", tainted)
            + spread("revival to Ready without taints", back)
            + spread("our monitor earlier than the controller", earlier)
            + f"the controller's passes were slow by {slow_s:.2f} s\n"
            + f"found silent by our monitor itself: {by_itself}, the others when the controller had written it\n"
        )
    assert ever(witness, others, lost) == []
    assert min(unknown) >= UNKNOWN_AFTER_S
    assert max(tainted) <= UNKNOWN_WITHIN_S + slow_s
    assert max(back) <= BACK_WITHIN_S
    assert heard[Finding.UNKNOWN].keys() == heard[Finding.RECOVERED].keys() == set(silent)
    assert max(map(abs, earlier)) <= APART_S + slow_s
    assert witness.gaps == 0


SHORT_GRACE_S = 12
SHORT = [f"--node-monitor-grace-period={SHORT_GRACE_S}s", "--node-monitor-period=1s"]


@pytest.fixture
def judged_soon(with_controllers: Path) -> Iterator[ControlPlane]:
    with ControlPlane(with_controllers, controllers=LIFECYCLE, controller_manager_flags=SHORT) as plane:
        yield plane


async def test_a_controller_that_is_restarted_gives_everybody_fresh_grace_and_kubectl_shows_its_verdicts(
    judged_soon: ControlPlane, kubectl_beside: Kubectl
) -> None:
    plane = judged_soon
    kubectl = partial(kubectl_beside, str(plane.kubeconfig))
    async with (
        witnessed(plane, nodes=True) as witness,
        lease_aio.connect(kubeconfig=str(plane.kubeconfig)) as leases,
        leases.fleet(20, register=True, lease_duration_s=8) as fleet,
    ):
        assert await until(lambda: established(witness, fleet.names), PATIENCE_S)
        silent = fleet.select().sample(count=3)
        others = set(fleet.names) - set(silent)
        silent.silence()
        await anyio.sleep(SHORT_GRACE_S * 0.6)
        await anyio.to_thread.run_sync(partial(plane.stop_controller_manager, kill=True))
        restarted = time.monotonic()
        await anyio.to_thread.run_sync(plane.start_controller_manager)
        assert await until(lambda: all_are(witness, silent, unreachable), PATIENCE_S)
        fallen = [first(witness, name, lost, 0) - restarted for name in silent]
        listed = {line.split()[0]: line.split()[1] for line in (await kubectl("get", "nodes")).splitlines()[1:]}
        told = await kubectl("describe", "node", silent.names[0])
        silent.revive()
        assert await until(lambda: all_are(witness, fleet.names, welcome), PATIENCE_S)
    assert min(fallen) >= SHORT_GRACE_S
    assert ever(witness, others, lost) == []
    assert listed == {**dict.fromkeys(others, "Ready"), **dict.fromkeys(silent, "NotReady")}
    assert re.search(rf"HolderIdentity: +{silent.names[0]}\n", told)
    assert re.search(r"Ready +Unknown .* NodeStatusUnknown +Kubelet stopped posting node status", told)
    assert f"{UNREACHABLE}:NoSchedule" in told
