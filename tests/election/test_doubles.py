"""Two processes of one identity: nothing becomes unsafe, and they are told."""

import anyio
import pytest

from lease_aio.election import DuplicateIdentity, EndReason
from lease_aio.election.doubles import SIGHTINGS, Doubles
from lease_aio.model import LeaseSpec, MicroTime, new_lease
from lease_aio.server.status import StatusError
from tests.election.rig import TIMING, Network, Rig

pytestmark = pytest.mark.virtual_time


def record(renewed_us):
    return new_lease("x", "default", LeaseSpec(holder_identity="me", renew_time=MicroTime(renewed_us)))


# The rule


def test_what_an_earlier_process_left_and_its_last_write_are_no_double():
    doubles = Doubles()
    assert not any(doubles.look(record(at)) for at in (1, 1, 2, 2, 2))


def test_a_record_of_ones_own_in_between_begins_the_count_anew():
    doubles = Doubles()
    for at in range(1, 2 * SIGHTINGS, 2):
        assert not doubles.look(record(at))
        assert not doubles.look(None)


def test_a_double_is_told_once():
    doubles = Doubles()
    assert [doubles.look(record(at)) for at in range(6)] == [False, False, True, False, False, False]


# In an election


async def test_a_standby_whose_identity_the_leader_uses_is_told_within_three_renewals(logs):
    rig, told = Rig(), list[object]()
    async with rig.client("me") as leader, rig.client("me") as standby, anyio.create_task_group() as tasks:

        async def wait():
            async with standby.lead("x", timing=TIMING, observer=told.append):
                pytest.fail("led beside its double")

        async with leader.lead("x", timing=TIMING, observer=told.append):
            tasks.start_soon(wait)
            await anyio.sleep(2 * TIMING.renew_interval_s + 0.1)
            assert [event for event in told if isinstance(event, DuplicateIdentity)] == [
                DuplicateIdentity(identity="me")
            ]
            await anyio.sleep(30)
            tasks.cancel_scope.cancel()
    (line,) = [line for line in logs if line["event"] == "election.duplicate_identity"]
    assert (line["lease"], line["identity"], line["log_level"]) == ("default/x", "me", "warning")


async def test_a_leader_whose_lease_is_taken_under_its_own_identity_stops_and_is_told():
    """As a client does that goes by the identity alone: it takes the record for its own."""
    rig, told = Rig(), list[object]()
    async with rig.client("me") as leases, anyio.create_task_group() as tasks:

        async def take_it():
            await anyio.sleep(1)
            for _ in range(5):
                await rig.edit(renew_time=MicroTime(rig.clock.wall_us()))
                await anyio.sleep(2)

        tasks.start_soon(take_it)
        async for term in leases.terms("x", timing=TIMING, observer=told.append):
            async with term:
                if sum(isinstance(event, DuplicateIdentity) for event in told):
                    break
                await anyio.sleep_forever()
            assert term.reason is EndReason.TAKEN
    assert sum(isinstance(event, DuplicateIdentity) for event in told) == 1


async def test_a_standby_without_a_watch_is_told_too():
    rig, told = Rig(), list[object]()

    class Deaf(Network):
        async def __call__(self, moment, call):
            if call.verb == "watch":
                raise StatusError(403, "Forbidden", "no")
            await super().__call__(moment, call)

    async with rig.client("me") as leader, rig.client("me", Deaf()) as standby, anyio.create_task_group() as tasks:

        async def wait():
            async with standby.lead("x", timing=TIMING, observer=told.append):
                pytest.fail("led beside its double")

        async with leader.lead("x", timing=TIMING):
            tasks.start_soon(wait)
            await anyio.sleep(5 * TIMING.renew_interval_s)
            assert sum(isinstance(event, DuplicateIdentity) for event in told) == 1
            tasks.cancel_scope.cancel()


async def test_two_candidates_of_one_client_share_its_identity_and_nobody_is_told():
    rig, told = Rig(), list[object]()
    async with rig.client("me") as leases, anyio.create_task_group() as tasks:

        async def second():
            async with leases.lead("x", timing=TIMING, observer=told.append):
                await anyio.sleep(20)

        async with leases.lead("x", timing=TIMING, observer=told.append):
            tasks.start_soon(second)
            await anyio.sleep(20)
    assert not any(isinstance(event, DuplicateIdentity) for event in told)


async def test_a_restarted_process_with_a_fixed_identity_is_not_its_own_double():
    rig, told, cut = Rig(), list[object](), Network()
    async with rig.client("pod-0", cut) as crashed, crashed.lead("x", timing=TIMING):
        await anyio.sleep(10)
        cut.cut = True
    async with rig.client("pod-0") as restarted, restarted.lead("x", timing=TIMING, observer=told.append):
        await anyio.sleep(10)
    assert not any(isinstance(event, DuplicateIdentity) for event in told)
