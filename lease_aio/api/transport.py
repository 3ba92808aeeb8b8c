"""What carries bytes to an API server, below the verbs: replaceable, and ignorant of Kubernetes objects."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self


class Fault(enum.Enum):
    """Why no answer came; the value is the beginning of the message."""

    UNRESOLVED = "the host name does not resolve"
    REFUSED = "the connection was refused"
    PROXY = "the proxy gave no connection"
    TLS = "the TLS handshake failed"
    TIMEOUT = "no answer in time"
    BROKEN = "the connection broke"
    TOO_LONG = "the answer is too long"
    CREDENTIALS = "no credentials could be had"


class TransportError(Exception):
    """No complete answer came.

    Attributes:
        fault: What went wrong.
        detail: The words of whoever noticed.
        sent: The request may have reached the server; for a write, its outcome is unknown.
    """

    def __init__(self, fault: Fault, detail: str, *, sent: bool) -> None:
        super().__init__(f"{fault.value}: {detail}")
        self.fault = fault
        self.detail = detail
        self.sent = sent


_MAX_ANSWER = 512 * 2**20  # 100,000 Nodes in one list are some 300 MB


def check_length(length: int) -> None:
    """Refuse an answer that has grown beyond what any API server gives, before it fills the memory.

    Raises:
        TransportError: it has.
    """
    if length > _MAX_ANSWER:
        raise TransportError(Fault.TOO_LONG, f"more than {_MAX_ANSWER} bytes", sent=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole HTTP answer. `headers` looks names up in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Stream(Protocol):
    """An HTTP answer that goes on: its head has come, its lines are read as they come."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names in any case."""
        ...

    async def read_lines(self, *, timeout_s: float) -> list[bytes]:
        """The next whole lines, at least one; an empty list once the server has ended the stream.

        Raises:
            TransportError: nothing came within `timeout_s`, or the connection broke (also in mid-line).
        """
        ...

    async def read_all(self, *, timeout_s: float) -> bytes:
        """What is left of the body, for an answer that turned out to be no stream."""
        ...

    async def aclose(self) -> None:
        """Give up the connection. Never waits for the server."""
        ...


class Transport(Protocol):
    """Sends a request and returns what came back, whatever its status; follows no redirect.

    It adds the credentials, and after a 401 renews them once and asks once more: what was answered
    with 401 was not done. It repeats nothing else that may have been done.
    """

    @property
    def origin(self) -> str:
        """Scheme, host and port, for messages."""
        ...

    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_s: float,
    ) -> Answer:
        """Send one request and read the whole answer.

        Args:
            method: The HTTP method.
            target: Path and query, already quoted.
            headers: In addition to those that the transport adds.
            body: What to send.
            timeout_s: Seconds until the call ends, from connecting to the last byte.

        Raises:
            TransportError: no complete answer came.
        """
        ...

    async def stream(self, target: str, *, headers: Mapping[str, str], timeout_s: float) -> Stream:
        """GET, and return once the head of the answer has come, within `timeout_s`.

        Raises:
            TransportError: no head came.
        """
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...
