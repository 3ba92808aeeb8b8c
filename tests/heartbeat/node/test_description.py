import anyio
import pytest

from lease_aio.errors import Call, Conflict, Unavailable
from lease_aio.heartbeat.node.description import new_node
from lease_aio.heartbeat.node.profile import NodeKind, NodeProfile
from lease_aio.heartbeat.node.register import for_each
from lease_aio.model import Taint, Time
from tests.heartbeat.dialogue import WALL_US

pytestmark = pytest.mark.virtual_time


def test_a_new_node_is_ready_and_has_what_a_scheduler_looks_for():
    taint = Taint(key="gpu", effect="NoSchedule")
    profile = NodeProfile(capacity={"cpu": "2"}, labels={"zone": "a"}, taints=(taint,))
    node = new_node("n1", NodeKind(profile), WALL_US)
    assert node.status.condition("Ready").status == "True"
    assert node.status.capacity == node.status.allocatable == {"cpu": "2"}
    assert node.metadata.labels == {
        "kubernetes.io/hostname": "n1",
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": "amd64",
        "zone": "a",
    }
    assert node.spec.taints == (taint,)
    assert {c.last_heartbeat_time for c in node.status.conditions} == {Time(WALL_US)}


async def test_work_for_many_is_done_a_few_at_a_time():
    running, most, done = 0, 0, []

    async def work(item):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.sleep(1)
        running -= 1
        done.append(item)

    await for_each(range(100), work, at_once=7)
    assert most == 7
    assert sorted(done) == list(range(100))


async def test_the_first_error_stops_the_rest_and_is_raised_alone():
    begun = []

    async def work(item):
        begun.append(item)
        await anyio.sleep(0.1 * item)
        raise (Unavailable if item == 1 else Conflict)(Call(verb="x", resource="y"), str(item))

    with pytest.raises(Unavailable):
        await for_each(range(1, 100), work, at_once=3)
    assert begun == [1, 2, 3]
