"""The seven verbs: one suite, over HTTP against the embedded server and in memory against its store."""

import time
from collections.abc import AsyncIterator

import anyio
import pytest
from kubernetes_asyncio.client import Configuration

from lease_aio.api import (
    LEASE_CANDIDATES,
    LEASES,
    NAMESPACES,
    NODES,
    AiohttpTransport,
    Api,
    EventType,
    PatchType,
    RestApi,
    Watch,
    WatchEvent,
)
from lease_aio.api.direct import DirectTransport
from lease_aio.api.memory import MemoryApi
from lease_aio.errors import AlreadyExists, ConfigurationError, Conflict, Expired, Invalid, NotFound, Refused
from lease_aio.model import Lease, LeaseCandidate, LeaseCandidateSpec, LeaseSpec, MicroTime, Node, ObjectMeta, new_lease
from lease_aio.server import LEASES as STORED_LEASES
from lease_aio.server import Store, serve

NOW = MicroTime(1_800_000_000_000_000)


def lease(name: str = "a", holder: str = "me", **labels: str) -> Lease:
    return new_lease(name, "default", LeaseSpec(holder_identity=holder, renew_time=NOW), labels=labels)


@pytest.fixture
def store() -> Store:
    return Store(now=time.time_ns() // 1000, history_limit=8)


@pytest.fixture(params=["rest", "direct", "memory"])
async def api(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[Api]:
    if request.param == "memory":
        yield MemoryApi(store)
        return
    if request.param == "direct":
        pytest.importorskip("httptools")
    transport = AiohttpTransport if request.param == "rest" else DirectTransport
    async with (
        serve(store=store) as server,
        RestApi(transport(Configuration(host=server.url), environ={}), timeout_s=5) as rest,
    ):
        yield rest


# --- refusals ------------------------------------------------------------------------------------------------------


async def test_what_does_not_exist_is_not_found_with_verb_and_place(api: Api) -> None:
    words = r'leases\.coordination\.k8s\.io default/a: 404 NotFound: leases\.coordination\.k8s\.io "a" not found'
    with pytest.raises(NotFound, match=f"^get {words}$"):
        await api.get(LEASES, "a", "default")
    with pytest.raises(NotFound, match=f"^delete {words}$"):
        await api.delete(LEASES, "a", "default")
    with pytest.raises(NotFound, match=f"^patch {words}$"):
        await api.patch(LEASES, "a", "default", body={"spec": {}})


async def test_a_missing_namespace_is_told_from_a_missing_object(api: Api) -> None:
    with pytest.raises(NotFound, match='create .* nowhere/a: .*namespaces "nowhere" not found') as caught:
        await api.create(LEASES, lease().with_metadata(namespace="nowhere"))
    assert caught.value.namespace_missing


async def test_a_name_that_is_taken_is_said(api: Api) -> None:
    await api.create(LEASES, lease())
    with pytest.raises(AlreadyExists, match="409 AlreadyExists"):
        await api.create(LEASES, lease())


async def test_a_replace_on_an_old_version_loses(api: Api) -> None:
    first = await api.create(LEASES, lease())
    await api.replace(LEASES, first.with_spec(holder_identity="you"))
    with pytest.raises(Conflict, match="^update .* default/a: 409 Conflict: Operation cannot be fulfilled") as caught:
        await api.replace(LEASES, first.with_spec(holder_identity="me too"))
    assert not isinstance(caught.value, AlreadyExists)
    assert not caught.value.outcome_unknown
    assert (await api.get(LEASES, "a", "default")).holder == "you"


async def test_a_delete_of_another_incarnation_or_version_is_a_conflict(api: Api) -> None:
    stored = await api.create(LEASES, lease())
    with pytest.raises(Conflict, match="UID"):
        await api.delete(LEASES, "a", "default", uid="other")
    with pytest.raises(Conflict, match="ResourceVersion"):
        await api.delete(LEASES, "a", "default", resource_version="1")
    await api.delete(LEASES, "a", "default", uid=stored.metadata.uid, resource_version=stored.resource_version)
    with pytest.raises(NotFound):
        await api.get(LEASES, "a", "default")


@pytest.mark.parametrize("name", ["Upper", "under_score", "-dash", "ä"])
async def test_a_name_against_the_rules_is_invalid_in_the_servers_words(api: Api, name: str) -> None:
    with pytest.raises(Invalid, match=r"422 Invalid: .*metadata\.name: Invalid value"):
        await api.create(LEASES, lease(name))


async def test_a_duration_against_the_rules_is_invalid(api: Api) -> None:
    with pytest.raises(Invalid, match=r"spec\.leaseDurationSeconds"):
        await api.create(LEASES, lease().with_spec(lease_duration_seconds=0))


@pytest.mark.parametrize("name", ["", "a/b", "..", "a%2Fb"])
async def test_a_name_that_leads_elsewhere_is_refused_before_it_is_sent(api: Api, name: str) -> None:
    with pytest.raises(ConfigurationError, match="name="):
        await api.get(LEASES, name, "default")
    with pytest.raises(ConfigurationError, match="name="):
        await api.delete(LEASES, name, "default")


async def test_a_missing_namespace_is_refused_before_it_is_sent(api: Api) -> None:
    with pytest.raises(ConfigurationError, match="namespace=''"):
        await api.create(LEASES, lease().with_metadata(namespace=""))
    with pytest.raises(ConfigurationError, match="namespace=''"):
        await api.get(LEASES, "a")


async def test_a_selector_that_cannot_be_read_is_invalid(api: Api) -> None:
    with pytest.raises(Invalid, match="400 BadRequest"):
        await api.list(LEASES, label_selector="a in b")
    with pytest.raises(Invalid, match="not a known field selector"):
        await api.list(LEASES, field_selector="spec.holderIdentity=me")
    with pytest.raises(Invalid):
        await api.watch(LEASES, label_selector="a in b")


async def test_a_protected_namespace_is_refused(api: Api) -> None:
    with pytest.raises(Refused, match="may not be deleted"):
        await api.delete(NAMESPACES, "default")


# --- what works ----------------------------------------------------------------------------------------------------


async def test_a_lease_is_created_read_and_replaced(api: Api) -> None:
    created = await api.create(LEASES, lease(team="x"))
    assert created.metadata.uid
    assert created.metadata.labels == {"team": "x"}
    assert created.spec.renew_time == NOW
    assert await api.get(LEASES, "a", "default") == created
    replaced = await api.replace(LEASES, created.with_spec(renew_time=MicroTime(NOW.epoch_us + 1)))
    assert int(replaced.resource_version) > int(created.resource_version)
    assert replaced.spec.renew_time == MicroTime(NOW.epoch_us + 1)


async def test_a_replace_of_what_does_not_exist_creates_it(api: Api) -> None:
    assert (await api.replace(LEASES, lease())).metadata.uid


async def test_patches_of_three_kinds(api: Api) -> None:
    await api.create(LEASES, lease())
    merged = await api.patch(LEASES, "a", "default", body={"spec": {"holderIdentity": "you", "renewTime": None}})
    assert (merged.holder, merged.spec.renew_time) == ("you", None)
    operations = [{"op": "replace", "path": "/spec/holderIdentity", "value": "they"}]
    assert (await api.patch(LEASES, "a", "default", body=operations, type=PatchType.JSON)).holder == "they"
    body = {"metadata": {"labels": {"x": "y"}}}
    strategic = await api.patch(LEASES, "a", "default", body=body, type=PatchType.STRATEGIC)
    assert strategic.metadata.labels == {"x": "y"}
    with pytest.raises(Conflict):
        await api.patch(LEASES, "a", "default", body={"metadata": {"resourceVersion": "1"}, "spec": {}})


async def test_a_nodes_status_is_a_subresource(api: Api) -> None:
    await api.create(NODES, Node(metadata=ObjectMeta(name="n")))
    body = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}, "spec": {"unschedulable": True}}
    node = await api.patch(NODES, "n", body=body, type=PatchType.STRATEGIC, subresource="status")
    condition = node.status.condition("Ready")
    assert condition is not None
    assert condition.status == "True"
    assert not node.spec.unschedulable


async def test_other_kinds_go_the_same_way(api: Api) -> None:
    spec = LeaseCandidateSpec(
        lease_name="l", binary_version="1.37.0", emulation_version="1.37.0", strategy="OldestEmulationVersion"
    )
    candidate = LeaseCandidate(metadata=ObjectMeta(name="c", namespace="default"), spec=spec)
    assert (await api.create(LEASE_CANDIDATES, candidate)).spec.lease_name == "l"
    assert {one.name for one in (await api.list(NAMESPACES)).items} >= {"default", "kube-node-lease"}


async def test_a_list_says_when_the_server_gave_it_to_the_second(api: Api) -> None:
    before_us = time.time_ns() // 1000
    date = (await api.list(LEASES, "default")).date
    assert date is not None
    assert date.epoch_us % 1_000_000 == 0
    assert before_us - 1_000_000 <= date.epoch_us <= time.time_ns() // 1000


async def test_a_lease_with_a_time_that_python_has_not_hides_no_others(api: Api, store: Store) -> None:
    await api.create(LEASES, lease("a"))
    for name, text in (("b", "0000-01-01T00:00:00.000000Z"), ("c", "9999-12-31T23:59:59.999999-01:00")):
        body = {"metadata": {"name": name}, "spec": {"acquireTime": text}}
        store.create(STORED_LEASES, "default", body, now=NOW.epoch_us)
    found = await api.list(LEASES, "default")
    assert [one.name for one in found.items] == ["a", "b", "c"]
    async with await api.watch(LEASES, "default") as watch:
        assert [(await next_event(watch)).resource_version for _ in "abc"] == [
            one.resource_version for one in found.items
        ]
    odd = found.items[2]
    assert (await api.replace(LEASES, odd.with_spec(holder_identity="me"))).holder == "me"  # and can be taken


async def test_a_list_comes_in_pages_of_one_state(api: Api) -> None:
    for name in "abcde":
        await api.create(LEASES, lease(name, odd=str(name in "ace").lower()))
    first = await api.list(LEASES, "default", limit=2)
    assert ([one.name for one in first.items], first.remaining) == (["a", "b"], 3)
    await api.delete(LEASES, "e", "default")
    second = await api.list(LEASES, "default", limit=2, continue_token=first.continue_token)
    third = await api.list(LEASES, "default", limit=2, continue_token=second.continue_token)
    assert [one.name for one in (*second.items, *third.items)] == ["c", "d", "e"]
    assert (third.continue_token, third.resource_version) == ("", first.resource_version)
    assert [one.name for one in (await api.list(LEASES, label_selector="odd=true")).items] == ["a", "c"]
    assert [one.name for one in (await api.list(LEASES, field_selector="metadata.name=b")).items] == ["b"]
    assert (await api.list(LEASES, "kube-system")).items == ()


async def test_a_page_of_a_state_that_is_forgotten_has_expired(api: Api, store: Store) -> None:
    for name in "abc":
        await api.create(LEASES, lease(name))
    first = await api.list(LEASES, "default", limit=1)
    await api.delete(LEASES, "c", "default")
    store.compact()
    with pytest.raises(Expired, match="410 Expired"):
        await api.list(LEASES, "default", limit=1, continue_token=first.continue_token)


# --- watches -------------------------------------------------------------------------------------------------------


async def next_event(watch: Watch[Lease]) -> WatchEvent[Lease]:
    with anyio.fail_after(30):
        return await anext(aiter(watch))


async def test_a_watch_from_a_version_that_is_forgotten_has_expired(api: Api, store: Store) -> None:
    await api.create(LEASES, lease())
    await api.delete(LEASES, "a", "default")
    store.compact()
    async with await api.watch(LEASES, "default", resource_version="2") as watch:
        with pytest.raises(Expired, match="^watch leases.*: 410 Expired: too old resource version"):
            await next_event(watch)


async def test_a_watch_from_before_the_history_expires_instead_of_missing_something(api: Api) -> None:
    one = await api.create(LEASES, lease())
    for number in range(20):
        one = await api.replace(LEASES, one.with_spec(holder_identity=str(number)))
    async with await api.watch(LEASES, "default", resource_version="6") as watch:
        with pytest.raises(Expired):
            await next_event(watch)


async def test_a_watch_tells_every_change_after_its_version(api: Api) -> None:
    first = await api.create(LEASES, lease())
    async with await api.watch(LEASES, "default", resource_version=first.resource_version) as watch:
        second = await api.replace(LEASES, first.with_spec(holder_identity="you"))
        await api.create(LEASES, lease("elsewhere").with_metadata(namespace="kube-system"))
        await api.delete(LEASES, "a", "default")
        changed, deleted = await next_event(watch), await next_event(watch)
    assert (changed.type, changed.object, changed.resource_version) == (
        EventType.MODIFIED,
        second,
        second.resource_version,
    )
    assert deleted.type is EventType.DELETED
    assert deleted.object is not None
    assert deleted.object.holder == "you"
    assert int(deleted.resource_version) > int(second.resource_version)


async def test_a_watch_without_a_version_begins_with_what_there_is(api: Api) -> None:
    stored = await api.create(LEASES, lease())
    async with await api.watch(LEASES, "default") as watch:
        event = await next_event(watch)
    assert (event.type, event.object) == (EventType.ADDED, stored)


async def test_what_ceases_to_match_is_deleted_in_the_watchs_view(api: Api) -> None:
    stored = await api.create(LEASES, lease(team="x"))
    async with await api.watch(
        LEASES, "default", label_selector="team=x", resource_version=stored.resource_version
    ) as watch:
        await api.patch(LEASES, "a", "default", body={"metadata": {"labels": {"team": "y"}}})
        assert (await next_event(watch)).type is EventType.DELETED


async def test_a_watch_ends_by_itself_after_its_time(api: Api) -> None:
    began = time.monotonic()
    async with await api.watch(LEASES, "default", resource_version="1", timeout_s=1) as watch:
        with anyio.fail_after(30):
            events = [event async for event in watch]
    assert time.monotonic() - began > 0.5
    assert all(event.type is EventType.BOOKMARK and event.resource_version for event in events)


async def test_a_cancelled_reader_of_a_watch_leaves_nothing_open(api: Api, store: Store) -> None:
    with anyio.move_on_after(0.1):
        async with await api.watch(LEASES, "default", resource_version="1") as watch:
            assert store.open_watches == 1
            await anext(aiter(watch))
    with anyio.fail_after(30):
        while store.open_watches:  # noqa: ASYNC110
            await anyio.sleep(0.01)
