"""API servers that come and go, as an observer is told of them."""

import anyio
import pytest

from lease_aio.api.memory import MemoryApi, Moment
from lease_aio.api.protocol import LEASES
from lease_aio.errors import ConfigurationError, Refused
from lease_aio.identity import ApiServerIdentity, Freshness, IdentityObservation
from lease_aio.identity.presence import Presence
from lease_aio.model import LeaseSpec, MicroTime, new_lease
from tests.heartbeat.stage import refusing, staged, unreachable

pytestmark = pytest.mark.virtual_time

NAMESPACE = "kube-system"
LABELS = {"apiserver.kubernetes.io/identity": "kube-apiserver", "kubernetes.io/hostname": "vm"}


def lease(renewed_us, *, name="apiserver-a", holder="a_1", duration_s=3600):
    spec = LeaseSpec(holder_identity=holder, lease_duration_seconds=duration_s, renew_time=MicroTime(renewed_us))
    return new_lease(name, NAMESPACE, spec, labels=LABELS)


async def put(stage, *, age_s=0.0, **options):
    """Create it, or write it anew."""
    api = MemoryApi(stage.store)
    fresh = lease(stage.clock.wall_us() - round(age_s * 1e6), **options)
    there = await stage.lease(fresh.name, NAMESPACE)
    if there is None:
        await api.create(LEASES, fresh)
    else:
        await api.replace(LEASES, fresh.with_metadata(resource_version=there.resource_version))


async def following(stage, told):
    """Write down what is told, and when, for ever."""
    async with IdentityObservation(stage.api, stage.clock) as changes:
        async for change in changes:
            told.append((change.type.value, change.identity.name, round(stage.clock.now() - stage.began)))


def at(stage):
    stage.began = stage.clock.now()
    return []


async def test_a_server_name_that_is_no_label_is_refused():
    async with staged() as stage:
        with pytest.raises(ConfigurationError, match="server 'a b'"):
            IdentityObservation(stage.api, stage.clock, server="a b")


async def test_a_lack_of_rights_is_raised():
    async with staged() as stage:
        stage.faults = refusing
        with pytest.raises(Refused):
            async with IdentityObservation(stage.api, stage.clock):
                pytest.fail("entered")


async def test_a_cluster_that_publishes_none_has_an_empty_registry_until_one_comes():
    async with staged() as stage, IdentityObservation(stage.api, stage.clock) as changes:
        assert changes.identities == {}
        async with ApiServerIdentity(*stage.parts, hostname="vm") as me:
            change = await anext(changes)
            assert (change.type.value, change.identity.holder) == ("appeared", me.holder)
            assert list(changes.identities) == [me.name]


async def test_what_is_there_at_the_start_is_known_on_entering_and_told_first():
    async with staged() as stage:
        for name, age_s in (("apiserver-a", 0), ("apiserver-b", 100), ("apiserver-c", 4000)):
            await put(stage, name=name, age_s=age_s)
        async with IdentityObservation(stage.api, stage.clock) as changes:
            found = {name: one.freshness for name, one in changes.identities.items()}
            assert list(found.values()) == [Freshness.FRESH, Freshness.LATE, Freshness.EXPIRED]
            told = [await anext(changes) for _ in range(3)]
            assert [(one.type.value, one.identity.name) for one in told] == [("appeared", name) for name in found]


async def test_a_server_that_lives_is_told_of_once_however_long_it_lives():
    async with staged() as stage, anyio.create_task_group() as tasks:
        told = at(stage)
        async with ApiServerIdentity(*stage.parts, hostname="vm") as me:
            tasks.start_soon(following, stage, told)
            await anyio.sleep(7200)
            assert told == [("appeared", me.name, 0)]
            assert stage.calls.count("get leases") == 1  # the publisher's own
            tasks.cancel_scope.cancel()


async def test_a_server_that_dies_is_late_after_two_missed_renewals_and_expired_after_its_duration_then_collected():
    async with staged() as stage, anyio.create_task_group() as tasks:
        told = at(stage)
        async with ApiServerIdentity(*stage.parts, hostname="vm", keep_on_exit=True) as me:
            tasks.start_soon(following, stage, told)
            await anyio.sleep(1)
        await anyio.sleep(4000)
        await MemoryApi(stage.store).delete(LEASES, me.name, NAMESPACE)
        await anyio.sleep(1)
        assert told == [
            ("appeared", me.name, 0),
            ("late", me.name, 30),
            ("expired", me.name, 3600),
            ("gone", me.name, 4001),
        ]
        tasks.cancel_scope.cancel()


async def test_one_that_is_renewed_again_has_recovered():
    async with staged() as stage, anyio.create_task_group() as tasks:
        told = at(stage)
        await put(stage)
        tasks.start_soon(following, stage, told)
        await anyio.sleep(100)
        await put(stage)
        await anyio.sleep(1)
        assert [(what, when) for what, _, when in told] == [("appeared", 0), ("late", 30), ("recovered", 100)]
        tasks.cancel_scope.cancel()


async def test_a_restart_is_told_as_another_holder():
    async with staged() as stage:
        await put(stage)
        async with IdentityObservation(stage.api, stage.clock) as changes:
            await anext(changes)
            await MemoryApi(stage.store).delete(LEASES, "apiserver-a", NAMESPACE)
            await put(stage, holder="a_2")
            await anyio.sleep(1)
            told = [await anext(changes), await anext(changes)]
            assert [one.type.value for one in told] == ["gone", "appeared"]
            await put(stage, holder="a_3")
            change = await anext(changes)
            assert (change.type.value, change.identity.holder) == ("taken over", "a_3")


async def test_a_publisher_whose_clock_is_wrong_is_late_only_by_the_observers_own_clock():
    """Forty minutes behind: at the first sight that is all there is to go by; from the first renewal on it is not."""
    async with staged() as stage, anyio.create_task_group() as tasks:
        told = at(stage)
        await put(stage, age_s=2400)
        tasks.start_soon(following, stage, told)
        for _ in range(20):
            await anyio.sleep(10)
            await put(stage, age_s=2400)
        assert [(what, when) for what, _, when in told] == [("appeared", 0), ("recovered", 10)]
        tasks.cancel_scope.cancel()


async def test_while_the_api_server_is_away_nobody_is_called_late():
    async with staged() as stage, anyio.create_task_group() as tasks:
        told = at(stage)
        async with ApiServerIdentity(*stage.parts, hostname="vm"):
            tasks.start_soon(following, stage, told)
            await anyio.sleep(5)
            stage.faults = unreachable
            await anyio.sleep(300)
            stage.faults = None
            await anyio.sleep(300)
            assert [what for what, _, _ in told] == ["appeared"]
            tasks.cancel_scope.cancel()


async def test_one_that_dies_after_the_api_server_was_away_is_late_as_ever():
    async with staged() as stage, anyio.create_task_group() as tasks:
        told = at(stage)
        async with ApiServerIdentity(*stage.parts, hostname="vm", keep_on_exit=True):
            tasks.start_soon(following, stage, told)
            await anyio.sleep(5)
            stage.faults = unreachable
            await anyio.sleep(100)
            assert stage.calls.count("get leases") < 50  # the publisher backs off to 7 s; the observer asks every 5 s
            stage.faults = None
            await anyio.sleep(100)
        died = stage.clock.now() - stage.began
        await anyio.sleep(100)
        assert [what for what, _, _ in told] == ["appeared", "late"]
        assert 19 <= told[-1][2] - died <= 31
        tasks.cancel_scope.cancel()


async def test_a_watch_that_has_died_in_silence_makes_nobody_late():
    async with staged() as stage, anyio.create_task_group() as tasks:
        told = at(stage)

        async def deaf(moment, call):
            if call.verb == "watch" and moment is Moment.AFTER:
                await anyio.sleep_forever()

        async with ApiServerIdentity(*stage.parts, hostname="vm"):
            stage.faults = deaf
            tasks.start_soon(following, stage, told)
            await anyio.sleep(600)
            assert [what for what, _, _ in told] == ["appeared"]
            tasks.cancel_scope.cancel()


# The pure part


def test_of_changes_that_come_faster_than_they_are_asked_for_the_last_is_told():
    presence = Presence()
    for holder in ("a_1", "a_2", "a_3"):
        presence.show(lease(10**9, holder=holder), 0.0, 10**9)
    change = presence.next_change()
    assert (change.type.value, change.identity.holder) == ("appeared", "a_3")
    assert presence.next_change() is None
    presence.gone("apiserver-a")
    presence.show(lease(10**9, holder="a_4"), 1.0, 10**9)
    assert presence.next_change().type.value == "taken over"


def test_a_label_that_is_set_is_no_renewal():
    presence = Presence()
    presence.show(lease(10**9), 0.0, 10**9)
    presence.show(lease(10**9).with_metadata(labels={**LABELS, "a": "b"}), 29.0, 10**9)
    assert presence.next_to_age() == ("apiserver-a", 30.0)


def test_an_identity_without_renew_time_has_expired_from_the_start():
    presence = Presence()
    presence.show(new_lease("apiserver-a", NAMESPACE, LeaseSpec()), 0.0, 10**9)
    assert presence.views["apiserver-a"].expired
    assert presence.next_to_age()[1] == float("inf")


def test_one_that_was_forgotten_cannot_age():
    presence = Presence()
    presence.age("apiserver-a", 100.0)
    presence.gone("apiserver-a")
    assert presence.views == {}
    assert presence.next_change() is None
