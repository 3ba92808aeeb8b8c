"""The rights that the docs name are enough, and none of them is named in vain: tried on a real kube-apiserver's RBAC.

Each thing is done by a user of its own with a Role of its own. What the server refuses on the way is noted, also where
the client makes do without.
"""

import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest

import lease_aio
from lease_aio.api import AiohttpTransport, RestApi
from lease_aio.api.config import load_configuration
from lease_aio.api.transport import Answer
from lease_aio.client import LeaseClient
from lease_aio.errors import LeaseAioError
from lease_aio.heartbeat import MonitorSettings, NodeProfile
from lease_aio.model import LeaseSpec, MicroTime, new_lease
from lease_aio.testing.envtest import ControlPlane
from tests.cluster.assets import assets

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
GROUPS = {"leases": "coordination.k8s.io", "nodes": "", "nodes/status": ""}
TIMING = lease_aio.Timing(
    lease_duration_s=3, renew_interval_s=0.3, request_timeout_s=1, stop_grace_s=0.3, retry_interval_s=0.2
)
Rights = Mapping[str, str]
"""Verbs by resource."""


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """One of their own: what they leave behind would be found elsewhere."""
    with ControlPlane(assets()) as running:
        yield running


class Noting(AiohttpTransport):
    """Notes the method of each request that was refused."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.refused: list[str] = []

    async def request(self, method: str, target: str, **options: Any) -> Answer:
        answer = await super().request(method, target, **options)
        self._note(answer.status, f"{method} {target}")
        return answer

    async def stream(self, target: str, **options: Any) -> Any:
        stream = await super().stream(target, **options)
        self._note(stream.status, f"WATCH {target}")
        return stream

    def _note(self, status: int, what: str) -> None:
        if status == 403:
            self.refused.append(what)


class Clerk:
    """Makes users who may do this and no more."""

    def __init__(self, transport: AiohttpTransport) -> None:
        self._transport = transport

    async def grant(self, user: str, rights: Rights, namespace: str) -> None:
        """Nodes and namespaces are the cluster's, so all is granted there; where Leases are is of no matter to RBAC."""
        rules = [
            {"apiGroups": [GROUPS[resource]], "resources": [resource], "verbs": verbs.split()}
            for resource, verbs in rights.items()
        ]
        role = {"metadata": {"name": user}, "rules": rules}
        binding = {
            "metadata": {"name": user},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        }
        await self._post(f"{RBAC}/clusterroles", role)
        await self._post(f"{RBAC}/clusterrolebindings", binding)
        with anyio.fail_after(20):
            for resource, verbs in rights.items():
                while not await self._may(user, resource, namespace, verbs):  # noqa: ASYNC110 - RBAC's copy lags behind
                    await anyio.sleep(0.05)

    async def _may(self, user: str, resource: str, namespace: str, verbs: str) -> bool:
        plural, _, subresource = resource.partition("/")
        asked = {
            "group": GROUPS[resource],
            "resource": plural,
            "subresource": subresource,
            "namespace": namespace if plural == "leases" else "",
            "verb": verbs.rsplit(maxsplit=1)[-1],
        }
        answer = await self._post(REVIEWS, {"spec": {"user": user, "resourceAttributes": asked}})
        return bool(answer["status"]["allowed"])

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        answer = await self._transport.request(
            "POST", path, headers=headers, body=msgspec.json.encode(body), timeout_s=10
        )
        assert answer.status == 201, answer.body
        return msgspec.json.decode(answer.body)


@asynccontextmanager
async def user_with(plane: ControlPlane, rights: Rights, namespace: str) -> AsyncIterator[tuple[LeaseClient, Noting]]:
    loaded = await load_configuration(str(plane.kubeconfig))
    user = f"rights-{uuid.uuid4().hex[:8]}"
    async with AiohttpTransport(loaded.configuration) as admin:
        await Clerk(admin).grant(user, rights, namespace)
    noting = Noting(loaded.configuration, headers={"Impersonate-User": user})
    async with RestApi(noting) as api, LeaseClient(api) as leases:
        yield leases, noting


def admin_of(plane: ControlPlane) -> AbstractAsyncContextManager[LeaseClient]:
    return lease_aio.connect(kubeconfig=str(plane.kubeconfig))


def fresh(what: str) -> str:
    return f"rights-{what}-{uuid.uuid4().hex[:6]}"


# --- what is done ----------------------------------------------------------------------------------------------------


async def lead(leases: LeaseClient, _admin: LeaseClient) -> None:
    name = fresh("lead")
    async with leases.lead(name, timing=TIMING, identity="a"), anyio.create_task_group() as tasks:
        tasks.start_soon(_lead_next, leases, name)
        await anyio.sleep(1)
        tasks.cancel_scope.cancel()
    await _lead_next(leases, name)


async def _lead_next(leases: LeaseClient, name: str) -> None:
    async with leases.lead(name, timing=TIMING, identity="b"):
        await anyio.sleep(0.4)


async def observe(leases: LeaseClient, _admin: LeaseClient) -> None:
    async with leases.observe(fresh("nobody"), timing=TIMING) as holdings:
        await anext(holdings)
        with anyio.move_on_after(0.6):
            await anext(holdings)


async def publish(leases: LeaseClient, _admin: LeaseClient) -> None:
    host = fresh("host")
    async with leases.apiserver_identity(host, keep_on_exit=True, ready_timeout_s=2):
        pass
    async with leases.apiserver_identity(host, ready_timeout_s=2):
        pass
    async with leases.apiserver_identity(host, ready_timeout_s=2, keep_on_exit=True):
        pass
    async with leases.apiserver_identity(host, ready_timeout_s=2, delete_first=False):  # renews what it finds
        await anyio.sleep(0.2)


async def list_identities(leases: LeaseClient, _admin: LeaseClient) -> None:
    await leases.apiserver_identities()


async def observe_identities(leases: LeaseClient, admin: LeaseClient) -> None:
    await _identity(admin, age_s=29.5)
    async with leases.observe_identities() as changes:
        with anyio.move_on_after(1.5):  # in which that one becomes late
            while True:
                await anext(changes)


async def collect(leases: LeaseClient, admin: LeaseClient) -> None:
    await _identity(admin, age_s=7200)
    await leases.collect_identities()


async def _identity(admin: LeaseClient, *, age_s: float) -> None:
    renewed = MicroTime(time.time_ns() // 1000 - round(age_s * 1e6))
    spec = LeaseSpec(holder_identity="somebody", lease_duration_seconds=3600, renew_time=renewed)
    labels = {"apiserver.kubernetes.io/identity": "kube-apiserver"}
    await admin.create(new_lease(fresh("identity"), "kube-system", spec, labels=labels))


async def join(leases: LeaseClient, _admin: LeaseClient) -> None:
    async with leases.member_of(fresh("group"), ready_timeout_s=2, lease_duration_s=1):
        await anyio.sleep(0.6)


async def beat(leases: LeaseClient, _admin: LeaseClient) -> None:
    async with leases.fleet(2, prefix=fresh("beat") + "-", lease_duration_s=2, spread_start=False):
        await anyio.sleep(1.2)


async def register(leases: LeaseClient, _admin: LeaseClient) -> None:
    prefix = fresh("node") + "-"
    for deletes, zone in ((True, "a"), (False, "a"), (False, "b")):  # the last adopts those of the one before it
        profile = NodeProfile(zone=zone)
        async with leases.fleet(
            2,
            prefix=prefix,
            register=True,
            profile=profile,
            delete_on_exit=deletes,
            lease_duration_s=2,
            spread_start=False,
        ):
            await anyio.sleep(1.2)


async def monitor(leases: LeaseClient, admin: LeaseClient) -> None:
    async with admin.heartbeat(fresh("silent"), register=True):
        pass
    settings = MonitorSettings(grace_s=0.8, startup_grace_s=0.8, period_s=0.2)
    async with leases.monitor(settings) as verdicts:
        with anyio.move_on_after(3):
            while True:
                await anext(verdicts)


Deed = Callable[[LeaseClient, LeaseClient], Awaitable[None]]
NAMED: tuple[tuple[Deed, str, Rights], ...] = (
    (lead, "default", {"leases": "get create update list watch"}),
    (observe, "default", {"leases": "get list watch"}),
    (publish, "kube-system", {"leases": "get create update delete"}),
    (list_identities, "kube-system", {"leases": "list"}),
    (observe_identities, "kube-system", {"leases": "list watch get"}),
    (collect, "kube-system", {"leases": "list get delete"}),
    (join, "default", {"leases": "get create update delete list"}),
    (beat, "kube-node-lease", {"leases": "get create update", "nodes": "list"}),
    (
        register,
        "kube-node-lease",
        {
            "leases": "get create update delete",
            "nodes": "get list watch create patch delete",
            "nodes/status": "patch",
        },
    ),
    (monitor, "kube-node-lease", {"leases": "list watch get", "nodes": "list watch"}),
)


@pytest.mark.parametrize(("deed", "namespace", "rights"), NAMED, ids=[deed.__name__ for deed, *_ in NAMED])
async def test_the_rights_that_are_named_are_enough(
    plane: ControlPlane, deed: Deed, namespace: str, rights: Rights
) -> None:
    async with user_with(plane, rights, namespace) as (leases, noting), admin_of(plane) as admin:
        await deed(leases, admin)
    assert noting.refused == []


@pytest.mark.parametrize(("deed", "namespace", "rights"), NAMED, ids=[deed.__name__ for deed, *_ in NAMED])
async def test_none_of_them_is_named_in_vain(plane: ControlPlane, deed: Deed, namespace: str, rights: Rights) -> None:
    unused: list[str] = []

    async def do_without(resource: str, verb: str) -> None:
        async with user_with(plane, _without(rights, resource, verb), namespace) as (leases, noting):
            with anyio.move_on_after(20), contextlib.suppress(LeaseAioError, ExceptionGroup):
                await deed(leases, admin)
            if not noting.refused:
                unused.append(f"{verb} {resource}")

    async with admin_of(plane) as admin, anyio.create_task_group() as tasks:
        for resource, verbs in rights.items():
            for verb in verbs.split():
                tasks.start_soon(do_without, resource, verb)
    assert unused == []


def _without(rights: Rights, resource: str, verb: str) -> Rights:
    left = {**rights, resource: " ".join(each for each in rights[resource].split() if each != verb)}
    return {resource: verbs for resource, verbs in left.items() if verbs}
