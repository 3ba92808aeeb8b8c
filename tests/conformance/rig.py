"""What the conformance tests speak through: plain HTTP, and the words that an API server answers in."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
import anyio

COORDINATION = "/apis/coordination.k8s.io/v1"
NODES = "/api/v1/nodes"
NAMESPACES = "/api/v1/namespaces"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
EVENT_TIMEOUT_S = 60.0

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Json:
        return json.loads(self.text)

    @property
    def version(self) -> str:
        return self.json["metadata"]["resourceVersion"]


class Watch:
    """A watch that is open within its ``async with``; ``next()`` is the next event, or None at the end."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> Json | None:
        with anyio.fail_after(EVENT_TIMEOUT_S):
            line = await self.response.content.readline()
        return json.loads(line) if line else None

    async def take(self, count: int) -> list[tuple[str, Json]]:
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]) for event in events if event]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection = self.response.connection
        if connection and connection.transport:
            connection.transport.abort()  # a TLS transport closed in grace outlives the loop of a short test
        self.response.close()


@dataclass(frozen=True, kw_only=True)
class Api:
    """An API server: its address and a session that is allowed everything."""

    url: str
    session: aiohttp.ClientSession

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        data: str | bytes | None = None,
        **params: str,
    ) -> Answer:
        """Send ``body`` as JSON, or ``data`` as it is."""
        sent = {"Accept": "application/json", "Content-Type": "application/json", **(headers or {})}
        content = json.dumps(body) if body is not None else data
        async with self.session.request(method, self.url + path, params=params, data=content, headers=sent) as response:
            return Answer(status=response.status, headers=response.headers.copy(), text=await response.text())

    async def get(self, path: str, *, accept: str = "application/json", **params: str) -> Answer:
        return await self.call("GET", path, headers={"Accept": accept}, **params)

    async def post(self, path: str, body: Any, **params: str) -> Answer:
        return await self.call("POST", path, body, **params)

    async def put(self, path: str, body: Any, **params: str) -> Answer:
        return await self.call("PUT", path, body, **params)

    async def delete(self, path: str, body: Any = None, **params: str) -> Answer:
        return await self.call("DELETE", path, body, **params)

    async def patch(self, path: str, body: Any, *, kind: str = MERGE_PATCH, **params: str) -> Answer:
        return await self.call("PATCH", path, body, headers={"Content-Type": kind}, **params)

    async def watch(self, path: str, *, accept: str = "application/json", **params: str) -> Watch:
        asked = {"watch": "1", **params}
        response = await self.session.get(self.url + path, params=asked, headers={"Accept": accept})
        assert response.status == 200, await response.text()
        return Watch(response)


@dataclass(frozen=True, kw_only=True)
class Namespace:
    """A namespace of one test's own, and its leases."""

    api: Api
    name: str

    @property
    def leases(self) -> str:
        return f"{COORDINATION}/namespaces/{self.name}/leases"

    def path(self, name: str) -> str:
        return f"{self.leases}/{name}"

    async def create(self, name: str, *, metadata: Json | None = None, **spec: Any) -> Json:
        answer = await self.api.post(self.leases, lease(name, metadata=metadata, **spec))
        assert answer.status == 201, answer.text
        return answer.json

    async def read(self, name: str) -> Json:
        answer = await self.api.get(self.path(name))
        assert answer.status == 200, answer.text
        return answer.json


def lease(name: str | None, *, metadata: Json | None = None, **spec: Any) -> Json:
    named = {"name": name} if name is not None else {}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {**named, **(metadata or {})},
        "spec": spec,
    }


def changed(obj: Json, *, metadata: Json | None = None, **spec: Any) -> Json:
    """A copy with other metadata and spec fields; a field given as None is left out."""
    merged = {
        **obj,
        "metadata": {**obj["metadata"], **(metadata or {})},
        "spec": {**obj.get("spec", {}), **spec},
    }
    for part in ("metadata", "spec"):
        merged[part] = {key: value for key, value in merged[part].items() if value is not None}
    return merged


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def failure(code: int, message: str, *, reason: str | None = None, details: Json | None = None) -> Json:
    """The whole body of a refusal."""
    body: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    body |= {"message": message} | ({"reason": reason} if reason else {})
    return body | ({"details": details} if details is not None else {}) | {"code": code}


def about(name: str) -> Json:
    """The details of an error about one lease, which speak of the resource."""
    return {"name": name, "group": "coordination.k8s.io", "kind": "leases"}


def bad_request(message: str) -> Json:
    return failure(400, message, reason="BadRequest")


def not_found(name: str) -> Json:
    message = f'leases.coordination.k8s.io "{name}" not found'
    return failure(404, message, reason="NotFound", details=about(name))


def conflict(name: str, message: str, *, noun: str = "leases") -> Json:
    opening = f'Operation cannot be fulfilled on {noun}.coordination.k8s.io "{name}": '
    return failure(409, opening + message, reason="Conflict", details={**about(name), "kind": noun})


def invalid(name: str, *causes: tuple[str, str, str], kind: str = "Lease") -> Json:
    """A 422 about an object, with its causes as (field, reason, message)."""
    return _invalid(name, kind, "coordination.k8s.io", causes)


def bad_option(kind: str, *causes: tuple[str, str, str]) -> Json:
    """A 422 about the query or the options in a body."""
    return _invalid("", kind, "meta.k8s.io", causes)


def _invalid(name: str, kind: str, group: str, causes: tuple[tuple[str, str, str], ...]) -> Json:
    texts = [f"{field}: {text}" for field, _, text in causes]
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details: Json = {"name": name} if name else {}
    details |= {"group": group, "kind": kind}
    details["causes"] = [{"reason": reason, "message": text, "field": field} for field, reason, text in causes]
    message = f'{kind}.{group} "{name}" is invalid: {joined}'
    return failure(422, message, reason="Invalid", details=details)


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
