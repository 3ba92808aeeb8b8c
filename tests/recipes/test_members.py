"""Who of a group is alive, as an observer is told, and what is cleared away."""

from contextlib import asynccontextmanager

import anyio
import pytest

from lease_aio.api.memory import MemoryApi, Moment
from lease_aio.api.protocol import LEASES
from lease_aio.errors import ConfigurationError, Refused
from lease_aio.model import LeaseSpec, MicroTime, new_lease
from lease_aio.recipes import LeftoverDeleted, MembersObservation
from tests.heartbeat.stage import refusing, staged, unreachable
from tests.recipes.test_membership import all_stored, crash, member_of

pytestmark = pytest.mark.virtual_time


def members(stage, group="workers"):
    return MembersObservation(stage.api, stage.clock, group=group, namespace="default")


async def follow(stage, told):
    began = stage.clock.now()
    async with members(stage) as changes:
        async for change in changes:
            told.append((change.type.value, change.member.member, round(stage.clock.now() - began)))


@asynccontextmanager
async def following(stage):
    """What is told while the block runs, and when."""
    told = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow, stage, told)
        yield told
        tasks.cancel_scope.cancel()


async def test_a_group_whose_name_cannot_be_one_is_refused():
    async with staged() as stage:
        with pytest.raises(ConfigurationError, match="group 'a b'"):
            members(stage, "a b")


async def test_a_lack_of_rights_is_raised():
    async with staged() as stage:
        stage.faults = refusing
        with pytest.raises(Refused):
            async with members(stage):
                pytest.fail("entered")


async def test_an_empty_group_is_one_without_members_until_one_joins():
    async with staged() as stage, members(stage) as changes:
        assert (changes.members, changes.alive) == ({}, ())
        async with member_of(stage, "w-0") as me:
            change = await anext(changes)
            assert (change.type.value, change.member.member, change.member.holder) == ("joined", "w-0", me.holder)
            assert list(changes.members) == [me.name]
            assert [one.member for one in changes.alive] == ["w-0"]


async def test_those_that_are_there_at_the_start_are_known_on_entering_and_told_first():
    async with (
        staged() as stage,
        member_of(stage, "b"),
        member_of(stage, "a"),
        member_of(stage, "x", group="others"),
        members(stage) as changes,
    ):
        assert [one.member for one in changes.alive] == ["a", "b"]
        assert {(await anext(changes)).member.member for _ in range(2)} == {"a", "b"}


async def test_a_member_that_lives_is_told_of_once_however_long_it_lives():
    async with staged() as stage, member_of(stage, "w-0"), following(stage) as told:
        await anyio.sleep(7200)
        assert told == [("joined", "w-0", 0)]
        assert stage.calls.count("get leases") == 1  # its own, at the start


async def test_one_that_ends_in_order_has_left_at_once():
    async with staged() as stage, following(stage) as told:
        async with member_of(stage, "w-0"):
            await anyio.sleep(100)
        await anyio.sleep(1)
        assert told == [("joined", "w-0", 0), ("left", "w-0", 100)]


async def test_one_that_crashes_is_lost_after_its_duration_and_its_lease_is_cleared_away_by_another(logs):
    swept = []
    async with staged() as stage, following(stage) as told, member_of(stage, "w-0", observer=swept.append):
        leftover = await crash(stage, "w-1")
        await anyio.sleep(600)
        assert [(what, who) for what, who, _ in told] == [
            ("joined", "w-0"),
            ("joined", "w-1"),
            ("lost", "w-1"),
            ("left", "w-1"),
        ]
        lost_at, left_at = told[2][2], told[3][2]
        assert lost_at == 15
        assert 150 + 30 <= left_at <= 150 + 2 * 45 + 45 + 1  # a look in 15 to 45 s, ten durations, a look, 30 to 45 s
        assert swept[1:] == [LeftoverDeleted(group="workers", member="w-1", name=leftover.name)]
        assert len(await all_stored(stage)) == 1
    assert [line["of"] for line in logs if line["event"] == "membership.leftover_deleted"] == ["w-1"]


async def test_one_that_crashed_before_the_observation_began_counts_for_one_duration_whatever_its_clock_said():
    async with staged() as stage:
        await crash(stage, "w-1")
        await anyio.sleep(1000)
        async with following(stage) as told:
            await anyio.sleep(100)
            assert told == [("joined", "w-1", 0), ("lost", "w-1", 15)]


@pytest.mark.parametrize("wrong_s", [-86_400, 86_400])
async def test_a_members_wall_clock_is_of_no_account(wrong_s):
    async with staged() as stage, member_of(stage, "w-0"), following(stage) as told:
        stage.clock.step_wall(wrong_s)
        await anyio.sleep(600)
        assert told == [("joined", "w-0", 0)]


async def test_a_successor_of_the_same_name_is_told_as_replacing_it():
    async with staged() as stage, following(stage) as told:
        await crash(stage, "w-0")
        await anyio.sleep(10)
        async with member_of(stage, "w-0"):
            await anyio.sleep(100)
        await anyio.sleep(1)
        assert told == [("joined", "w-0", 0), ("replaced", "w-0", 10), ("left", "w-0", 110)]


async def test_one_that_renews_again_has_returned():
    async with staged() as stage, following(stage) as told:
        lease = await crash(stage, "w-0")
        await anyio.sleep(100)
        await MemoryApi(stage.store).replace(LEASES, lease.with_spec(renew_time=MicroTime(stage.clock.wall_us())))
        await anyio.sleep(1)
        assert told == [("joined", "w-0", 0), ("lost", "w-0", 15), ("returned", "w-0", 100)]


@pytest.mark.parametrize("away_s", [10, 100, 1000])
async def test_while_the_api_server_is_away_nobody_is_lost_and_nothing_is_cleared_away(away_s):
    async with staged() as stage, following(stage) as told, member_of(stage, "w-0"), member_of(stage, "w-1"):
        await anyio.sleep(5)
        for _ in range(5):
            stage.faults = unreachable
            await anyio.sleep(away_s)
            stage.faults = None
            await anyio.sleep(100)
        assert [(what, who) for what, who, _ in told] == [("joined", "w-0"), ("joined", "w-1")]


async def test_members_of_a_short_duration_are_back_in_time_after_an_outage():
    async with staged() as stage, following(stage) as told, member_of(stage, "w-0", lease_duration_s=2):
        await anyio.sleep(5)
        stage.faults = unreachable
        await anyio.sleep(300)
        stage.faults = None
        await anyio.sleep(60)
        assert told == [("joined", "w-0", 0)]


async def test_a_watch_that_has_died_in_silence_makes_nobody_lost():
    async with staged() as stage, member_of(stage, "w-0"):

        async def deaf(moment, call):
            if call.verb == "watch" and moment is Moment.AFTER:
                await anyio.sleep_forever()

        stage.faults = deaf
        async with following(stage) as told:
            await anyio.sleep(600)
            assert told == [("joined", "w-0", 0)]


async def test_a_lease_that_somebody_made_by_hand_is_a_member_by_its_label_and_is_never_cleared_away():
    async with staged() as stage, following(stage) as told, member_of(stage, "w-0"):
        spec = LeaseSpec(holder_identity="by hand", lease_duration_seconds=5, renew_time=MicroTime(1))
        lease = new_lease("mine", "default", spec, labels={"lease-aio/member-of": "workers"})
        await MemoryApi(stage.store).create(LEASES, lease)
        await anyio.sleep(3600)
        assert told[1:] == [("joined", "by hand", 0), ("lost", "by hand", 5)]


async def test_one_that_is_renewed_between_the_look_and_the_deletion_stays():
    async with staged() as stage, member_of(stage, "w-0"):
        lease, renewed = await crash(stage, "w-1"), anyio.Event()

        async def renew_before_the_delete(moment, call):
            if call.verb == "delete" and moment is Moment.BEFORE:
                stage.faults = None
                api = MemoryApi(stage.store)
                await api.replace(LEASES, lease.with_spec(renew_time=MicroTime(stage.clock.wall_us())))
                renewed.set()

        stage.faults = renew_before_the_delete
        await renewed.wait()
        await anyio.sleep(100)
        assert await stage.lease(lease.name, "default") is not None


async def test_a_lack_of_the_right_to_list_is_said_once_and_ends_nothing(logs):
    async with staged() as stage:

        async def no_lists(moment, call):
            if call.verb == "list":
                await refusing(moment, call)

        stage.faults = no_lists
        async with member_of(stage, "w-0") as me:
            await anyio.sleep(600)
            assert me.last_error is None
    assert [line["event"] for line in logs].count("membership.not_swept") == 1


async def test_of_many_members_with_many_leftovers_each_leftover_goes_and_no_member_does():
    async with staged() as stage, anyio.create_task_group() as tasks:
        living = [member_of(stage, f"alive-{number}") for number in range(10)]
        for number in range(30):
            await crash(stage, f"dead-{number}")
        for one in living:
            await tasks.start(hold, one)
        stage.calls.clear()
        await anyio.sleep(2400)
        assert {lease.name for lease in await all_stored(stage)} == {one.name for one in living}
        assert stage.calls.count("create leases") == 0
        assert stage.calls.count("list leases") < 1.5 * 2400 / 15
        tasks.cancel_scope.cancel()


async def hold(membership, *, task_status):
    async with membership:
        task_status.started()
        await anyio.sleep_forever()


async def test_a_second_look_that_fails_is_no_look():
    """Every other one does: no two that follow one another ever see the leftover."""
    async with staged() as stage:
        lists = 0

        async def every_other(moment, call):
            nonlocal lists
            lists += call.verb == "list" and moment is Moment.BEFORE
            if call.verb == "list" and lists % 2:
                await unreachable(moment, call)

        leftover = await crash(stage, "w-1")
        stage.faults = every_other
        async with member_of(stage, "w-0"):
            await anyio.sleep(3600)
            assert lists > 40
            assert await stage.lease(leftover.name, "default") is not None
            stage.faults = None
            await anyio.sleep(200)
            assert await stage.lease(leftover.name, "default") is None


async def test_a_member_that_has_left_looks_no_more():
    async with staged() as stage:
        async with member_of(stage, "w-0"):
            await anyio.sleep(60)
        stage.calls.clear()
        await anyio.sleep(600)
        assert stage.calls == []
