"""The command line against a real kube-apiserver."""

from __future__ import annotations

import socket
import subprocess

import pytest

from lease_aio.cli.exits import Exit
from lease_aio.naming import apiserver_identity_name
from lease_aio.testing.envtest import ControlPlane
from tests.cli.rig import Command, invoke

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.mark.timeout(120)
def test_the_demos_report_is_what_the_real_server_stored_and_nothing_is_left(control_plane: ControlPlane) -> None:
    config = str(control_plane.kubeconfig)
    with Command("demo", "--seconds", "15", "--json", "--kubeconfig", config) as demo:
        code, seen, stderr = demo.end()

    assert [check for check in seen[-1]["checks"] if not check["true"]] == []
    assert code == 0, stderr
    command = ["kubectl", "--kubeconfig", config, "get", "leases", "-A", "-o", "name"]
    assert "lease-aio-demo-" not in subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_real_servers_identity_is_listed_and_not_collected(control_plane: ControlPlane) -> None:
    where = ("--kubeconfig", str(control_plane.kubeconfig))
    listed = invoke("identity", "list", *where)
    collected = invoke("identity", "collect", "--once", *where)

    rows = [line.split() for line in listed.stdout.splitlines()]
    name = apiserver_identity_name(socket.gethostname())
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        ("NAME", "HOST", "STATE"),
        (name, socket.gethostname(), "fresh"),
    ]
    assert collected.stdout == "1 identities found, 0 collected, 0 spared\n"


@pytest.mark.parametrize(
    "command", [("lead", "x"), ("fleet", "--nodes", "2"), ("identity", "publish"), ("identity", "collect", "--once")]
)
def test_who_may_not_is_told_so(control_plane: ControlPlane, command: tuple[str, ...]) -> None:
    result = invoke(*command, "--kubeconfig", str(control_plane.kubeconfig), "--context", "user")

    assert result.exit_code == Exit.REFUSED
    assert 'User "user" cannot' in result.stderr


def test_a_missing_namespace_is_told_so(control_plane: ControlPlane) -> None:
    result = invoke("lead", "x", "--kubeconfig", str(control_plane.kubeconfig), "--namespace", "nowhere")

    assert result.exit_code == Exit.USAGE
    assert "kubectl create namespace nowhere" in result.stderr
