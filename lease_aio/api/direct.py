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
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lease_aio.api.http import AiohttpTransport
from lease_aio.api.pool import Pool, connect
from lease_aio.api.transport import Answer, Fault, TransportError

if TYPE_CHECKING:
    from kubernetes_asyncio.client import Configuration  # takes most of a second to import

    from lease_aio.api.connection import Connection

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
        self._constant = _encoded({"Host": parts.netloc, **self._headers})
        self._pool = Pool()
        self._pool_certificate = self._certificate

    async def __aexit__(self, *exc: object) -> None:
        self._pool.close()
        await super().__aexit__(*exc)
        await asyncio.sleep(0)  # for the transports to say that they are closed

    async def _exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        if not self._is_ordinary:
            return await super()._exchange(method, target, headers, body)
        authorization = await self._credentials.header()
        generation = self._credentials.generation
        answer = await self._ask(method, self._request(method, target, headers, authorization, body))
        if answer.status != 401:
            return answer
        self._note_sent(sent=False)  # what was answered with 401 was not done
        if not await self._credentials.renew(generation):
            return answer
        authorization = await self._credentials.header()
        return await self._ask(method, self._request(method, target, headers, authorization, body))

    def _request(
        self, method: str, target: str, headers: Mapping[str, str], authorization: str | None, body: bytes | None
    ) -> bytes:
        own = _encoded(headers if authorization is None else {**headers, "Authorization": authorization})
        first = f"{method} {self._prefix}{target} HTTP/1.1\r\n".encode("ascii")
        if body is None:
            return b"%b%b%b\r\n" % (first, self._constant, own)
        return b"%b%b%bContent-Length: %d\r\n\r\n%b" % (first, self._constant, own, len(body), body)

    async def _ask(self, method: str, request: bytes) -> Answer:
        await self._current_session()  # it is open, and shows the certificate of now
        if self._pool_certificate != self._certificate:
            self._pool.close()
            self._pool, self._pool_certificate = Pool(), self._certificate
        pool = self._pool
        connection = pool.take() or await self._connect()
        self._note_sent(sent=True)
        try:
            answer = await connection.ask(request)
        except OSError:
            if method != "GET" or connection.begun:
                raise
            connection = await self._connect()
            answer = await connection.ask(request)
        pool.give_back(connection)
        return answer

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


def _encoded(headers: Mapping[str, str]) -> bytes:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode("utf-8")
