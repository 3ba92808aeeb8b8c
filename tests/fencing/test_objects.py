"""An object of a Kubernetes API that refuses what an ended term still writes."""

from collections.abc import AsyncIterator

import anyio
import pytest

import lease_aio
from lease_aio.api import LEASES, NODES, Api
from lease_aio.api.memory import MemoryApi
from lease_aio.errors import Conflict, MalformedObject, NotFound
from lease_aio.fencing import FENCE_ANNOTATION, StaleToken, fence_of, fenced_patch, stamped
from lease_aio.model import LeaseSpec, Node, ObjectMeta, new_lease
from lease_aio.naming import candidate_identity
from lease_aio.server.store import Store
from lease_aio.testing.envtest import ControlPlane


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.cluster)])
async def api(request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    if request.param == "memory":
        yield MemoryApi(Store(now=0))
        return
    plane: ControlPlane = request.getfixturevalue("control_plane")
    async with lease_aio.connect(kubeconfig=str(plane.kubeconfig)) as leases:
        yield leases.api


@pytest.fixture
async def name(api: Api) -> str:
    """A new object of each kind that the tests use."""
    name = candidate_identity().replace("_", "-").lower()
    await api.create(LEASES, new_lease(name, "default", LeaseSpec(holder_identity="nobody")))
    await api.create(NODES, Node(metadata=ObjectMeta(name=name, annotations={"kept": "yes"})))
    return name


async def test_a_smaller_token_changes_nothing(api, name):
    await fenced_patch(api, NODES, name, token=20, body={"spec": {"unschedulable": True}})
    with pytest.raises(StaleToken, match=f"token 19 is stale, Node {name} has seen token 20"):
        await fenced_patch(api, NODES, name, token=19, body={"spec": {"unschedulable": False}})
    assert (await api.get(NODES, name)).spec.unschedulable


async def test_a_missing_object_is_not_created(api, name):
    with pytest.raises(NotFound):
        await fenced_patch(api, LEASES, "nobody-made-it", "default", token=1, body={})


@pytest.mark.parametrize(("text", "shown"), [("-3", "'-3'"), ("", "''"), ("٣", "'٣'"), ("9" * 5000, f"'{'9' * 40}'")])
async def test_an_annotation_of_somebody_elses_making_is_an_error(api, name, text, shown):
    await api.patch(NODES, name, body={"metadata": {"annotations": {FENCE_ANNOTATION: text}}})
    with pytest.raises(MalformedObject, match=f"lease-aio/fence is {shown}, not a number"):
        await fenced_patch(api, NODES, name, token=1, body={})


async def test_the_patch_the_labels_and_the_token_are_one_write(api, name):
    before = await api.get(LEASES, name, "default")
    body = {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}, "spec": {"holderIdentity": "me"}}
    after = await fenced_patch(api, LEASES, name, "default", token=5, body=body)
    assert after.metadata.annotations == {"c": "d", FENCE_ANNOTATION: "5"}
    assert after.metadata.labels == {"a": "b"}
    assert after.holder == "me"
    assert before.metadata.uid == after.metadata.uid
    assert (fence_of(before), fence_of(after)) == (0, 5)


async def test_other_annotations_stay(api, name):
    node = await fenced_patch(api, NODES, name, token=5, body={})
    assert node.metadata.annotations["kept"] == "yes"


async def test_the_same_term_and_later_ones_write_on(api, name):
    for token in (5, 5, 6):
        await fenced_patch(api, NODES, name, token=token, body={})
    assert fence_of(await api.get(NODES, name)) == 6


async def test_a_write_in_between_is_looked_at_before_the_next_attempt(api, name):
    """The newer term writes between the older one's look and its write."""
    api = Between(api, [lambda: fenced_patch(api, NODES, name, token=9, body={"spec": {"unschedulable": True}})])
    with pytest.raises(StaleToken):
        await fenced_patch(api, NODES, name, token=8, body={"spec": {"unschedulable": False}})
    assert (await api.get(NODES, name)).spec.unschedulable


async def test_strangers_writing_in_between_are_waited_out(api, name):
    api = Between(
        api, [lambda n=n: api.patch(NODES, name, body={"metadata": {"labels": {"n": str(n)}}}) for n in range(4)]
    )
    node = await fenced_patch(api, NODES, name, token=8, body={})
    assert node.metadata.labels["n"] == "3"
    assert fence_of(node) == 8


async def test_strangers_that_never_stop_writing_end_it_with_a_conflict(api, name):
    strangers = [lambda n=n: api.patch(NODES, name, body={"metadata": {"labels": {"n": str(n)}}}) for n in range(9)]
    api = Between(api, strangers)
    with pytest.raises(Conflict):
        await fenced_patch(api, NODES, name, token=8, body={})
    assert len(strangers) == 9 - 5, "they came between five times"
    assert fence_of(await api.get(NODES, name)) == 0


async def test_many_terms_at_once_leave_the_largest_token(api, name):
    refused: list[int] = []

    async def term(token: int) -> None:
        try:
            await fenced_patch(api, NODES, name, token=token, body={"metadata": {"labels": {"by": str(token)}}})
        except (StaleToken, Conflict):
            refused.append(token)

    async with anyio.create_task_group() as tasks:
        for token in (3, 1, 2):
            tasks.start_soon(term, token)
    node = await api.get(NODES, name)
    assert node.metadata.labels["by"] == str(fence_of(node))
    assert fence_of(node) == max({1, 2, 3} - set(refused))


async def test_a_whole_object_is_written_back_with_the_stamp(api, name):
    read = await api.get(LEASES, name, "default")
    await api.replace(LEASES, stamped(read.with_spec(holder_identity="me"), 4))
    with pytest.raises(StaleToken, match=f"Lease default/{name} has seen token 4"):
        stamped(await api.get(LEASES, name, "default"), 3)
    with pytest.raises(Conflict):
        await api.replace(LEASES, stamped(read, 5))


class Between:
    """An api on which something else happens after each look, while there is something."""

    def __init__(self, api: Api, happenings: list) -> None:
        self._api, self._happenings = api, happenings

    def __getattr__(self, verb: str) -> object:
        return getattr(self._api, verb)

    async def get(self, *args, **options):
        found = await self._api.get(*args, **options)
        if self._happenings:
            await self._happenings.pop(0)()
        return found
