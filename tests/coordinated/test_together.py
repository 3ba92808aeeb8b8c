"""Candidates and a coordinator of ours, together on one store."""

import anyio
import pytest

from lease_aio import Refused
from lease_aio.api import LEASE_CANDIDATES
from lease_aio.api.memory import Moment
from lease_aio.election import EndReason
from lease_aio.election.coordinated import FALLBACK_AFTER_S, CandidateInfo
from lease_aio.election.coordinated.nomination import RENEW_S, UNSERVED_S
from lease_aio.model import MicroTime
from lease_aio.server.status import StatusError
from lease_aio.testing.virtual import WALL_START_US
from tests.coordinated.stage import TIMING, Stage
from tests.election.rig import Network

pytestmark = pytest.mark.virtual_time
TAKEOVER_S = TIMING.takeover_after_s(15)


async def test_without_a_coordinator_a_candidate_leads_after_its_patience_is_at_an_end():
    stage = Stage()
    async with stage.member("a"):
        took_s = await stage.leader("a", within_s=60)
    assert FALLBACK_AFTER_S <= took_s < FALLBACK_AFTER_S + 1
    assert not stage.terms[0].appointed


async def test_with_a_coordinator_a_candidate_leads_at_once():
    stage = Stage()
    async with stage.client("coordinator") as leases, leases.coordinator(), stage.member("a"):
        assert await stage.leader("a", within_s=60) < 1
        assert stage.terms[0].appointed
        lease = await stage.lease()
        assert (lease.holder, lease.spec.strategy, lease.spec.lease_duration_seconds) == (
            "a",
            "OldestEmulationVersion",
            15,
        )


async def test_the_oldest_version_takes_over_in_order_when_it_comes():
    stage = Stage()
    async with stage.client("coordinator") as leases, leases.coordinator(), stage.member("new", "1.32.0"):
        await stage.leader("new", within_s=5)
        await anyio.sleep(20)
        async with stage.member("old", "1.31.0"):
            assert await stage.leader("old", within_s=60) < 5 + 1
            await anyio.sleep(60)
            assert stage.led == ["new", "old"]
            assert stage.reasons == [EndReason.YIELDED]
        assert await stage.leader("new", within_s=60) < 2
    assert stage.led == ["new", "old", "new"]


async def test_a_candidate_that_leaves_is_no_candidate_any_more():
    stage = Stage()
    async with stage.client("coordinator") as leases, leases.coordinator():
        async with stage.member("a"):
            await stage.leader("a", within_s=5)
            assert [each.name for each in await stage.candidates()] == ["a"]
        assert await stage.candidates() == []
        assert (await stage.lease()).holder == ""


# ---------------------------------------------------------------- a server without the gate, or without candidates


async def test_where_the_server_drops_the_fields_an_annotation_does_as_well():
    stage = Stage(gate=False)
    async with stage.client("coordinator") as leases, leases.coordinator(), stage.member("new", "1.32.0"):
        await stage.leader("new", within_s=5)
        async with stage.member("old", "1.31.0"):
            await stage.leader("old", within_s=20)
            assert (await stage.lease()).spec.strategy is None
            assert (await stage.lease()).metadata.annotations == {}
    assert stage.led == ["new", "old"]
    assert stage.reasons[0] is EndReason.YIELDED


class Unserved(Network):
    """A server that has no LeaseCandidates, until `served` is set."""

    served = False

    async def __call__(self, moment, call):
        await super().__call__(moment, call)
        if moment is Moment.BEFORE and call.resource == LEASE_CANDIDATES.label and not self.served:
            raise StatusError(404, "NotFound", "the server could not find the requested resource")


async def test_where_the_server_has_no_candidates_it_is_a_plain_election():
    stage = Stage()
    async with stage.member("a", faults=Unserved()):
        assert await stage.leader("a", within_s=60) < 1
        async with stage.member("b", faults=Unserved()):
            await anyio.sleep(60)
    assert stage.led[0] == "a"


async def test_candidates_are_published_when_the_server_has_them_at_last():
    stage, network = Stage(), Unserved()
    async with stage.member("a", faults=network):
        await stage.leader("a", within_s=60)
        network.served = True
        await anyio.sleep(2 * UNSERVED_S)
        assert [each.name for each in await stage.candidates()] == ["a"]


class Refuses(Network):
    """A server that allows nothing about LeaseCandidates."""

    async def __call__(self, moment, call):
        await super().__call__(moment, call)
        if moment is Moment.BEFORE and call.resource == LEASE_CANDIDATES.label:
            raise StatusError(403, "Forbidden", "leasecandidates are not yours")


async def test_who_may_not_publish_is_told_so():
    stage = Stage()
    async with stage.client("a", Refuses()) as leases:
        info = CandidateInfo(binary_version="1.31.0")
        with pytest.raises(Refused, match=r"create leasecandidates.coordination.k8s.io default/a: 403 .* not yours"):
            async with leases.lead("x", coordinated=info):
                pytest.fail("led without having been a candidate")


async def test_a_coordinator_that_may_not_list_candidates_says_so():
    stage = Stage()
    async with stage.client("coordinator", Refuses()) as leases:
        with pytest.raises(Refused, match="not yours"):
            async with leases.coordinator():
                await anyio.sleep_forever()


# ---------------------------------------------------------------- crashes


async def test_when_the_coordinator_is_gone_they_fall_back_and_when_it_returns_they_obey():
    stage = Stage()
    async with stage.member("worse", "1.32.0"):
        async with stage.client("coordinator") as leases, leases.coordinator():
            await stage.leader("worse", within_s=5)
        async with stage.member("better", "1.31.0"):
            await anyio.sleep(120)
            assert stage.led == ["worse"], "nobody coordinates: the leader stays"
            async with stage.client("coordinator") as leases, leases.coordinator():
                await stage.leader("better", within_s=30)
    assert stage.led[:2] == ["worse", "better"]


async def test_a_leader_that_falls_silent_is_followed_by_whom_the_coordinator_appoints():
    stage, network = Stage(), Network()
    async with stage.client("coordinator") as leases, leases.coordinator(), stage.member("a", faults=network):
        await stage.leader("a", within_s=5)
        async with stage.member("b", "1.32.0"):
            await anyio.sleep(30)
            network.cut = True
            took_s = await stage.leader("b", within_s=60)
            assert TAKEOVER_S <= took_s < TAKEOVER_S + 12
            assert stage.terms[-1].appointed
            network.cut = False
            await stage.leader("a", within_s=30)
    assert stage.led[:3] == ["a", "b", "a"]


class Late(Network):
    """A server whose answers to questions put to candidates come a second late."""

    async def __call__(self, moment, call):
        await super().__call__(moment, call)
        if moment is Moment.AFTER and (call.verb, call.resource) == ("update", LEASE_CANDIDATES.label):
            await anyio.sleep(1)


async def test_who_has_answered_before_the_question_was_confirmed_has_answered():
    stage = Stage()
    async with stage.member("new", "1.32.0"), stage.client("coordinator", Late()) as leases, leases.coordinator():
        await stage.leader("new", within_s=60)
        await anyio.sleep(20)
        async with stage.member("old", "1.31.0"):
            assert await stage.leader("old", within_s=60) < 5 + 1


async def test_of_two_coordinators_one_acts_and_the_other_follows_it():
    stage = Stage()
    async with stage.member("new", "1.32.0"), stage.client("two") as second:
        async with stage.client("one") as first, first.coordinator() as acting:
            await anyio.sleep(1)
            async with second.coordinator() as standing_by:
                await stage.leader("new", within_s=5)
                assert (acting.acting, standing_by.acting) == (True, False)
                await anyio.sleep(30)
        async with second.coordinator() as standing_by, stage.member("old", "1.31.0"):
            await stage.leader("old", within_s=30)
            assert standing_by.acting


async def test_a_candidate_that_was_silent_for_half_an_hour_is_collected():
    stage = Stage()
    old = CandidateInfo(binary_version="1.30.0").candidate("dead", "default", lease="x", at=MicroTime(WALL_START_US))
    await stage.admin.create(LEASE_CANDIDATES, old)
    async with stage.client("coordinator") as leases, leases.coordinator(), stage.member("a"):
        assert await stage.leader("a", within_s=60) < 11, "the dead one is asked, and waited for"
        await anyio.sleep(3700)
        assert [each.name for each in await stage.candidates()] == ["a"]
    assert stage.led == ["a"]


async def test_a_candidate_whose_wall_clock_is_far_off_is_elected_like_any_other():
    stage = Stage()
    info = CandidateInfo(binary_version="1.31.0")
    async with (
        stage.client("coordinator") as leases,
        leases.coordinator(),
        stage.client("late", wall_offset_s=-600.0) as late,
        stage.member("b", "1.32.0"),
    ):
        await stage.leader("b", within_s=5)
        with anyio.fail_after(60):
            async with late.lead("x", timing=TIMING, coordinated=info) as term:
                assert term.appointed
                assert stage.at_work == []


@pytest.mark.parametrize("ahead_s", [0, 3, 60, 2400])
async def test_a_crashed_candidate_whose_clock_was_ahead_holds_an_election_up_no_longer_than_any_other(ahead_s):
    """By the coordinator's clock its last sign of life lies in the future, and would be fresh until then."""
    stage = Stage()
    at = MicroTime(WALL_START_US + ahead_s * 10**6)
    crashed = CandidateInfo(binary_version="1.30.0").candidate("crashed", "default", lease="x", at=at)
    await stage.admin.create(LEASE_CANDIDATES, crashed)
    async with stage.client("coordinator") as leases, leases.coordinator(), stage.member("a"):
        assert await stage.leader("a", within_s=60) < 11
        await anyio.sleep(1000)
        assert stage.led == ["a"]


async def test_a_leader_whose_clock_is_ahead_is_followed_when_it_crashes_and_obeyed_when_it_is_back():
    stage, network = Stage(), Network()
    async with (
        stage.client("coordinator") as leases,
        leases.coordinator(),
        stage.member("ahead", "1.30.0", network, wall_offset_s=600.0),
        stage.member("a"),
    ):
        await stage.leader("ahead", within_s=30)
        await anyio.sleep(30)
        network.cut = True
        assert await stage.leader("a", within_s=60) < TAKEOVER_S + 12
        await anyio.sleep(300)
        assert stage.led[-2:] == ["ahead", "a"]
        network.cut = False
        await stage.leader("ahead", within_s=360)
        assert stage.terms[-1].appointed


async def test_what_keeps_it_from_electing_is_told_once_and_taken_back_when_it_is_over():
    stage, told = Stage(), []
    async with stage.client("coordinator") as leases, leases.coordinator(observer=told.append):
        async with stage.member("a", fallback_after_s=1000.0):
            async with stage.member("b", strategy="example.com/x", fallback_after_s=1000.0):
                await anyio.sleep(120)
                (problem,) = [one.problem for one in told if one.problem]
                assert "ask for different strategies" in problem
            await stage.leader("a", within_s=20)
        said = [(bool(one.problem), one.chosen) for one in told if not one.asked]
        assert said == [(True, ""), (False, ""), (False, "a")]


async def test_a_problem_of_candidates_that_are_no_more_is_none():
    stage, told = Stage(), []
    info = CandidateInfo(binary_version="1.30.0").candidate("dead", "default", lease="x", at=MicroTime(WALL_START_US))
    async with stage.client("coordinator") as leases, leases.coordinator(observer=told.append):
        await anyio.sleep(60)
        await stage.admin.create(LEASE_CANDIDATES, info)
        await anyio.sleep(60)
        assert told[-1].problem == "no candidate gave a sign of life"
        await stage.admin.delete(LEASE_CANDIDATES, "dead", "default")
        await anyio.sleep(1)
        assert (told[-1].problem, told[-1].chosen, told[-1].asked) == ("", "", ())


async def test_a_strategy_that_raises_ends_the_coordinator_with_its_error():
    def broken(_):
        raise ZeroDivisionError

    stage = Stage()
    async with stage.client("coordinator") as leases, stage.member("a", strategy="example.com/x"):
        with pytest.raises(BaseExceptionGroup) as raised:
            async with leases.coordinator(strategies={"example.com/x": broken}):
                await anyio.sleep_forever()
    assert raised.group_contains(ZeroDivisionError)


class Forbids(Network):
    """A server that takes the right to write LeaseCandidates away when `from_now_on` is set."""

    from_now_on = False
    asked = 0

    async def __call__(self, moment, call):
        await super().__call__(moment, call)
        writes = call.resource == LEASE_CANDIDATES.label and call.verb in {"create", "update"}
        if self.from_now_on and moment is Moment.BEFORE and writes:
            self.asked += 1
            raise StatusError(403, "Forbidden", "leasecandidates are not yours")


async def test_a_leader_whose_candidate_is_refused_leads_on_says_so_once_and_asks_again_once_a_minute(logs):
    stage, network = Stage(), Forbids()
    async with stage.member("a", faults=network):
        await stage.leader("a", within_s=60)
        await anyio.sleep(1)
        network.from_now_on = True
        await anyio.sleep(RENEW_S + 600)
        assert stage.led == ["a"]
        assert 10 <= network.asked <= 12
        network.from_now_on = False
        await anyio.sleep(UNSERVED_S + TIMING.renew_interval_s)
        (candidate,) = await stage.candidates()
        assert stage.clock.wall_us() - candidate.spec.renew_time.epoch_us < 70 * 10**6
    assert [line["event"] for line in logs].count("election.candidate_refused") == 1
