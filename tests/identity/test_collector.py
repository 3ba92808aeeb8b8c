"""The collector against a server in memory. The upstream cases bear the names they have in `apiserverleasegc`."""

import asyncio
import dataclasses

import anyio
import pytest

from lease_aio.api.memory import MemoryApi, Moment
from lease_aio.api.protocol import LEASES
from lease_aio.errors import ClockSkewed, ConfigurationError, Refused
from lease_aio.identity import ApiServerIdentity, Collection, CollectionFailed, IdentityCollector
from lease_aio.model import LeaseSpec, MicroTime, new_lease
from lease_aio.testing import VirtualClock
from tests.heartbeat.stage import refusing, staged, unreachable

pytestmark = pytest.mark.virtual_time

LABELS = {"apiserver.kubernetes.io/identity": "kube-apiserver", "kubernetes.io/hostname": "vm"}
NAMESPACE = "kube-system"


def lease(stage, age_s, *, name="apiserver-a", duration_s=3600, labels=LABELS, namespace=NAMESPACE):
    renewed = None if age_s is None else MicroTime(stage.clock.wall_us() - round(age_s * 1e6))
    spec = LeaseSpec(holder_identity=f"{name}_1", lease_duration_seconds=duration_s, renew_time=renewed)
    return new_lease(name, namespace, spec, labels=labels)


async def make(stage, *args, **options):
    return await MemoryApi(stage.store).create(LEASES, lease(stage, *args, **options))


async def left(stage):
    page = await MemoryApi(stage.store).list(LEASES, "")
    return sorted(one.name for one in page.items)


@pytest.mark.parametrize(
    "wrong", [{"period_s": 0}, {"server": "a b"}, {"max_skew_s": -1}, {"warn_skew_s": 10, "max_skew_s": 5}]
)
async def test_a_value_that_cannot_work_is_refused_at_construction(wrong):
    async with staged() as stage:
        with pytest.raises(ConfigurationError, match=next(iter(wrong)).split("_")[0]):
            IdentityCollector(stage.api, stage.clock, **wrong)


async def test_a_lack_of_rights_is_raised():
    async with staged() as stage, anyio.create_task_group() as tasks:
        stage.faults = refusing
        with pytest.raises(Refused):
            await IdentityCollector(stage.api, stage.clock)
        with pytest.raises(Refused):
            async with IdentityCollector(stage.api, stage.clock, tasks):
                pytest.fail("entered")


async def test_a_deletion_that_is_refused_is_told_and_the_others_go_on(logs):
    async with staged() as stage:
        for name in "abc":
            await make(stage, 4000, name=name)

        async def not_b(moment, call):
            if (call.verb, call.name) == ("delete", "b"):
                await refusing(moment, call)

        stage.faults = not_b
        done = await IdentityCollector(stage.api, stage.clock)
        assert [one.name for one in done.collected] == ["a", "c"]
        ((name, why),) = done.failed
        assert name == "b"
        assert "403" in why
        assert [line["lease"] for line in logs if line["event"] == "identity.not_collected"] == ["b"]


# Which


@pytest.mark.parametrize(
    ("age_s", "duration_s", "label", "deleted"),
    [
        pytest.param(0, 3600, "kube-apiserver", False, id="lease not expired"),
        pytest.param(
            7200, 3600, "kube-controller-manager", False, id="expired lease but with a different component label"
        ),
        pytest.param(7200, 3600, "kube-apiserver", True, id="lease expired due to expired renew time"),
        pytest.param(None, 3600, "kube-apiserver", True, id="lease expired due to nil renew time"),
        pytest.param(0, None, "kube-apiserver", True, id="lease expired due to nil lease duration seconds"),
    ],
)
async def test_upstream(age_s, duration_s, label, deleted):
    async with staged() as stage:
        labels = {"apiserver.kubernetes.io/identity": label}
        await make(stage, age_s, name="kube-apiserver-12345", duration_s=duration_s, labels=labels)
        done = await IdentityCollector(stage.api, stage.clock)
        assert await left(stage) == ([] if deleted else ["kube-apiserver-12345"])
        assert bool(done.collected) is deleted


async def test_what_has_no_label_or_lives_elsewhere_is_never_touched():
    async with staged() as stage:
        await make(stage, 9999, name="unlabelled", labels={})
        await make(stage, 9999, name="elsewhere", namespace="default")
        done = await IdentityCollector(stage.api, stage.clock)
        assert (done.found, done.collected) == ((), ())
        assert stage.calls == ["list leases"]


async def test_another_servers_identities_are_collected_by_its_own_name():
    async with staged() as stage:
        await make(stage, 9999, name="mine", labels={"apiserver.kubernetes.io/identity": "mine"})
        await make(stage, 9999, name="theirs")
        await IdentityCollector(stage.api, stage.clock, server="mine")
        assert await left(stage) == ["theirs"]


async def test_a_list_without_identities_is_no_error():
    async with staged() as stage:
        done = await IdentityCollector(stage.api, stage.clock)
        assert done.found == done.collected == ()


async def test_a_dry_run_tells_what_would_go_and_deletes_nothing(logs):
    async with staged() as stage:
        await make(stage, 4000, name="old")
        await make(stage, 1, name="new")
        done = await IdentityCollector(stage.api, stage.clock, dry_run=True)
        assert [one.name for one in done.collected] == ["old"]
        assert await left(stage) == ["new", "old"]
        assert "delete leases" not in stage.calls
        assert [line["event"] for line in logs] == ["identity.would_collect"]


# Never one that lives


async def renew(stage, name="apiserver-a"):
    api = MemoryApi(stage.store)
    found = await api.get(LEASES, name, NAMESPACE)
    await api.replace(LEASES, found.with_spec(renew_time=MicroTime(stage.clock.wall_us())))


@pytest.mark.parametrize("verb", ["get", "delete"])
async def test_one_that_is_renewed_between_the_list_and_its_deletion_is_spared(verb):
    async with staged() as stage:
        await make(stage, 4000)

        async def renew_before(moment, call):
            if call.verb == verb and moment is Moment.BEFORE:
                stage.faults = None
                await renew(stage)

        stage.faults = renew_before
        done = await IdentityCollector(stage.api, stage.clock)
        assert (done.collected, done.spared) == ((), ("apiserver-a",))
        assert await left(stage) == ["apiserver-a"]


async def test_one_that_is_gone_when_it_is_looked_at_again_is_no_error():
    async with staged() as stage:
        await make(stage, 4000)

        async def delete_before(moment, call):
            if call.verb == "get" and moment is Moment.BEFORE:
                stage.faults = None
                await MemoryApi(stage.store).delete(LEASES, "apiserver-a", NAMESPACE)

        stage.faults = delete_before
        done = await IdentityCollector(stage.api, stage.clock)
        assert (done.collected, done.spared, done.failed) == ((), ("apiserver-a",), ())


# Clocks


@pytest.mark.parametrize("step_s", [7200, -7200, 62])
async def test_with_a_clock_that_is_far_off_nothing_is_deleted(step_s, logs):
    """Two hours ahead, all that live would look dead."""
    async with staged() as stage, ApiServerIdentity(*stage.parts, hostname="vm"):
        await make(stage, 4000, name="old")
        ours = VirtualClock()
        ours.step_wall(step_s)
        told = []
        collector = IdentityCollector(stage.api, ours, observer=told.append)
        with pytest.raises(ClockSkewed, match="set the clock"):
            await collector
        assert len(await left(stage)) == 2
        assert "delete leases" not in stage.calls[2:]


async def test_a_difference_of_seconds_is_warned_of_and_told(logs):
    async with staged() as stage:
        await make(stage, 4000)
        ours = VirtualClock()
        ours.step_wall(20)
        done = await IdentityCollector(stage.api, ours)
        assert len(done.collected) == 1
        assert done.skew.low_s <= 20 <= done.skew.high_s
        (line,) = [line for line in logs if line["event"] == "identity.clock_skew"]
        assert 19 <= line["skew_s"] <= 20


async def test_the_bounds_can_be_moved():
    async with staged() as stage:
        ours = VirtualClock()
        ours.step_wall(200)
        await IdentityCollector(stage.api, ours, max_skew_s=300)
        with pytest.raises(ClockSkewed):
            await IdentityCollector(stage.api, ours, max_skew_s=100)


async def test_a_server_that_gives_no_date_is_said_to_and_believed(logs):
    async with staged() as stage:
        await make(stage, 4000)
        done = await IdentityCollector(Dateless(stage.store, wall_us=stage.clock.wall_us), stage.clock)
        assert done.skew is None
        assert len(done.collected) == 1
        assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["identity.clock_skew_unknown"]


class Dateless(MemoryApi):
    async def list(self, *args, **options):
        return dataclasses.replace(await super().list(*args, **options), date=None)


# Every period


async def test_one_that_dies_is_collected_between_one_and_two_hours_later_and_one_that_lives_is_not():
    async with (
        staged() as stage,
        anyio.create_task_group() as tasks,
        ApiServerIdentity(*stage.parts, hostname="lives") as living,
        IdentityCollector(stage.api, stage.clock, tasks),
    ):
        async with ApiServerIdentity(*stage.parts, hostname="dies", keep_on_exit=True) as dead:
            await anyio.sleep(5000)
        await anyio.sleep(3590)
        assert await left(stage) == sorted([living.name, dead.name])
        await anyio.sleep(3620)
        assert await left(stage) == [living.name]
        await anyio.sleep(2 * 3600)
        assert await left(stage) == [living.name]


async def test_it_passes_at_once_and_then_every_period():
    async with staged() as stage, anyio.create_task_group() as tasks:
        told = []
        async with IdentityCollector(stage.api, stage.clock, tasks, observer=told.append) as collector:
            assert collector.passes == 1
            await anyio.sleep(3 * 3600 + 1)
            assert collector.passes == len(told) == 4
            assert collector.last == told[-1]
        await anyio.sleep(3600)
        assert collector.passes == 4
        assert all(isinstance(event, Collection) for event in told)


async def test_a_pass_that_comes_to_nothing_is_told_logged_and_made_again_soon(logs):
    async with staged() as stage, anyio.create_task_group() as tasks:
        told = []
        async with IdentityCollector(stage.api, stage.clock, tasks, observer=told.append) as collector:
            stage.faults = unreachable
            await anyio.sleep(3601)
            assert collector.last_error is not None
            stage.faults = None
            await anyio.sleep(20)
            assert collector.last_error is None
            assert collector.passes == 2
    assert {type(event) for event in told[1:-1]} == {CollectionFailed}
    assert not told[1].skewed
    assert "identity.collection_failed" in {line["event"] for line in logs}


async def test_a_server_that_is_away_at_the_start_is_waited_for():
    async with staged() as stage, anyio.create_task_group() as tasks:
        stage.faults = unreachable
        async with IdentityCollector(stage.api, stage.clock, tasks) as collector:
            assert collector.passes == 0
            stage.faults = None
            await anyio.sleep(6)
            assert collector.passes == 1


async def test_a_clock_that_is_set_wrong_later_is_told_and_nothing_is_deleted():
    async with staged() as stage, anyio.create_task_group() as tasks:
        told, ours = [], VirtualClock()
        async with (
            ApiServerIdentity(*stage.parts, hostname="vm"),
            IdentityCollector(stage.api, ours, tasks, observer=told.append),
        ):
            ours.step_wall(7200)
            await anyio.sleep(3601)
            assert told[1].skewed
            assert len(await left(stage)) == 1


async def test_it_serves_one_block_and_needs_a_task_group_for_it():
    async with staged() as stage, anyio.create_task_group() as tasks:
        with pytest.raises(ConfigurationError, match="make a new one"):
            async with IdentityCollector(stage.api, stage.clock):
                pytest.fail("entered")
        collector = IdentityCollector(stage.api, stage.clock, tasks)
        async with collector:
            pass
        with pytest.raises(ConfigurationError, match="make a new one"):
            async with collector:
                pytest.fail("entered")


async def test_a_cancelled_block_ends_it_and_is_left_when_its_task_has_ended():
    async with staged() as stage, anyio.create_task_group() as tasks:
        before = asyncio.all_tasks()
        with anyio.move_on_after(10):
            async with IdentityCollector(stage.api, stage.clock, tasks) as collector:
                await anyio.sleep_forever()
        assert asyncio.all_tasks() == before
        await anyio.sleep(2 * 3600)
        assert collector.passes == 1


async def test_two_collectors_do_not_hinder_each_other():
    async with staged(latency_s=0.2) as stage, anyio.create_task_group() as tasks:
        for number in range(5):
            await make(stage, 4000, name=f"a{number}")
        results = []

        async def collect():
            results.append(await IdentityCollector(stage.api, stage.clock))

        tasks.start_soon(collect)
        tasks.start_soon(collect)
        await anyio.sleep(10)
        assert await left(stage) == []
        assert sum(len(one.collected) for one in results) == 5
        assert all(one.failed == () for one in results)
