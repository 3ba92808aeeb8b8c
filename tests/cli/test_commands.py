"""`serve`, `fleet`, `identity` and `demo` as processes of their own."""

from __future__ import annotations

import json
import signal
import stat
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from lease_aio.cli.exits import Exit
from lease_aio.model import MicroTime
from tests.cli.rig import HTTP, Command, events, invoke, served_port

pytestmark = pytest.mark.slow


# ---------------------------------------------------------------------- serve


def test_the_kubeconfig_is_the_owners_alone_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("old")
    path.chmod(0o644)
    with Command("serve", "--json", "--kubeconfig-out", str(path)) as server:
        url = server.event("serving")["url"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert url in path.read_text()
        server.signal(signal.SIGTERM)
        assert server.end()[0] == Exit.TERMINATED

    assert [one.name for one in tmp_path.iterdir()] == ["kubeconfig"]


def test_a_taken_port_is_named(served: str) -> None:
    port = served_port(served)

    result = invoke("serve", "--port", str(port))

    assert result.exit_code == Exit.USAGE
    assert f"127.0.0.1:{port}" in result.stderr
    assert "--port" in result.stderr


def test_a_kubeconfig_that_cannot_be_written_is_named() -> None:
    result = invoke("serve", "--kubeconfig-out", "/nonexistent/kubeconfig")

    assert result.exit_code == Exit.USAGE
    assert "error: --kubeconfig-out /nonexistent/kubeconfig: " in result.stderr
    assert "--host" not in result.stderr


# ---------------------------------------------------------------------- fleet


@pytest.mark.cluster
def test_a_fleet_registers_renews_reports_and_deletes_what_it_created(
    served: str, kubectl_output: Callable[..., str]
) -> None:
    options = ("--nodes", "20", "--prefix", "mine-", "--register", "--delete", "--lease-duration", "8")
    with Command("fleet", "--json", "--kubeconfig", served, "--seconds", "15", *options) as fleet:
        progress = fleet.event("progress")
        assert "mine-19" in kubectl_output(served, "get", "leases", "-n", "kube-node-lease")
        conditions = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        assert kubectl_output(served, "get", "node", "mine-0", "-o", conditions) == "True"
        code, seen, _ = fleet.end()

    assert code == 0
    assert progress["nodes"] == progress["fresh"] == 20
    assert progress["errors"] == 0
    assert set(progress["lateness_s"]) == set(progress["gap_s"]) == {"p50", "p99", "max"}
    report = next(one for one in seen if one["event"] == "report")
    assert report["renewals"] >= 80
    assert report["gap_s"]["max"] < 8
    assert "mine-" not in kubectl_output(served, "get", "leases,nodes", "-A", "-o", "name")


def test_a_fleet_that_is_stopped_still_reports(served: str) -> None:
    with Command("fleet", "--json", "--kubeconfig", served, "--nodes", "5") as fleet:
        fleet.event("starting")
        fleet.signal(signal.SIGINT)
        code, seen, _ = fleet.end()

    assert code == Exit.INTERRUPTED
    assert seen[-1]["event"] == "report"


PLOT = """
duration: 8s
fleet: {register: true, lease_duration: 4s, groups: [{count: 20, prefix: sim-, zones: [a, b]}]}
steps: [{at: 2s, silence: zone=b, count: 5, for: 5s}]
expect: [{at: 3s, ready: all}, {at: end, gap_max: 1m}]
"""


def test_a_scenario_runs_on_an_embedded_server_and_leaves_its_report(tmp_path: Path) -> None:
    plot, page, document = tmp_path / "plot.yaml", tmp_path / "report.html", tmp_path / "report.json"
    plot.write_text(PLOT)
    reports = ("--report", str(page), "--report-json", str(document))
    with Command("fleet", "--embedded", "--json", "--scenario", str(plot), "--metrics", "0", *reports) as fleet:
        url = fleet.event("metrics")["url"]
        fleet.event("step")
        with HTTP.open(url) as answer:
            metrics = answer.read().decode()
        code, seen, stderr = fleet.end()

    assert code == 0, stderr
    assert 'lease_aio_fleet_nodes{fleet="fleet",state="silenced"} 5.0' in metrics
    assert [one["event"] for one in seen if one["event"] in {"step", "expectation"}] == [
        "step",
        "expectation",
        "step",
        "expectation",
    ]
    assert [one["path"] for one in seen if one["event"] == "written"] == [str(page), str(document)]
    marks = json.loads(document.read_text())["timeline"]["marks"]
    assert [mark["text"] for mark in marks if mark["kind"] == "scenario"] == [
        "silence 5 of zone=b for 5s",
        "silence ends after 5s: 5 of zone=b",
    ]
    assert len([mark for mark in marks if mark["kind"] == "expectation"]) == 2
    assert "<html" in page.read_text()


def test_the_shipped_scenarios_are_listed() -> None:
    listed = invoke("fleet", "--list-scenarios")
    assert listed.exit_code == 0
    assert any(line.startswith("zone-outage ") and "150 nodes" in line for line in listed.stdout.splitlines())
    names = [one["name"] for one in events(invoke("fleet", "--list-scenarios", "--json").stdout)]
    assert len(names) >= 10
    assert names == sorted(names)


# ---------------------------------------------------------------------- identity


def test_an_identity_is_published_listed_and_withdrawn(served: str) -> None:
    with Command("identity", "publish", "--json", "--kubeconfig", served, "--hostname", "cp-1") as publisher:
        holder = publisher.event("published")["holder"]
        listed = invoke("identity", "list", "--kubeconfig", served)
        (one,) = events(invoke("identity", "list", "--json", "--kubeconfig", served).stdout)
        publisher.signal(signal.SIGTERM)
        code, seen, _ = publisher.end()

    header, row = listed.stdout.splitlines()
    assert header.split() == ["NAME", "HOST", "HOLDER", "AGE", "RENEWED", "STATE"]
    assert row.split()[1:3] == ["cp-1", holder]
    assert row.endswith("fresh")
    assert (one["hostname"], one["holder"], one["state"]) == ("cp-1", holder, "fresh")
    assert code == Exit.TERMINATED
    assert seen[-1]["event"] == "withdrawing"
    assert "No API server identities" in invoke("identity", "list", "--kubeconfig", served).stdout


def test_a_watched_list_tells_who_comes_and_goes(served: str) -> None:
    where = ("--json", "--server", "theirs", "--kubeconfig", served)
    with Command("identity", "list", "--watch", *where) as watching:
        watching.event("watching")
        with Command("identity", "publish", "--hostname", "cp-3", *where) as publisher:
            holder = publisher.event("published")["holder"]
            appeared = watching.event("change")
            publisher.signal(signal.SIGTERM)
            publisher.end()
        gone = watching.event("change")

    assert (appeared["type"], appeared["holder"], appeared["state"]) == ("appeared", holder, "fresh")
    assert (gone["type"], gone["holder"]) == ("gone", holder)


def test_what_was_left_expires_and_is_collected_after_a_dry_run_has_told_so(served: str) -> None:
    with Command(
        "identity", "publish", "--json", "--keep", "--server", "mine", "--kubeconfig", served, "--hostname", "cp-4"
    ) as publisher:
        lease = publisher.event("published")["lease"]
        publisher.signal(signal.SIGTERM)
        assert publisher.end()[1][-1]["event"] == "leaving"
    collect = ("identity", "collect", "--once", "--server", "mine", "--kubeconfig", served)
    untouched = invoke(*collect)
    backdate(served, lease.partition("/")[2])
    told = invoke(*collect, "--dry-run")
    listed = invoke("identity", "list", "--server", "mine", "--kubeconfig", served)
    *collected, done = events(invoke(*collect, "--json").stdout)

    assert untouched.stdout == "1 identities found, 0 collected, 0 spared\n"
    assert told.stdout.splitlines()[0].startswith("would collect apiserver-")
    assert told.stdout.splitlines()[1] == "1 identities found, 1 to collect, 0 spared"
    assert listed.stdout.splitlines()[1].endswith("expired")
    assert [(one["hostname"], one["dry_run"]) for one in collected] == [("cp-4", False)]
    assert (done["found"], done["collected"], done["skew_s"]) == (1, 1, 0)
    assert "No API server" in invoke("identity", "list", "--server", "mine", "--kubeconfig", served).stdout


def test_a_collector_that_runs_on_tells_of_each_pass(served: str) -> None:
    with Command("identity", "collect", "--json", "--period", "0.2", "--kubeconfig", served) as collector:
        assert [collector.event("collection")["failed"] for _ in range(3)] == [0, 0, 0]
        collector.signal(signal.SIGINT)
        assert collector.end()[0] == Exit.INTERRUPTED


def backdate(kubeconfig: str, name: str) -> None:
    """As if nobody had renewed it for two hours."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{served_port(kubeconfig)}/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{name}",
        data=json.dumps({"spec": {"renewTime": str(MicroTime(time.time_ns() // 1000 - 7200 * 10**6))}}).encode(),
        headers={"Content-Type": "application/merge-patch+json"},
        method="PATCH",
    )
    with HTTP.open(request) as answer:
        assert answer.status == 200


# ---------------------------------------------------------------------- demo


def test_the_demos_report_is_what_the_server_stored() -> None:
    with Command("demo", "--seconds", "10", "--json") as demo:
        code, seen, stderr = demo.end()

    report = seen[-1]
    assert report["event"] == "report"
    assert [check for check in report["checks"] if not check["true"]] == []
    assert code == 0, stderr
    assert [one["cause"] for one in report["handovers"]] == ["crash", "resignation"]
    names = [one["event"] for one in seen]
    assert {"demo", "started", "crashed", "restarted", "resigned", "handover", "silenced", "progress"} <= set(names)


@pytest.mark.cluster
def test_on_a_given_cluster_the_demo_leaves_nothing_behind_even_when_stopped(
    served: str, kubectl_output: Callable[..., str]
) -> None:
    with Command("demo", "--seconds", "30", "--json", "--kubeconfig", served) as demo:
        demo.event("started")
        demo.event("progress")
        assert "lease-aio-demo-" in kubectl_output(served, "get", "leases", "-A", "-o", "name")
        demo.signal(signal.SIGINT)
        code, _, _ = demo.end()

    assert code == Exit.INTERRUPTED
    left = json.loads(kubectl_output(served, "get", "leases", "-A", "-o", "json"))["items"]
    assert [one["metadata"]["name"] for one in left if one["metadata"]["name"].startswith("lease-aio-demo-")] == []
