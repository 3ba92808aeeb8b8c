"""One kept connection to a server that speaks HTTP/1.1: one request on it at a time. Needs the extra `fast`."""

from __future__ import annotations

import asyncio
import importlib
import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

from lease_aio.api.transport import Answer, TransportError, check_length

httptools: Any = importlib.import_module("httptools")  # an extra, which type checkers may be without

_FRAMED = ("Content-Length", "Transfer-Encoding")


class Headers(Mapping[str, str]):
    """The headers of one answer, looked up in any case. They are read when somebody looks, which is seldom."""

    __slots__ = ("_raw", "_read")

    def __init__(self, raw: Mapping[bytes, bytes]) -> None:
        self._raw = raw
        self._read: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        return self._by_name()[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name())

    def __len__(self) -> int:
        return len(self._by_name())

    def _by_name(self) -> dict[str, str]:
        if self._read is None:
            self._read = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self._raw.items()}
        return self._read


class Connection(asyncio.Protocol):
    """Sends requests and reads their answers, one after another.

    Attributes:
        usable: It can carry another request. Not so once it broke, the server will not keep it, or something came on it
            that nobody had asked for.
        begun: Some of the answer to the last request has come.
        idle_since: For the pool: when it was last given back.
    """

    __slots__ = (
        "_alarm",
        "_answer",
        "_body",
        "_headers",
        "_length",
        "_loop",
        "_parser",
        "_timer",
        "_transport",
        "_until",
        "begun",
        "idle_since",
        "on_body",
        "on_header",
        "usable",
    )

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._until = self._alarm = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self.on_header, self.on_body = self._headers.__setitem__, self._body.append  # for the parser, at C speed
        self._length = 0  # of all that has come in answer to the last request
        self._parser = httptools.HttpResponseParser(self)
        self.begun = False
        self.usable = True
        self.idle_since = 0.0

    async def ask(self, request: bytes, until: float) -> Answer:
        """Send one request and wait for its whole answer; given up, the connection is, too.

        Args:
            request: All of it.
            until: When to give it up, on the loop's clock.

        Raises:
            TimeoutError: there was no whole answer until then.
            OSError: the connection broke, or what came is no HTTP.
            TransportError: the answer is too long.
        """
        assert self._transport is not None
        self.begun = False
        if not self.usable:  # lost while it was opened: nothing would come of it, not even the alarm
            raise ConnectionResetError("the server hung up")
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._answer, self._until, self._length = answer, until, 0
        if until < self._alarm:
            self._set_alarm(until)
        try:
            self._transport.write(request)
            return await answer
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Give it up at once: a polite TLS good-bye would outlive us, and the loop perhaps."""
        self.usable = False
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _set_alarm(self, when: float) -> None:
        """One timer serves request after request: it is set anew only for an earlier end, or once it has rung."""
        if self._timer is not None:
            self._timer.cancel()
        self._alarm, self._timer = when, self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._alarm, self._timer = math.inf, None
        if self._answer is None:
            return
        if self._loop.time() >= self._until:
            self._break(TimeoutError())
        else:
            self._set_alarm(self._until)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """For the event loop."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by inheritance

    def data_received(self, data: bytes) -> None:
        """For the event loop."""
        self.begun = True
        self._length += len(data)
        try:
            check_length(self._length)
            self._parser.feed_data(data)
        except TransportError as error:
            self._break(error)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._break(ConnectionError(f"what came is no HTTP answer ({error})"))

    def eof_received(self) -> None:
        """For the event loop. An answer without a length ends with its connection."""
        self.usable = False
        # without a body it may be half a head
        if self._body and not any(name in Headers(self._headers) for name in _FRAMED):
            self.on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """For the event loop."""
        self._break(exc or ConnectionResetError("the server hung up"))

    def on_message_begin(self) -> None:
        """For the parser."""
        if self._answer is None:
            self.abort()

    def on_message_complete(self) -> None:
        """For the parser."""
        headers, body = Headers(self._headers.copy()), b"".join(self._body)
        self._headers.clear()
        self._body.clear()
        status: int = self._parser.get_status_code()
        if status < 200:  # an interim answer: the real one follows
            return
        self.usable = self.usable and bool(self._parser.should_keep_alive())
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(Answer(status, headers, body))

    def _break(self, error: Exception) -> None:
        self.abort()
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)
