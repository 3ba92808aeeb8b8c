"""The door: how it is opened, and what it refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread
import pytest
from kubernetes_asyncio.client import ApiClient, Configuration

import lease_aio
from lease_aio import ConfigurationError, Conflict, Lease, LeaseClient, LeaseSpec, NoCluster, NotFound, ObjectMeta
from lease_aio.api.follow_state import ChangeType
from lease_aio.server import serve


@pytest.fixture
def nothing_to_find(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.usefixtures("nothing_to_find")
async def test_without_a_cluster_it_says_what_was_tried_and_what_to_do():
    with pytest.raises(NoCluster, match=r"(?s)\.kube/config.*connect\('embedded'\)"):
        async with lease_aio.connect():
            pytest.fail("connected to nothing")


async def test_an_unknown_target_is_refused():
    with pytest.raises(ConfigurationError, match="target='prod' is not known"):
        async with lease_aio.connect(cast("Any", "prod")):
            pytest.fail("connected to a word")


@pytest.mark.parametrize("namespace", ["", "Upper", "a.b", "x" * 64])
async def test_a_namespace_that_no_server_takes_is_refused_at_construction(namespace: str):
    async with ApiClient(Configuration(host="http://127.0.0.1:1")) as theirs:
        with pytest.raises(ConfigurationError, match="DNS-1123 label"):
            LeaseClient(theirs, namespace=namespace)


async def test_an_empty_namespace_is_not_taken_for_none_given():
    with pytest.raises(ConfigurationError, match="namespace '' must be a DNS-1123 label"):
        async with lease_aio.connect("embedded", namespace=""):
            pytest.fail("in another namespace than was asked for")


@pytest.mark.parametrize("source", [None, "http://127.0.0.1:8001", 5])
def test_what_is_no_way_to_a_server_is_refused_at_construction(source: Any):
    with pytest.raises(ConfigurationError, match=r"use lease_aio\.connect\(\)"):
        LeaseClient(source)


@pytest.mark.parametrize("more", [{"kubeconfig": "kc"}, {"context": "prod"}])
async def test_an_embedded_server_with_a_cluster_named_is_refused(more: dict[str, str]):
    with pytest.raises(ConfigurationError, match="needs no cluster"):
        async with lease_aio.connect("embedded", **more):
            pytest.fail("led in memory instead of on the cluster")


@pytest.mark.parametrize("more", [{"timing": {"lease_duration_s": 30}}, {"identity": 3}, {"coordinated": "1.31.0"}])
async def test_a_value_of_the_wrong_type_is_refused_before_it_can_harm_others(more: dict[str, Any]):
    async with lease_aio.connect("embedded") as leases:
        with pytest.raises(ConfigurationError, match="must be"):
            leases.lead("x", **more)
        with pytest.raises(ConfigurationError, match="settings=50 must be MonitorSettings"):
            leases.monitor(cast("Any", 50))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"identity": ""}, "identity '' must be text, and not empty"),
        ({"guard": True}, "guard=True must be a lease_aio.Guard"),
    ],
)
async def test_what_the_client_cannot_use_is_refused_at_construction(more: dict[str, Any], words: str):
    with pytest.raises(ConfigurationError, match=words):
        async with lease_aio.connect("embedded", **more):
            pytest.fail("refused only later, or never")


async def test_another_event_loop_than_its_own_is_refused_instead_of_waiting_for_ever():
    async def elsewhere(leases: LeaseClient) -> None:
        async with leases.lead("x"):
            pytest.fail("led on a loop that nobody renews on")

    async with lease_aio.connect("embedded") as leases:
        with pytest.raises(ConfigurationError, match="opened on another event loop"):
            await anyio.to_thread.run_sync(anyio.run, elsewhere, leases)


class Waits:
    """An observer that is an object with an async call."""

    async def __call__(self, event: object) -> None:
        pytest.fail(f"nobody awaits {event}")


async def wait(*event: object) -> None:
    await Waits()(event)


@pytest.mark.parametrize("observer", [wait, Waits()])
@pytest.mark.parametrize(
    "made",
    [
        lambda leases, observer: leases.lead("x", observer=observer),
        lambda leases, observer: leases.terms("x", observer=observer),
        lambda leases, observer: leases.coordinator(observer=observer),
        lambda leases, observer: leases.apiserver_identity(hostname="x", observer=observer),
        lambda leases, observer: leases.collect_identities(observer=observer),
        lambda leases, observer: leases.member_of("x", observer=observer),
        lambda leases, observer: leases.fleet(1, on_failure=observer),
    ],
)
async def test_an_async_observer_is_refused_since_nobody_would_await_it(
    made: Callable[[LeaseClient, Any], object], observer: object
):
    async with lease_aio.connect("embedded") as leases:
        with pytest.raises(ConfigurationError, match="must be a plain function, not an async one"):
            made(leases, observer)
        with pytest.raises(ConfigurationError, match="'loud' must be a function"):
            made(leases, "loud")


async def test_used_outside_its_block_it_says_so():
    async with lease_aio.connect("embedded") as leases:
        pass
    with pytest.raises(ConfigurationError, match="inside `async with`"):
        leases.lead("x")


async def test_it_takes_the_users_own_api_client_and_leaves_it_to_them():
    async with serve() as server, ApiClient(Configuration(host=server.url)) as theirs:
        async with LeaseClient(theirs, identity="me") as leases, leases.lead("x") as term:
            assert (await leases.get("x")).holder == term.holder == "me"
        assert not theirs.rest_client.pool_manager.closed


async def test_it_connects_by_a_kubeconfig(tmp_path: Path):
    async with serve() as server:
        file = tmp_path / "kubeconfig"
        file.write_text(server.kubeconfig())
        async with lease_aio.connect(kubeconfig=str(file)) as leases:
            assert leases.namespace == "default"
            assert (await leases.list()).items == ()


async def test_plain_leases_are_typed_and_compared_and_swapped():
    async with lease_aio.connect("embedded") as leases:
        lease = Lease(metadata=ObjectMeta(name="x"), spec=LeaseSpec(holder_identity="a"))
        created = await leases.create(lease)
        assert (created.namespace, created.holder) == ("default", "a")
        await leases.replace(created.with_spec(holder_identity="b"))
        with pytest.raises(Conflict):
            await leases.replace(created.with_spec(holder_identity="c"))
        patched = await leases.patch("x", {"metadata": {"labels": {"k": "v"}}})
        assert patched.holder == "b"
        assert [found.name for found in (await leases.list(label_selector="k=v")).items] == ["x"]
        with pytest.raises(Conflict):
            await leases.delete("x", resource_version=created.resource_version)
        await leases.delete("x")
        with pytest.raises(NotFound, match=r"get leases\.coordination\.k8s\.io default/x: 404 NotFound"):
            await leases.get("x")


async def test_watching_leases_tells_what_is_there_and_what_comes():
    async with lease_aio.connect("embedded") as leases:
        await leases.create(Lease(metadata=ObjectMeta(name="first")))
        seen: list[tuple[ChangeType, str]] = []
        with anyio.fail_after(30):
            async with leases.watch() as changes:
                async for change in changes:
                    seen.append((change.type, change.name))
                    if change.type is ChangeType.SYNCED:
                        await leases.create(Lease(metadata=ObjectMeta(name="second")))
                    if change.name == "second":
                        break
        assert seen == [(ChangeType.SET, "first"), (ChangeType.SYNCED, ""), (ChangeType.SET, "second")]


async def test_all_namespaces_are_listed_at_once():
    async with lease_aio.connect("embedded") as leases:
        for namespace in ("default", "kube-system"):
            await leases.create(Lease(metadata=ObjectMeta(name="x", namespace=namespace)))
        assert len((await leases.list(namespace="")).items) == 2


async def test_identities_are_published_observed_listed_and_collected_through_it():
    async with (
        lease_aio.connect("embedded") as leases,
        leases.observe_identities() as changes,
        leases.collect_identities() as collector,
    ):
        async with leases.apiserver_identity(hostname="vm") as me:
            assert (await anext(changes)).identity.holder == me.holder
            assert [one.name for one in await leases.apiserver_identities()] == [me.name]
            assert (await leases.collect_identities(dry_run=True)).collected == ()
        assert (await anext(changes)).type.value == "gone"
        assert collector.passes == 1
