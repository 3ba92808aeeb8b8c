"""A real etcd and kube-apiserver on loopback, for tests that must see what Kubernetes itself answers.

Needs no container runtime: a folder with the two binaries is enough, in the layout that the ecosystem calls
envtest (``KUBEBUILDER_ASSETS``, as ``setup-envtest`` makes one). Needs the extra ``testing`` for certificates.

There are no controllers: no garbage collector, no namespace deletion, no node lifecycle. RBAC is on.
"""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import http.client
import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["ControlPlane", "ControlPlaneError"]

_LOOPBACK = "127.0.0.1"
_POLL_INTERVAL_S = 0.05
_LOG_TAIL_LINES = 20

# Run by a Python that becomes the server. A parent-death signal outlives exec, and the parent may have died before
# it was armed. Python's ignored SIGPIPE would outlive exec too.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
parent, *argv = sys.argv[1:]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(parent):
    sys.exit("the process that wanted this server is gone")
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
os.execv(argv[0], argv)
"""

# Removes the directory when its standard input ends: closed by us, or by our death.
_REMOVE_AT_END = 'cat >/dev/null; for _ in 1 2 3 4 5; do rm -rf -- "$1" && exit; sleep 0.2; done'


class ControlPlaneError(RuntimeError):
    """The control plane could not be started; the message has the end of the server's log."""


class ControlPlane:
    """One etcd and one kube-apiserver, running while the ``with`` block is open.

    Both listen on free loopback ports and keep everything in one temporary directory. Leaving the block stops
    them in order with SIGTERM (SIGKILL after ``stop_timeout_s``) and removes the directory. When the owning
    process dies in any way, the kernel kills both (on Linux) and the directory goes too. Starting and stopping
    block the calling thread: from a coroutine, use ``anyio.to_thread.run_sync``.

    Attributes:
        url: Base URL of the API server, ``https://127.0.0.1:port``. It stays the same over a restart.
        directory: The temporary directory, with ``etcd.log`` and ``kube-apiserver.log``.
        ca_file: The authority that signed the serving certificate, as PEM.
        admin_token: Bearer token of ``admin`` in ``system:masters``.
        user_token: Bearer token of ``user``, who may do nothing beyond discovery.
        client_cert_file: Client certificate (PEM) of ``admin-by-certificate`` in ``system:masters``.
        client_key_file: Its key (PEM).
        kubeconfig: A kubeconfig with contexts ``admin`` (current), ``user`` and ``certificate``.
    """

    url: str
    directory: Path
    ca_file: Path
    admin_token: str
    user_token: str
    client_cert_file: Path
    client_key_file: Path
    kubeconfig: Path

    def __init__(
        self,
        assets: Path | str,
        *,
        apiserver_flags: Sequence[str] = (),
        start_timeout_s: float = 60.0,
        stop_timeout_s: float = 15.0,
    ) -> None:
        """Name the binaries; nothing starts before the ``with`` block.

        Args:
            assets: Folder with executable ``etcd`` and ``kube-apiserver``.
            apiserver_flags: More flags, each ``--name=value``. One that is set already is replaced.
            start_timeout_s: Seconds that each server has to become ready.
            stop_timeout_s: Seconds that each server has to end after SIGTERM.

        Raises:
            ControlPlaneError: A binary is not there, or a flag is not of the form ``--name=value``.
        """
        self._etcd_binary = _binary(Path(assets), "etcd")
        self._apiserver_binary = _binary(Path(assets), "kube-apiserver")
        self._extra_flags = _by_name(apiserver_flags)
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._apiserver: _Server | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            # The kernel ties the parent-death signal to the thread that forked, so one thread forks and stays.
            self._launcher = stack.enter_context(concurrent.futures.ThreadPoolExecutor(1, "control-plane"))
            self.directory = stack.enter_context(_temporary_directory())
            self._etcd_port, peer_port, self._port = _free_ports(3)
            self._write_credentials()
            etcd = self._start("etcd", self._etcd_binary, self._etcd_flags(peer_port))
            stack.callback(etcd.stop, self._stop_timeout_s)
            etcd.wait_until(self._etcd_is_ready, self._start_timeout_s)
            stack.callback(self.stop_apiserver)
            self.start_apiserver()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start_apiserver(self) -> None:
        """Start the API server and wait until it is ready; nothing happens if it runs.

        Raises:
            ControlPlaneError: It ended, or was not ready in time.
        """
        if self._apiserver is None:
            self._apiserver = self._start("kube-apiserver", self._apiserver_binary, self._apiserver_flags())
            self._apiserver.wait_until(self._apiserver_is_ready, self._start_timeout_s)

    def stop_apiserver(self, *, kill: bool = False) -> None:
        """End the API server and wait for it; nothing happens if it does not run. What it stored stays.

        Args:
            kill: End it with SIGKILL, as a crash would, instead of SIGTERM.
        """
        if self._apiserver is not None:
            self._apiserver.stop(0.0 if kill else self._stop_timeout_s)
            self._apiserver = None

    def _start(self, name: str, binary: Path, flags: dict[str, str]) -> _Server:
        argv = [str(binary), *(f"{flag}={value}" for flag, value in flags.items())]
        return self._launcher.submit(_launch, name, argv, self.directory / f"{name}.log").result()

    def _write_credentials(self) -> None:
        self.url = f"https://{_LOOPBACK}:{self._port}"
        self.ca_file, self.kubeconfig = self.directory / "ca.pem", self.directory / "kubeconfig"
        self.client_cert_file = self.directory / "client.pem"
        self.client_key_file = self.directory / "client.key"
        self.admin_token, self.user_token = secrets.token_hex(16), secrets.token_hex(16)
        _write_certificates(self.directory)
        tokens = f'{self.admin_token},admin,admin,"system:masters"\n{self.user_token},user,user\n'
        (self.directory / "tokens.csv").write_text(tokens)
        self.kubeconfig.write_text(json.dumps(self._kubeconfig(), indent=1))

    def _kubeconfig(self) -> dict[str, object]:
        certificate = {
            "client-certificate-data": _base64(self.client_cert_file),
            "client-key-data": _base64(self.client_key_file),
        }
        users = {
            "admin": {"token": self.admin_token},
            "user": {"token": self.user_token},
            "certificate": certificate,
        }
        cluster = {"server": self.url, "certificate-authority-data": _base64(self.ca_file)}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "envtest", "cluster": cluster}],
            "users": [{"name": name, "user": user} for name, user in users.items()],
            "contexts": [{"name": n, "context": {"cluster": "envtest", "user": n}} for n in users],
            "current-context": "admin",
        }

    def _etcd_flags(self, peer_port: int) -> dict[str, str]:
        client, peer = f"http://{_LOOPBACK}:{self._etcd_port}", f"http://{_LOOPBACK}:{peer_port}"
        return {
            "--data-dir": str(self.directory / "etcd"),
            "--listen-client-urls": client,
            "--advertise-client-urls": client,
            "--listen-peer-urls": peer,
            "--initial-advertise-peer-urls": peer,
            "--initial-cluster": f"default={peer}",
            "--unsafe-no-fsync": "true",
        }

    def _apiserver_flags(self) -> dict[str, str]:
        folder = self.directory
        return {
            "--etcd-servers": f"http://{_LOOPBACK}:{self._etcd_port}",
            "--bind-address": _LOOPBACK,
            "--advertise-address": _LOOPBACK,
            "--secure-port": str(self._port),
            "--cert-dir": str(folder),
            "--tls-cert-file": str(folder / "server.pem"),
            "--tls-private-key-file": str(folder / "server.key"),
            "--client-ca-file": str(self.ca_file),
            "--token-auth-file": str(folder / "tokens.csv"),
            "--authorization-mode": "RBAC",
            "--service-cluster-ip-range": "10.0.0.0/24",
            "--service-account-issuer": self.url,
            "--service-account-key-file": str(folder / "server.key"),
            "--service-account-signing-key-file": str(folder / "server.key"),
            "--disable-admission-plugins": "ServiceAccount",
            "--endpoint-reconciler-type": "none",
            **self._extra_flags,
        }

    def _etcd_is_ready(self) -> bool:
        connection = http.client.HTTPConnection(_LOOPBACK, self._etcd_port, timeout=1.0)
        return _answers(connection, "/readyz", {})

    def _apiserver_is_ready(self) -> bool:
        trust = ssl.create_default_context(cafile=self.ca_file)
        connection = http.client.HTTPSConnection(_LOOPBACK, self._port, timeout=5.0, context=trust)
        return _answers(connection, "/readyz", {"Authorization": f"Bearer {self.admin_token}"})


@dataclass(frozen=True, kw_only=True)
class _Server:
    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_until(self, ready: Callable[[], bool], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not ready():
            if (code := self.process.poll()) is not None:
                raise ControlPlaneError(f"{self.name} ended with {code}{self._log_tail()}")
            if time.monotonic() > deadline:
                self.stop(0.0)
                raise ControlPlaneError(f"{self.name} was not ready after {timeout_s:g} s{self._log_tail()}")
            time.sleep(_POLL_INTERVAL_S)

    def stop(self, timeout_s: float) -> None:
        if timeout_s > 0:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout_s)
        self.process.kill()
        self.process.wait()

    def _log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return f"; the end of its log {self.log}:\n" + "\n".join(lines)


def _launch(name: str, argv: list[str], log: Path) -> _Server:
    wrapper = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid())]
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - the binaries that the caller named
            wrapper + argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return _Server(name=name, process=process, log=log)


@contextlib.contextmanager
def _temporary_directory() -> Generator[Path]:
    """One that is removed even if this process is killed, by a process that does nothing else."""
    directory = tempfile.mkdtemp(prefix="lease-aio-envtest-")
    argv = ["/bin/sh", "-c", _REMOVE_AT_END, "sh", directory]
    remover = subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603 - constant
    try:
        yield Path(directory)
    finally:
        remover.communicate()


def _binary(assets: Path, name: str) -> Path:
    file = (assets / name).absolute()
    if not os.access(file, os.X_OK):
        raise ControlPlaneError(
            f"{file} is not an executable file. Give the folder that holds etcd and kube-apiserver, "
            "such as the one that setup-envtest makes and KUBEBUILDER_ASSETS names."
        )
    return file


def _by_name(flags: Sequence[str]) -> dict[str, str]:
    for flag in flags:
        if not flag.startswith("--") or "=" not in flag:
            raise ControlPlaneError(f"{flag!r} is not a flag of the form --name=value")
    return dict(flag.split("=", 1) for flag in flags)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((_LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _write_certificates(directory: Path) -> None:
    try:
        import trustme  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ControlPlaneError("trustme is not installed: pip install 'lease-aio[testing]' brings it") from error
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    server = authority.issue_cert(_LOOPBACK, "localhost")
    client = authority.issue_cert("localhost", common_name="admin-by-certificate", organization_name="system:masters")
    for name, leaf in (("server", server), ("client", client)):
        leaf.cert_chain_pems[0].write_to_path(directory / f"{name}.pem")
        leaf.private_key_pem.write_to_path(directory / f"{name}.key")


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


def _answers(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> bool:
    with contextlib.closing(connection):
        try:
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
