"""LeaseCandidates, and what the gate CoordinatedLeaderElection adds to Leases."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from lease_aio.server import Store, serve
from lease_aio.testing.envtest import ControlPlane
from tests.cluster.assets import assets
from tests.conformance.conftest import _real
from tests.conformance.rig import NAMESPACES, TABLE, Answer, Api, Json, Namespace, failure, invalid, lease, unique

FLAGS = (
    "--feature-gates=CoordinatedLeaderElection=true",
    "--runtime-config=coordination.k8s.io/v1beta1=true,coordination.k8s.io/v1alpha2=true",
)
GROUP_VERSION = "coordination.k8s.io/v1beta1"
ROOT = f"/apis/{GROUP_VERSION}"
REQUIRED, INVALID = "FieldValueRequired", "FieldValueInvalid"
AT = "2126-01-02T03:04:05.000006Z"
"""In time to come: a real coordinator, when it begins, takes away those that were not renewed for half an hour."""
CONFIG_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)


@pytest.fixture(scope="module")
def coordinated_plane() -> Iterator[ControlPlane]:
    with ControlPlane(assets(), apiserver_flags=FLAGS) as plane:
        yield plane


@contextlib.asynccontextmanager
async def _embedded() -> AsyncIterator[Api]:
    store = Store(now=time.time_ns() // 1000, coordinated=True)
    async with serve(host="127.0.0.1", port=0, store=store) as server, aiohttp.ClientSession() as session:
        yield Api(url=server.url, session=session)


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.cluster)])
async def api(request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    """An API server with the gate on."""
    server = _embedded() if request.param == "embedded" else _real(request.getfixturevalue("coordinated_plane"))
    async with server as opened:
        yield opened


@pytest.fixture
async def ns(api: Api) -> Namespace:
    name = unique("candidates")
    answer = await api.post(NAMESPACES, {"metadata": {"name": name}})
    assert answer.status == 201, answer.text
    return Namespace(api=api, name=name)


def candidates(ns: Namespace) -> str:
    return f"{ROOT}/namespaces/{ns.name}/leasecandidates"


def body(name: str = "a_B.c-1", **spec: object) -> Json:
    fields = {"leaseName": "x", "binaryVersion": "1.31.0", "emulationVersion": "1.30.0"}
    merged = {**fields, "strategy": "example.com/none", **spec}
    return {
        "apiVersion": GROUP_VERSION,
        "kind": "LeaseCandidate",
        "metadata": {"name": name},
        "spec": {key: value for key, value in merged.items() if value is not None},
    }


async def create(ns: Namespace, *, name: str = "a_B.c-1", **spec: object) -> Json:
    answer = await ns.api.post(candidates(ns), body(name, **spec))
    assert answer.status == 201, answer.text
    return answer.json


def refused(answer: Answer, *causes: tuple[str, str, str], name: str = "a_B.c-1") -> None:
    assert (answer.status, answer.json) == (422, invalid(name, *causes, kind="LeaseCandidate"))


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("name", ["a b", "ä"])
async def test_a_name_that_is_no_key_of_a_config_map_is_refused(ns: Namespace, name: str) -> None:
    answer = await ns.api.post(candidates(ns), body(name))
    refused(answer, ("metadata.name", INVALID, f'Invalid value: "{name}": {CONFIG_KEY}'), name=name)


@pytest.mark.parametrize("field", ["leaseName", "binaryVersion", "strategy"])
async def test_a_missing_field_is_refused(ns: Namespace, field: str) -> None:
    answer = await ns.api.post(candidates(ns), body(**{field: None}))
    assert answer.status == 422
    assert (f"spec.{field}", REQUIRED) in {(one["field"], one["reason"]) for one in answer.json["details"]["causes"]}


@pytest.mark.parametrize("field", ["binaryVersion", "emulationVersion"])
@pytest.mark.parametrize("version", ["v1.30.0", "1.30", "1.30.0.0", "01.30.0", "1.x.0", "1.30.0-01", "1.30.0+a..b"])
async def test_a_version_that_is_not_strict_semver_is_refused(ns: Namespace, field: str, version: str) -> None:
    answer = await ns.api.post(candidates(ns), body(**{field: version}))
    causes = [(f"spec.{field}", INVALID, f'Invalid value: "{version}": must be a valid semantic version')]
    if field == "binaryVersion":  # it counts as 0.0.0 then
        text = f'Invalid value: "{version}": must be greater than or equal to `emulationVersion`'
        causes.append((f"spec.{field}", INVALID, text))
    refused(answer, *causes)


async def test_an_emulation_version_that_is_newer_than_the_binary_is_refused(ns: Namespace) -> None:
    answer = await ns.api.post(candidates(ns), body(emulationVersion="1.32.0"))
    text = 'Invalid value: "1.31.0": must be greater than or equal to `emulationVersion`'
    refused(answer, ("spec.binaryVersion", INVALID, text))


@pytest.mark.parametrize(
    ("binary", "emulation"), [("1.31.0-rc.1", "1.31.0"), ("1.31.0-rc.1", "1.31.0-rc.2"), ("1.31.0-2", "1.31.0-10")]
)
async def test_a_pre_release_is_older_than_its_release(ns: Namespace, binary: str, emulation: str) -> None:
    answer = await ns.api.post(candidates(ns), body(binaryVersion=binary, emulationVersion=emulation))
    text = f'Invalid value: "{binary}": must be greater than or equal to `emulationVersion`'
    refused(answer, ("spec.binaryVersion", INVALID, text))
    await create(ns, binaryVersion=emulation, emulationVersion=binary)


@pytest.mark.parametrize("emulation", [None, "0.0.0", "0.0.0+build"])
async def test_the_oldest_emulation_version_must_be_given_where_it_decides(
    ns: Namespace, emulation: str | None
) -> None:
    answer = await ns.api.post(candidates(ns), body(emulationVersion=emulation, strategy="OldestEmulationVersion"))
    text = "Required value: must be specified when `strategy` is 'OldestEmulationVersion'"
    refused(answer, ("spec.emulationVersion", REQUIRED, text))


async def test_an_unknown_strategy_without_a_domain_is_refused(ns: Namespace) -> None:
    answer = await ns.api.post(candidates(ns), body(strategy="Newest"))
    text = 'Unsupported value: "Newest": supported values: "OldestEmulationVersion"'
    refused(answer, ("spec.strategy.strategy", "FieldValueNotSupported", text))


async def test_which_lease_it_is_for_cannot_be_changed(ns: Namespace) -> None:
    made = await create(ns)
    made["spec"]["leaseName"] = "y"
    answer = await ns.api.put(f"{candidates(ns)}/a_B.c-1", made)
    refused(answer, ("spec.leaseName", INVALID, 'Invalid value: "y": field is immutable'))


async def test_a_write_without_the_current_version_is_refused(ns: Namespace) -> None:
    made = await create(ns)
    assert (
        await ns.api.put(f"{candidates(ns)}/a_B.c-1", {**made, "spec": {**made["spec"], "renewTime": AT}})
    ).status == 200
    stale = await ns.api.put(f"{candidates(ns)}/a_B.c-1", {**made, "spec": {**made["spec"], "pingTime": AT}})
    assert (stale.status, stale.json["reason"]) == (409, "Conflict")


async def test_a_missing_one_is_not_found(ns: Namespace) -> None:
    answer = await ns.api.get(f"{candidates(ns)}/absent")
    details = {"name": "absent", "group": "coordination.k8s.io", "kind": "leasecandidates"}
    text = 'leasecandidates.coordination.k8s.io "absent" not found'
    assert (answer.status, answer.json) == (404, failure(404, text, reason="NotFound", details=details))


# ---------------------------------------------------------------- what is stored


async def test_it_is_created_renewed_asked_and_deleted(ns: Namespace) -> None:
    made = await create(ns, renewTime=AT)
    assert made["spec"] == {
        "leaseName": "x",
        "renewTime": AT,
        "binaryVersion": "1.31.0",
        "emulationVersion": "1.30.0",
        "strategy": "example.com/none",
    }
    asked = await ns.api.patch(f"{candidates(ns)}/a_B.c-1", {"spec": {"pingTime": AT}})
    assert (asked.status, asked.json["spec"]["pingTime"]) == (200, AT)
    renewed = {**asked.json, "spec": {**asked.json["spec"], "renewTime": "2126-01-02T03:04:06.000000Z"}}
    answer = await ns.api.put(f"{candidates(ns)}/a_B.c-1", renewed)
    assert (answer.status, answer.json["spec"]["pingTime"]) == (200, AT)
    gone = await ns.api.delete(f"{candidates(ns)}/a_B.c-1", {"preconditions": {"uid": made["metadata"]["uid"]}})
    assert gone.status == 200
    assert (await ns.api.get(f"{candidates(ns)}/a_B.c-1")).status == 404


async def test_they_are_listed_by_namespace_and_by_name(ns: Namespace) -> None:
    for name in ("b", "a"):
        await create(ns, name=name)
    listed = (await ns.api.get(candidates(ns))).json
    assert (listed["kind"], listed["apiVersion"]) == ("LeaseCandidateList", GROUP_VERSION)
    assert [one["metadata"]["name"] for one in listed["items"]] == ["a", "b"]
    one = (await ns.api.get(candidates(ns), fieldSelector="metadata.name=b")).json
    assert [each["metadata"]["name"] for each in one["items"]] == ["b"]


async def test_a_watch_tells_of_questions_and_answers(ns: Namespace) -> None:
    made = await create(ns)
    version = made["metadata"]["resourceVersion"]
    async with await ns.api.watch(
        candidates(ns), resourceVersion=version, fieldSelector="metadata.name=a_B.c-1"
    ) as watch:
        await ns.api.patch(f"{candidates(ns)}/a_B.c-1", {"spec": {"pingTime": AT}})
        await ns.api.patch(f"{candidates(ns)}/a_B.c-1", {"spec": {"renewTime": AT}})
        await ns.api.delete(f"{candidates(ns)}/a_B.c-1")
        told = await watch.take(3)
    assert [(kind, sorted(one["spec"].keys() & {"pingTime", "renewTime"})) for kind, one in told] == [
        ("MODIFIED", ["pingTime"]),
        ("MODIFIED", ["pingTime", "renewTime"]),
        ("DELETED", ["pingTime", "renewTime"]),
    ]


async def test_the_table_shows_lease_and_versions(ns: Namespace) -> None:
    await create(ns)
    shown = (await ns.api.get(candidates(ns), accept=TABLE)).json
    assert [column["name"] for column in shown["columnDefinitions"]] == [
        *("Name", "LeaseName", "BinaryVersion", "EmulationVersion", "Age")
    ]
    assert shown["rows"][0]["cells"][:4] == ["a_B.c-1", "x", "1.31.0", "1.30.0"]


async def test_they_are_described(api: Api) -> None:
    told = (await api.get(ROOT)).json
    (ours,) = (one for one in told["resources"] if one["name"] == "leasecandidates")
    assert ours == {
        "name": "leasecandidates",
        "singularName": "leasecandidate",
        "namespaced": True,
        "kind": "LeaseCandidate",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "storageVersionHash": "lvME0iHWE20=",
    }


# ---------------------------------------------------------------- two versions of the same objects

ALPHA = "coordination.k8s.io/v1alpha2"


def alphas(ns: Namespace) -> str:
    return f"/apis/{ALPHA}/namespaces/{ns.name}/leasecandidates"


async def test_what_is_written_in_one_version_is_read_in_the_other(ns: Namespace) -> None:
    made = (await ns.api.post(alphas(ns), {**body(), "apiVersion": ALPHA})).json
    assert made["apiVersion"] == ALPHA
    read = (await ns.api.get(f"{candidates(ns)}/a_B.c-1")).json
    assert read == {**made, "apiVersion": GROUP_VERSION}
    read["spec"]["renewTime"] = AT
    assert (await ns.api.put(f"{candidates(ns)}/a_B.c-1", read)).status == 200
    stale = await ns.api.put(f"{alphas(ns)}/a_B.c-1", made)
    assert (stale.status, stale.json["reason"]) == (409, "Conflict")
    listed = (await ns.api.get(alphas(ns))).json
    assert (listed["apiVersion"], listed["items"][0]["spec"]["renewTime"]) == (ALPHA, AT)
    assert (await ns.api.delete(f"{alphas(ns)}/a_B.c-1")).status == 200
    assert (await ns.api.get(f"{candidates(ns)}/a_B.c-1")).status == 404


async def test_a_watch_in_one_version_tells_of_writes_in_the_other(ns: Namespace) -> None:
    version = (await create(ns))["metadata"]["resourceVersion"]
    async with await ns.api.watch(alphas(ns), resourceVersion=version) as watch:
        await ns.api.patch(f"{candidates(ns)}/a_B.c-1", {"spec": {"pingTime": AT}})
        await ns.api.delete(f"{candidates(ns)}/a_B.c-1")
        told = await watch.take(2)
    assert [(kind, one["apiVersion"], one["spec"]["pingTime"]) for kind, one in told] == [
        ("MODIFIED", ALPHA, AT),
        ("DELETED", ALPHA, AT),
    ]


async def test_a_body_of_the_other_version_is_refused(ns: Namespace) -> None:
    answer = await ns.api.post(alphas(ns), body())
    text = f"the API version in the data ({GROUP_VERSION}) does not match the expected API version ({ALPHA})"
    assert (answer.status, answer.json["message"]) == (400, text)


async def test_both_versions_are_described(api: Api) -> None:
    told = (await api.get(f"/apis/{ALPHA}")).json
    (ours,) = (one for one in told["resources"] if one["name"] == "leasecandidates")
    assert (ours["kind"], ours["storageVersionHash"]) == ("LeaseCandidate", "lvME0iHWE20="), "stored as v1beta1"
    assert [(await api.get(ROOT)).status, (await api.get(f"/apis/{ALPHA}")).status] == [200, 200]


# ---------------------------------------------------------------- Leases with the gate on


async def test_strategy_and_preferred_holder_are_kept(ns: Namespace) -> None:
    made = await ns.create("lock", holderIdentity="a", strategy="example.com/none", preferredHolder="b")
    assert (made["spec"]["strategy"], made["spec"]["preferredHolder"]) == ("example.com/none", "b")


async def test_a_preferred_holder_needs_a_strategy(ns: Namespace) -> None:
    answer = await ns.api.post(ns.leases, lease("lock", preferredHolder="b"))
    text = "Forbidden: may only be specified if `strategy` is defined"
    assert (answer.status, answer.json) == (422, invalid("lock", ("spec.preferredHolder", "FieldValueForbidden", text)))
