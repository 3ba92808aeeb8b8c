"""The REST front: one request in, one answer out. The store decides what it is, this module how it is written."""

from __future__ import annotations

import contextlib
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from lease_aio.server import access, bodies, discovery, negotiation, openapi, options, status, table
from lease_aio.server.faults import DropConnectionError, Faults
from lease_aio.server.listing import Page
from lease_aio.server.negotiation import Form, Shape
from lease_aio.server.patch import Patch, PatchKind
from lease_aio.server.routing import Route, Router
from lease_aio.server.status import Json, StatusError
from lease_aio.server.watching import Signal, Streaming, error_event

if TYPE_CHECKING:
    from lease_aio.server.history import Watch, WatchEvent
    from lease_aio.server.resources import ResourceType
    from lease_aio.server.store import OnUnknown, Store

MAX_BODY_BYTES = 3 * 1024 * 1024
_APPLY = "application/apply-patch+yaml"
_ONE = frozenset({Shape.OBJECT, Shape.TABLE, Shape.PARTIAL})
_MANY = frozenset({Shape.OBJECT, Shape.TABLE, Shape.PARTIAL_LIST})
_PROBES = frozenset({"/healthz", "/livez", "/readyz"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that is not yet written."""

    body: Any
    code: int = 200
    warnings: Sequence[str] = ()
    content_type: str = bodies.JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to a resource, understood but not yet answered."""

    request: web.BaseRequest
    route: Route
    query: Mapping[str, str]
    user: str
    warnings: list[str] = field(default_factory=list[str])


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
        self._streams: set[Signal] = set()
        self._stopping = False

    def stop(self) -> None:
        """End all open watches; new ones end at once."""
        self._stopping = True
        for signal in self._streams:
            signal.set()

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
            return self._refusal(request, error)
        except web.HTTPRequestEntityTooLarge:
            return self._refusal(request, status.too_large(MAX_BODY_BYTES))

    async def _dispatch(self, request: web.BaseRequest) -> web.StreamResponse:
        user = access.identify(request.headers.get("Authorization", ""), self._tokens)
        path = request.rel_url.raw_path
        query = options.read_query(request.rel_url.raw_query_string)
        route = self._router.resolve(path)
        if route is None:
            return self._document(request, path)
        call = Call(request=request, route=route, query=query, user=user)
        if request.method == "GET" and not route.name and negotiation.is_true(query.get("watch")):
            return await self._watch(call)
        answer = await self._verb(call)(call)
        return self._written(request, answer)

    def _verb(self, call: Call) -> Callable[[Call], Awaitable[Answer]]:
        route = call.route
        namespaced = route.resource.namespaced
        if route.name:
            verbs = {"GET": self._get, "PUT": self._replace, "PATCH": self._patch, "DELETE": self._delete}
            if route.subresource:
                del verbs["DELETE"]
        elif namespaced and not route.namespace:
            verbs = {"GET": self._list}
        else:
            verbs = {"GET": self._list, "POST": self._create, "DELETE": self._delete_collection}
            if "deletecollection" not in route.resource.verbs:
                del verbs["DELETE"]
        if call.request.method not in verbs:
            raise status.method_not_allowed()
        return verbs[call.request.method]

    def _allow(self, call: Call, verb: str) -> None:
        access.authorize(call.user, verb, call.route.resource, call.route.namespace, call.route.name)

    # --- verbs ----------------------------------------------------------------------------------------------

    async def _get(self, call: Call) -> Answer:
        self._allow(call, "get")
        form = self._form(call, _ONE)
        route = call.route
        version = call.query.get("resourceVersion", "")
        obj = self._store.get(route.resource, route.namespace, route.name, resource_version=version)
        return Answer(body=self._shown(call, obj, form), content_type=form.media_type)

    async def _list(self, call: Call) -> Answer:
        self._allow(call, "list")
        form = self._form(call, _MANY)
        query = call.query
        options.check_numbers(query)
        options.forbid_initial_events(query)
        page = self._store.list(
            call.route.resource,
            call.route.namespace,
            label_selector=query.get("labelSelector", ""),
            field_selector=query.get("fieldSelector", ""),
            limit=options.whole_number(query, "limit"),
            continue_token=query.get("continue", ""),
            resource_version=query.get("resourceVersion", ""),
            match=query.get("resourceVersionMatch", ""),
        )
        return Answer(body=self._shown_page(call, page, form), content_type=form.media_type)

    async def _create(self, call: Call) -> Answer:
        self._allow(call, "create")
        form = self._form(call, _ONE)
        chosen = options.write_options(call.query, "CreateOptions")
        body, on_unknown = await self._body(call, chosen)
        obj = self._store.create(
            call.route.resource,
            call.route.namespace,
            body,
            now=self._now(),
            dry_run=chosen.dry_run,
            on_unknown=on_unknown,
        )
        return Answer(code=201, body=self._shown(call, obj, form), warnings=call.warnings, content_type=form.media_type)

    async def _replace(self, call: Call) -> Answer:
        self._allow(call, "update")
        form = self._form(call, _ONE)
        chosen = options.write_options(call.query, "UpdateOptions")
        body, on_unknown = await self._body(call, chosen)
        route = call.route
        known = self._store.find(route.resource, route.namespace, route.name) is not None
        obj = self._store.replace(
            route.resource,
            route.namespace,
            route.name,
            body,
            now=self._now(),
            subresource=route.subresource,
            dry_run=chosen.dry_run,
            on_unknown=on_unknown,
        )
        return Answer(
            code=200 if known else 201,
            body=self._shown(call, obj, form),
            warnings=call.warnings,
            content_type=form.media_type,
        )

    async def _patch(self, call: Call) -> Answer:
        self._allow(call, "patch")
        form = self._form(call, _ONE)
        kind = _patch_kind(call.request)
        chosen = options.write_options(call.query, "PatchOptions")
        data = await call.request.read()
        route = call.route
        obj = self._store.patch(
            route.resource,
            route.namespace,
            route.name,
            Patch(kind, _readable_patch(data)),
            now=self._now(),
            subresource=route.subresource,
            dry_run=chosen.dry_run,
            on_unknown=_on_unknown(
                chosen.field_validation, call, bodies.duplicates(data) if data.strip() else [], _strict_patch
            ),
        )
        return Answer(body=self._shown(call, obj, form), warnings=call.warnings, content_type=form.media_type)

    async def _delete(self, call: Call) -> Answer:
        self._allow(call, "delete")
        form = self._form(call, _ONE)
        chosen = options.delete_options(call.query, await self._options_body(call))
        route = call.route
        obj = self._store.delete(
            route.resource,
            route.namespace,
            route.name,
            now=self._now(),
            uid=chosen.uid,
            resource_version=chosen.resource_version,
            propagation_policy=chosen.propagation_policy,
            dry_run=chosen.dry_run,
        )
        if "deletionTimestamp" in obj["metadata"]:
            return Answer(body=self._shown(call, obj, form), content_type=form.media_type)
        named = {**status.details(route.resource, route.name), "uid": obj["metadata"]["uid"]}
        return Answer(
            body={"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": named}
        )

    async def _delete_collection(self, call: Call) -> Answer:
        self._allow(call, "deletecollection")
        form = self._form(call, _MANY)
        query = call.query
        chosen = options.delete_options(query, await self._options_body(call))
        page = self._store.delete_collection(
            call.route.resource,
            call.route.namespace,
            now=self._now(),
            label_selector=query.get("labelSelector", ""),
            field_selector=query.get("fieldSelector", ""),
            limit=options.whole_number(query, "limit"),
            continue_token=query.get("continue", ""),
            propagation_policy=chosen.propagation_policy,
            dry_run=chosen.dry_run,
        )
        return Answer(body=self._shown_page(call, page, form), content_type=form.media_type)

    # --- watch ----------------------------------------------------------------------------------------------

    async def _watch(self, call: Call) -> web.StreamResponse:
        self._allow(call, "watch")
        form = negotiation.choose(call.request.headers.get("Accept", ""), allowed=_WATCHED, stream=True)
        table.check_include(call.query.get("includeObject", ""))
        options.check_numbers(call.query)
        chosen = options.watch_options(call.query)
        opened = self._open(call, chosen)
        try:
            return await self._answer_watch(call, chosen, form, opened)
        finally:
            # Whatever happened, also while the headers were sent: an open watch would pile up events.
            if not isinstance(opened, StatusError):
                opened.close()

    async def _answer_watch(
        self, call: Call, chosen: options.WatchOptions, form: Form, opened: Watch | StatusError
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=_headers())
        response.content_type = bodies.JSON
        response.enable_chunked_encoding()
        render = _EventRenderer(self, call, form)
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
        self._streams.add(signal)
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
            self._streams.discard(signal)

    # --- reading and writing --------------------------------------------------------------------------------

    def _form(self, call: Call, allowed: frozenset[Shape]) -> Form:
        return negotiation.choose(call.request.headers.get("Accept", ""), allowed=allowed)

    async def _body(self, call: Call, chosen: options.WriteOptions) -> tuple[Any, OnUnknown | None]:
        media_type = _body_type(call.request)
        data = await call.request.read()
        resource = call.route.resource
        body = _readable(resource, data, media_type)
        if chosen.field_validation == "Ignore":
            return body, None

        def strict(problems: Sequence[str]) -> StatusError:
            return resource.cannot_be_handled(f"strict decoding error: {', '.join(problems)}")

        duplicated = bodies.duplicates(data) if media_type == bodies.JSON else []
        return body, _on_unknown(chosen.field_validation, call, duplicated, strict)

    async def _options_body(self, call: Call) -> Any:
        data = await call.request.read()
        if not data.strip():
            return None
        return bodies.read(data, _body_type(call.request))

    def _shown(self, call: Call, obj: Json, form: Form) -> Json:
        if form.shape is Shape.OBJECT:
            return obj
        if form.shape is Shape.PARTIAL:
            return table.partial(obj, form.version)
        return self.as_table(call, [obj], form, {"resourceVersion": obj["metadata"].get("resourceVersion", "")})

    def as_table(
        self, call: Call, objects: Sequence[Json], form: Form, metadata: Json, *, with_columns: bool = True
    ) -> Json:
        """The Table of some objects, as this request wants it."""
        return table.render(
            call.route.resource,
            objects,
            now=self._now(),
            include=call.query.get("includeObject", ""),
            version=form.version,
            list_metadata=metadata,
            with_columns=with_columns,
        )

    def _shown_page(self, call: Call, page: Page, form: Form) -> Json:
        metadata: Json = {"resourceVersion": str(page.resource_version)}
        if page.continue_token:
            metadata["continue"] = page.continue_token
        if page.remaining:
            metadata["remainingItemCount"] = page.remaining
        resource = call.route.resource
        if form.shape is Shape.TABLE:
            return self.as_table(call, page.items, form, metadata)
        if form.shape is Shape.PARTIAL_LIST:
            kind, group_version = "PartialObjectMetadataList", f"meta.k8s.io/{form.version}"
            items: list[Json] = [table.partial(obj, form.version) for obj in page.items]
        else:
            kind, group_version = f"{resource.kind}List", resource.group_version
            items = [{key: obj[key] for key in obj if key not in {"kind", "apiVersion"}} for obj in page.items]
        return {"kind": kind, "apiVersion": group_version, "metadata": metadata, "items": items}

    def _written(self, request: web.BaseRequest, answer: Answer) -> web.Response:
        headers = _headers()
        if answer.warnings:
            headers["Warning"] = _warning(answer.warnings)
        indented = negotiation.wants_indented(
            options.read_query(request.rel_url.raw_query_string).get("pretty"), request.headers.get("User-Agent", "")
        )
        headers["Content-Type"] = answer.content_type
        return web.Response(
            status=answer.code,
            headers=headers,
            body=bodies.write(answer.body, media_type=answer.content_type, indented=indented),
        )

    def _refusal(self, request: web.BaseRequest, error: StatusError) -> web.Response:
        response = self._written(request, Answer(code=error.code, body=error.body()))
        if error.retry_after_s:
            response.headers["Retry-After"] = str(error.retry_after_s)
        return response

    # --- documents ------------------------------------------------------------------------------------------

    def _document(self, request: web.BaseRequest, path: str) -> web.Response:
        if path in _PROBES:
            return web.Response(text="ok")
        if request.method != "GET":
            return _page_not_found()
        found = self._discovery(request, path.rstrip("/"))
        return _page_not_found() if found is None else self._written(request, found)

    def _discovery(self, request: web.BaseRequest, path: str) -> Answer | None:
        resources = self._store.resources
        if path in {"/api", "/apis"} and negotiation.wants_aggregated(request.headers.get("Accept", "")):
            body = discovery.aggregated(resources, core=path == "/api")
            return Answer(body=body, content_type=negotiation.AGGREGATED)
        if path == "/api":
            return Answer(body=discovery.core_versions(request.host))
        if path == "/apis":
            return Answer(body=discovery.groups(resources))
        if path == "/version":
            return Answer(body=discovery.version())
        if path == "/openapi/v3":
            return Answer(body=openapi.index(resources))
        return self._group_document(path)

    def _group_document(self, path: str) -> Answer | None:
        resources = self._store.resources
        described = path.removeprefix("/openapi/v3")
        prefix, _, name = described.lstrip("/").partition("/")
        if prefix == "apis" and self._router.group_exists(name) and described == path:
            return Answer(body=discovery.group(resources, name))
        if prefix not in {"api", "apis"} or not self._router.serves(name) or ("/" in name) is (prefix == "api"):
            return None
        if described != path:
            return Answer(body=openapi.document(resources, name))
        return Answer(body=discovery.resource_list(resources, name))


_WATCHED = frozenset(Shape)


class _EventRenderer:
    """Writes events as lines in the form that the client asked for. A Table describes its columns only once."""

    def __init__(self, front: Front, call: Call, form: Form) -> None:
        self._front = front
        self._call = call
        self._form = form
        self._described = False

    def __call__(self, event: WatchEvent) -> bytes:
        return bodies.write({"type": event.type, "object": self._shown(event)})

    def _shown(self, event: WatchEvent) -> Json:
        if event.type == "ERROR" or self._form.shape is Shape.OBJECT:
            return event.object
        if self._form.shape is not Shape.TABLE:
            return table.partial(event.object, self._form.version)
        metadata = {"resourceVersion": event.object["metadata"]["resourceVersion"]}
        described, self._described = self._described, True
        return self._front.as_table(self._call, [event.object], self._form, metadata, with_columns=not described)


def _headers() -> dict[str, str]:
    # Random bits of our own: the system's cost a call into the kernel.
    audit = uuid.UUID(int=random.getrandbits(128), version=4)
    return {"Audit-Id": str(audit), "Cache-Control": "no-cache, private"}


def _warning(problems: Sequence[str]) -> str:
    # One header line may carry several warnings.
    return ", ".join('299 - "' + problem.replace("\\", "\\\\").replace('"', '\\"') + '"' for problem in problems)


def _page_not_found() -> web.Response:
    return web.Response(status=404, text="404 page not found\n")


def _media_type(request: web.BaseRequest) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _body_type(request: web.BaseRequest) -> str:
    media_type = _media_type(request) or bodies.JSON
    if media_type not in bodies.SERVED:
        raise status.unsupported_media_type(bodies.SERVED)
    return media_type


def _readable(resource: ResourceType, data: bytes, media_type: str) -> Any:
    try:
        return bodies.read(data, media_type)
    except StatusError as error:
        raise resource.unrecognized(error.message) from None


def _patch_kind(request: web.BaseRequest) -> PatchKind:
    try:
        return PatchKind(_media_type(request))
    except ValueError:
        if _media_type(request) == _APPLY:
            raise status.unsupported_media_type([kind.value for kind in PatchKind]) from None
        raise StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {}) from None


def _on_unknown(
    validation: str, call: Call, duplicated: Sequence[str], strict: Callable[[Sequence[str]], StatusError]
) -> OnUnknown | None:
    """What to do about unknown and duplicate fields: nothing, warn, or refuse."""
    if validation == "Ignore":
        return None

    def told(unknown: Sequence[str]) -> None:
        problems = [*duplicated, *unknown]
        if problems and validation == "Strict":
            raise strict(problems)
        call.warnings.extend(problems)

    return told


def _readable_patch(data: bytes) -> Any:
    try:
        return bodies.read(data)
    except StatusError:
        raise status.bad_request("invalid JSON patch") from None


def _strict_patch(problems: Sequence[str]) -> StatusError:
    return status.bad_request(f"strict decoding error: {', '.join(problems)}")
