"""Bytes over HTTP/1.1 with aiohttp: one session, a pool of kept connections, credentials that stay fresh.

The session is not kubernetes_asyncio's: that one trusts the environment on each request, which costs two
hops to a thread. Host, TLS, proxy and credentials are taken from its Configuration all the same.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Coroutine, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self, TypeVar

import aiohttp
import anyio
from yarl import URL

from lease_aio.api.credentials import Credentials
from lease_aio.api.proxy import choose_proxy, is_http_url
from lease_aio.api.transport import Answer, Fault, TransportError, check_length
from lease_aio.errors import ConfigurationError

if TYPE_CHECKING:
    from kubernetes_asyncio.client import Configuration  # takes most of a second to import

R = TypeVar("R")

USER_AGENT = "lease-aio"
_MAX_LINE = 16 * 2**20  # etcd takes objects of 1.5 MiB
_READ_BUFFER = 2 * 2**20
_KEEPALIVE_S = 60.0  # servers close idle connections after 75 s (aiohttp) or 90 s (kube-apiserver): be first
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None)

_connected: ContextVar[bool] = ContextVar("lease_aio_connected", default=False)


class _Connector(aiohttp.TCPConnector):
    """Notes when a request has got its connection: from then on it may have reached the server."""

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        connection = await super().connect(*args, **kwargs)
        _connected.set(True)
        return connection


class AiohttpTransport:
    """A `Transport` over an aiohttp session of its own. Enter it before use; leaving it closes every connection.

    Args:
        configuration: Host, TLS files, proxy and credentials. It is read again where credentials may change.
        headers: Sent with every request, e.g. `Impersonate-User`.
        connections: At most so many at once, watches included; 0 for no bound.
        environ: Where proxy variables are looked up, once, here.

    Raises:
        ConfigurationError: the host is no http(s) URL, a certificate cannot be read, the proxy is not spoken, or a
            header holds what none can.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        headers: Mapping[str, str] | None = None,
        connections: int = 0,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._configuration: Any = configuration  # its stubs leave half of it untyped
        self._base = _base_url(str(configuration.host))
        self._proxy = choose_proxy(self._base, explicit=configuration.proxy, environ=environ)
        self._ssl = _ssl_context(configuration) if self._base.startswith("https:") else None
        self._credentials = Credentials(configuration)
        self._headers = _checked({"User-Agent": USER_AGENT, **(headers or {})})
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._certificate = configuration.cert_file
        self._retired: aiohttp.ClientSession | None = None  # its connections showed the certificate before this one

    @property
    def origin(self) -> str:
        """Scheme, host and port, for messages."""
        return self._base

    async def __aenter__(self) -> Self:
        await self._credentials.__aenter__()
        self._session = self._new_session()
        return self

    async def __aexit__(self, *exc: object) -> None:
        sessions = [session for session in (self._session, self._retired) if session is not None]
        self._session = self._retired = None
        with anyio.CancelScope(shield=True):
            for session in sessions:
                await session.close()
        await self._credentials.__aexit__(*exc)

    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_s: float,
    ) -> Answer:
        """See `Transport.request`."""
        return await self._bounded(self._exchange(method, target, headers, body), timeout_s)

    async def stream(self, target: str, *, headers: Mapping[str, str], timeout_s: float) -> AiohttpStream:
        """See `Transport.stream`."""
        response = await self._bounded(self._send("GET", target, headers, None), timeout_s)
        return AiohttpStream(response)

    @staticmethod
    def _note_sent(*, sent: bool) -> None:
        """Whether the present request may have reached the server."""
        _connected.set(sent)

    @staticmethod
    def _was_sent() -> bool:
        return _connected.get()

    async def _bounded(self, work: Coroutine[Any, Any, R], timeout_s: float) -> R:
        self._note_sent(sent=False)
        try:
            async with asyncio.timeout(timeout_s):
                return await work
        except (aiohttp.ClientError, OSError, ssl.CertificateError) as error:
            raise explained(error, sent=self._was_sent(), timeout_s=timeout_s) from error

    async def _exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        response = await self._send(method, target, headers, body)
        try:
            return Answer(response.status, response.headers, await _whole(response))
        except BaseException:
            response.close()
            raise

    async def _send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        authorization = await self._credentials.header()
        generation = self._credentials.generation
        response = await self._send_once(method, target, self._all_headers(headers, authorization), body)
        if response.status != 401:
            return response
        self._note_sent(sent=False)  # what was answered with 401 was not done
        try:
            renewed = await self._credentials.renew(generation)
        except BaseException:
            response.close()
            raise
        if not renewed:
            return response
        response.close()
        authorization = await self._credentials.header()
        return await self._send_once(method, target, self._all_headers(headers, authorization), body)

    def _all_headers(self, headers: Mapping[str, str], authorization: str | None) -> dict[str, str]:
        if authorization is None:
            return {**self._headers, **headers}
        return {**self._headers, **headers, "Authorization": authorization}

    async def _send_once(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        try:
            return await self._put_on_wire(method, target, headers, body)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError):
            if method != "GET":  # a kept connection may have been closed under the request; a write may have been done
                raise
        return await self._put_on_wire(method, target, headers, body)

    async def _put_on_wire(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        session = await self._current_session()
        return await session.request(
            method,
            URL(self._base + target, encoded=True),
            data=body,
            headers=headers,
            allow_redirects=False,
            proxy=self._proxy,
            proxy_headers=self._configuration.proxy_headers,
            server_hostname=self._configuration.tls_server_name,
        )

    async def _current_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the transport is not open: use it inside `async with`")
        certificate = self._configuration.cert_file
        if certificate != self._certificate and self._ssl is not None:
            self._ssl, self._certificate = _ssl_context(self._configuration), certificate
            retired, self._retired, self._session = self._retired, self._session, self._new_session()
            if retired is not None:
                await retired.close()
        return self._session

    def _new_session(self) -> aiohttp.ClientSession:
        connector = _Connector(
            limit=self._connections, ssl=self._ssl if self._ssl is not None else True, keepalive_timeout=_KEEPALIVE_S
        )
        session = aiohttp.ClientSession(
            connector=connector,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_NO_TIMEOUT,
            read_bufsize=_READ_BUFFER,
        )
        session._retry_connection = False  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # a PUT may have been done
        return session


class AiohttpStream:
    """A `Stream` over one answer of aiohttp."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._rest = b""

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names in any case."""
        return self._response.headers

    async def read_lines(self, *, timeout_s: float) -> list[bytes]:
        """See `Stream.read_lines`."""
        while True:
            chunk = await self._read(self._response.content.readany(), timeout_s)
            if not chunk:
                if self._rest.strip():
                    raise TransportError(Fault.BROKEN, "the stream ended in the middle of a line", sent=True)
                return []
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            if len(self._rest) > _MAX_LINE:
                raise TransportError(Fault.TOO_LONG, f"a line of more than {_MAX_LINE} bytes", sent=True)
            if whole := [line for line in lines if line.strip()]:
                return whole

    async def read_all(self, *, timeout_s: float) -> bytes:
        """See `Stream.read_all`."""
        return await self._read(_whole(self._response), timeout_s)

    async def aclose(self) -> None:
        """See `Stream.aclose`."""
        connection = self._response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()  # a polite TLS goodbye would outlive us, and the loop perhaps
        self._response.close()

    async def _read(self, reading: Coroutine[Any, Any, bytes], timeout_s: float) -> bytes:
        try:
            async with asyncio.timeout(timeout_s):
                return await reading
        except (aiohttp.ClientError, OSError) as error:
            raise explained(error, sent=True, timeout_s=timeout_s) from error


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    length = 0
    async for chunk in response.content.iter_any():
        length += len(chunk)
        check_length(length)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _base_url(host: str) -> str:
    if not is_http_url(host):
        raise ConfigurationError(
            f"the server of the configuration is {host!r}: give an http:// or https:// URL, e.g. https://10.0.0.1:6443"
        )
    return host.rstrip("/")


def _checked(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not value.isprintable():
            raise ConfigurationError(
                f"header {name}={value!r}: take line breaks and other control characters out of it"
            )
    return headers


def _ssl_context(configuration: Configuration) -> ssl.SSLContext:
    context = _trusting(configuration.ssl_ca_cert)
    if configuration.cert_file:
        try:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"the client certificate {configuration.cert_file!r} with key {configuration.key_file!r} cannot be "
                f"loaded: {error}; mend client-certificate and client-key of the user in the kubeconfig"
            ) from error
    if not configuration.verify_ssl or configuration.assert_hostname is False:
        context.check_hostname = False
    if not configuration.verify_ssl:
        context.verify_mode = ssl.CERT_NONE
    if configuration.disable_strict_ssl_verification:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _trusting(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the CA certificate {ca_file!r} cannot be loaded: {error}; mend certificate-authority of the cluster "
            "in the kubeconfig"
        ) from error


_FAULTS: tuple[tuple[type[BaseException], Fault], ...] = (
    (aiohttp.ClientConnectorDNSError, Fault.UNRESOLVED),
    (aiohttp.ClientProxyConnectionError, Fault.PROXY),
    (aiohttp.ClientHttpProxyError, Fault.PROXY),
    (aiohttp.ClientSSLError, Fault.TLS),
    (TimeoutError, Fault.TIMEOUT),
    (aiohttp.ClientConnectorError, Fault.REFUSED),
)


def explained(error: BaseException, *, sent: bool, timeout_s: float) -> TransportError:
    """What is raised in place of an error from below."""
    fault = next((fault for kind, fault in _FAULTS if isinstance(error, kind)), Fault.BROKEN)
    detail = f"waited {timeout_s:g} s" if fault is Fault.TIMEOUT else str(error) or type(error).__name__
    return TransportError(fault, detail, sent=sent)
