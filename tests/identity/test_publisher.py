"""An API server's identity through a scheduler, against a server in memory."""

import random

import anyio
import pytest

from lease_aio.api.memory import MemoryApi, Moment
from lease_aio.api.protocol import LEASES
from lease_aio.api.transport import Fault, TransportError
from lease_aio.errors import ConfigurationError, Refused, Unavailable
from lease_aio.identity import ApiServerIdentity, Published, Shared, Superseded, Withdrawn, identities
from lease_aio.identity.record import IDENTITY_NAMESPACE
from lease_aio.model import LeaseSpec, MicroTime, new_lease
from lease_aio.naming import apiserver_identity_name
from tests.heartbeat.stage import answers_lost, refusing, staged, unreachable

pytestmark = pytest.mark.virtual_time

NAME = "apiserver-wlv32tlttr4jl3gtroqexyxapa"


async def stored(stage, name=NAME):
    return await stage.lease(name, IDENTITY_NAMESPACE)


# When it cannot work


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"hostname": "h" * 64}, r"hostname .* \(64 characters\) is written as a label, so it must have at most 63"),
        ({"hostname": "h" * 64}, r"; give a name that can be one with hostname="),
        ({"hostname": "vm", "server": "s", "label_value": "a b"}, "label_value 'a b'"),
        ({"hostname": ""}, "hostname '' must have between 1 and"),
        ({"hostname": "-vm"}, "hostname '-vm'"),
        ({"hostname": "vm", "server": "a/b"}, "server 'a/b'"),
        ({"hostname": "vm", "peer_address": "10.0.0.7"}, r"peer_address='10\.0\.0\.7' must be host:port"),
        ({"hostname": "vm", "peer_address": "fd00::7"}, r"must be host:port, e\.g\. .* or \[fd00::7\]:6443"),
        ({"hostname": "vm", "peer_address": "fd00::7:6443"}, "must be host:port"),
        ({"hostname": "vm", "peer_address": "10.0.0.7:70000"}, "must be host:port"),
        ({"hostname": "vm", "peer_address": "10.0.0.7:0"}, "must be host:port"),
        ({"hostname": "vm", "namespace": "A"}, "namespace 'A'"),
        ({"hostname": "vm", "lease_duration_s": 10}, "would look dead"),
    ],
)
async def test_what_the_server_would_refuse_for_ever_is_refused_at_construction(wrong, named):
    async with staged() as stage:
        with pytest.raises(ConfigurationError, match=named):
            ApiServerIdentity(*stage.parts, **wrong)
        assert stage.calls == []


async def test_a_lack_of_rights_is_raised_on_entering():
    async with staged() as stage:
        stage.faults = refusing
        with pytest.raises(Refused):
            async with ApiServerIdentity(*stage.parts, hostname="vm"):
                pytest.fail("entered")
        assert stage.scheduler.report().beats.queued == 0


async def test_leaving_ends_in_time_although_nothing_answers_and_says_what_is_left():
    async with staged() as stage:
        async with ApiServerIdentity(*stage.parts, hostname="vm") as me:
            stage.latency_s = 100
            before = stage.clock.now()
        assert stage.clock.now() - before <= 21
        assert isinstance(me.last_error, Unavailable)
        assert me.last_error.outcome_unknown
        assert await stored(stage) is not None


async def test_a_refused_deletion_is_not_raised(logs):
    async with staged() as stage:
        async with ApiServerIdentity(*stage.parts, hostname="vm") as me:
            stage.faults = refusing
        assert isinstance(me.last_error, Refused)
        assert await stored(stage) is not None
    assert [(line["event"], line["log_level"]) for line in logs][1:] == [("identity.withdrawn", "warning")]
    assert "403" in logs[-1]["error"]


async def test_a_former_lease_that_cannot_be_deleted_is_renewed_under_its_holder_and_outlives_us(logs):
    async with staged() as stage:
        await former(stage)

        async def no_deletes(moment, call):
            if call.verb == "delete":
                await refusing(moment, call)

        stage.faults = no_deletes
        async with ApiServerIdentity(*stage.parts, hostname="vm") as me:
            lease = await stored(stage)
            assert lease.holder == "former"
            assert lease.spec.lease_duration_seconds == 3600
            assert me.adopted
            assert not me.superseded
            stage.faults = None
        assert (await stored(stage)).holder == "former"
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["identity.former_not_deleted"]


async def former(stage, holder="former"):
    spec = LeaseSpec(holder_identity=holder, lease_duration_seconds=60, renew_time=MicroTime(stage.clock.wall_us()))
    return await MemoryApi(stage.store).create(LEASES, new_lease(NAME, IDENTITY_NAMESPACE, spec))


async def renewed_by_another(stage):
    lease = await stored(stage)
    await MemoryApi(stage.store).replace(LEASES, lease.with_spec(renew_time=MicroTime(stage.clock.wall_us() + 1)))


async def taken_by_another(stage):
    await MemoryApi(stage.store).replace(LEASES, (await stored(stage)).with_spec(holder_identity="another"))


async def test_one_identity_serves_one_block():
    async with staged() as stage:
        async with ApiServerIdentity(*stage.parts, hostname="vm") as me:
            with pytest.raises(ConfigurationError, match="make a new one"):
                async with me:
                    pytest.fail("entered twice")
            assert (await stored(stage)).holder == me.holder
        with pytest.raises(ConfigurationError, match="make a new one"):
            async with me:
                pytest.fail("entered again")


# Take-over


async def test_a_new_process_deletes_the_lease_of_the_old_one_first():
    async with staged() as stage:
        old = await former(stage)
        async with ApiServerIdentity(*stage.parts, hostname="vm") as me:
            lease = await stored(stage)
            assert lease.holder == me.holder
            assert lease.metadata.uid != old.metadata.uid
            assert (me.adopted, me.superseded, me.shared) == (False, False, False)


async def test_the_old_style_keeps_the_lease_and_its_holder():
    async with staged() as stage:
        old = await former(stage)
        async with ApiServerIdentity(*stage.parts, hostname="vm", delete_first=False) as me:
            lease = await stored(stage)
            assert (lease.holder, lease.metadata.uid) == ("former", old.metadata.uid)
            assert me.adopted
            assert not me.superseded


async def test_the_superseded_one_learns_of_it_and_leaves_the_successors_lease_alone():
    async with staged() as stage:
        first = ApiServerIdentity(*stage.parts, hostname="vm")
        async with ApiServerIdentity(*stage.parts, hostname="other"), anyio.create_task_group() as tasks:
            async with first:
                second = ApiServerIdentity(*stage.parts, hostname="vm")
                leave = anyio.Event()

                async def succeed():
                    async with second:
                        await leave.wait()

                tasks.start_soon(succeed)
                await anyio.sleep(21)
                assert first.superseded
                assert not second.superseded
            assert (await stored(stage)).holder == second.holder
            await anyio.sleep(11)
            leave.set()
        assert await stored(stage) is None


async def test_the_first_is_told_whom_it_was_superseded_by_within_a_renew_interval(logs):
    async with staged() as stage, anyio.create_task_group() as tasks:
        told, waited = [], []
        async with ApiServerIdentity(*stage.parts, hostname="vm", observer=told.append) as first:

            async def wait():
                by = await first.taken_over()
                waited.append((by, stage.clock.now()))

            tasks.start_soon(wait)
            await anyio.sleep(3)
            async with ApiServerIdentity(*stage.parts, hostname="vm") as second:
                began = stage.clock.now()
                await anyio.sleep(30)
                ((by, at),) = waited
                assert by == second.holder
                assert at - began <= 10.4
                assert told == [
                    Published(name=NAME, server="kube-apiserver", holder=first.holder, adopted=False),
                    Superseded(name=NAME, server="kube-apiserver", by=second.holder),
                ]
    (line,) = [line for line in logs if line["event"] == "identity.superseded"]
    assert (line["holder"], line["by"], line["log_level"]) == (first.holder, second.holder, "warning")


async def test_two_of_one_host_do_not_fight_one_lease_stays_and_keeps_its_holder():
    async with (
        staged() as stage,
        ApiServerIdentity(*stage.parts, hostname="vm"),
        ApiServerIdentity(*stage.parts, hostname="vm") as second,
    ):
        stored_as = (await stored(stage)).metadata.uid
        for _ in range(60):
            await anyio.sleep(10)
            lease = await stored(stage)
            assert (lease.holder, lease.metadata.uid) == (second.holder, stored_as)
            assert await stage.age_s(NAME, IDENTITY_NAMESPACE) <= 10.4
        assert stage.calls.count("create leases") == 2
        assert stage.calls.count("delete leases") == 2


async def test_a_newer_process_that_ends_first_withdraws_and_the_older_one_publishes_itself_again():
    """Whoever has renewed the Lease since: as it stands, it names a process that is no more."""
    async with staged() as stage, ApiServerIdentity(*stage.parts, hostname="vm") as first:
        async with ApiServerIdentity(*stage.parts, hostname="vm", renew_interval_s=100):
            await anyio.sleep(11)
            assert first.superseded
        assert await stored(stage) is None
        await anyio.sleep(11)
        assert (await stored(stage)).holder == first.holder
        assert not first.superseded


async def test_one_that_found_the_lease_of_another_and_later_published_its_own_has_adopted_nobodys():
    async with staged() as stage:
        await former(stage)
        async with ApiServerIdentity(*stage.parts, hostname="vm", delete_first=False) as me:
            assert me.adopted
            await MemoryApi(stage.store).delete(LEASES, NAME, IDENTITY_NAMESPACE)
            await anyio.sleep(11)
            assert (await stored(stage)).holder == me.holder
            assert not me.adopted
            await MemoryApi(stage.store).delete(LEASES, NAME, IDENTITY_NAMESPACE)
            await former(stage)
            await anyio.sleep(11)
            assert me.superseded


@pytest.mark.parametrize("seed", range(60))
async def test_of_three_that_begin_at_once_on_a_bad_network_one_is_named_and_the_others_know(seed):
    """Deletions, reads and writes of all three fall between each other's, and many an answer is lost."""
    dice, calm = random.Random(seed), anyio.Event()

    async def bad(moment, call):
        await anyio.sleep(dice.choice([0, 0.01, dice.random()]))
        if not calm.is_set() and dice.random() < 0.15:
            fault = Fault.REFUSED if moment is Moment.BEFORE else Fault.BROKEN
            raise TransportError(fault, "a bad network", sent=moment is Moment.AFTER)

    async def publish(one):
        await anyio.sleep(dice.choice([0, 2 * dice.random()]))
        async with one:
            await leave.wait()

    async with staged() as stage:
        stage.faults, leave = bad, anyio.Event()
        three = [ApiServerIdentity(*stage.parts, hostname="vm", random=dice.random) for _ in range(3)]
        async with anyio.create_task_group() as tasks:
            for one in three:
                tasks.start_soon(publish, one)
            await anyio.sleep(15)
            calm.set()
            await anyio.sleep(30)
            lease = await stored(stage)
            (named,) = [one for one in three if one.holder == lease.holder]
            assert (named.superseded, named.adopted) == (False, False)
            assert all(one.superseded or one.adopted for one in three if one is not named)
            await anyio.sleep(60)
            later = await stored(stage)
            assert (later.holder, later.metadata.uid) == (lease.holder, lease.metadata.uid)
            assert await stage.age_s(NAME, IDENTITY_NAMESPACE) <= 10.4 + 1
            leave.set()
        assert await stored(stage) is None


async def test_a_newer_process_of_the_old_style_is_told_as_sharing_the_lease(logs):
    """Its holder never stands anywhere: that the Lease is renewed by another is all that can be seen."""
    async with staged() as stage:
        told = []
        async with ApiServerIdentity(*stage.parts, hostname="vm", observer=told.append) as first:
            await anyio.sleep(3)
            async with ApiServerIdentity(*stage.parts, hostname="vm", delete_first=False) as second:
                await anyio.sleep(30)
                assert (await stored(stage)).holder == first.holder
            assert first.shared
            assert not first.superseded
            assert second.adopted
        assert [type(event) for event in told] == [Published, Shared, Withdrawn]
    assert [line["log_level"] for line in logs if line["event"] == "identity.shared"] == ["warning"] * 2


async def test_an_own_renewal_whose_answer_was_lost_is_nobody_elses():
    async with staged() as stage, ApiServerIdentity(*stage.parts, hostname="vm") as me:
        for _ in range(5):
            await anyio.sleep(9)
            stage.faults = answers_lost
            await anyio.sleep(3)
            stage.faults = None
            await anyio.sleep(12)
        assert me.renewals > 5
        assert (me.adopted, me.superseded, me.shared) == (False, False, False)


async def test_an_observer_that_raises_is_logged_and_changes_nothing(logs):
    def broken(event):
        raise RuntimeError(event)

    async with staged() as stage, ApiServerIdentity(*stage.parts, hostname="vm", observer=broken) as me:
        await anyio.sleep(21)
        assert me.renewals == 3
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["identity.observer_raised"] * 2


async def test_a_lease_that_another_renewed_under_our_holder_names_us_and_goes():
    """Whoever lives will publish itself: a kube-apiserver deletes by name, whoever is named."""
    async with staged() as stage:
        async with ApiServerIdentity(*stage.parts, hostname="vm"):
            await anyio.sleep(3)
            await renewed_by_another(stage)
        assert await stored(stage) is None


async def test_a_lease_that_names_another_is_left():
    async with staged() as stage:
        async with ApiServerIdentity(*stage.parts, hostname="vm"):
            await anyio.sleep(3)
            await taken_by_another(stage)
        assert (await stored(stage)).holder == "another"


async def test_a_lease_that_another_labelled_meanwhile_is_still_ours_to_delete():
    async with staged() as stage:
        async with ApiServerIdentity(*stage.parts, hostname="vm"):

            async def label_before_the_delete(moment, call):
                if call.verb == "delete" and moment is Moment.BEFORE:
                    stage.faults = None
                    await label(stage)

            stage.faults = label_before_the_delete
        assert await stored(stage) is None


@pytest.mark.parametrize(("what", "left"), [(renewed_by_another, False), (taken_by_another, True)])
async def test_what_another_does_between_our_look_and_our_delete_is_looked_at(what, left):
    async with staged() as stage:
        async with ApiServerIdentity(*stage.parts, hostname="vm"):
            await anyio.sleep(3)

            async def before_the_delete(moment, call):
                if call.verb == "delete" and moment is Moment.BEFORE:
                    stage.faults = None
                    await what(stage)

            stage.faults = before_the_delete
        assert (await stored(stage) is not None) is left


async def label(stage):
    api = MemoryApi(stage.store)
    await api.patch(LEASES, NAME, IDENTITY_NAMESPACE, body={"metadata": {"labels": {"seen": "yes"}}})


async def test_a_renewal_on_its_way_cannot_bring_the_lease_back():
    async with staged() as stage:
        async with ApiServerIdentity(*stage.parts, hostname="vm"):
            stage.latency_s = 2
            await anyio.sleep(10.41)
        await anyio.sleep(30)
        assert await stored(stage) is None


async def test_a_renewal_whose_answer_was_lost_does_not_keep_the_lease_from_being_deleted():
    async with staged() as stage:
        async with ApiServerIdentity(*stage.parts, hostname="vm"):
            stage.faults = answers_lost
            await anyio.sleep(12)
            stage.faults = None
        assert await stored(stage) is None


async def test_a_deletion_whose_answer_was_lost_is_one():
    async with staged() as stage:
        told = []
        async with ApiServerIdentity(*stage.parts, hostname="vm", observer=told.append) as me:

            async def once(moment, call):
                if call.verb == "delete" and moment is Moment.AFTER:
                    stage.faults = None
                    await answers_lost(moment, call)

            stage.faults = once
        assert (me.last_error, told[-1].deleted, told[-1].error) == (None, True, "")
        assert await stored(stage) is None


async def test_while_every_answer_is_lost_leaving_says_that_it_does_not_know():
    async with staged() as stage:
        async with ApiServerIdentity(*stage.parts, hostname="vm") as me:
            stage.faults = answers_lost
            stage.calls.clear()
        assert isinstance(me.last_error, Unavailable)
        assert len(stage.calls) <= 4


# What it publishes


async def test_the_lease_is_what_a_kube_apiserver_publishes():
    async with staged() as stage:
        async with ApiServerIdentity(*stage.parts, hostname="vm", peer_address="10.0.0.7:6443") as me:
            lease = await stored(stage)
            assert me.name == NAME
            assert me.holder == lease.holder
            assert me.holder.startswith(f"{NAME}_")
            assert me.hostname == "vm"
            assert lease.spec.lease_duration_seconds == 3600
            assert lease.spec.acquire_time is lease.spec.lease_transitions is None
            assert lease.metadata.labels == {
                "apiserver.kubernetes.io/identity": "kube-apiserver",
                "kubernetes.io/hostname": "vm",
            }
            assert lease.metadata.annotations == {"kubernetes.io/peer-advertise-address": "10.0.0.7:6443"}
        assert await stored(stage) is None


@pytest.mark.parametrize("address", ["10.0.0.7:6443", "[fd00::7]:6443", "[fe80::1%eth0]:1", "cp-1.example.org:65535"])
async def test_where_others_reach_it_may_be_a_name_or_an_address_of_either_kind(address):
    async with staged() as stage, ApiServerIdentity(*stage.parts, hostname="vm", peer_address=address):
        (found,) = await identities(stage.api, wall_us=stage.clock.wall_us())
        assert found.peer_address == address


async def test_it_renews_every_ten_seconds_without_a_read():
    async with staged() as stage, ApiServerIdentity(*stage.parts, hostname="vm") as me:
        stage.calls.clear()
        await anyio.sleep(600)
        assert set(stage.calls) == {"update leases"}
        assert 600 / 10.4 - 1 < len(stage.calls) <= 60
        assert me.renewals == len(stage.calls) + 1
        assert me.last_error is None


async def test_labels_that_somebody_removed_are_back_after_the_next_renewal():
    async with staged() as stage, ApiServerIdentity(*stage.parts, hostname="vm"):
        api = MemoryApi(stage.store)
        await api.patch(LEASES, NAME, IDENTITY_NAMESPACE, body={"metadata": {"labels": None}})
        await anyio.sleep(10.5)
        assert (await stored(stage)).metadata.labels["kubernetes.io/hostname"] == "vm"


async def deleted_by_another(stage):
    await MemoryApi(stage.store).delete(LEASES, NAME, IDENTITY_NAMESPACE)


async def not_to_be_deleted(stage):
    stage.faults = refusing


async def untouched(stage):
    pass


@pytest.mark.parametrize(
    ("what", "options", "deleted", "error"),
    [
        pytest.param(untouched, {}, True, "", id="deleted"),
        pytest.param(deleted_by_another, {}, True, "", id="gone already"),
        pytest.param(untouched, {"keep_on_exit": True}, False, "", id="kept on purpose"),
        pytest.param(renewed_by_another, {}, True, "", id="renewed by another"),
        pytest.param(taken_by_another, {}, False, "", id="another's"),
        pytest.param(not_to_be_deleted, {}, False, "403", id="no right to"),
    ],
)
async def test_the_observer_is_told_what_became_of_the_lease(what, options, deleted, error):
    async with staged() as stage:
        told = []
        async with ApiServerIdentity(*stage.parts, hostname="vm", observer=told.append, **options):
            await what(stage)
        published, withdrawn = told
        assert isinstance(published, Published)
        assert (withdrawn.name, withdrawn.server, withdrawn.deleted) == (NAME, "kube-apiserver", deleted)
        assert bool(withdrawn.error) is bool(error)
        assert error in withdrawn.error


async def test_it_says_in_the_log_when_it_is_published_and_withdrawn(logs):
    async with staged() as stage, ApiServerIdentity(*stage.parts, hostname="vm") as me:
        pass
    assert [(line["event"], line["lease"], line["holder"]) for line in logs] == [
        ("identity.published", f"kube-system/{NAME}", me.holder),
        ("identity.withdrawn", f"kube-system/{NAME}", me.holder),
    ]
    assert (logs[-1]["deleted"], logs[-1]["error"], logs[-1]["log_level"]) == (True, None, "info")


async def test_switched_off_it_asks_for_nothing_and_what_is_there_runs_out():
    async with staged() as stage:
        await former(stage)
        stage.faults = refusing
        async with ApiServerIdentity(*stage.parts, hostname="vm", enabled=False) as me:
            await anyio.sleep(3600)
            assert (me.name, me.renewals, me.last_error) == (NAME, 0, None)
        assert stage.calls == []
        stage.faults = None
        assert (await stored(stage)).holder == "former"


async def test_another_server_may_be_found_by_a_label_value_of_its_own():
    async with staged() as stage, ApiServerIdentity(*stage.parts, hostname="vm", server="a", label_value="mine") as me:
        (found,) = await identities(stage.api, wall_us=stage.clock.wall_us(), server="mine")
        assert (found.name, found.server) == (apiserver_identity_name("vm", "a"), "mine")
        assert me.server == "a"


async def test_it_can_be_left_for_the_collector():
    async with staged() as stage:
        async with ApiServerIdentity(*stage.parts, hostname="vm", keep_on_exit=True) as me:
            pass
        assert (await stored(stage)).holder == me.holder


async def test_it_outlives_an_outage():
    async with staged() as stage, ApiServerIdentity(*stage.parts, hostname="vm") as me:
        stage.faults = unreachable
        await anyio.sleep(100)
        assert isinstance(me.last_error, Unavailable)
        stage.faults = None
        await anyio.sleep(7.1)
        assert await stage.age_s(NAME, IDENTITY_NAMESPACE) <= 7.1  # renewed at once, if it was just its turn


async def test_a_lease_that_is_gone_already_is_no_error():
    async with staged() as stage:
        async with ApiServerIdentity(*stage.parts, hostname="vm") as me:
            await MemoryApi(stage.store).delete(LEASES, NAME, IDENTITY_NAMESPACE)
        assert me.last_error is None
        assert await stored(stage) is None


async def test_it_is_deleted_also_when_the_block_is_cancelled():
    async with staged() as stage:
        with anyio.move_on_after(30):
            async with ApiServerIdentity(*stage.parts, hostname="vm"):
                await anyio.sleep_forever()
        assert await stored(stage) is None


async def test_two_kinds_of_server_on_one_host_have_two_identities(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "vm")
    async with (
        staged() as stage,
        ApiServerIdentity(*stage.parts) as kube,
        ApiServerIdentity(*stage.parts, server="metrics") as metrics,
    ):
        assert (kube.name, metrics.name) == (NAME, apiserver_identity_name("vm", "metrics"))
        (listed,) = await identities(stage.api, wall_us=stage.clock.wall_us(), server="metrics")
        assert listed.holder == metrics.holder
