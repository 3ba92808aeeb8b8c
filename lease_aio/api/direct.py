"""The fast way to an API server: requests on kept connections of our own, without a session in between.

A renewal costs clearly less than through aiohttp's session. What that session does for rare cases (proxies,
credentials in the URL, a bound on connections) and all watches still go through it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import socket
import ssl
from collections.abc import Coroutine, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from lease_aio.api.http import AiohttpTransport, explained
from lease_aio.api.pool import Pool, connect
from lease_aio.api.transport import Answer, Fault, TransportError

if TYPE_CHECKING:
    from kubernetes_asyncio.client import Configuration  # takes most of a second to import

    from lease_aio.api.connection import Connection

R = TypeVar("R")

_BLOCKS_KEPT = 8  # of encoded headers: a transport sends the same few again and again
_NEEDED = ("httptools", "aiohappyeyeballs")


def open_transport(
    configuration: Configuration,
    *,
    headers: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> AiohttpTransport:
    """The best transport that can be had: `DirectTransport` with the extra `fast`, else `AiohttpTransport`.

    Args:
        configuration: Host, TLS files, proxy and credentials.
        headers: Sent with every request.
        environ: Where proxy variables are looked up.

    Raises:
        ConfigurationError: as for `AiohttpTransport`.
    """
    fast = all(importlib.util.find_spec(name) is not None for name in _NEEDED)
    kind = DirectTransport if fast else AiohttpTransport
    return kind(configuration, headers=headers, environ=environ)


class DirectTransport(AiohttpTransport):
    """An `AiohttpTransport` whose requests take a shorter way wherever that is the same. Needs the extra `fast`.

    Connections are kept for a minute. As there, a read is sent once more if its connection broke before any of the
    answer came, a write never.

    Args:
        configuration: As for `AiohttpTransport`; so is all else.
    """

    def __init__(self, configuration: Configuration, **settings: Any) -> None:
        super().__init__(configuration, **settings)
        parts = urlsplit(self._base)
        self._is_ordinary = self._proxy is None and not self._connections and "@" not in parts.netloc
        self._host, self._port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._prefix = parts.path
        self._constant = (("Host", parts.netloc), *self._headers.items())
        self._encoded = lru_cache(maxsize=_BLOCKS_KEPT)(_encoded)
        self._pool = Pool()
        self._pool_certificate = self._certificate

    async def __aexit__(self, *exc: object) -> None:
        self._pool.close()
        await super().__aexit__(*exc)
        await asyncio.sleep(0)  # for the transports to say that they are closed

    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_s: float,
    ) -> Answer:
        """See `Transport.request`. What has to wait for nothing but the answer costs no timer of its own."""
        if not self._is_ordinary:
            return await super().request(method, target, headers=headers, body=body, timeout_s=timeout_s)
        self._note_sent(sent=False)
        until = asyncio.get_running_loop().time() + timeout_s
        credentials = self._credentials
        try:
            if not credentials.at_hand():
                await _within(until, credentials.header())
            generation = credentials.generation
            answer = await self._ask(method, target, headers, body, until)
            if answer.status != 401:
                return answer
            self._note_sent(sent=False)  # what was answered with 401 was not done
            if not await _within(until, credentials.renew(generation)):
                return answer
            await _within(until, credentials.header())
            return await self._ask(method, target, headers, body, until)
        except (OSError, ssl.CertificateError) as error:
            raise explained(error, sent=self._was_sent(), timeout_s=timeout_s) from error

    async def _ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, until: float
    ) -> Answer:
        request = self._request(method, target, headers, body)
        spare = self._spare()
        pool, connection = (self._pool, spare) if spare is not None else await _within(until, self._opened())
        self._note_sent(sent=True)
        try:
            answer = await connection.ask(request, until)
        except TimeoutError:
            raise
        except OSError:
            if method != "GET" or connection.begun:
                raise
            connection = await _within(until, self._connect())
            answer = await connection.ask(request, until)
        pool.give_back(connection)
        return answer

    def _request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
        authorization = self._credentials.held()
        own = headers.items() if authorization is None else (*headers.items(), ("Authorization", authorization))
        first = f"{method} {self._prefix}{target} HTTP/1.1\r\n".encode("ascii")
        block = self._encoded((*self._constant, *own))
        if body is None:
            return b"%b%b\r\n" % (first, block)
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (first, block, len(body), body)

    def _spare(self) -> Connection | None:
        """A kept connection, if there is one, and it shows the certificate of now."""
        if self._session is None or self._pool_certificate != self._configuration.cert_file:
            return None
        return self._pool.take()

    async def _opened(self) -> tuple[Pool, Connection]:
        """A connection, new if need be, and where it is given back."""
        await self._current_session()  # it is open, and shows the certificate of now
        if self._pool_certificate != self._certificate:
            self._pool.close()
            self._pool, self._pool_certificate = Pool(), self._certificate
        pool = self._pool
        return pool, pool.take() or await self._connect()

    async def _connect(self) -> Connection:
        name = self._configuration.tls_server_name or self._host
        try:
            return await connect(self._host, self._port, self._ssl, name)
        except socket.gaierror as error:
            raise TransportError(Fault.UNRESOLVED, str(error), sent=False) from error
        except ssl.SSLError as error:
            raise TransportError(Fault.TLS, str(error), sent=False) from error
        except TimeoutError:
            raise
        except OSError as error:
            raise TransportError(Fault.REFUSED, str(error), sent=False) from error


async def _within(until: float, work: Coroutine[Any, Any, R]) -> R:
    async with asyncio.timeout_at(until):
        return await work


def _encoded(headers: tuple[tuple[str, str], ...]) -> bytes:
    return "".join([f"{name}: {value}\r\n" for name, value in headers]).encode("utf-8")
