"""Bad input, as the command line answers it: one line with the value and the remedy, and a code of its own."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lease_aio.cli.exits import Exit
from tests.cli.rig import answering, events, invoke, kubeconfig, status

COMMANDS = [
    pytest.param(("lead", "x"), id="lead"),
    pytest.param(("fleet", "--nodes", "3"), id="fleet"),
    pytest.param(("identity", "list"), id="identity-list"),
    pytest.param(("identity", "list", "--watch"), id="identity-list-watch"),
    pytest.param(("identity", "publish"), id="identity-publish"),
    pytest.param(("candidates", "list"), id="candidates-list"),
    pytest.param(("candidates", "coordinate"), id="candidates-coordinate"),
    pytest.param(("members", "join", "workers"), id="members-join"),
    pytest.param(("members", "list", "workers"), id="members-list"),
    pytest.param(("members", "list", "workers", "--watch"), id="members-list-watch"),
    pytest.param(("monitor",), id="monitor"),
]


def one_line(stderr: str) -> str:
    """The error, which is the only line there is."""
    lines = stderr.strip().splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith("lease-aio: error: ")
    return lines[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_cluster_it_says_what_it_tried_and_offers_the_embedded_one(command: tuple[str, ...]) -> None:
    result = invoke(*command)

    assert result.exit_code == Exit.UNREACHABLE
    line = one_line(result.stderr)
    assert "KUBERNETES_SERVICE_HOST is not set" in line
    assert "/nonexistent/.kube/config" in line
    assert "--embedded" in line


@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_that_is_not_there_is_named(command: tuple[str, ...], tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"

        result = invoke(*command, "--kubeconfig", kubeconfig(tmp_path / "k", url))

    assert result.exit_code == Exit.UNREACHABLE
    line = one_line(result.stderr)
    assert url in line
    assert "check that the API server runs" in line


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("code", [200, 404])
def test_a_server_that_is_no_api_server_is_told_so(command: tuple[str, ...], code: int, tmp_path: Path) -> None:
    with answering(code, "<html><title>Welcome</title></html>", "text/html") as url:
        result = invoke(*command, "--kubeconfig", kubeconfig(tmp_path / "k", url))

    assert result.exit_code == Exit.UNREACHABLE
    line = one_line(result.stderr)
    assert url in line
    assert "Kubernetes API server" in line


@pytest.mark.parametrize("command", COMMANDS)
def test_expired_credentials_are_told_with_what_to_do(command: tuple[str, ...], tmp_path: Path) -> None:
    with answering(401, status(401, "Unauthorized", "Unauthorized")) as url:
        result = invoke(*command, "--kubeconfig", kubeconfig(tmp_path / "k", url))

    assert result.exit_code == Exit.REFUSED
    line = one_line(result.stderr)
    assert "401 Unauthorized" in line
    assert "renew these credentials" in line


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_permission_is_told_with_how_to_look_for_it(command: tuple[str, ...], tmp_path: Path) -> None:
    words = 'leases.coordination.k8s.io is forbidden: User "u" cannot get resource "leases"'
    with answering(403, status(403, "Forbidden", words)) as url:
        result = invoke(*command, "--kubeconfig", kubeconfig(tmp_path / "k", url))

    assert result.exit_code == Exit.REFUSED
    line = one_line(result.stderr)
    assert words in line
    assert "kubectl auth can-i" in line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--lease-duration", "5", "--renew-interval", "4"), "--lease-duration 5 --renew-interval 4"),
        (("--lease-duration", "0"), "lease_duration_s=0 must be whole seconds from 1"),
        (("--renew-interval", "-1"), "renew_interval_s=-1.0 must be a positive number"),
        (("--grace", "-1"), "stop_grace_s=-1.0 must be zero or more"),
        (("--grace", "60"), "raise lease_duration_s or lower the others"),
    ],
)
def test_impossible_timings_are_refused_with_their_values(options: tuple[str, ...], words: str) -> None:
    result = invoke("lead", "x", "--embedded", *options)

    assert result.exit_code == Exit.USAGE
    assert words in result.stderr


@pytest.mark.parametrize(
    ("args", "value"),
    [
        (("lead", "Not_A_Name", "--embedded"), "'Not_A_Name'"),
        (("lead", "x", "--embedded", "--namespace", "Wrong!"), "'Wrong!'"),
        (("lead", "x", "--embedded", "--", "no-such-command"), "'no-such-command'"),
        (("fleet", "--nodes", "0", "--embedded"), "--nodes 0"),
        (("fleet", "--seconds", "0", "--embedded"), "--seconds 0"),
        (("fleet", "--prefix", "Node_", "--embedded"), "--prefix 'Node_': name 'Node_0'"),
        (("identity", "publish", "--hostname", "not a host", "--embedded"), "'not a host'"),
        (("identity", "publish", "--hostname", "h" * 64, "--embedded"), "(64 characters)"),
        (("identity", "publish", "--peer-address", "here", "--embedded"), "peer_address='here'"),
        (("identity", "list", "--server", "a b", "--embedded"), "server 'a b'"),
        (("identity", "collect", "--period", "0", "--embedded"), "period_s=0"),
        (("identity", "collect", "--max-skew", "-1", "--embedded"), "max_skew_s=-1"),
        (("demo", "--seconds", "3"), "--seconds 3"),
        (("demo", "--seconds", "inf"), "--seconds inf"),
        (("fleet", "--lease-duration", "0", "--embedded"), "--lease-duration 0"),
        (("serve", "--host", "192.0.2.1"), "192.0.2.1"),
        (("lead", "x", "--embedded", "--context", "c"), "--embedded needs no cluster"),
        (("lead", "x", "--kubeconfig", "/nonexistent/config"), "/nonexistent/config"),
    ],
)
def test_a_value_that_cannot_work_is_named(args: tuple[str, ...], value: str) -> None:
    result = invoke(*args)

    assert result.exit_code == Exit.USAGE
    assert value in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "args",
    [
        ("demo", "--seconds", "3"),
        ("lead", "x", "--embedded", "--lease-duration", "1"),
        ("fleet", "--nodes", "0", "--embedded"),
    ],
)
def test_a_value_that_cannot_work_is_told_before_any_server_starts(args: tuple[str, ...]) -> None:
    assert one_line(invoke(*args).stderr)


def test_an_empty_kubeconfig_is_told_so_in_words(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()

    result = invoke("lead", "x", "--kubeconfig", str(tmp_path / "empty"))

    assert result.exit_code == Exit.USAGE
    assert "is no kubeconfig: it has no clusters, users and contexts" in one_line(result.stderr)


def test_a_kubeconfig_that_is_a_directory_is_told_so(tmp_path: Path) -> None:
    result = invoke("lead", "x", "--kubeconfig", str(tmp_path))

    assert "is a directory; give the file in it" in one_line(result.stderr)


def test_a_namespace_that_does_not_exist_is_told_with_how_to_make_it() -> None:
    result = invoke("lead", "x", "--embedded", "--namespace", "nowhere")

    assert result.exit_code == Exit.USAGE
    assert "kubectl create namespace nowhere" in result.stderr.splitlines()[-1]


def test_programs_get_the_error_as_an_event_too() -> None:
    result = invoke("lead", "Not_A_Name", "--embedded", "--json")

    (error,) = events(result.stdout)
    assert error["event"] == "error"
    assert "'Not_A_Name'" in error["message"]
    assert error["exit_code"] == result.exit_code == Exit.USAGE


def test_an_unknown_option_is_a_usage_error() -> None:
    assert invoke("lead", "--no-such-option").exit_code == Exit.USAGE
