"""What is said of the direct way alone: how it frames answers, and which connections it keeps."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

import pytest
from kubernetes_asyncio.client import Configuration

from lease_aio.api import LEASES, AiohttpTransport, RestApi, direct
from lease_aio.api.direct import DirectTransport, open_transport
from lease_aio.api.pool import Pool, connect
from lease_aio.api.transport import Answer, TransportError
from lease_aio.errors import Unavailable
from tests.api import servers
from tests.api.servers import LEASE, lease_text, read_request, rest, talking

if TYPE_CHECKING:
    from lease_aio.api.connection import Connection

pytest.importorskip("httptools")

BODY = lease_text().encode()
COUNTED = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: %d\r\nX-Twice: 1\r\n\r\n%s" % (len(BODY), BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n%s\r\n%x;x=y\r\n%s\r\n0\r\nTrailer: 1\r\n\r\n" % (
    BODY[:5],
    len(BODY) - 5,
    BODY[5:],
)
UNTIL_THE_END = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + BODY
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + COUNTED
LAST = COUNTED.replace(b"X-Twice: 1", b"Connection: close")
OLD = COUNTED.replace(b"HTTP/1.1", b"HTTP/1.0")


@pytest.fixture(autouse=True)
def directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "TRANSPORT", DirectTransport)


class Talker:
    """Answers each request on a connection with the next of some bytes, and counts connections and requests."""

    def __init__(self, *answers: bytes, piece: int = 10**6, hang_up: bool = False) -> None:
        self.answers = answers
        self.piece = piece
        self.hang_up = hang_up
        self.connections = 0
        self.heads: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError):
            await self._answer(reader, writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in self.answers:
            head, _ = await read_request(reader)
            self.heads.append(head)
            for start in range(0, len(answer), self.piece):
                writer.write(answer[start : start + self.piece])
                await writer.drain()
                await asyncio.sleep(0)
            if self.hang_up:
                return
        await reader.read()


@pytest.mark.parametrize("answer", [COUNTED, CHUNKED, INTERIM], ids=["counted", "chunked", "after an interim one"])
@pytest.mark.parametrize("piece", [1, 7, 10**6])
async def test_an_answer_is_whole_however_it_is_cut(answer: bytes, piece: int) -> None:
    talk = Talker(answer, answer, piece=piece)
    async with talking(talk) as port, rest(f"http://127.0.0.1:{port}") as api:
        for _ in range(2):
            assert await api.replace(LEASES, LEASE) == LEASE
    assert talk.connections == 1


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    talk = Talker(UNTIL_THE_END, hang_up=True)
    async with talking(talk) as port, rest(f"http://127.0.0.1:{port}") as api:
        for _ in range(2):
            assert await api.get(LEASES, "a", "b") == LEASE
    assert talk.connections == 2


async def test_half_a_head_is_no_answer() -> None:
    talk = Talker(b"HTTP/1.1 200 OK\r\nAudit-Id: 1\r\nContent-Ty", hang_up=True)
    async with talking(talk) as port, rest(f"http://127.0.0.1:{port}") as api:
        with pytest.raises(Unavailable, match="the connection broke") as caught:
            await api.delete(LEASES, "a", "b")
    assert caught.value.outcome_unknown


@pytest.mark.parametrize("answer", [LAST, OLD], ids=["Connection: close", "HTTP/1.0"])
async def test_a_connection_that_the_server_will_not_keep_is_not_used_again(answer: bytes) -> None:
    talk = Talker(answer, answer)
    async with talking(talk) as port, rest(f"http://127.0.0.1:{port}") as api:
        for _ in range(2):
            assert await api.replace(LEASES, LEASE) == LEASE
    assert talk.connections == 2


async def test_what_nobody_asked_for_is_no_answer_to_the_next_request() -> None:
    talk = Talker(COUNTED + COUNTED.replace(b"200 OK", b"500 No"), COUNTED)
    async with talking(talk) as port, rest(f"http://127.0.0.1:{port}") as api:
        assert await api.replace(LEASES, LEASE) == LEASE
        assert await api.replace(LEASES, LEASE) == LEASE
    assert talk.connections == 2


async def test_two_lengths_are_no_answer() -> None:
    smuggled = COUNTED.replace(b"X-Twice: 1", b"Content-Length: 3")
    async with talking(Talker(smuggled)) as port, rest(f"http://127.0.0.1:{port}") as api:
        with pytest.raises(Unavailable, match="the connection broke.*no HTTP answer"):
            await api.get(LEASES, "a", "b")


async def test_requests_share_connections_and_open_no_more_than_run_at_once() -> None:
    talk = Talker(*[COUNTED] * 8)
    async with talking(talk) as port, rest(f"http://127.0.0.1:{port}") as api:
        for _ in range(2):
            await asyncio.gather(*(api.replace(LEASES, LEASE) for _ in range(3)))
    assert talk.connections == 3


async def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talker(COUNTED, COUNTED)
    async with talking(talk) as port, rest(f"http://127.0.0.1:{port}") as api:
        await api.replace(LEASES, LEASE)
        monkeypatch.setattr("lease_aio.api.pool._KEEPALIVE_S", 0.0)
        await api.replace(LEASES, LEASE)
    assert talk.connections == 2


class Kept:
    """A connection, as far as a pool knows it."""

    def __init__(self) -> None:
        self.usable, self.idle_since, self.aborted = True, 0.0, False

    def abort(self) -> None:
        self.aborted = True


async def test_the_connections_of_a_burst_are_closed_one_by_one_as_others_are_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool, burst = Pool(), [Kept() for _ in range(3)]
    for one in burst:
        pool.give_back(cast("Connection", one))
    monkeypatch.setattr("lease_aio.api.pool._KEEPALIVE_S", 0.0)
    pool.give_back(cast("Connection", Kept()))
    assert [one.aborted for one in burst] == [True, False, False]


async def test_what_is_given_back_to_a_pool_that_was_closed_is_closed() -> None:
    pool, one = Pool(), Kept()
    pool.close()
    pool.give_back(cast("Connection", one))
    assert one.aborted
    assert pool.take() is None


async def test_a_server_below_a_path_is_asked_there_and_by_its_name() -> None:
    talk = Talker(COUNTED)
    async with talking(talk) as port, rest(f"http://localhost:{port}/k8s/clusters/c-1") as api:
        await api.get(LEASES, "a", "b")
    target, host, *_ = talk.heads[0].splitlines()
    assert target == "GET /k8s/clusters/c-1/apis/coordination.k8s.io/v1/namespaces/b/leases/a HTTP/1.1"
    assert host == f"Host: localhost:{port}"


async def test_headers_are_found_in_any_case() -> None:
    async with (
        talking(Talker(COUNTED)) as port,
        DirectTransport(Configuration(host=f"http://127.0.0.1:{port}"), environ={}) as transport,
    ):
        answer: Answer = await transport.request("GET", "/", headers={}, timeout_s=5)
    assert answer.headers["Content-Length"] == answer.headers["content-length"] == str(len(BODY))
    assert set(answer.headers) == {"content-length", "x-twice"}
    assert "Retry-After" not in answer.headers


async def test_another_address_of_the_host_is_tried_when_the_first_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talk = Talker(COUNTED)
    async with talking(talk) as port, rest(f"http://two.example:{port}") as api:

        async def found(host: str, port: int, **_: object) -> list[object]:
            with closed_port() as dead:
                pairs = (("127.0.0.1", dead), ("127.0.0.1", port))
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", pair) for pair in pairs]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
        assert await api.get(LEASES, "a", "b") == LEASE


@contextmanager
def closed_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def test_requests_under_way_at_the_end_leave_no_connection_behind() -> None:
    closed = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(COUNTED)
        await read_request(reader)
        await reader.read()
        closed.set()

    async with talking(talk) as port:
        async with DirectTransport(Configuration(host=f"http://127.0.0.1:{port}"), environ={}) as transport:
            await transport.request("GET", "/", headers={}, timeout_s=60)  # connects, so that the next one is sent
            with pytest.raises(TransportError, match="no answer in time"):
                await transport.request("GET", "/", headers={}, timeout_s=0.05)
        async with asyncio.timeout(30):
            await closed.wait()


@pytest.mark.parametrize("before_s", [5.0, 0.1], ids=["the alarm is set later", "the alarm rings before"])
async def test_each_request_on_a_kept_connection_has_its_own_end(before_s: float) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(COUNTED)
        await reader.read()

    async with talking(talk) as port, rest(f"http://127.0.0.1:{port}") as api:
        assert await api.replace(LEASES, LEASE, timeout_s=before_s) == LEASE
        began = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable, match="no answer in time.*waited 0.2 s"):
            await api.replace(LEASES, LEASE, timeout_s=0.2)
        assert asyncio.get_running_loop().time() - began >= 0.2


async def test_a_connection_that_was_lost_says_so_instead_of_waiting() -> None:
    talk = Talker(COUNTED, hang_up=True)
    async with talking(talk) as port:
        connection = await connect("127.0.0.1", port, None, "")
        connection.abort()
        await asyncio.sleep(0)
        with pytest.raises(ConnectionResetError, match="hung up"):
            await connection.ask(b"GET / HTTP/1.1\r\n\r\n", asyncio.get_running_loop().time() + 5)


def test_the_direct_way_is_taken_where_the_extra_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = Configuration(host="http://localhost")
    assert type(open_transport(configuration)) is DirectTransport
    monkeypatch.setattr(direct.importlib.util, "find_spec", lambda _: None)
    assert type(open_transport(configuration)) is AiohttpTransport


def test_an_api_client_of_the_users_own_is_spoken_for_directly_too() -> None:
    class Client:
        configuration = Configuration(host="http://localhost")
        default_headers = MappingProxyType({})
        cookie = None

    assert type(RestApi.from_api_client(Client())._transport) is DirectTransport
