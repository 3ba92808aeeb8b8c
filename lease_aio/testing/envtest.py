"""A real etcd, kube-apiserver and kube-controller-manager on loopback, for tests that must see what Kubernetes does.

Needs no container runtime: a folder with the binaries is enough, in the layout that the ecosystem calls
envtest (``KUBEBUILDER_ASSETS``, as ``setup-envtest`` makes one). Needs the extra ``testing`` for certificates.

Unless some are asked for there are no controllers: no garbage collector, no namespace deletion, no node lifecycle.
RBAC is on.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import os
import ssl
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from lease_aio.testing.credentials import Credentials, write_credentials
from lease_aio.testing.servers import LOOPBACK, ControlPlaneError, Server, free_ports, launch, temporary_directory

__all__ = ["ControlPlane", "ControlPlaneError"]

_ETCD, _APISERVER, _CONTROLLER_MANAGER = "etcd", "kube-apiserver", "kube-controller-manager"


class ControlPlane:
    """One etcd, one kube-apiserver and, if controllers are asked for, one kube-controller-manager.

    They run while the ``with`` block is open, listen on free loopback ports and keep everything in one temporary
    directory. Leaving the block stops them in order (controllers, API server, etcd) with SIGTERM, with SIGKILL after
    ``stop_timeout_s``, and removes the directory. When the owning process dies in any way, the kernel kills them
    (on Linux) and the directory goes too. Starting and stopping block the calling thread: from a coroutine, use
    ``anyio.to_thread.run_sync``.

    Attributes:
        url: Base URL of the API server, ``https://127.0.0.1:port``. It stays the same over a restart.
        directory: The temporary directory, with one ``.log`` for each binary, named like it.
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
        controllers: Sequence[str] = (),
        apiserver_flags: Sequence[str] = (),
        controller_manager_flags: Sequence[str] = (),
        start_timeout_s: float = 60.0,
        stop_timeout_s: float = 15.0,
    ) -> None:
        """Name the binaries; nothing starts before the ``with`` block.

        Args:
            assets: Folder with executable ``etcd`` and ``kube-apiserver``; for controllers also
                ``kube-controller-manager``.
            controllers: Which to run, by the names of kube-controller-manager: ``("node-lifecycle-controller",)``.
                They act as ``admin``, at Kubernetes' defaults but for leader election, which is off: there is one.
            apiserver_flags: More flags, each ``--name=value``. One that is set already is replaced.
            controller_manager_flags: Likewise, for the controllers.
            start_timeout_s: Seconds that each server has to become ready.
            stop_timeout_s: Seconds that each server has to end after SIGTERM.

        Raises:
            ControlPlaneError: A binary is not there, or a flag is not of the form ``--name=value``.
        """
        needed = (_ETCD, _APISERVER, *((_CONTROLLER_MANAGER,) if controllers else ()))
        self._binaries = {name: _binary(Path(assets), name) for name in needed}
        self._controllers = tuple(controllers)
        self._extra_apiserver_flags = _by_name(apiserver_flags)
        self._extra_controller_flags = _by_name(controller_manager_flags)
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._started: dict[str, Server] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            # The kernel ties the parent-death signal to the thread that forked, so one thread forks and stays.
            self._launcher = stack.enter_context(concurrent.futures.ThreadPoolExecutor(1, "control-plane"))
            self.directory = stack.enter_context(temporary_directory())
            self._etcd_port, peer_port, self._port, self._controllers_port = free_ports(4)
            self._take_credentials()
            stack.callback(self._end, _ETCD)
            self._run(_ETCD, self._etcd_flags(peer_port), self._etcd_is_ready)
            stack.callback(self.stop_apiserver)
            self.start_apiserver()
            if self._controllers:
                stack.callback(self.stop_controller_manager)
                self.start_controller_manager()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def pids(self) -> Mapping[str, int]:
        """The process ids of what runs, by the names of the binaries."""
        return {name: server.process.pid for name, server in self._started.items() if server.process.poll() is None}

    def start_apiserver(self) -> None:
        """Start the API server and wait until it is ready; nothing happens if it runs.

        Raises:
            ControlPlaneError: It ended, or was not ready in time.
        """
        self._run(_APISERVER, self._apiserver_flags(), self._apiserver_is_ready)

    def stop_apiserver(self, *, kill: bool = False) -> None:
        """End the API server and wait for it; nothing happens if it does not run. What it stored stays.

        Args:
            kill: End it with SIGKILL, as a crash would, instead of SIGTERM.
        """
        self._end(_APISERVER, kill=kill)

    @contextlib.contextmanager
    def another_apiserver(self, *flags: str, kill: bool = False) -> Generator[Path]:
        """Run one more API server of this host on the same etcd, on a port of its own, while the block is open.

        Args:
            flags: In addition to those of the first, or in their place, each ``--name=value``.
            kill: End it with SIGKILL, as a crash would, instead of SIGTERM.

        Yields:
            A kubeconfig for it, with the same contexts.

        Raises:
            ControlPlaneError: It ended, or was not ready in time.
        """
        (port,) = free_ports(1)
        name = f"{_APISERVER}-{port}"
        self._binaries[name] = self._binaries[_APISERVER]
        kubeconfig = self.directory / f"kubeconfig-{port}"
        kubeconfig.write_text(self.kubeconfig.read_text().replace(self.url, f"https://{LOOPBACK}:{port}"))
        try:
            all_flags = {**self._apiserver_flags(), "--secure-port": str(port), **_by_name(flags)}
            self._run(name, all_flags, lambda: self._secure_answer(port, "/readyz") is not None)
            yield kubeconfig
        finally:
            self._end(name, kill=kill)

    def start_controller_manager(self) -> None:
        """Start the controllers and wait until all of them run; nothing happens if they do. Needs the API server.

        Raises:
            ControlPlaneError: No controllers were asked for; it ended, or was not ready in time.
        """
        if not self._controllers:
            raise ControlPlaneError("this control plane has no controllers: ask for some with controllers=(...)")
        self._run(_CONTROLLER_MANAGER, self._controller_manager_flags(), self._controllers_are_ready)

    def stop_controller_manager(self, *, kill: bool = False) -> None:
        """End the controllers and wait for them; nothing happens if they do not run.

        Args:
            kill: End them with SIGKILL, as a crash would, instead of SIGTERM.
        """
        self._end(_CONTROLLER_MANAGER, kill=kill)

    def _run(self, name: str, flags: Mapping[str, str], ready: Callable[[], bool]) -> None:
        if name not in self.pids:
            argv = [str(self._binaries[name]), *(f"{flag}={value}" for flag, value in flags.items())]
            started = self._launcher.submit(launch, name, argv, self.directory / f"{name}.log").result()
            self._started[name] = started
            started.wait_until(ready, self._start_timeout_s)

    def _end(self, name: str, *, kill: bool = False) -> None:
        if server := self._started.pop(name, None):
            server.stop(0.0 if kill else self._stop_timeout_s)

    def _take_credentials(self) -> None:
        self.url = f"https://{LOOPBACK}:{self._port}"
        self._credentials: Credentials = write_credentials(self.directory, self.url)
        self.ca_file, self.kubeconfig = self._credentials.ca_file, self._credentials.kubeconfig
        self.client_cert_file = self._credentials.client_cert_file
        self.client_key_file = self._credentials.client_key_file
        self.admin_token, self.user_token = self._credentials.admin_token, self._credentials.user_token

    def _etcd_flags(self, peer_port: int) -> dict[str, str]:
        client, peer = f"http://{LOOPBACK}:{self._etcd_port}", f"http://{LOOPBACK}:{peer_port}"
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
        made = self._credentials
        return {
            "--etcd-servers": f"http://{LOOPBACK}:{self._etcd_port}",
            "--bind-address": LOOPBACK,
            "--advertise-address": LOOPBACK,
            "--secure-port": str(self._port),
            "--cert-dir": str(self.directory),
            "--tls-cert-file": str(made.server_cert_file),
            "--tls-private-key-file": str(made.server_key_file),
            "--client-ca-file": str(made.ca_file),
            "--token-auth-file": str(made.tokens_file),
            "--authorization-mode": "RBAC",
            "--service-cluster-ip-range": "10.0.0.0/24",
            "--service-account-issuer": self.url,
            "--service-account-key-file": str(made.server_key_file),
            "--service-account-signing-key-file": str(made.server_key_file),
            "--disable-admission-plugins": "ServiceAccount",
            "--endpoint-reconciler-type": "none",
            **self._extra_apiserver_flags,
        }

    def _controller_manager_flags(self) -> dict[str, str]:
        made = self._credentials
        return {
            "--controllers": ",".join(self._controllers),
            "--kubeconfig": str(made.kubeconfig),
            "--authentication-kubeconfig": str(made.kubeconfig),
            "--authorization-kubeconfig": str(made.kubeconfig),
            "--leader-elect": "false",
            "--bind-address": LOOPBACK,
            "--secure-port": str(self._controllers_port),
            "--tls-cert-file": str(made.server_cert_file),
            "--tls-private-key-file": str(made.server_key_file),
            "--service-account-private-key-file": str(made.server_key_file),
            **self._extra_controller_flags,
        }

    def _etcd_is_ready(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self._etcd_port, timeout=1.0)
        return _answer(connection, "/readyz") is not None

    def _apiserver_is_ready(self) -> bool:
        return self._secure_answer(self._port, "/readyz") is not None

    def _controllers_are_ready(self) -> bool:
        """It answers before it has built its controllers, and names those that it has."""
        health = self._secure_answer(self._controllers_port, "/healthz?verbose=true")
        named = [name for name in self._controllers if name[:1] not in {"*", "-"}]
        return health is not None and all(f"[+]{name} ok" in health for name in named)

    def _secure_answer(self, port: int, path: str) -> str | None:
        trust = ssl.create_default_context(cafile=self.ca_file)
        connection = http.client.HTTPSConnection(LOOPBACK, port, timeout=5.0, context=trust)
        return _answer(connection, path, {"Authorization": f"Bearer {self.admin_token}"})


def _binary(assets: Path, name: str) -> Path:
    file = (assets / name).absolute()
    if not os.access(file, os.X_OK):
        raise ControlPlaneError(f"{file} is not an executable file. {_REMEDIES.get(name, _REMEDY)}")
    return file


_REMEDY = (
    "Give the folder that holds etcd and kube-apiserver, such as the one that setup-envtest makes and "
    "KUBEBUILDER_ASSETS names."
)
_REMEDIES = {
    _CONTROLLER_MANAGER: "setup-envtest does not bring it: put the kube-controller-manager of the same Kubernetes "
    "release beside kube-apiserver, or ask for no controllers."
}


def _by_name(flags: Sequence[str]) -> dict[str, str]:
    for flag in flags:
        if not flag.startswith("--") or "=" not in flag:
            raise ControlPlaneError(f"{flag!r} is not a flag of the form --name=value")
    return dict(flag.split("=", 1) for flag in flags)


def _answer(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str] | None = None) -> str | None:
    """The body of a 200; None for any other answer, and for none."""
    with contextlib.closing(connection):
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.read().decode() if answer.status == http.HTTPStatus.OK else None
        except (OSError, http.client.HTTPException):
            return None
