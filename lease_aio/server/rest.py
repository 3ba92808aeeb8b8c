"""The REST front: one request in, one answer out. The store decides what it is, the verbs how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from aiohttp import web

from lease_aio.server import access, answers, documents, negotiation, options, status, verbs
from lease_aio.server.calls import Call
from lease_aio.server.faults import DropConnectionError, Faults
from lease_aio.server.routing import Router
from lease_aio.server.status import StatusError
from lease_aio.server.streams import Streams

if TYPE_CHECKING:
    from lease_aio.server.store import Store

MAX_BODY_BYTES = 3 * 1024 * 1024


class Front:
    """Answers HTTP requests from a store.

    Args:
        store: the state.
        now: the wall clock, epoch microseconds.
        tokens: bearer token -> user; None where everybody may do everything.
    """

    def __init__(self, store: Store, *, now: Callable[[], int], tokens: Mapping[str, str] | None = None) -> None:
        self.faults: Faults | None = None
        self._store = store
        self._now = now
        self._tokens = tokens
        self._router = Router(store.resources)
        self._streams = Streams(store)

    def stop(self) -> None:
        """End all open watches; new ones end at once."""
        self._streams.stop()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, or let a fault have its way."""
        try:
            faults = self.faults
            if faults is not None and (instead := await faults.before(request)) is not None:
                return instead
            response = await self._respond(request)
            if faults is not None and not response.prepared:
                response = await faults.after(request, response) or response
        except DropConnectionError:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        return response

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._dispatch(request)
        except StatusError as error:
            return answers.refusal(request, error)
        except web.HTTPRequestEntityTooLarge:
            return answers.refusal(request, status.too_large(MAX_BODY_BYTES))
        except RecursionError:
            return answers.refusal(request, status.bad_request("the body is nested too deeply: exceeded max depth"))

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        user = access.identify(request.headers.get("Authorization", ""), self._tokens)
        path = request.rel_url.raw_path
        query = options.read_query(request.rel_url.raw_query_string)
        route = self._router.resolve(path)
        if route is None:
            return documents.document(self._router, request, path)
        call = Call(request=request, route=route, query=query, user=user, now=self._now)
        if request.method == "GET" and not route.name and negotiation.is_true(query.get("watch")):
            return await self._streams.answer(call)
        answer = await verbs.verb_of(call)(self._store, call)
        return answers.written(request, answer)
