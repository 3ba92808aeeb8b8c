"""A member of a group through a scheduler, against a server in memory."""

import functools
import random

import anyio
import pytest

from lease_aio.api.memory import MemoryApi, Moment
from lease_aio.api.protocol import LEASES
from lease_aio.api.transport import Fault, TransportError
from lease_aio.errors import ConfigurationError, Refused, Unavailable
from lease_aio.model import LeaseSpec, MicroTime, new_lease
from lease_aio.recipes import Joined, Left, Membership, Shared, Superseded
from tests.heartbeat.stage import answers_lost, refusing, staged, unreachable

pytestmark = pytest.mark.virtual_time

NAMESPACE = "default"


def member_of(stage, member=None, *, group="workers", namespace=NAMESPACE, **options):
    return Membership(*stage.fleet_parts, group=group, member=member, namespace=namespace, **options)


async def stored(stage, me):
    return await stage.lease(me.name, NAMESPACE)


async def all_stored(stage):
    return (await MemoryApi(stage.store).list(LEASES, NAMESPACE)).items


def renewing(stage):
    """How many renewals the scheduler drives."""
    beats = stage.scheduler.report().beats
    return beats.queued + beats.in_flight


# When it cannot work


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"group": "Workers"}, r"group 'Workers' must be a DNS label \(a-z, 0-9 and -\) of at most 36 characters"),
        ({"group": "g" * 37}, "group 'g+' must be a DNS label"),
        ({"group": ""}, "group '' must be a DNS label"),
        ({"group": "a.b"}, r"group 'a\.b' must be a DNS label"),
        ({"member": ""}, "member '' must have between 1 and"),
        ({"member": 3}, "member 3 must have between 1 and"),
        ({"namespace": "A"}, "namespace 'A'"),
        ({"lease_duration_s": 0}, "lease_duration_s=0 must be whole seconds from 1"),
        ({"lease_duration_s": 2.5}, "lease_duration_s=2.5 must be whole seconds"),
        ({"lease_duration_s": "15"}, "lease_duration_s='15' must be whole seconds"),
    ],
)
async def test_what_the_server_would_refuse_for_ever_is_refused_at_construction(wrong, named):
    async with staged() as stage:
        with pytest.raises(ConfigurationError, match=named):
            member_of(stage, **wrong)
        assert stage.calls == []


async def test_a_lack_of_rights_is_raised_on_entering_with_what_was_asked():
    async with staged() as stage:
        stage.faults = refusing
        with pytest.raises(Refused, match="get leases.coordination.k8s.io default/workers-"):
            async with member_of(stage):
                pytest.fail("entered")
        assert renewing(stage) == 0
        stage.faults = None
        assert await all_stored(stage) == ()


async def test_a_server_that_stays_away_is_raised_on_entering_after_the_time_that_was_given():
    async with staged() as stage:
        stage.faults = unreachable
        began = stage.clock.now()
        with pytest.raises(Unavailable):
            async with member_of(stage, ready_timeout_s=5):
                pytest.fail("entered")
        assert 5 <= stage.clock.now() - began <= 6
        assert renewing(stage) == 0


async def test_it_may_be_entered_while_the_server_is_away_and_joins_when_it_is_back():
    async with staged() as stage:
        stage.faults = unreachable
        async with member_of(stage, ready_timeout_s=None) as me:
            await anyio.sleep(60)
            assert isinstance(me.last_error, Unavailable)
            assert me.renewals == 0
            stage.faults = None
            await anyio.sleep(3.8)  # a quarter of the duration
            assert (await stored(stage, me)).holder == me.holder
            assert me.last_error is None


async def test_it_outlives_an_outage_and_is_back_within_a_quarter_of_its_duration():
    async with staged() as stage, member_of(stage) as me:
        for away_s in (3, 14, 100, 1000):
            stage.faults = unreachable
            await anyio.sleep(away_s)
            stage.faults = None
            await anyio.sleep(3.9)
            assert await stage.age_s(me.name, NAMESPACE) <= 3.9
        assert not me.superseded
        assert not me.shared


async def test_rights_that_are_taken_away_end_nothing_and_are_told():
    async with staged() as stage, member_of(stage) as me:
        stage.faults = refusing
        await anyio.sleep(60)
        assert isinstance(me.last_error, Refused)
        stage.faults = None
        await anyio.sleep(4)
        assert me.last_error is None
        assert await stage.age_s(me.name, NAMESPACE) <= 4


async def test_a_lease_that_was_deleted_by_hand_is_back_with_the_next_renewal():
    async with staged() as stage, member_of(stage) as me:
        await MemoryApi(stage.store).delete(LEASES, me.name, NAMESPACE)
        await anyio.sleep(4)
        lease = await stored(stage, me)
        assert (lease.holder, lease.metadata.labels["lease-aio/member-of"]) == (me.holder, "workers")
        assert not me.superseded


async def test_a_holder_that_somebody_emptied_is_written_anew():
    async with staged() as stage, member_of(stage) as me:
        api = MemoryApi(stage.store)
        await api.replace(LEASES, (await stored(stage, me)).with_spec(holder_identity=""))
        await anyio.sleep(4)
        assert (await stored(stage, me)).holder == me.holder
        assert not me.superseded


async def test_an_own_renewal_whose_answer_was_lost_is_nobody_elses():
    async with staged() as stage, member_of(stage) as me:
        for _ in range(20):
            stage.faults = answers_lost
            await anyio.sleep(4)
            stage.faults = None
            await anyio.sleep(5)
        assert (me.superseded, me.shared) == (False, False)
        assert await stage.age_s(me.name, NAMESPACE) <= 4


# Two of one name


async def test_the_newer_process_of_a_name_takes_the_lease_over_and_the_older_one_is_told_and_renews_no_more(logs):
    async with staged() as stage:
        told, waited = [], []
        async with (
            member_of(stage, "w-0", observer=told.append) as old,
            anyio.create_task_group() as tasks,
            member_of(stage, "w-0") as new,
        ):

            async def wait():
                waited.append(await old.taken_over())

            tasks.start_soon(wait)
            assert old.name == new.name
            assert old.holder != new.holder
            await anyio.sleep(4)
            assert old.superseded
            assert not new.superseded
            assert waited == [new.holder]
            assert renewing(stage) == 1
            await anyio.sleep(60)
            assert (await stored(stage, new)).holder == new.holder
            assert (old.shared, new.shared) == (False, False)
        assert told == [
            Joined(group="workers", member="w-0", holder=old.holder),
            Superseded(group="workers", member="w-0", by=new.holder),
            Left(group="workers", member="w-0", deleted=True),
        ]
    (line,) = [line for line in logs if line["event"] == "membership.superseded"]
    assert (line["log_level"], line["by"], line["holder"]) == ("warning", new.holder, old.holder)


async def test_the_superseded_one_leaves_its_successors_lease_alone():
    async with staged() as stage:
        told = []
        async with anyio.create_task_group() as tasks:
            new, ended = member_of(stage, "w-0"), anyio.Event()

            async def succeed():
                async with new:
                    await ended.wait()

            async with member_of(stage, "w-0", observer=told.append):
                tasks.start_soon(succeed)
                await anyio.sleep(10)
            assert (await stored(stage, new)).holder == new.holder
            assert told[-1] == Left(group="workers", member="w-0", deleted=False)
            ended.set()
        assert await all_stored(stage) == ()


async def test_one_that_leaves_before_it_has_learnt_of_its_successor_leaves_the_lease_alone_too():
    async with staged() as stage, anyio.create_task_group() as tasks:
        new = member_of(stage, "w-0")
        async with member_of(stage, "w-0") as old:
            await tasks.start(entered, new)
        assert not old.superseded
        assert (await stored(stage, new)).holder == new.holder
        tasks.cancel_scope.cancel()


async def entered(membership, *, task_status):
    async with membership:
        task_status.started()
        await anyio.sleep_forever()


async def test_two_that_begin_at_once_end_as_one():
    async with staged(latency_s=0.3) as stage:
        pair = [member_of(stage, "w-0") for _ in range(2)]
        async with anyio.create_task_group() as tasks:
            for one in pair:
                tasks.start_soon(functools.partial(tasks.start, entered, one))
            await anyio.sleep(30)
            (alone,) = [one for one in pair if not one.superseded]
            assert (await stored(stage, alone)).holder == alone.holder
            assert renewing(stage) == 1
            tasks.cancel_scope.cancel()


async def test_one_that_is_superseded_before_it_has_heard_of_its_own_lease_enters_and_is_told_so():
    async with staged() as stage:
        me = member_of(stage, "w-0")

        async def lost_then_taken(moment, call):
            if (call.verb, moment) == ("create", Moment.AFTER):
                await answers_lost(moment, call)
            elif (call.verb, moment) == ("update", Moment.BEFORE):  # it has read its own Lease by now
                stage.faults = None
                lease = (await stored(stage, me)).with_spec(holder_identity="newer")
                await MemoryApi(stage.store).replace(LEASES, lease)

        stage.faults = lost_then_taken
        with anyio.fail_after(5):
            async with me:
                assert await me.taken_over() == "newer"
        assert (await stored(stage, me)).holder == "newer"


@pytest.mark.parametrize("seed", range(60))
async def test_of_three_that_begin_at_once_on_a_bad_network_one_stays_and_the_others_are_told(seed):
    dice, calm = random.Random(seed), anyio.Event()

    async def bad(moment, call):
        await anyio.sleep(dice.choice([0, 0.01, dice.random()]))
        if not calm.is_set() and dice.random() < 0.15:
            fault = Fault.REFUSED if moment is Moment.BEFORE else Fault.BROKEN
            raise TransportError(fault, "a bad network", sent=moment is Moment.AFTER)

    async def be(one):
        await anyio.sleep(dice.choice([0, 2 * dice.random()]))
        async with one:
            await leave.wait()

    async with staged() as stage:
        stage.faults, leave = bad, anyio.Event()
        three = [member_of(stage, "w-0", random=dice.random) for _ in range(3)]
        async with anyio.create_task_group() as tasks:
            for one in three:
                tasks.start_soon(be, one)
            await anyio.sleep(15)
            calm.set()
            await anyio.sleep(30)
            (alone,) = [one for one in three if not one.superseded]
            assert (await stored(stage, alone)).holder == alone.holder
            leave.set()
        assert await all_stored(stage) == ()


async def test_a_successor_of_one_that_crashed_takes_its_lease_over_at_once():
    async with staged() as stage:
        await crash(stage, "w-0")
        async with member_of(stage, "w-0") as me:
            assert me.holder == (await stored(stage, me)).holder
            assert len(await all_stored(stage)) == 1
            await anyio.sleep(60)
            assert (me.superseded, me.shared) == (False, False)
        assert await all_stored(stage) == ()


async def crash(stage, member, *, group="workers", duration_s=15):
    """A member that ends without a word."""
    async with staged() as elsewhere, member_of(elsewhere, member, group=group, lease_duration_s=duration_s) as me:
        lease = await stored(elsewhere, me)
    fresh = lease.with_metadata(resource_version="", uid="", creation_timestamp=None)
    fresh = fresh.with_spec(renew_time=MicroTime(stage.clock.wall_us()))
    return await MemoryApi(stage.store).create(LEASES, fresh)


async def test_another_that_renews_under_the_same_holder_is_told(logs):
    async with staged() as stage:
        told = []
        async with member_of(stage, "w-0", observer=told.append) as me:
            await anyio.sleep(1)
            lease = (await stored(stage, me)).with_spec(renew_time=MicroTime(stage.clock.wall_us()))
            await MemoryApi(stage.store).replace(LEASES, lease)
            await anyio.sleep(30)
            assert me.shared
            assert not me.superseded
        assert [type(event) for event in told] == [Joined, Shared, Left]
    assert [line["log_level"] for line in logs if line["event"] == "membership.shared"] == ["warning"]


# Its end


async def test_it_is_deleted_at_the_end_also_when_the_block_is_cancelled_or_raises():
    async with staged() as stage:
        with anyio.move_on_after(30):
            async with member_of(stage):
                await anyio.sleep_forever()
        with pytest.raises(KeyError):
            async with member_of(stage):
                raise KeyError
        assert await all_stored(stage) == ()
        assert renewing(stage) == 0


async def test_leaving_ends_in_time_although_nothing_answers_and_says_what_is_left(logs):
    async with staged() as stage:
        async with member_of(stage) as me:
            stage.latency_s = 100
            before = stage.clock.now()
        assert stage.clock.now() - before <= 16
        assert isinstance(me.last_error, Unavailable)
        assert me.last_error.outcome_unknown
    assert [line["log_level"] for line in logs if line["event"] == "membership.left"] == ["warning"]


async def test_a_create_whose_answer_never_came_is_undone_when_entering_fails():
    async with staged() as stage:

        async def lost(moment, call):
            if call.verb in {"create", "update"}:
                await answers_lost(moment, call)

        stage.faults = lost
        with pytest.raises(Unavailable):
            async with member_of(stage, ready_timeout_s=1):
                pytest.fail("entered")
        assert await all_stored(stage) == ()


async def test_a_renewal_on_its_way_cannot_bring_the_lease_back():
    async with staged() as stage:
        async with member_of(stage):
            stage.latency_s = 2
            await anyio.sleep(3.8)
        await anyio.sleep(30)
        assert await all_stored(stage) == ()


async def test_one_membership_serves_one_block():
    async with staged() as stage, member_of(stage) as me:
        with pytest.raises(ConfigurationError, match="entered before"):
            async with me:
                pytest.fail("entered twice")


async def test_an_observer_that_raises_is_logged_and_changes_nothing(logs):
    def broken(event):
        raise RuntimeError(event)

    async with staged() as stage, member_of(stage, observer=broken) as me:
        await anyio.sleep(8)
        assert me.renewals == 3
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["membership.observer_raised"] * 2


# What it publishes


async def test_its_lease_says_who_and_of_which_group():
    async with staged() as stage, member_of(stage, "w 0/ä", lease_duration_s=20) as me:
        lease = await stored(stage, me)
        assert lease.metadata.labels == {"lease-aio/member-of": "workers"}
        assert lease.metadata.annotations == {"lease-aio/member": "w 0/ä"}
        assert lease.spec.lease_duration_seconds == 20
        assert lease.holder == me.holder
        assert (me.group, me.member) == ("workers", "w 0/ä")
        assert me.holder.startswith("w 0/ä_")
        assert me.name.startswith("workers-")


async def test_it_renews_every_quarter_of_its_duration_without_a_read():
    async with staged() as stage, member_of(stage) as me:
        stage.calls.clear()
        await anyio.sleep(600)
        writes = [call for call in stage.calls if call != "list leases"]
        assert set(writes) == {"update leases"}
        assert 600 / (3.75 * 1.04) - 1 < len(writes) <= 160
        assert me.renewals == len(writes) + 1
        assert stage.clock.now() - me.last_renewed <= 3.9


async def test_without_a_name_members_are_told_apart_and_named_after_their_pod(monkeypatch):
    monkeypatch.setenv("POD_NAME", "worker-7f9c")
    async with staged() as stage, member_of(stage) as a, member_of(stage) as b:
        assert a.name != b.name
        assert a.member.startswith("worker-7f9c_")
        assert a.holder == a.member
        assert len(await all_stored(stage)) == 2
        await anyio.sleep(60)
        assert not a.superseded


async def test_two_groups_have_nothing_to_do_with_one_another():
    async with staged() as stage, member_of(stage, "w-0") as a, member_of(stage, "w-0", group="others") as b:
        await anyio.sleep(60)
        assert a.name != b.name
        assert (a.superseded, b.superseded) == (False, False)


async def test_it_says_in_the_log_when_it_joined_and_left(logs):
    async with staged() as stage, member_of(stage, "w-0") as me:
        pass
    assert [(line["event"], line["lease"], line["member"]) for line in logs] == [
        ("membership.joined", f"default/{me.name}", "w-0"),
        ("membership.left", f"default/{me.name}", "w-0"),
    ]
    assert (logs[-1]["deleted"], logs[-1]["error"], logs[-1]["log_level"]) == (True, None, "info")


async def test_a_lease_renewed_by_another_between_our_look_and_our_delete_is_left():
    async with staged() as stage:
        async with member_of(stage) as me:

            async def renew_before_the_delete(moment, call):
                if call.verb == "delete" and moment is Moment.BEFORE:
                    stage.faults = None
                    lease = (await stored(stage, me)).with_spec(holder_identity="other")
                    await MemoryApi(stage.store).replace(LEASES, lease)

            stage.faults = renew_before_the_delete
        assert (await stored(stage, me)).holder == "other"


async def test_a_lease_of_that_name_which_somebody_made_by_hand_is_taken_over():
    async with staged() as stage:
        me = member_of(stage, "w-0")
        await MemoryApi(stage.store).create(LEASES, new_lease(me.name, NAMESPACE, LeaseSpec()))
        async with me:
            lease = await stored(stage, me)
            assert (lease.holder, lease.spec.lease_duration_seconds) == (me.holder, 15)
            assert lease.metadata.labels["lease-aio/member-of"] == "workers"
