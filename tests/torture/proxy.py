"""A TCP proxy that misbehaves on request. TLS passes through untouched, so all faults are those of a network.

Each fault is for one direction or both, from when it is asked for until it is taken back. What was withheld in a
black hole never arrives: the connections that lost bytes are reset when it closes, since TLS could not go on.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import anyio
import anyio.abc

Direction = Literal["up", "down"]
"""Up: towards the server."""

BOTH: tuple[Direction, ...] = ("up", "down")
_CHUNK = 65_536
_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time: closing sends RST


@dataclass(eq=False)
class _Connection:
    client: anyio.abc.SocketStream
    server: anyio.abc.SocketStream
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    lost: set[Direction] = field(default_factory=set)
    """The directions that bytes are missing from: nothing more may follow them."""
    asked: bool = False
    """Something was forwarded to the server since the answers are to be lost."""

    def reset(self) -> None:
        for stream in (self.client, self.server):
            with contextlib.suppress(OSError):
                stream.extra(anyio.abc.SocketAttribute.raw_socket).setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, _RESET
                )
        self.scope.cancel()


class FaultProxy:
    """Forwards connections to one server; made by `fault_proxy`.

    Attributes:
        port: Where it listens on loopback.
        lost_answers: How many answers were lost after their request had been forwarded.
        resets: How many connections it has reset.
    """

    def __init__(self, target: tuple[str, int], *, source: str | None = None) -> None:
        self.port = 0
        self.lost_answers = 0
        self.resets = 0
        self._target, self._source = target, source
        self._connections: set[_Connection] = set()
        self._open = {direction: _opened() for direction in BOTH}
        self._hole = dict.fromkeys(BOTH, False)
        self._delay_s = dict.fromkeys(BOTH, 0.0)
        self._refusing = False
        self._losing_answers = False

    # ------------------------------------------------------------------ faults

    def hold(self, *directions: Direction) -> None:
        """Withhold all bytes; they arrive after `heal`."""
        for direction in directions or BOTH:
            if self._open[direction].is_set():
                self._open[direction] = anyio.Event()

    def delay(self, seconds: float, *directions: Direction) -> None:
        """Forward each chunk so much later."""
        for direction in directions or BOTH:
            self._delay_s[direction] = seconds

    def black_hole(self, *directions: Direction) -> None:
        """Take all bytes, and drop them."""
        for direction in directions or BOTH:
            self._hole[direction] = True

    def refuse(self) -> None:
        """Reset all connections, and each new one."""
        self._refusing = True
        self.reset()

    def lose_answers(self) -> None:
        """On each connection that is open now: forward the next request, then reset it in place of the answer."""
        self._losing_answers = True
        for connection in self._connections:
            connection.asked = False

    def reset(self) -> None:
        """Reset all connections, once."""
        self._reset(tuple(self._connections))

    def heal(self) -> None:
        """End all faults."""
        for direction in BOTH:
            self._open[direction].set()
        self._hole = dict.fromkeys(BOTH, False)
        self._delay_s = dict.fromkeys(BOTH, 0.0)
        self._refusing = self._losing_answers = False
        self._reset([connection for connection in self._connections if connection.lost])

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    def _reset(self, connections: Iterable[_Connection]) -> None:
        for connection in connections:
            self.resets += 1
            connection.reset()

    # ------------------------------------------------------------------ forwarding

    async def serve(self, client: anyio.abc.SocketStream) -> None:
        """Forward one connection until either side ends it."""
        async with client:
            try:
                server = await anyio.connect_tcp(*self._target, local_host=self._source)
            except OSError:
                return  # the server is away: so are we
            async with server:
                connection = _Connection(client, server)
                self._connections.add(connection)
                try:
                    await self._forward(connection)
                finally:
                    self._connections.discard(connection)

    async def _forward(self, connection: _Connection) -> None:
        if self._refusing:
            self._reset([connection])
        with connection.scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._pump, connection, "up")
                tasks.start_soon(self._pump, connection, "down")

    async def _pump(self, connection: _Connection, direction: Direction) -> None:
        streams = (connection.client, connection.server)
        source, sink = streams if direction == "up" else reversed(streams)
        with contextlib.suppress(*_BROKEN):
            while True:
                data = await source.receive(_CHUNK)
                await self._pass(connection, direction)
                if self._hole[direction]:
                    connection.lost.add(direction)
                if direction not in connection.lost:
                    await sink.send(data)
        connection.scope.cancel()

    async def _pass(self, connection: _Connection, direction: Direction) -> None:
        """Wait as the faults demand; an answer that is to be lost never returns from here."""
        await self._open[direction].wait()
        if self._delay_s[direction] > 0:
            await anyio.sleep(self._delay_s[direction])
        if self._losing_answers and direction == "up":
            connection.asked = True
        elif self._losing_answers and connection.asked:
            self.lost_answers += 1
            self._reset([connection])
            await anyio.sleep_forever()


def _opened() -> anyio.Event:
    event = anyio.Event()
    event.set()
    return event


@asynccontextmanager
async def fault_proxy(host: str, port: int, *, source: str | None = None) -> AsyncGenerator[FaultProxy]:
    """Listen on a free loopback port for the body, and forward to `host:port`.

    Args:
        host: Of the server.
        port: Of the server.
        source: The local address to connect from, such as 127.0.1.7: how the server tells the proxies apart.
    """
    proxy = FaultProxy((host, port), source=source)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    proxy.port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, proxy.serve)
        yield proxy
        tasks.cancel_scope.cancel()
