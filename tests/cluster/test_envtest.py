"""The real control plane as a test harness: it serves, restarts, and leaves nothing behind."""

from __future__ import annotations

import http.client
import os
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lease_aio.testing.envtest import ControlPlane, ControlPlaneError
from lease_aio.testing.servers import Server
from tests.cluster.assets import assets

LEASES = "/apis/coordination.k8s.io/v1/leases"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
GONE_WITHIN_S = 10.0

NODE_LIFECYCLE = "node-lifecycle-controller"
BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager")

HOLD = """
import sys
from lease_aio.testing.envtest import ControlPlane
with ControlPlane(sys.argv[1], controllers=sys.argv[2:]) as plane:
    print(plane.directory, flush=True)
    sys.stdin.read()
"""


def ask(plane: ControlPlane, path: str, *, token: str = "", body: str | None = None, certificate: bool = False) -> int:
    trust = ssl.create_default_context(cafile=plane.ca_file)
    if certificate:
        trust.load_cert_chain(plane.client_cert_file, plane.client_key_file)
    host, port = plane.url.removeprefix("https://").split(":")
    connection = http.client.HTTPSConnection(host, int(port), timeout=10, context=trust)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request("POST" if body else "GET", path, body=body, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def processes_of(directory: Path) -> list[str]:
    """The command lines that name the directory, of processes that run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(directory) in line:
                found.append(line)
    return found


def wait_until_gone(directory: Path) -> None:
    deadline = time.monotonic() + GONE_WITHIN_S
    while (processes_of(directory) or directory.exists()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert processes_of(directory) == []
    assert not directory.exists()


SERVES = f"""#!{sys.executable} -I
import http.server, ssl, sys
flags = dict(each.split("=", 1) for each in sys.argv[1:])
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
secure = flags.get("--secure-port")
port = secure or flags["--listen-client-urls"].rpartition(":")[2]
server = http.server.HTTPServer(("127.0.0.1", int(port)), Ready)
if secure:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(flags["--tls-cert-file"], flags["--tls-private-key-file"])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
"""A server that is ready, and no more."""


def executable(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


def test_an_api_server_that_ended_by_itself_or_never_began_is_started_when_asked(tmp_path: Path) -> None:
    for name in ("etcd", "kube-apiserver"):
        executable(tmp_path / name, SERVES)
    with ControlPlane(tmp_path, stop_timeout_s=1.0) as plane:
        first = plane.pids["kube-apiserver"]
        os.kill(first, signal.SIGKILL)
        while "kube-apiserver" in plane.pids:
            time.sleep(0.01)
        executable(tmp_path / "kube-apiserver", "#!/bin/sh\nexit 7\n")
        with pytest.raises(ControlPlaneError, match="kube-apiserver ended with 7"):
            plane.start_apiserver()
        executable(tmp_path / "kube-apiserver", SERVES)
        plane.start_apiserver()
        assert plane.pids["kube-apiserver"] != first


@pytest.mark.parametrize("name", ["etcd", "kube-apiserver"])
def test_a_missing_binary_is_named(tmp_path: Path, name: str) -> None:
    for other in {"etcd", "kube-apiserver"} - {name}:
        (tmp_path / other).touch(mode=0o755)
    with pytest.raises(ControlPlaneError, match=f"{tmp_path}/{name} is not an executable file.*KUBEBUILDER_ASSETS"):
        ControlPlane(tmp_path)


def test_controllers_without_their_binary_name_what_to_do(tmp_path: Path) -> None:
    for name in ("etcd", "kube-apiserver"):
        (tmp_path / name).touch(mode=0o755)
    with pytest.raises(
        ControlPlaneError,
        match=f"{tmp_path}/kube-controller-manager is not an executable file.*put the .* beside .*, or ask",
    ):
        ControlPlane(tmp_path, controllers=[NODE_LIFECYCLE])


@pytest.mark.parametrize("option", ["apiserver_flags", "controller_manager_flags"])
@pytest.mark.parametrize("flag", ["v=3", "--v", "-v=3"])
def test_a_flag_without_a_value_is_refused(tmp_path: Path, flag: str, option: str) -> None:
    for name in ("etcd", "kube-apiserver"):
        (tmp_path / name).touch(mode=0o755)
    with pytest.raises(ControlPlaneError, match=f"'{flag}' is not a flag of the form --name=value"):
        ControlPlane(tmp_path, **{option: [flag]})


def test_controllers_that_were_not_asked_for_cannot_be_started(tmp_path: Path) -> None:
    for name in ("etcd", "kube-apiserver"):
        (tmp_path / name).touch(mode=0o755)
    with pytest.raises(ControlPlaneError, match=r"has no controllers: ask for some with controllers="):
        ControlPlane(tmp_path).start_controller_manager()


def test_a_server_that_ends_at_once_is_told_with_its_log(tmp_path: Path) -> None:
    for name in ("etcd", "kube-apiserver"):
        (tmp_path / name).write_text("#!/bin/sh\necho this is why\nexit 7\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(ControlPlaneError, match=r"etcd ended with 7; the end of its log[^\n]*\nthis is why"):
        ControlPlane(tmp_path).__enter__()


def test_a_server_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    for name in ("etcd", "kube-apiserver"):
        (tmp_path / name).write_text("#!/bin/sh\necho $$\nexec sleep 60\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(ControlPlaneError, match=r"etcd was not ready after 0.2 s") as raised:
        ControlPlane(tmp_path, start_timeout_s=0.2).__enter__()
    pid = str(raised.value).splitlines()[-1]
    assert not Path("/proc", pid).exists()


@pytest.mark.cluster
def test_a_wrong_flag_is_told_in_the_words_of_the_server() -> None:
    with pytest.raises(ControlPlaneError, match=r"(?s)kube-apiserver ended with 1.*unknown flag: --no-such-flag"):
        ControlPlane(assets(), apiserver_flags=["--no-such-flag=1"]).__enter__()


@pytest.mark.cluster
def test_a_controller_that_does_not_exist_is_told_in_the_words_of_the_server(with_controllers: Path) -> None:
    with pytest.raises(
        ControlPlaneError, match="(?s)kube-controller-manager ended with 1.*no-such.* is not in the list"
    ):
        ControlPlane(with_controllers, controllers=["no-such"]).__enter__()


@pytest.mark.cluster
def test_controllers_start_and_stop_alone_and_end_before_the_api_server(
    with_controllers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = []
    stop = Server.stop
    monkeypatch.setattr(Server, "stop", lambda self, timeout_s: (ended.append(self.name), stop(self, timeout_s)))
    plane = ControlPlane(
        with_controllers,
        controllers=[NODE_LIFECYCLE],
        controller_manager_flags=["--node-monitor-period=2s"],
    )
    with plane:
        assert tuple(plane.pids) == BINARIES
        assert any("--node-monitor-period=2s" in line for line in processes_of(plane.directory))
        assert NODE_LIFECYCLE in (plane.directory / "kube-controller-manager.log").read_text()
        plane.stop_controller_manager()
        plane.stop_controller_manager()
        assert tuple(plane.pids) == BINARIES[:2]
        plane.start_controller_manager()
        first = plane.pids["kube-controller-manager"]
        plane.start_controller_manager()
        assert plane.pids["kube-controller-manager"] == first
        plane.stop_controller_manager(kill=True)
        plane.start_controller_manager()
        assert plane.pids["kube-controller-manager"] != first
        plane.stop_apiserver()
        plane.start_apiserver()
        ended.clear()
    assert ended == list(reversed(BINARIES))
    wait_until_gone(plane.directory)


@pytest.mark.cluster
def test_each_credential_has_its_rights(control_plane: ControlPlane) -> None:
    plane = control_plane
    assert ask(plane, LEASES, token="wrong") == 401
    assert ask(plane, LEASES) == 403
    assert ask(plane, LEASES, token=plane.user_token) == 403
    assert ask(plane, LEASES, token=plane.admin_token) == 200
    assert ask(plane, LEASES, certificate=True) == 200


@pytest.mark.cluster
@pytest.mark.parametrize(("context", "code"), [("admin", 0), ("certificate", 0), ("user", 1)])
def test_the_kubeconfig_serves_kubectl(control_plane: ControlPlane, tmp_path: Path, context: str, code: int) -> None:
    command = [str(assets() / "kubectl"), "--kubeconfig", str(control_plane.kubeconfig), "--context", context]
    command += ["--cache-dir", str(tmp_path), "get", "leases", "-n", "kube-system"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == code, result.stderr
    assert ("HOLDER" in result.stdout) == (code == 0)


@pytest.mark.cluster
def test_what_is_stored_outlives_the_api_server() -> None:
    with ControlPlane(assets(), apiserver_flags=["--max-requests-inflight=123"]) as plane:
        assert any("--max-requests-inflight=123" in line for line in processes_of(plane.directory))
        url, directory = plane.url, plane.directory
        body = '{"metadata": {"name": "kept"}}'
        assert ask(plane, CONFIG_MAPS, token=plane.admin_token, body=body) == 201
        plane.stop_apiserver()
        with pytest.raises(ConnectionRefusedError):
            ask(plane, LEASES, token=plane.admin_token)
        plane.start_apiserver()
        assert ask(plane, f"{CONFIG_MAPS}/kept", token=plane.admin_token) == 200
        plane.stop_apiserver(kill=True)
        plane.start_apiserver()
        plane.start_apiserver()
        assert ask(plane, f"{CONFIG_MAPS}/kept", token=plane.admin_token) == 200
        assert plane.url == url
    assert processes_of(directory) == []
    assert not directory.exists()


@pytest.mark.cluster
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_run_that_is_killed_leaves_nothing_behind(with_controllers: Path, name: str) -> None:
    command = [sys.executable, "-c", HOLD, str(with_controllers), NODE_LIFECYCLE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout
        directory = Path(child.stdout.readline().decode().strip())
        assert len(processes_of(directory)) >= len(BINARIES)
        os.kill(child.pid, signal.Signals[name])
        child.wait()
    wait_until_gone(directory)
