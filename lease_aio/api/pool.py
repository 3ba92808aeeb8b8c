"""Kept connections to one server: made when there is none to spare, given back after each answer."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lease_aio.api.connection import Connection  # needs the extra `fast`

_KEEPALIVE_S = 60.0  # servers close idle connections after 75 s (aiohttp) or 90 s (kube-apiserver): be first
_NEXT_ADDRESS_AFTER_S = 0.25  # of a host with several, as in RFC 8305


class Pool:
    """The one used last is taken first, so that those of a burst grow old and are closed."""

    __slots__ = ("_idle", "_is_closed")

    def __init__(self) -> None:
        self._idle: deque[Connection] = deque()
        self._is_closed = False

    def take(self) -> Connection | None:
        """One that may be used; None if there is none to spare."""
        oldest = asyncio.get_running_loop().time() - _KEEPALIVE_S
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    def give_back(self, connection: Connection) -> None:
        """Keep it for the next request, if it can carry one."""
        if self._is_closed or not connection.usable:
            connection.abort()
            return
        now = asyncio.get_running_loop().time()
        connection.idle_since = now
        self._idle.append(connection)
        if self._idle[0].idle_since < now - _KEEPALIVE_S:
            self._idle.popleft().abort()

    def close(self) -> None:
        """Close those that are idle, and the others as they are given back."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().abort()


async def connect(host: str, port: int, tls: ssl.SSLContext | None, server_name: str) -> Connection:
    """Open a new one.

    Raises:
        OSError: as the loop raises it; `socket.gaierror` and `ssl.SSLError` are two.
    """
    import aiohappyeyeballs  # noqa: PLC0415 - an extra

    from lease_aio.api.connection import Connection  # noqa: PLC0415 - needs an extra

    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    connected = await aiohappyeyeballs.start_connection(  # pyright: ignore[reportUnknownMemberType]
        found, happy_eyeballs_delay=_NEXT_ADDRESS_AFTER_S, interleave=1, loop=loop
    )
    try:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        _, connection = await loop.create_connection(
            Connection, sock=connected, ssl=tls, server_hostname=server_name if tls else None
        )
    except BaseException:
        connected.close()
        raise
    return connection
