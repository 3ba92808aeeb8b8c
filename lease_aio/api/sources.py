"""Where credentials come from when they do not last: token files, exec plugins, kubernetes_asyncio's providers."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import msgspec
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config.kube_config import FileOrData, KubeConfigLoader

from lease_aio.api.credentials import BEARER
from lease_aio.errors import ConfigurationError, MalformedObject
from lease_aio.model import Time
from lease_aio.model.wire import read

_FILE_EVERY_S = 60.0  # a kubelet replaces a token when a fifth of its life is left
_LOADER_EVERY_S = 60.0
_EARLY_S = 30.0
_PLUGIN_TIMEOUT_S = 60.0


def set_token(configuration: Configuration, token: str) -> None:
    """Make the Configuration send that bearer token."""
    settings: Any = configuration
    settings.api_key[BEARER] = f"Bearer {token}"


class TokenFile:
    """A `CredentialSource`: a file that somebody else rotates, read again every minute."""

    def __init__(self, path: Path, *, now: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._now = now
        self._read_at = float("-inf")

    async def __call__(self, configuration: Configuration) -> None:
        """See `CredentialSource`."""
        if self._now() >= self._read_at:
            await self.renew(configuration)

    async def renew(self, configuration: Configuration) -> None:
        """See `CredentialSource`."""
        token = (await anyio.Path(self._path).read_text()).strip()
        if not token:
            raise ConfigurationError(f"the token file {str(self._path)!r} is empty: whoever writes it has to mend it")
        set_token(configuration, token)
        self._read_at = self._now() + _FILE_EVERY_S


class ProviderSource:
    """A `CredentialSource`: kubernetes_asyncio's own providers (OIDC, GCP), which renew when a token nears its end."""

    def __init__(self, loader: KubeConfigLoader, *, now: Callable[[], float] = time.monotonic) -> None:
        self._loader: Any = loader
        self._now = now
        self._ask_at = now() + _LOADER_EVERY_S

    async def __call__(self, configuration: Configuration) -> None:
        """See `CredentialSource`."""
        if self._now() >= self._ask_at:
            await self.renew(configuration)

    async def renew(self, configuration: Configuration) -> None:
        """See `CredentialSource`."""
        self._ask_at = self._now() + _LOADER_EVERY_S
        try:
            await self._loader.load_and_set(configuration)
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"the auth-provider of the kubeconfig brought no token: {error}") from error


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
    """A `CredentialSource`: a command that prints an ExecCredential (client.authentication.k8s.io).

    Run at first use, shortly before what it printed expires, and when the server refuses that. It gets no standard
    input and a minute at most.

    Args:
        spec: The `exec` section of a kubeconfig's user.
        folder: The kubeconfig's, from which a relative command is found.
        wall_s: Epoch seconds, with which the expiry is compared.

    Raises:
        ConfigurationError: the section is malformed.
    """

    def __init__(self, spec: Mapping[str, Any], *, folder: Path, wall_s: Callable[[], float] = time.time) -> None:
        for key in ("command", "apiVersion"):
            if not isinstance(spec.get(key), str):
                raise ConfigurationError(f"the exec section of the kubeconfig's user has no {key}: add it")
        command = str(spec["command"])
        path = folder / command if os.sep in command else Path(command)
        self._api_version = str(spec["apiVersion"])
        self._argv = [str(path), *(str(arg) for arg in spec.get("args") or ())]
        self._env = {str(item["name"]): str(item["value"]) for item in spec.get("env") or ()}
        self._hint = str(spec.get("installHint") or "install it, or mend `command` in the kubeconfig")
        self._wall_s = wall_s
        self._run_at = float("-inf")

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
            configuration.cert_file = _written(credential.client_certificate_data)
            configuration.key_file = _written(credential.client_key_data or "")

    async def _run(self) -> bytes:
        info = {"apiVersion": self._api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
        environ = {**os.environ, **self._env, "KUBERNETES_EXEC_INFO": json.dumps(info)}
        try:
            with anyio.fail_after(_PLUGIN_TIMEOUT_S):
                done = await anyio.run_process(self._argv, stdin=subprocess.DEVNULL, env=environ, check=False)
        except TimeoutError as error:
            raise ConfigurationError(f"{self._name} gave no answer within {_PLUGIN_TIMEOUT_S:g} s") from error
        except OSError as error:
            raise ConfigurationError(f"{self._name} cannot be run ({error.strerror}): {self._hint}") from error
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


def _written(pem: str) -> str:
    """Write to a private file that kubernetes_asyncio removes at exit."""
    holder = FileOrData({"pem": pem}, "", data_key_name="pem", base64_file_content=False)
    return str(holder.as_file())
