"""The REST front: what only it decides."""

from __future__ import annotations

import io
import json
from typing import Any

import aiohttp
import anyio
import pytest
import yaml
from aiohttp import web

from lease_aio.server import DropConnectionError, EmbeddedServer, Store, serve
from lease_aio.server.rest import MAX_BODY_BYTES

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
MERGE = {"Content-Type": "application/merge-patch+json"}
Json = dict[str, Any]


def lease(name: str = "lock", **spec: Any) -> Json:
    return {"metadata": {"name": name}, "spec": spec}


class Gate:
    """A fault that does what it was told, once."""

    def __init__(self, *, before: Any = None, after: Any = None) -> None:
        self._before, self._after = before, after

    async def before(self, _request: web.BaseRequest) -> web.StreamResponse | None:
        return self._strike("_before")

    async def after(self, _request: web.BaseRequest, _response: web.StreamResponse) -> web.StreamResponse | None:
        return self._strike("_after")

    def _strike(self, name: str) -> web.StreamResponse | None:
        fault = getattr(self, name)
        setattr(self, name, None)
        if isinstance(fault, Exception):
            raise fault
        return fault


# --- faults and refusals


async def test_a_connection_cut_before_the_write_stores_nothing(
    server: EmbeddedServer, http: aiohttp.ClientSession
) -> None:
    server.faults = Gate(before=DropConnectionError())
    with pytest.raises(aiohttp.ClientError):
        await http.post(LEASES, json=lease())
    assert (await http.get(f"{LEASES}/lock")).status == 404


async def test_a_connection_cut_after_the_write_has_stored_it(
    server: EmbeddedServer, http: aiohttp.ClientSession
) -> None:
    server.faults = Gate(after=DropConnectionError())
    with pytest.raises(aiohttp.ClientError):
        await http.post(LEASES, json=lease())
    assert (await http.get(f"{LEASES}/lock")).status == 200


async def test_a_fault_may_answer_in_the_place_of_the_server(
    server: EmbeddedServer, http: aiohttp.ClientSession
) -> None:
    server.faults = Gate(before=web.Response(status=429, text="later", headers={"Retry-After": "1"}))
    answer = await http.get(LEASES)
    assert (answer.status, answer.headers["Retry-After"], await answer.text()) == (429, "1", "later")
    assert (await http.get(LEASES)).status == 200


async def test_a_body_that_is_too_large_is_refused(http: aiohttp.ClientSession) -> None:
    answer = await http.post(
        LEASES, data=io.BytesIO(b"x" * (MAX_BODY_BYTES + 1)), headers={"Content-Type": "application/json"}
    )
    body = await answer.json()
    assert (answer.status, body["reason"]) == (413, "RequestEntityTooLarge")
    assert body["message"] == "Request entity too large: limit is 3145728"


@pytest.mark.parametrize(
    ("method", "media", "body"),
    [
        ("DELETE", "application/json", b"[" * 20_000),
        ("PATCH", "application/merge-patch+json", b"[" * 20_000),
        ("PATCH", "application/strategic-merge-patch+json", b'{"a":' * 600 + b"1" + b"}" * 600),
    ],
)
async def test_a_body_that_is_nested_too_deeply_is_refused(
    http: aiohttp.ClientSession, method: str, media: str, body: bytes
) -> None:
    await http.post(LEASES, json=lease())
    answer = await http.request(method, f"{LEASES}/lock", data=body, headers={"Content-Type": media})
    assert (answer.status, (await answer.json())["reason"]) == (400, "BadRequest")


async def test_server_side_apply_is_refused_with_what_is_served(http: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": "application/apply-patch+yaml"}
    answer = await http.patch(f"{LEASES}/lock", data=b"{}", headers=headers)
    body = await answer.json()
    assert (answer.status, body["reason"]) == (415, "UnsupportedMediaType")
    assert body["message"].endswith("application/strategic-merge-patch+json")


async def test_a_retry_after_stands_in_the_header_too(http: aiohttp.ClientSession) -> None:
    answer = await http.get(LEASES, params={"resourceVersion": "1000000"})
    assert (answer.status, answer.headers["Retry-After"]) == (504, "1")


async def test_duplicate_fields_are_warned_about(http: aiohttp.ClientSession) -> None:
    data = b'{"metadata":{"name":"a","labels":{"x":"1","x":"2"}}}'
    answer = await http.post(LEASES, data=data, headers={"Content-Type": "application/json"})
    assert answer.headers["Warning"] == '299 - "duplicate field \\"metadata.labels.x\\""'
    assert (await answer.json())["metadata"]["labels"] == {"x": "2"}


# --- access


async def test_a_token_that_is_not_known_is_unauthorized(store: Store) -> None:
    async with serve(store=store, tokens={"secret": "ann"}) as server, aiohttp.ClientSession(server.url) as http:
        answer = await http.get(LEASES, headers={"Authorization": "Bearer guess"})
        body = await answer.json()
    assert (answer.status, body["reason"], body["message"]) == (401, "Unauthorized", "Unauthorized")


async def test_without_a_token_nothing_is_allowed_but_to_look_around(store: Store) -> None:
    async with serve(store=store, tokens={"secret": "ann"}) as server, aiohttp.ClientSession(server.url) as http:
        refused = await http.put(f"{LEASES}/lock", json=lease())
        message = (await refused.json())["message"]
        seen = [(await http.get(path)).status for path in ("/version", "/api", "/healthz")]
        known = await http.get(LEASES, headers={"Authorization": "Bearer secret"})
    assert refused.status == 403
    assert message == (
        'leases.coordination.k8s.io "lock" is forbidden: User "system:anonymous" cannot update resource "leases" '
        'in API group "coordination.k8s.io" in the namespace "default"'
    )
    assert (seen, known.status) == ([200, 200, 200], 200)


# --- formats


async def test_yaml_is_read_and_written(http: aiohttp.ClientSession) -> None:
    text = "metadata: {name: y}\nspec: {renewTime: 2026-08-11T19:37:19.103000Z, leaseDurationSeconds: 15}\n"
    headers = {"Content-Type": "application/yaml", "Accept": "application/yaml"}
    answer = await http.post(LEASES, data=text, headers=headers)
    assert (answer.status, answer.content_type) == (201, "application/yaml")
    spec = yaml.load(await answer.text(), Loader=yaml.BaseLoader)["spec"]
    assert spec == {"renewTime": "2026-08-11T19:37:19.103000Z", "leaseDurationSeconds": "15"}


async def test_a_number_in_yaml_may_have_any_base(http: aiohttp.ClientSession) -> None:
    text = "metadata: {name: y}\nspec: {leaseDurationSeconds: 0x1F, leaseTransitions: 1_0}\n"
    answer = await http.post(LEASES, data=text, headers={"Content-Type": "application/yaml"})
    assert (await answer.json())["spec"] == {"leaseDurationSeconds": 31, "leaseTransitions": 10}


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("yaml", "a: ["),
        ("yaml", "? [a]\n: a list as a key"),
        ("yaml", "a: .inf"),
        ("yaml", "a: &a [*a]"),
        ("yaml", "a: " + "[" * 10_000 + "]" * 10_000),
        ("json", '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(http: aiohttp.ClientSession, media_type: str, body: str) -> None:
    answer = await http.post(LEASES, data=body, headers={"Content-Type": f"application/{media_type}"})
    assert (answer.status, (await answer.json())["reason"]) == (400, "BadRequest")


async def test_metadata_alone_can_be_asked_for(http: aiohttp.ClientSession) -> None:
    await http.post(LEASES, json=lease(holderIdentity="h"))
    one = await http.get(
        f"{LEASES}/lock", headers={"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
    )
    many = await http.get(
        LEASES, headers={"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
    )
    assert sorted(await one.json()) == ["apiVersion", "kind", "metadata"]
    assert (await many.json())["items"][0]["kind"] == "PartialObjectMetadata"


async def test_a_reader_at_a_terminal_gets_indented_json(http: aiohttp.ClientSession) -> None:
    answer = await http.get(LEASES, headers={"User-Agent": "curl/8.0"})
    assert (await answer.text()).startswith('{\n  "kind"')


async def test_discovery_can_be_had_in_one_document(http: aiohttp.ClientSession) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    answer = await http.get("/apis", headers={"Accept": accept})
    (group,) = (await answer.json())["items"]
    assert "as=APIGroupDiscoveryList" in answer.headers["Content-Type"]
    assert [version["version"] for version in group["versions"]] == ["v1", "v1beta1", "v1alpha2"]


# --- watches


async def next_event(response: aiohttp.ClientResponse) -> Json | None:
    with anyio.fail_after(30):
        line = await response.content.readline()
    return json.loads(line) if line else None


async def test_a_watch_of_a_forgotten_version_ends_with_an_error_event(
    store: Store, http: aiohttp.ClientSession
) -> None:
    await http.post(LEASES, json=lease())
    store.compact()
    answer = await http.get(LEASES, params={"watch": "1", "resourceVersion": "2"})
    event = await next_event(answer)
    assert answer.status == 200
    assert event is not None
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert await next_event(answer) is None


async def test_a_client_that_goes_away_leaves_no_watch_behind(store: Store, http: aiohttp.ClientSession) -> None:
    answer = await http.get(LEASES, params={"watch": "1", "resourceVersion": "1"})
    assert store.open_watches == 1
    answer.close()
    with anyio.fail_after(30):
        while store.open_watches:  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def test_open_watches_end_with_the_server(store: Store) -> None:
    async with aiohttp.ClientSession() as http:
        with anyio.fail_after(30):
            async with serve(store=store) as server:
                answer = await http.get(server.url + LEASES, params={"watch": "1", "resourceVersion": "1"})
            assert await answer.content.read() == b""
    assert store.open_watches == 0


async def test_a_watch_keeps_its_deadline_even_when_it_is_busy(store: Store, http: aiohttp.ClientSession) -> None:
    answer = await http.get(LEASES, params={"watch": "1", "timeoutSeconds": "1"})
    with anyio.fail_after(30):
        while await next_event(answer) is not None:
            await http.post(LEASES, json={"metadata": {"generateName": "x-"}})
    assert store.open_watches == 0


async def test_a_table_describes_its_columns_in_the_first_event_only(http: aiohttp.ClientSession) -> None:
    await http.post(LEASES, json=lease("a", holderIdentity="h"))
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    answer = await http.get(LEASES, params={"watch": "1"}, headers=accept)
    await http.post(LEASES, json=lease("b"))
    first, second = await next_event(answer), await next_event(answer)
    assert first is not None
    assert second is not None
    assert [column["name"] for column in first["object"]["columnDefinitions"]] == ["Name", "Holder", "Age"]
    assert second["object"]["columnDefinitions"] is None
    assert [first["object"]["rows"][0]["cells"][0], second["object"]["rows"][0]["cells"][0]] == ["a", "b"]
    answer.close()


async def test_bookmarks_come_every_minute_and_before_the_end() -> None:
    # The timing is decided here, without a clock: when is the next one, and is there a last one?
    from lease_aio.server.watching import bookmark_due  # noqa: PLC0415

    assert bookmark_due(now=0.0, deadline=1_000.0) == 60.0
    assert bookmark_due(now=960.0, deadline=1_000.0) == 998.0
    assert bookmark_due(now=998.0, deadline=1_000.0) > 1_000.0
