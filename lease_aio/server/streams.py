"""Watches as answers: opened in the store, streamed to the client, ended with the server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import web

from lease_aio.server import bodies, options, table
from lease_aio.server.answers import common_headers
from lease_aio.server.calls import Call, allow, form_of
from lease_aio.server.negotiation import Form, Shape
from lease_aio.server.showing import EventRenderer
from lease_aio.server.status import StatusError
from lease_aio.server.watching import Signal, Streaming, error_event

if TYPE_CHECKING:
    from lease_aio.server.history import Watch, WatchEvent
    from lease_aio.server.store import Store

_WATCHED = frozenset(Shape)


class Streams:
    """The open watches of one server.

    Args:
        store: the state.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._signals: set[Signal] = set()
        self._stopping = False

    def stop(self) -> None:
        """End all open watches; new ones end at once."""
        self._stopping = True
        for signal in self._signals:
            signal.set()

    async def answer(self, call: Call) -> web.StreamResponse:
        """Stream the events of a watch until its deadline, or until the client or the server goes away.

        Raises:
            StatusError: for bad options, and 403, 406; what happens after the headers, and a 410, is an event.
        """
        allow(call, "watch")
        form = form_of(call, _WATCHED, stream=True)
        table.check_include(call.query.get("includeObject", ""))
        options.check_numbers(call.query)
        chosen = options.watch_options(call.query)
        opened = self._open(call, chosen)
        try:
            return await self._respond(call, chosen, form, opened)
        finally:
            # Whatever happened, also while the headers were sent: an open watch would pile up events.
            if not isinstance(opened, StatusError):
                opened.close()

    async def _respond(
        self, call: Call, chosen: options.WatchOptions, form: Form, opened: Watch | StatusError
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=common_headers())
        response.content_type = bodies.JSON
        response.enable_chunked_encoding()
        render = EventRenderer(call, form)
        # That the client goes away is how most watches end.
        with contextlib.suppress(ConnectionResetError):
            await response.prepare(call.request)
            try:
                if isinstance(opened, StatusError):
                    raise opened
                await self._stream(opened, chosen, render, response)
            except StatusError as error:
                await response.write(render(error_event(error)))
        return response

    def _open(self, call: Call, chosen: options.WatchOptions) -> Watch | StatusError:
        version = call.query.get("resourceVersion", "")
        initial = chosen.send_initial_events
        if initial is None and version in {"", "0"} and chosen.bookmarks:
            initial = True  # what recent servers make of a plain watch from nowhere
        try:
            return self._store.watch(
                call.route.resource,
                call.route.namespace,
                label_selector=call.query.get("labelSelector", ""),
                field_selector=call.query.get("fieldSelector", ""),
                resource_version=version,
                send_initial_events=initial,
                bookmarks=chosen.bookmarks,
            )
        except StatusError as error:
            if error.code != 410:
                raise
            return error

    async def _stream(
        self,
        watch: Watch,
        chosen: options.WatchOptions,
        render: Callable[[WatchEvent], bytes],
        response: web.StreamResponse,
    ) -> None:
        signal = Signal()
        self._signals.add(signal)
        try:
            await Streaming(
                watch=watch,
                render=render,
                revision=lambda: self._store.resource_version,
                bookmarks=chosen.bookmarks,
                timeout_s=chosen.timeout_s,
                signal=signal,
                stopping=lambda: self._stopping,
            ).run(response)
        finally:
            self._signals.discard(signal)
