"""The Authorization header, kept fresh: rotated token files, plugins that are run again, hooks of others."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, runtime_checkable

import anyio
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import ConfigException

from lease_aio.api.transport import Fault, TransportError
from lease_aio.errors import ConfigurationError

_LOOK_EVERY_S = 1.0
_BEARER = "BearerToken"  # the key under which a Configuration keeps the whole header


@runtime_checkable
class CredentialSource(Protocol):
    """A `Configuration.refresh_api_key_hook` that can also be told to renew at once.

    It writes what it finds into the Configuration: `api_key["BearerToken"]` (the whole header), or
    `cert_file` and `key_file`.
    """

    async def __call__(self, configuration: Configuration) -> None:
        """Renew if it is time to; cheap otherwise."""
        ...

    async def renew(self, configuration: Configuration) -> None:
        """Renew now: the server refused what there is."""
        ...


class Credentials:
    """What authenticates the requests of one transport, out of a Configuration.

    The Configuration's own hook is asked at most once a second; requests that come while it works go on with
    what there is. Nothing is sent to an `http://` server, as client-go does: it would be readable on the wire.
    """

    def __init__(self, configuration: Configuration, *, now: Callable[[], float] = time.monotonic) -> None:
        self._configuration: Any = configuration  # its stubs type nothing that is read here
        self._withheld = not str(configuration.host).startswith("https:")
        self._now = now
        self._look_at = float("-inf")
        self._lock = anyio.Lock()
        self.generation = 0  # grows whenever a renewal brought other credentials

    async def header(self) -> str | None:
        """The Authorization header to send now.

        Raises:
            TransportError: there is none, and the hook that should bring one failed.
        """
        if self._configuration.refresh_api_key_hook is not None and not self._withheld and self._now() >= self._look_at:
            await self._look()
        return self._held()

    async def renew(self, generation: int) -> bool:
        """Ask for other credentials than those of `generation`; one renewal serves all that ask meanwhile.

        Returns:
            Whether there are other ones now, so that a second try makes sense.

        Raises:
            TransportError: the plugin or hook failed.
        """
        if self._withheld or self._configuration.refresh_api_key_hook is None:
            return False
        async with self._lock:
            if self.generation == generation:
                await self._ask(renew=True)
            return self.generation != generation

    def _held(self) -> str | None:
        if self._withheld:
            return None
        key = self._configuration.api_key.get(_BEARER)
        prefix = self._configuration.api_key_prefix.get(_BEARER) if key else None
        held: str = f"{prefix} {key}" if prefix else key or ""
        return held.strip() or None

    def _identity(self) -> tuple[str | None, str | None, str | None]:
        return self._held(), self._configuration.cert_file, self._configuration.key_file

    async def _look(self) -> None:
        self._look_at = self._now() + _LOOK_EVERY_S
        try:
            await self._ask(renew=False)
        except TransportError:
            if self._held() is None:
                raise

    async def _ask(self, *, renew: bool) -> None:
        before = self._identity()
        hook: Any = self._configuration.refresh_api_key_hook
        ask: Callable[[Configuration], Awaitable[None] | None] = (
            hook.renew if renew and isinstance(hook, CredentialSource) else hook
        )
        try:
            outcome = ask(self._configuration)
            if inspect.isawaitable(outcome):
                await outcome
        except (ConfigException, ConfigurationError, OSError) as error:
            raise TransportError(Fault.CREDENTIALS, str(error), sent=False) from error
        if self._identity() != before:
            self.generation += 1
