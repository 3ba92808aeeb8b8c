"""The seam for fault injection: what may go wrong between a request and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aiohttp import web


class DropConnectionError(Exception):
    """Raised by a fault to cut the connection without an answer."""


class Faults(Protocol):
    """Consulted for every request: may delay, answer in the server's place, or drop the connection.

    A fault in `before` strikes before anything is stored; one in `after` when the write has been committed
    and only its answer is lost or changed.
    """

    async def before(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """Called first. Returns an answer to give instead, or None to go on.

        Raises:
            DropConnectionError: to cut the connection; nothing is stored.
        """
        ...

    async def after(self, request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse | None:
        """Called when the answer is ready (watches, which are answered while they run, excepted).

        Returns an answer to give instead, or None to send the right one.

        Raises:
            DropConnectionError: to cut the connection; a write has happened all the same.
        """
        ...
