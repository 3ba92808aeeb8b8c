"""What is served beside the objects: probes, discovery, and the description of the API."""

from __future__ import annotations

from aiohttp import web

from lease_aio.server import discovery, negotiation, openapi
from lease_aio.server.answers import Answer, page_not_found, written
from lease_aio.server.routing import Router

_PROBES = frozenset({"/healthz", "/livez", "/readyz"})


def document(router: Router, request: web.BaseRequest, path: str) -> web.Response:
    """The answer to a request that names no resource."""
    if path in _PROBES:
        return web.Response(text="ok")
    if request.method != "GET":
        return page_not_found()
    found = _discovery(router, request, path.rstrip("/"))
    return page_not_found() if found is None else written(request, found)


def _discovery(router: Router, request: web.BaseRequest, path: str) -> Answer | None:
    resources = router.resources
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
    return _group_document(router, path)


def _group_document(router: Router, path: str) -> Answer | None:
    resources = router.resources
    described = path.removeprefix("/openapi/v3")
    prefix, _, name = described.lstrip("/").partition("/")
    if prefix == "apis" and router.group_exists(name) and described == path:
        return Answer(body=discovery.group(resources, name))
    if prefix not in {"api", "apis"} or not router.serves(name) or ("/" in name) is (prefix == "api"):
        return None
    if described != path:
        return Answer(body=openapi.document(resources, name))
    return Answer(body=discovery.resource_list(resources, name))
