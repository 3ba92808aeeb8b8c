"""The Authorization header, kept fresh without making requests wait for it."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable
from urllib.parse import urlsplit

import anyio

from lease_aio.api.proxy import is_loopback
from lease_aio.api.transport import Fault, TransportError

if TYPE_CHECKING:
    from kubernetes_asyncio.client import Configuration  # takes most of a second to import

BEARER = "BearerToken"
"""The key under which a Configuration keeps the whole header."""

_LOOK_EVERY_S = 1.0
_RENEW_EVERY_S = 5.0  # a server that refuses everybody must not make us run a plugin for each request


@runtime_checkable
class CredentialSource(Protocol):
    """A `Configuration.refresh_api_key_hook` that can also be told to renew at once.

    It writes what it finds into the Configuration: `api_key["BearerToken"]` (the whole header), or `cert_file` and
    `key_file`.
    """

    async def __call__(self, configuration: Configuration) -> None:
        """Renew if it is time to; cheap otherwise."""
        ...

    async def renew(self, configuration: Configuration) -> None:
        """Renew now: the server refused what there is."""
        ...


class Credentials:
    """What authenticates the requests of one transport, out of a Configuration. Enter it before use.

    The Configuration's hook is asked about once a second, in a task of its own, so a slow plugin delays no request
    and outlives the timeout of the one that needed it; requests wait only where there is nothing to send yet, or
    where the server refused what was sent. Nothing is sent to an `http://` server, as in client-go, since it would be
    readable on the wire; but on loopback there is no wire.
    """

    def __init__(self, configuration: Configuration, *, now: Callable[[], float] = time.monotonic) -> None:
        self._configuration: Any = configuration  # its stubs type nothing that is read here
        self._withheld = _is_in_clear(str(configuration.host))
        self._now = now
        self._look_at = self._renew_at = float("-inf")
        self._tasks: asyncio.TaskGroup | None = None  # asyncio's: it may be left in another task than entered in
        self._refreshing: asyncio.Task[None] | None = None
        self._running: anyio.Event | None = None
        self._error: TransportError | None = None
        self._seen_sendable: str | None = None
        self.generation = 0  # grows whenever there are other credentials than before

    async def __aenter__(self) -> Self:
        self._tasks = await asyncio.TaskGroup().__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        tasks, self._tasks = self._tasks, None
        if self._refreshing is not None:
            self._refreshing.cancel()
        if tasks is not None:
            await tasks.__aexit__(None, None, None)

    async def header(self) -> str | None:
        """The Authorization header to send now, or None for none.

        Raises:
            TransportError: there should be one, and the hook that should bring it failed; or it is none.
        """
        if not self.at_hand():
            await self._finished()
            if self._error is not None and self._identity() == _NOTHING:
                raise self._error
        return self.held()

    def at_hand(self) -> bool:
        """Whether `header` would not wait. Has the hook asked if it is time to."""
        if self._is_fixed:
            return True
        if self._now() >= self._look_at and self._running is None:
            self._start(renew=False)
        return self._identity() != _NOTHING

    def held(self) -> str | None:
        """The Authorization header as it is now, or None for none.

        Raises:
            TransportError: what is held cannot be sent.
        """
        held = self._held()
        if held != self._seen_sendable:
            if held is not None and not held.isprintable():
                raise TransportError(Fault.CREDENTIALS, "the token holds a line break or the like", sent=False)
            self._seen_sendable = held
        return held

    async def renew(self, generation: int) -> bool:
        """Ask for other credentials than those of `generation`; one renewal serves all that ask meanwhile.

        Returns:
            Whether there are other ones now, so that a second try makes sense.

        Raises:
            TransportError: the plugin or hook failed.
        """
        if self._is_fixed:
            return False
        await self._finished()
        if self.generation == generation and self._now() >= self._renew_at:
            self._start(renew=True)
            await self._finished()
            if self._error is not None:
                raise self._error
        return self.generation != generation

    @property
    def _is_fixed(self) -> bool:
        return self._withheld or self._configuration.refresh_api_key_hook is None

    def _held(self) -> str | None:
        if self._withheld:
            return None
        key = self._configuration.api_key.get(BEARER)
        prefix = self._configuration.api_key_prefix.get(BEARER) if key else None
        held: str = f"{prefix} {key}" if prefix else key or ""
        return held.strip() or None

    def _identity(self) -> tuple[str | None, str | None]:
        return self._held(), self._configuration.cert_file

    def _start(self, *, renew: bool) -> None:
        if self._tasks is None:
            raise RuntimeError("the credentials are not open: use them inside `async with`")
        self._running = anyio.Event()
        self._refreshing = self._tasks.create_task(self._refresh(self._running, renew=renew))

    async def _finished(self) -> None:
        if self._running is not None:
            await self._running.wait()

    async def _refresh(self, done: anyio.Event, *, renew: bool) -> None:
        before = self._identity()
        try:
            await self._ask(renew=renew)
            self._error = None
        except Exception as error:  # noqa: BLE001 - a hook of others may raise anything; it must not end the client
            self._error = TransportError(Fault.CREDENTIALS, str(error) or type(error).__name__, sent=False)
        finally:
            self._look_at = self._now() + _LOOK_EVERY_S
            if renew:
                self._renew_at = self._now() + _RENEW_EVERY_S
            self.generation += self._identity() != before
            self._running = None
            done.set()

    async def _ask(self, *, renew: bool) -> None:
        hook: Any = self._configuration.refresh_api_key_hook
        ask: Callable[[Configuration], Awaitable[None] | None] = (
            hook.renew if renew and isinstance(hook, CredentialSource) else hook
        )
        outcome = ask(self._configuration)
        if inspect.isawaitable(outcome):
            await outcome


_NOTHING = (None, None)


def _is_in_clear(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme != "https" and not is_loopback(parts.hostname or "")
