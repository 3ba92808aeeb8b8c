"""The api in memory: faults before and after the work, time-outs, cancellation. Virtual time."""

import anyio
import pytest

from lease_aio.api import LEASES, NODES, Resource
from lease_aio.api.memory import Faults, MemoryApi, Moment
from lease_aio.api.transport import Fault, TransportError
from lease_aio.errors import ApiError, Call, ConfigurationError, Conflict, NotFound, Throttled, Unavailable
from lease_aio.model import Lease, LeaseSpec, new_lease
from lease_aio.server import NODES as SERVED_NODES
from lease_aio.server import StatusError, Store

pytestmark = pytest.mark.virtual_time

LEASE = new_lease("a", "default", LeaseSpec(holder_identity="me"))


def striking(when: Moment, what: Exception | float) -> Faults:
    async def faults(moment: Moment, _call: Call) -> None:
        if moment is not when:
            return
        if isinstance(what, Exception):
            raise what
        await anyio.sleep(what)

    return faults


async def test_a_write_whose_answer_is_lost_was_done_and_says_that_it_may_have_been() -> None:
    store = Store(now=0)
    lost = striking(Moment.AFTER, TransportError(Fault.BROKEN, "reset", sent=True))
    with pytest.raises(Unavailable, match="create .* default/a: .*unknown: read before") as caught:
        await MemoryApi(store, faults=lost).create(LEASES, LEASE)
    assert caught.value.outcome_unknown
    assert (await MemoryApi(store).get(LEASES, "a", "default")).holder == "me"


async def test_a_write_that_never_arrived_was_not_done() -> None:
    store = Store(now=0)
    refused = striking(Moment.BEFORE, TransportError(Fault.REFUSED, "no", sent=False))
    with pytest.raises(Unavailable) as caught:
        await MemoryApi(store, faults=refused).create(LEASES, LEASE)
    assert not caught.value.outcome_unknown
    with pytest.raises(NotFound):
        await MemoryApi(store).get(LEASES, "a", "default")


async def test_an_answer_that_comes_too_late_is_an_unknown_outcome() -> None:
    store = Store(now=0)
    with pytest.raises(Unavailable, match=r"waited 3 s") as caught:
        await MemoryApi(store, faults=striking(Moment.AFTER, 5.0)).create(LEASES, LEASE, timeout_s=3)
    assert caught.value.outcome_unknown
    assert await MemoryApi(store).get(LEASES, "a", "default")


async def test_a_read_that_comes_too_late_changed_nothing() -> None:
    with pytest.raises(Unavailable) as caught:
        await MemoryApi(Store(now=0), latency_s=20).get(NODES, "n")
    assert not caught.value.outcome_unknown


async def test_the_servers_own_refusals_can_be_brought_in() -> None:
    throttled = striking(Moment.BEFORE, StatusError(429, "TooManyRequests", "later", retry_after_s=7))
    with pytest.raises(Throttled, match="429 TooManyRequests: later") as caught:
        await MemoryApi(Store(now=0), faults=throttled).get(NODES, "n")
    assert caught.value.retry_after_s == 7


async def test_an_error_of_ones_own_goes_through() -> None:
    own = Unavailable(Call(verb="get", resource="x"), "mine")
    with pytest.raises(ApiError) as caught:
        await MemoryApi(Store(now=0), faults=striking(Moment.BEFORE, own)).get(NODES, "n")
    assert caught.value is own


async def test_latency_is_spent_on_both_sides_of_the_work() -> None:
    store = Store(now=0)
    api = MemoryApi(store, latency_s=2)
    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(api.create, LEASES, LEASE)
        await anyio.sleep(0.9)
        with pytest.raises(NotFound):
            await MemoryApi(store).get(LEASES, "a", "default")
        await anyio.sleep(0.2)
        assert await MemoryApi(store).get(LEASES, "a", "default")
    assert anyio.current_time() - began == pytest.approx(2)


async def test_a_call_that_was_cancelled_before_it_began_does_nothing() -> None:
    store = Store(now=0)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await MemoryApi(store).create(LEASES, LEASE)
    assert scope.cancelled_caught
    with pytest.raises(NotFound):
        await MemoryApi(store).get(LEASES, "a", "default")


async def test_of_two_that_write_at_once_one_loses() -> None:
    api = MemoryApi(Store(now=0))
    current = await api.create(LEASES, LEASE)
    lost: list[str] = []

    async def take(holder: str) -> None:
        try:
            await api.replace(LEASES, current.with_spec(holder_identity=holder))
        except Conflict:
            lost.append(holder)

    async with anyio.create_task_group() as tasks:
        for holder in ("x", "y"):
            tasks.start_soon(take, holder)
    assert lost == ["y"]


async def test_what_was_read_is_not_changed_by_later_writes() -> None:
    api = MemoryApi(Store(now=0))
    first = await api.create(LEASES, LEASE.with_metadata(labels={"x": "y"}))
    await api.patch(LEASES, "a", "default", body={"metadata": {"labels": {"x": "z"}}})
    assert first.metadata.labels == {"x": "y"}


async def test_a_kind_that_is_not_served_is_refused_by_name() -> None:
    other = Resource(group="example.com", version="v1", plural="things", type=Lease)
    with pytest.raises(ConfigurationError, match=r"things\.example\.com is not served"):
        await MemoryApi(Store(now=0)).list(other)
    with pytest.raises(ConfigurationError, match=r"leases\.coordination"):
        await MemoryApi(Store(now=0, resources=[SERVED_NODES])).list(LEASES)


async def test_events_of_a_watch_can_be_lost_with_its_connection() -> None:
    opened = False

    async def faults(moment: Moment, _call: Call) -> None:
        if opened and moment is Moment.AFTER:
            raise TransportError(Fault.BROKEN, "reset", sent=True)

    store = Store(now=0)
    async with await MemoryApi(store, faults=faults).watch(LEASES, "default", resource_version="1") as watch:
        opened = True
        await MemoryApi(store).create(LEASES, LEASE)
        with pytest.raises(Unavailable, match="watch leases.*the connection broke"):
            await anext(aiter(watch))
