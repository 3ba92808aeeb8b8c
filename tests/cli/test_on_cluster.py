"""The command line against a real kube-apiserver."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from lease_aio.cli.exits import Exit
from lease_aio.naming import apiserver_identity_name
from lease_aio.testing.envtest import ControlPlane
from tests.cli.rig import PATIENCE_S, Command, invoke

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_the_demos_report_is_what_the_real_server_stored_and_nothing_is_left(
    control_plane: ControlPlane, kubectl_output: Callable[..., str]
) -> None:
    config = str(control_plane.kubeconfig)
    with Command("demo", "--seconds", "15", "--json", "--kubeconfig", config) as demo:
        code, seen, stderr = demo.end()

    assert [check for check in seen[-1]["checks"] if not check["true"]] == []
    assert code == 0, stderr
    assert "lease-aio-demo-" not in kubectl_output(config, "get", "leases", "-A", "-o", "name")


def test_the_real_servers_identity_is_listed_and_not_collected(control_plane: ControlPlane) -> None:
    where = ("--kubeconfig", str(control_plane.kubeconfig))
    name = apiserver_identity_name(socket.gethostname())
    until = time.monotonic() + PATIENCE_S
    while name not in (listed := invoke("identity", "list", *where)).stdout and time.monotonic() < until:
        time.sleep(0.2)  # it is ready before it has published itself
    collected = invoke("identity", "collect", "--once", *where)

    rows = [line.split() for line in listed.stdout.splitlines()]
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
