"""The way to a server, and everything that can happen on it. Real sockets on loopback."""

import asyncio
import contextlib
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import trustme
from aiohttp import web
from kubernetes_asyncio.client import ApiClient, Configuration

from lease_aio.api import LEASES, AiohttpTransport, RestApi
from lease_aio.errors import ConfigurationError, Invalid, Refused, Throttled, Unavailable
from tests.api import servers
from tests.api.servers import (
    LEASE,
    answer_with,
    lease_text,
    read_request,
    reset,
    rest,
    serving,
    status_text,
    talking,
)

pytestmark = pytest.mark.usefixtures("each_transport")

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


def whole_answer() -> bytes:
    body = lease_text().encode()
    return ANSWER % (len(body), body)


@asynccontextmanager
async def api_of(port: int, **settings: float) -> AsyncIterator[RestApi]:
    async with rest(f"http://127.0.0.1:{port}", **settings) as api:
        yield api


async def test_a_refused_connection_names_the_server_and_the_remedy_and_nothing_was_done() -> None:
    async with talking(_silent) as port:
        pass
    async with api_of(port) as api:
        with pytest.raises(
            Unavailable, match=rf"127\.0\.0\.1:{port}: the connection was refused.*check that"
        ) as caught:
            await api.replace(LEASES, LEASE)
    assert not caught.value.outcome_unknown


async def test_a_name_that_does_not_resolve_is_said() -> None:
    async with rest("http://no-such-host.invalid:6443", timeout_s=60) as api:
        with pytest.raises(Unavailable, match=r"no-such-host\.invalid:6443: the host name does not resolve"):
            await api.get(LEASES, "a", "b")


async def _silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _answers_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(whole_answer())
    await reader.read()


async def test_a_write_that_is_not_answered_in_time_may_have_been_done() -> None:
    async with talking(_answers_once) as port, api_of(port, timeout_s=60) as api:
        await api.get(LEASES, "a", "b")  # there is a connection, so that the write is sent whatever the time
        began = time.monotonic()
        with pytest.raises(Unavailable, match=r"no answer in time \(waited 0\.1 s\)") as caught:
            await api.replace(LEASES, LEASE, timeout_s=0.1)
        assert 0.09 <= time.monotonic() - began < 60
    assert caught.value.outcome_unknown


async def test_a_read_that_is_not_answered_in_time_changed_nothing() -> None:
    async with talking(_silent) as port, api_of(port, timeout_s=0.1) as api:
        with pytest.raises(Unavailable) as caught:
            await api.get(LEASES, "a", "b")
    assert not caught.value.outcome_unknown


async def test_a_handshake_that_never_ends_leaves_no_doubt_about_a_write() -> None:
    async with talking(_silent) as port, rest(f"https://127.0.0.1:{port}") as api:
        with pytest.raises(Unavailable, match="no answer in time") as caught:
            await api.replace(LEASES, LEASE, timeout_s=0.2)
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("answered", [0, 40, 150], ids=["before the answer", "within the head", "within the body"])
async def test_a_connection_that_is_reset_leaves_a_write_unknown(answered: int) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(whole_answer()[:answered])
        await writer.drain()
        reset(writer)

    async with talking(talk) as port, api_of(port) as api:
        with pytest.raises(Unavailable, match="the connection broke") as caught:
            await api.replace(LEASES, LEASE)
    assert caught.value.outcome_unknown


async def test_a_body_that_ends_too_soon_is_not_taken_for_whole() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(whole_answer()[:-3])
        await writer.drain()

    async with talking(talk) as port, api_of(port) as api:
        with pytest.raises(Unavailable, match="the connection broke"):
            await api.get(LEASES, "a", "b")


async def test_a_kept_connection_that_was_closed_costs_a_read_nothing_and_is_no_second_write() -> None:
    requests: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        requests.append(head.split()[0])
        writer.write(whole_answer())
        head, _ = await read_request(reader)
        requests.append(f"{head.split()[0]} lost")
        reset(writer)

    async with talking(talk) as port, api_of(port) as api:
        await api.get(LEASES, "a", "b")
        assert await api.get(LEASES, "a", "b") == LEASE
        with pytest.raises(Unavailable) as caught:
            await api.replace(LEASES, LEASE)
    assert caught.value.outcome_unknown
    assert requests == ["GET", "GET lost", "GET", "PUT lost"]


@pytest.mark.parametrize(
    ("head", "more"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n%s\r\n" % (b"x" * 0x1000)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n", b"x" * 0x1000),
    ],
    ids=["chunked", "of one length"],
)
async def test_an_answer_without_end_is_given_up_before_it_fills_the_memory(
    head: bytes, more: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lease_aio.api.transport._MAX_ANSWER", 100_000)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(head)
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(more)
                await writer.drain()

    async with talking(talk) as port, api_of(port) as api:
        with pytest.raises(Unavailable, match=r"the answer is too long \(more than 100000 bytes\); list in pages"):
            await api.list(LEASES)


async def test_something_that_speaks_no_http_is_an_ordinary_error() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"220 smtp.example ESMTP\r\n\r\n")
        await writer.drain()

    async with talking(talk) as port, api_of(port) as api:
        with pytest.raises(Unavailable, match="the connection broke"):
            await api.get(LEASES, "a", "b")


async def test_a_server_that_is_no_api_server_is_named_with_the_remedy() -> None:
    async with serving(answer_with(200, "<html>Welcome to nginx!</html>", "text/html")) as url, rest(url) as api:
        with pytest.raises(Unavailable, match=r"is it a Kubernetes API server\? Check the server URL") as caught:
            await api.get(LEASES, "a", "b")
        with pytest.raises(Unavailable, match="Kubernetes API server"):
            await api.list(LEASES)
    assert url in str(caught.value)


async def test_a_redirect_to_a_login_page_is_not_followed() -> None:
    async with serving(answer_with(302, "", "text/html", Location="/login")) as url, rest(url) as api:
        with pytest.raises(Unavailable, match="302.*points to /login"):
            await api.get(LEASES, "a", "b")


async def test_the_html_of_a_proxy_that_lost_its_server_is_readable() -> None:
    page = "<html><body><h1>503 Service Unavailable</h1></body></html>"
    async with serving(answer_with(503, page, "text/html", Retry_After="4")) as url, rest(url) as api:
        with pytest.raises(Unavailable, match="503: 503 Service Unavailable$") as caught:
            await api.get(LEASES, "a", "b")
    assert caught.value.retry_after_s == 4


async def test_a_plain_429_is_throttled() -> None:
    text = "Too many requests, please try again later."
    async with serving(answer_with(429, text, "text/plain", Retry_After="2")) as url, rest(url) as api:
        with pytest.raises(Throttled, match=text) as caught:
            await api.replace(LEASES, LEASE)
    assert (caught.value.retry_after_s, caught.value.outcome_unknown) == (2, False)


async def test_a_403_says_who_may_not_do_what_where() -> None:
    words = 'leases.coordination.k8s.io "a" is forbidden: User "u" cannot update resource "leases"'
    async with serving(answer_with(403, status_text(403, "Forbidden", words))) as url, rest(url) as api:
        with pytest.raises(Refused) as caught:
            await api.replace(LEASES, LEASE)
    assert str(caught.value) == f"update leases.coordination.k8s.io b/a: 403 Forbidden: {words}"


async def test_https_asked_in_http_is_an_ordinary_error_in_the_servers_words() -> None:
    text = "Client sent an HTTP request to an HTTPS server.\n"
    async with serving(answer_with(400, text, "text/plain")) as url, rest(url) as api:
        with pytest.raises(Invalid, match="HTTPS server"):
            await api.get(LEASES, "a", "b")


async def test_a_cancelled_request_gives_up_its_connection() -> None:
    asked, closed = anyio.Event(), anyio.Event()

    async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.set()
        await reader.read()
        closed.set()

    async with talking(talk) as port, api_of(port, timeout_s=60) as api, anyio.create_task_group() as tasks:
        tasks.start_soon(api.replace, LEASES, LEASE)
        await asked.wait()
        tasks.cancel_scope.cancel()
        with anyio.fail_after(30, shield=True):
            await closed.wait()


async def test_the_transport_has_to_be_entered() -> None:
    api = rest("http://127.0.0.1:1")
    with pytest.raises(RuntimeError, match="async with"):
        await api.get(LEASES, "a", "b")


@pytest.mark.parametrize(
    "host",
    [
        *("", "10.0.0.1:6443", "ftp://x", "https://", "https://x:99999", "https://x:abc", "https://x:0"),
        *("https://[::1", "https://[zz]:1", "https://foo..bar", "https://" + "a" * 64 + ".example", "https://x/ü"),
    ],
)
def test_a_server_that_is_no_url_is_refused_by_name(host: str) -> None:
    with pytest.raises(ConfigurationError, match=f"is {re.escape(repr(host))}: give an http"):
        servers.TRANSPORT(Configuration(host=host))


@pytest.mark.parametrize("value", ["a\r\nB: c", "a\nb", "a\x00"])
def test_a_header_that_would_be_two_is_refused_by_name(value: str) -> None:
    with pytest.raises(ConfigurationError, match="header Impersonate-User="):
        servers.TRANSPORT(Configuration(host="http://x"), headers={"Impersonate-User": value})


async def test_a_token_that_holds_a_line_break_is_a_refusal() -> None:
    async with rest("http://127.0.0.1:1", api_key={"BearerToken": "Bearer one\ntwo"}) as api:
        with pytest.raises(Refused, match="the token holds a line break.*mend the user's credentials"):
            await api.replace(LEASES, LEASE)


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
def test_a_senseless_timeout_is_refused(timeout_s: float) -> None:
    with pytest.raises(ConfigurationError, match="timeout_s="):
        RestApi(AiohttpTransport(Configuration(host="http://x")), timeout_s=timeout_s)


# --- TLS -----------------------------------------------------------------------------------------------------------


def tls_server(ca: trustme.CA, *, client_ca: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", "kube.example").configure_cert(context)
    if client_ca is not None:
        client_ca.configure_trust(context)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def written(path: Path, data: trustme.Blob) -> str:
    path.write_bytes(data.bytes())
    return str(path)


async def test_a_server_of_another_ca_is_a_tls_failure_that_names_the_remedy(tmp_path: Path) -> None:
    wrong = written(tmp_path / "ca.crt", trustme.CA().cert_pem)
    server = answer_with(200, lease_text())
    async with serving(server, tls=tls_server(trustme.CA())) as url, rest(url, ssl_ca_cert=wrong) as api:
        with pytest.raises(Unavailable, match="TLS handshake failed.*certificate-authority") as caught:
            await api.replace(LEASES, LEASE)
    assert not caught.value.outcome_unknown
    assert url in str(caught.value)


async def test_an_http_server_under_an_https_url_is_a_tls_failure(tmp_path: Path) -> None:
    ca = written(tmp_path / "ca.crt", trustme.CA().cert_pem)
    async with serving(answer_with(200, "")) as url, rest(url.replace("http:", "https:"), ssl_ca_cert=ca) as api:
        with pytest.raises(Unavailable, match="TLS handshake failed.*the server URL is https"):
            await api.get(LEASES, "a", "b")


async def test_the_right_ca_the_server_name_and_no_verification_all_connect(tmp_path: Path) -> None:
    ca = trustme.CA()
    trusted = written(tmp_path / "ca.crt", ca.cert_pem)
    async with serving(answer_with(200, lease_text()), tls=tls_server(ca)) as url:
        for settings in ({"ssl_ca_cert": trusted}, {"verify_ssl": False}):
            async with rest(url, **settings) as api:
                assert await api.get(LEASES, "a", "b") == LEASE
        by_address = url.replace("localhost", "127.0.0.1")
        async with rest(by_address, ssl_ca_cert=trusted) as api:
            with pytest.raises(Unavailable, match="TLS handshake failed"):
                await api.get(LEASES, "a", "b")
        async with rest(by_address, ssl_ca_cert=trusted, tls_server_name="kube.example") as api:
            assert await api.get(LEASES, "a", "b") == LEASE


@pytest.mark.parametrize("setting", ["ssl_ca_cert", "cert_file"])
def test_a_certificate_that_cannot_be_read_is_named(setting: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    for path in (broken, tmp_path / "missing.pem"):
        configuration = Configuration(host="https://localhost")
        setattr(configuration, setting, str(path))
        with pytest.raises(ConfigurationError, match=path.name):
            AiohttpTransport(configuration)


async def test_a_client_certificate_authenticates(tmp_path: Path) -> None:
    ca = trustme.CA()
    mine = ca.issue_cert("me@example.com")
    settings = {
        "ssl_ca_cert": written(tmp_path / "ca.crt", ca.cert_pem),
        "cert_file": written(tmp_path / "me.crt", mine.cert_chain_pems[0]),
        "key_file": written(tmp_path / "me.key", mine.private_key_pem),
    }

    async def handle(request: web.Request) -> web.Response:
        known = request.transport is not None and request.transport.get_extra_info("peercert")
        return web.Response(status=200 if known else 401, text=lease_text(), content_type="application/json")

    async with serving(handle, tls=tls_server(ca, client_ca=ca)) as url:
        async with rest(url, **settings) as api:
            assert await api.get(LEASES, "a", "b") == LEASE
        async with rest(url, ssl_ca_cert=settings["ssl_ca_cert"]) as api:
            with pytest.raises(Refused):
                await api.get(LEASES, "a", "b")


# --- proxies -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def recording_proxy(upstream: int, *, refuse: bool = False) -> AsyncIterator[tuple[str, list[str]]]:
    """A CONNECT proxy that leads everywhere to one port of loopback, and what it was asked for."""
    asked: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        asked.append(head.splitlines()[0])
        if refuse:
            writer.write(b"HTTP/1.1 403 Forbidden by policy\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await _relay(reader, writer, upstream)

    async with talking(talk) as port:
        yield f"http://127.0.0.1:{port}", asked


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    there, back = await asyncio.open_connection("127.0.0.1", port)

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
        sink.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pump, reader, back)
        tasks.start_soon(pump, there, writer)


def proxied(url: str, environ: dict[str, str], ca: str, **settings: str) -> RestApi:
    configuration = Configuration(host=url)
    configuration.ssl_ca_cert = ca
    for name, value in settings.items():
        setattr(configuration, name, value)
    return RestApi(servers.TRANSPORT(configuration, environ=environ), timeout_s=5)


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, str]:
    ca = trustme.CA()
    return ca, written(tmp_path / "ca.crt", ca.cert_pem)


async def test_a_proxy_of_the_environment_is_used(authority: tuple[trustme.CA, str]) -> None:
    ca, trusted = authority
    async with serving(answer_with(200, lease_text()), tls=tls_server(ca)) as url:
        port = int(url.rpartition(":")[2])
        async with recording_proxy(port) as (proxy, asked):
            async with proxied("https://kube.example:6443", {"HTTPS_PROXY": proxy}, trusted) as api:
                assert await api.get(LEASES, "a", "b") == LEASE
            assert asked == ["CONNECT kube.example:6443 HTTP/1.1"]


async def test_a_proxy_of_the_configuration_is_used_and_no_proxy_bypasses_only_the_environments(
    authority: tuple[trustme.CA, str],
) -> None:
    ca, trusted = authority
    server = serving(answer_with(200, lease_text()), tls=tls_server(ca))
    async with server as url, recording_proxy(int(url.rpartition(":")[2])) as (proxy, asked):
        async with proxied(url, {"HTTPS_PROXY": proxy}, trusted) as api:
            await api.get(LEASES, "a", "b")
        assert asked == []
        async with proxied(url, {"NO_PROXY": "*"}, trusted, proxy=proxy) as api:
            await api.get(LEASES, "a", "b")
        assert len(asked) == 1


async def test_a_proxy_that_refuses_is_named_and_nothing_was_done(authority: tuple[trustme.CA, str]) -> None:
    async with (
        recording_proxy(1, refuse=True) as (proxy, _asked),
        proxied("https://kube.example:6443", {"HTTPS_PROXY": proxy}, authority[1]) as api,
    ):
        with pytest.raises(Unavailable, match="the proxy gave no connection.*HTTPS_PROXY") as caught:
            await api.replace(LEASES, LEASE)
    assert not caught.value.outcome_unknown


# --- a user's own ApiClient ----------------------------------------------------------------------------------------


async def test_an_api_clients_headers_and_configuration_are_taken_and_its_session_is_not() -> None:
    seen: list[dict[str, str]] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(dict(request.headers))
        return web.Response(text=lease_text(), content_type="application/json")

    async with serving(handle) as url, ApiClient(Configuration(host=url)) as client:
        client.set_default_header("Impersonate-User", "jane")
        await client.close()
        async with RestApi.from_api_client(client) as api:
            assert await api.get(LEASES, "a", "b") == LEASE
    assert seen[0]["Impersonate-User"] == "jane"
    assert seen[0]["User-Agent"].startswith("lease-aio")


async def test_a_user_agent_that_was_named_is_kept() -> None:
    seen: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.headers["User-Agent"])
        return web.Response(text=lease_text(), content_type="application/json")

    async with serving(handle) as url, ApiClient(Configuration(host=url)) as client:
        client.user_agent = "my-operator/1.0"
        async with RestApi.from_api_client(client) as api:
            await api.get(LEASES, "a", "b")
    assert seen == ["my-operator/1.0"]
