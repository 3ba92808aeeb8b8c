"""Credentials from exec plugins: commands that print an ExecCredential (client.authentication.k8s.io)."""

from __future__ import annotations

import atexit
import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import msgspec
from kubernetes_asyncio.client import Configuration

from lease_aio.api.sources import set_token
from lease_aio.errors import ConfigurationError, MalformedObject
from lease_aio.model import Time
from lease_aio.model.wire import read

_EARLY_S = 30.0
_TIMEOUT_S = 60.0
_CLUSTER_KEYS = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
_CLUSTER_EXTENSION = "client.authentication.k8s.io/exec"


class _Variable(msgspec.Struct):
    name: str
    value: str


class _Section(msgspec.Struct, rename="camel"):
    """The `exec` section of a kubeconfig's user."""

    command: str
    api_version: str
    args: list[str] | None = None
    env: list[_Variable] | None = None
    install_hint: str | None = None
    interactive_mode: str | None = None
    provide_cluster_info: bool = False


class _Credential(msgspec.Struct, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: str | None = None


class _ExecCredential(msgspec.Struct, rename="camel"):
    kind: str
    api_version: str
    status: _Credential


_exec_credentials = msgspec.json.Decoder(_ExecCredential)


class ExecPlugin:
    """A `CredentialSource`: a command that prints an ExecCredential.

    Run at first use, shortly before what it printed expires, and when the server refuses that. It gets no standard
    input and a minute at most.

    Args:
        spec: The `exec` section of a kubeconfig's user.
        folder: The kubeconfig's, from which a relative command is found.
        cluster: What the plugin is told of the cluster if it asks for that: see `cluster_info`.
        wall_s: Epoch seconds, with which the expiry is compared.

    Raises:
        ConfigurationError: the section is malformed, or wants a terminal.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        *,
        folder: Path,
        cluster: Mapping[str, Any] | None = None,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        section = _section(spec)
        path = folder / section.command if os.sep in section.command else Path(section.command)
        self._api_version = section.api_version
        self._argv = [str(path), *(section.args or ())]
        self._env = {item.name: item.value for item in section.env or ()}
        self._hint = section.install_hint or "install it, or mend `command` in the kubeconfig"
        self._told = {"cluster": cluster} if section.provide_cluster_info and cluster else {}
        self._wall_s = wall_s
        self._run_at = float("-inf")
        self._certificates = _CertificateFiles()

    async def __call__(self, configuration: Configuration) -> None:
        """See `CredentialSource`."""
        if self._wall_s() >= self._run_at:
            await self.renew(configuration)

    async def renew(self, configuration: Configuration) -> None:
        """See `CredentialSource`."""
        credential = self._read(await self._run())
        self._run_at = self._due(credential)
        if credential.token:
            set_token(configuration, credential.token)
        if credential.client_certificate_data:
            configuration.cert_file, configuration.key_file = self._certificates.keep(
                credential.client_certificate_data, credential.client_key_data or ""
            )

    async def _run(self) -> bytes:
        spec = {"interactive": False, **self._told}
        info = {"apiVersion": self._api_version, "kind": "ExecCredential", "spec": spec}
        environ = {**os.environ, **self._env, "KUBERNETES_EXEC_INFO": json.dumps(info)}
        try:
            with anyio.fail_after(_TIMEOUT_S):
                done = await anyio.run_process(self._argv, stdin=subprocess.DEVNULL, env=environ, check=False)
        except TimeoutError as error:
            raise ConfigurationError(f"{self._name} gave no answer within {_TIMEOUT_S:g} s") from error
        except OSError as error:
            raise ConfigurationError(f"{self._name} cannot be run ({error.strerror}): {self._hint}") from error
        except ValueError as error:  # a NUL in an argument
            raise ConfigurationError(f"{self._name} cannot be run ({error}): mend it in the kubeconfig") from error
        if done.returncode != 0:
            words = " ".join(done.stderr.decode("utf-8", "replace").split())[-300:]
            raise ConfigurationError(f"{self._name} failed with exit code {done.returncode}: {words or 'no words'}")
        return done.stdout

    def _read(self, output: bytes) -> _Credential:
        try:
            found = read(_exec_credentials, output, "ExecCredential")
        except MalformedObject as error:
            raise ConfigurationError(f"{self._name} printed no ExecCredential: {error}") from error
        if found.api_version != self._api_version:
            raise ConfigurationError(
                f"{self._name} speaks {found.api_version!r}, the kubeconfig {self._api_version!r}: make them agree"
            )
        if not found.status.token and not (found.status.client_certificate_data and found.status.client_key_data):
            raise ConfigurationError(f"{self._name} printed neither a token nor a client certificate with its key")
        return found.status

    def _due(self, credential: _Credential) -> float:
        if not credential.expiration_timestamp:
            return float("inf")
        try:
            expires = Time.parse(credential.expiration_timestamp).epoch_us / 1e6
        except ValueError as error:
            raise ConfigurationError(f"{self._name} printed a wrong expirationTimestamp: {error}") from error
        life_s = expires - self._wall_s()
        return expires - min(_EARLY_S, max(0.0, life_s / 2))

    @property
    def _name(self) -> str:
        return f"the exec plugin {self._argv[0]!r}"


def _section(spec: Mapping[str, Any]) -> _Section:
    try:
        section = msgspec.convert(spec, _Section)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"the exec section of the kubeconfig's user cannot work: {error}: mend it") from error
    if section.interactive_mode == "Always":
        raise ConfigurationError(
            f"the exec plugin {section.command!r} wants a terminal (interactiveMode: Always), and gets none: "
            "choose another way to log in"
        )
    return section


def cluster_info(cluster: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What a plugin with `provideClusterInfo` is told, out of the `cluster` section of a kubeconfig.

    Args:
        cluster: The section.
        folder: From which its files are found.

    Raises:
        OSError: the file of its authority cannot be read.
    """
    info = {key: cluster[key] for key in _CLUSTER_KEYS if cluster.get(key)}
    if (authority := cluster.get("certificate-authority")) and "certificate-authority-data" not in info:
        info["certificate-authority-data"] = base64.b64encode((folder / authority).read_bytes()).decode()
    for extension in cluster.get("extensions") or ():
        if extension.get("name") == _CLUSTER_EXTENSION:
            info["config"] = extension.get("extension")
    return info


class _CertificateFiles:
    """Keeps the last two certificates with their keys in files of their owner alone: connections may still need one."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._held: list[tuple[str, str, Path, Path]] = []
        self._count = 0

    def keep(self, certificate: str, key: str) -> tuple[str, str]:
        """The names of their files; the same ones for what was kept last."""
        if not self._held or self._held[-1][:2] != (certificate, key):
            self._held.append((certificate, key, *self._written(certificate, key)))
        while len(self._held) > 2:
            for path in self._held.pop(0)[2:]:
                path.unlink(missing_ok=True)
        return str(self._held[-1][2]), str(self._held[-1][3])

    def _written(self, certificate: str, key: str) -> tuple[Path, Path]:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="lease-aio-"))  # which only its owner may enter
            atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        self._count += 1
        paths = self._folder / f"{self._count}.crt", self._folder / f"{self._count}.key"
        for path, pem in zip(paths, (certificate, key), strict=True):
            path.write_text(pem)
        return paths
