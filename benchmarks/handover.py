"""How fast leadership changes hands, and what waiting costs: this package's candidates beside client-go's.

Each is a process behind a TCP proxy of its own, on a real etcd and kube-apiserver; both kinds are measured in the same
run, with their own defaults after a release and while nothing changes, and with a lease duration of 5 s after SIGKILL.
Then two processes contend for many elections on one event loop each. Needs Go, or KUBEBUILDER_ASSETS and Go for the
peer; takes about eight minutes.

    python benchmarks/handover.py
    python benchmarks/handover.py --releases 20 --peer-releases 5 --kills 3 --seconds 15 --elections 200 --json
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the fleet of processes is that of the tests

from lease_aio.testing.envtest import ControlPlane
from tests.cluster.assets import AssetsError, assets
from tests.torture.build import BuildError, clientgo
from tests.torture.crowd import many
from tests.torture.driver import GO_TIMING, TIMING
from tests.torture.handover import HandOvers, Kind, kills, releases, standby_traffic
from tests.torture.history import Audit
from tests.torture.report import quantiles

CANDIDATES = 3
OURS, PEER = "ours", "client-go"


REST_S = {OURS: 0.5, PEER: 5.0}
"""How long who has stepped down stays away: longer than the others need, or it would win again."""


def kind(who: str, **options: Any) -> Kind:
    return Kind(ours=who == OURS, candidates=CANDIDATES, rest_s=REST_S[who], options=options)


def numbers(found: HandOvers, *, lease_duration_s: float | None = None) -> dict[str, Any]:
    """Quantiles, overlaps, and for SIGKILL how long after the last write."""
    result: dict[str, Any] = {**quantiles(found.seconds), "overlaps": list(found.overlaps)}
    if lease_duration_s is not None:
        result["since_last_write"] = quantiles(found.since_write_s)
    return result


async def measure(plane: ControlPlane, audit: Audit, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """All of it, one after another."""
    result: dict[str, Any] = {"release": {}, "kill": {}, "standby": {}}
    for who, count in ((OURS, given.releases), (PEER, given.peer_releases)):
        found = await releases(plane, audit, folder, kind(who), lease=f"release-{who}", count=count)
        result["release"][who] = numbers(found)
    for who in (OURS, PEER):
        timed = kind(who, timing=TIMING, go_timing=GO_TIMING)
        found = await kills(plane, audit, folder, timed, lease=f"kill-{who}", count=given.kills)
        result["kill"][who] = numbers(found, lease_duration_s=TIMING.lease_duration_s)
    for who in (OURS, PEER):
        traffic = await standby_traffic(plane, audit, folder, kind(who), lease=f"standby-{who}", seconds=given.seconds)
        result["standby"][who] = asdict(traffic)
    result["many"] = asdict(await many(plane, audit, folder, count=given.elections, hold_s=given.seconds / 2))
    return result


def ratio(result: Mapping[str, Any], what: str, which: str) -> float:
    return round(float(result[what][PEER][which] / result[what][OURS][which]), 1)


def text(result: Mapping[str, Any]) -> str:
    """The same for people."""
    lines: list[str] = []
    for what, title in (("release", "after a release"), ("kill", f"after SIGKILL, D = {TIMING.lease_duration_s} s")):
        lines.append(f"{title}, {CANDIDATES} candidates:")
        for who in (OURS, PEER):
            lines.append(f"  {who:9} {_times(result[what][who])}")
            if more := result[what][who].get("since_last_write"):
                lines.append(f"  {'':9} since the last write: {_times(more)}")
            lines += [f"  {'':9} OVERLAP {each}" for each in result[what][who]["overlaps"]]
        lines.append(f"  client-go / ours: p50 {ratio(result, what, 'p50_s')}, p99 {ratio(result, what, 'p99_s')}")
    lines.append("requests while nothing changes:")
    for who, each in result["standby"].items():
        lines.append(
            f"  {who:9} in {each['seconds']:g} s, of one that waits: {each['standby'] or 0}; leader: {each['leader']}"
        )
    return "\n".join([*lines, *_many(result["many"])])


def _times(each: Mapping[str, float]) -> str:
    return f"{each['count']} times: " + ", ".join(
        f"{name} {each[f'{name}_s'] * 1000:.0f} ms" for name in ("p50", "p90", "p99", "max")
    )


def _many(found: Mapping[str, Any]) -> Sequence[str]:
    costs = "; ".join(
        f"{cost['led']} led: {cost['cpu_percent']:.1f} % of a core, {cost['memory_mib']:.0f} MiB"
        for cost in found["costs"]
    )
    return (
        f"{found['elections']} elections, two processes: all led after {found['all_led_s']:.2f} s; {costs}",
        f"  one ends: the other leads all {found['after_release_s']:.2f} s after SIGTERM",
        f"  SIGKILL: the next one's first after {found['first_won_s']:.2f} s, all after {found['after_kill_s']:.2f} s",
        f"  overlaps: {len(found['overlaps'])}; taken too early: {len(found['usurped'])} of {found['history']} writes",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Hand-over times beside client-go's.")
    parser.add_argument("--releases", type=int, default=100)
    parser.add_argument("--peer-releases", type=int, default=20)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=60.0, help="to watch the traffic of those that wait")
    parser.add_argument("--elections", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lease-aio-handover-") as temporary:
        folder = Path(temporary)
        audit = Audit(folder)
        try:
            clientgo()
            with ControlPlane(assets(), apiserver_flags=audit.flags) as plane:
                result = anyio.run(functools.partial(measure, plane, audit, folder, given))
        except (AssetsError, BuildError) as error:
            sys.exit(str(error))
    print(json.dumps(result, indent=1) if given.json else text(result))


if __name__ == "__main__":
    main()
