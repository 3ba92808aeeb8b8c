"""Where credentials come from that do not last: token files, and kubernetes_asyncio's providers. See also `plugins`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import anyio
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config.kube_config import KubeConfigLoader

from lease_aio.api.credentials import BEARER
from lease_aio.errors import ConfigurationError

_FILE_EVERY_S = 60.0  # a kubelet replaces a token when a fifth of its life is left
_LOADER_EVERY_S = 60.0
_LOADER_TIMEOUT_S = 60.0


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
            await load(self._loader, configuration)
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"the auth-provider of the kubeconfig brought no token: {error}") from error


async def load(loader: Any, configuration: Configuration) -> None:
    """Let a loader of kubernetes_asyncio fill the Configuration: a provider may run a command, or ask a server, for it.

    Raises:
        ValueError: that took more than a minute; and whatever the loader raises, of which HTTP errors become one, too.
    """
    try:
        with anyio.fail_after(_LOADER_TIMEOUT_S):
            await loader.load_and_set(configuration)
    except TimeoutError as error:
        raise ValueError(f"no answer within {_LOADER_TIMEOUT_S:g} s") from error
    except aiohttp.ClientError as error:
        raise ValueError(str(error) or type(error).__name__) from error
