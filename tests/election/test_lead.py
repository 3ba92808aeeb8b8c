"""Leading through a client: what the work sees, and what is written when."""

import anyio
import pytest

from lease_aio.api import LEASES
from lease_aio.election import EndReason
from lease_aio.errors import ConfigurationError, NotFound, Refused, TermLost
from lease_aio.server.status import StatusError
from lease_aio.testing import VirtualClock
from tests.election.rig import TIMING, Network, Rig

pytestmark = pytest.mark.virtual_time


# ---------------------------------------------------------------- the end of a term


async def test_the_work_is_told_to_stop_in_time_when_the_server_is_out_of_reach():
    rig, network = Rig(), Network()
    async with rig.client("a", network) as leases:
        with pytest.raises(TermLost, match="default/x is over: expired"):
            async with leases.lead("x", timing=TIMING) as term:
                network.cut = True
                end = rig.clock.now() + term.valid_for()
                try:
                    await anyio.sleep_forever()
                finally:
                    assert rig.clock.now() == pytest.approx(end, abs=0.001)


async def test_the_check_fails_though_the_work_ignores_its_cancellation():
    rig, network = Rig(), Network()
    async with rig.client("a", network) as leases:
        with pytest.raises(TermLost):
            async with leases.lead("x", timing=TIMING) as term:
                network.cut = True
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(TIMING.term_length_s)
                assert term.valid_for() == 0
                term.check()


async def test_a_request_that_hangs_does_not_put_the_expiry_off():
    rig, network = Rig(), Network()
    async with rig.client("a", network) as leases:
        with pytest.raises(TermLost, match="expired"):
            async with leases.lead("x", timing=TIMING) as term:
                network.hang = True
                with anyio.fail_after(term.valid_for() + 0.01):
                    await anyio.sleep_forever()


async def test_validity_counts_from_the_sending_of_the_confirmed_write():
    async def slowly(moment, call):
        await anyio.sleep(0.9)

    async with Rig().client("a", slowly) as leases, leases.lead("x", timing=TIMING) as term:
        assert term.valid_for() == pytest.approx(TIMING.term_length_s - 1.8)


async def test_another_holder_in_the_lease_ends_the_term_at_once_and_is_not_blanked():
    rig = Rig()
    async with rig.client("a") as leases:
        with pytest.raises(TermLost, match="taken"):
            async with leases.lead("x", timing=TIMING) as term:
                await rig.edit(holder_identity="thief")
                with anyio.fail_after(0.1):
                    await anyio.sleep_forever()
        assert term.reason is EndReason.TAKEN
        assert (await rig.lease()).holder == "thief"


async def test_a_deleted_lease_ends_the_term_and_is_not_made_again_by_the_loser():
    rig = Rig()
    async with rig.client("a") as leases:
        with pytest.raises(TermLost, match="deleted"):
            async with leases.lead("x", timing=TIMING):
                await rig.admin.delete(LEASES, "x", "default")
                await anyio.sleep_forever()
        with pytest.raises(NotFound):
            await rig.lease()


async def test_a_right_that_is_withdrawn_ends_the_term_and_is_reported():
    rig, withdrawn = Rig(), []

    async def faults(moment, call):
        if withdrawn and call.verb == "update":
            raise StatusError(403, "Forbidden", "no more")

    async with rig.client("a", faults) as leases:
        with pytest.raises(Refused, match="update leases.coordination.k8s.io default/x: 403 Forbidden: no more"):
            async with leases.lead("x", timing=TIMING):
                withdrawn.append(True)
                await anyio.sleep_forever()


async def test_the_works_own_exception_passes_and_the_lease_is_released():
    rig = Rig()
    async with rig.client("a") as leases:
        with pytest.raises(ZeroDivisionError):
            async with leases.lead("x", timing=TIMING):
                raise ZeroDivisionError
        assert (await rig.lease()).spec.holder_identity == ""


async def test_the_lease_is_renewed_until_a_cancelled_work_has_stopped_and_only_then_released():
    rig, seen = Rig(), []
    async with rig.client("a") as leases, anyio.create_task_group() as tasks:

        async def lead():
            async with leases.lead("x", timing=TIMING):
                try:
                    await anyio.sleep_forever()
                finally:
                    with anyio.CancelScope(shield=True):
                        await anyio.sleep(20)
                        seen.append(await rig.lease())

        tasks.start_soon(lead)
        await anyio.sleep(1)
        tasks.cancel_scope.cancel()
    assert seen[0].holder == "a"
    assert (await rig.lease()).holder == ""


async def test_a_lease_whose_labels_somebody_edits_stays_ours():
    rig = Rig()
    async with rig.client("a") as leases, leases.lead("x", timing=TIMING) as term:
        for number in range(10):
            await rig.admin.patch(LEASES, "x", "default", body={"metadata": {"labels": {"n": str(number)}}})
            await anyio.sleep(2)
            term.check()
        assert (await rig.lease()).metadata.labels == {"n": "9"}


async def test_a_renewal_whose_answer_is_lost_counts_all_the_same_from_its_sending():
    rig, network = Rig(), Network()
    async with rig.client("a", network) as leases, leases.lead("x", timing=TIMING) as term:
        network.lose_answers = True
        for _ in range(100):
            await anyio.sleep(0.5)
            assert 0 < term.valid_for() <= TIMING.term_length_s
        network.lose_answers = False


async def test_resigning_stops_the_work_and_raises_nothing():
    rig = Rig()
    async with rig.client("a") as leases:
        async with leases.lead("x", timing=TIMING) as term:
            term.resign()
            with pytest.raises(TermLost, match="resigned"):
                term.check()
            await anyio.sleep_forever()
        assert term.reason is EndReason.RESIGNED
        assert (await rig.lease()).holder == ""


async def test_work_outside_the_body_hears_of_the_loss_too():
    rig, heard = Rig(), []
    async with rig.client("a") as leases, anyio.create_task_group() as tasks:

        async def listen(term):
            heard.append(await term.lost())

        with pytest.raises(TermLost):
            async with leases.lead("x", timing=TIMING) as term:
                tasks.start_soon(listen, term)
                await rig.edit(holder_identity="thief")
                await anyio.sleep_forever()
    assert heard == [EndReason.TAKEN]


# ---------------------------------------------------------------- waiting


async def test_a_refusal_reaches_the_caller_with_verb_resource_and_namespace():
    async def refuse(moment, call):
        raise StatusError(403, "Forbidden", 'leases.coordination.k8s.io "x" is forbidden')

    async with Rig().client("a", refuse) as leases:
        with pytest.raises(Refused, match=r"get leases\.coordination\.k8s\.io default/x: 403 Forbidden"):
            async with leases.lead("x", timing=TIMING):
                pytest.fail("led without the right to")


async def test_a_missing_namespace_reaches_the_caller():
    async with Rig().client("a") as leases:
        with pytest.raises(NotFound, match='create .* nowhere/x: 404 NotFound: namespaces "nowhere" not found'):
            async with leases.lead("x", namespace="nowhere", timing=TIMING):
                pytest.fail("led without a namespace")


@pytest.mark.parametrize("name", ["", "Upper", "a/b", "a_b", "-a", "a" * 254])
async def test_a_name_that_no_server_takes_is_refused_before_anything_is_sent(name):
    network = Network()
    async with Rig().client("a", network) as leases:
        with pytest.raises(ConfigurationError):
            leases.lead(name)
    assert network.calls == []


async def test_an_empty_identity_is_refused():
    async with Rig().client("a") as leases:
        with pytest.raises(ConfigurationError, match="identity '' must be text"):
            leases.lead("x", identity="")


async def test_a_cancelled_wait_leaves_no_trace():
    rig = Rig()
    before = await rig.held_by("other")
    async with rig.client("a") as leases:
        with anyio.move_on_after(5):
            async with leases.lead("x", timing=TIMING):
                pytest.fail("led though another holds it")
        assert leases.report().elections.queued == 0
        await anyio.sleep(60)
    assert await rig.lease() == before


async def test_a_candidate_cancelled_before_its_winning_write_is_answered_gives_the_lease_back():
    rig, network = Rig(), Network()
    network.lose_answers = True
    async with rig.client("a", network) as leases:
        with anyio.move_on_after(0.5):
            async with leases.lead("x", timing=TIMING):
                pytest.fail("led without an answer")
    assert (await rig.lease()).holder == ""


async def test_a_dead_holder_is_waited_out_on_the_own_clock_with_the_duration_it_wrote():
    rig = Rig()
    await rig.held_by("dead", duration_s=30)
    async with rig.client("a") as leases:
        start = rig.clock.now()
        async with leases.lead("x", timing=TIMING) as term:
            assert rig.clock.now() - start == pytest.approx(30 * 1.01, abs=0.2)
            assert term.transitions == 5


async def test_the_wall_clock_of_another_is_never_compared():
    rig, ahead = Rig(), VirtualClock()
    ahead.step_wall(3600)
    await rig.held_by("alive")
    async with rig.client("a", clock=ahead) as leases:
        start = ahead.now()
        async with leases.lead("x", timing=TIMING):
            assert ahead.now() - start >= 15


async def test_a_standby_asks_for_nothing_while_nothing_changes_and_takes_over_with_one_write():
    rig, standby, led_at = Rig(), Network(), []
    async with rig.client("a") as first, rig.client("b", standby) as second, anyio.create_task_group() as tasks:

        async def wait_for_it():
            async with second.lead("x", timing=TIMING):
                led_at.append(rig.clock.now())
                assert standby.requests == ["update"]

        async with first.lead("x", timing=TIMING):
            tasks.start_soon(wait_for_it)
            await anyio.sleep(60)
            standby.calls.clear()
            await anyio.sleep(600)
            assert standby.requests == []
        released_at = rig.clock.now()
    assert led_at[0] - released_at < 0.05


async def test_without_the_right_to_watch_a_candidate_polls():
    rig, led_at = Rig(), []

    async def no_watch(moment, call):
        if call.verb in {"list", "watch"}:
            raise StatusError(403, "Forbidden", "leases is forbidden")

    async with rig.client("a") as first, rig.client("b", no_watch) as second, anyio.create_task_group() as tasks:

        async def wait_for_it():
            async with second.lead("x", timing=TIMING):
                led_at.append(rig.clock.now())

        async with first.lead("x", timing=TIMING):
            tasks.start_soon(wait_for_it)
            await anyio.sleep(40)
        released_at = rig.clock.now()
    assert led_at[0] - released_at <= TIMING.renew_interval_s + 0.1


# ---------------------------------------------------------------- tokens and terms


async def test_tokens_rise_over_release_deletion_and_theft():
    rig, tokens = Rig(), []
    async with rig.client("a") as a, rig.client("b") as b:
        for leases in (a, b):
            async with leases.lead("x", timing=TIMING) as term:
                tokens.append(term.token)
        await rig.admin.delete(LEASES, "x", "default")
        async with a.lead("x", timing=TIMING) as term:
            tokens.append(term.token)
        await rig.edit(holder_identity="crashed", lease_duration_seconds=3)
        async with b.lead("x", timing=TIMING) as term:
            tokens.append(term.token)
    assert tokens == sorted(set(tokens))


async def test_terms_contend_again_after_every_loss():
    rig, reasons = Rig(), []
    async with rig.client("a") as leases:
        async for term in leases.terms("x", timing=TIMING):
            async with term:
                if not reasons:
                    await rig.edit(holder_identity="thief", lease_duration_seconds=1)
                elif len(reasons) == 1:
                    await rig.admin.delete(LEASES, "x", "default")
                else:
                    break
                await anyio.sleep_forever()
            reasons.append(term.reason)
        assert reasons == [EndReason.TAKEN, EndReason.DELETED]
        assert (await rig.lease()).holder == "", "leaving the loop releases the last term"


async def test_an_expired_term_is_won_again_without_a_wait_when_nobody_came():
    rig, network, terms = Rig(), Network(), []
    async with rig.client("a", network) as leases:
        async for term in leases.terms("x", timing=TIMING):
            terms.append(term)
            async with term:
                if len(terms) == 2:
                    break
                network.cut = True
                await anyio.sleep_forever()
            lost_at = rig.clock.now()
            network.cut = False
        assert rig.clock.now() - lost_at < 2 * TIMING.retry_interval_s
    assert terms[1].transitions == terms[0].transitions + 1
    assert terms[1].token > terms[0].token


async def test_two_candidates_of_one_identity_do_not_both_lead():
    rig, leading = Rig(), []
    async with rig.client("same") as a, rig.client("same") as b, anyio.create_task_group() as tasks:

        async def lead(leases):
            async with leases.lead("x", timing=TIMING):
                leading.append(leases)
                await anyio.sleep(60)
                assert leading == [leases]
                leading.clear()

        tasks.start_soon(lead, a)
        tasks.start_soon(lead, b)


async def test_a_suspended_machine_finds_its_term_over_when_it_wakes():
    rig, laptop = Rig(), VirtualClock()
    async with rig.client("a", clock=laptop) as leases:
        with pytest.raises(TermLost, match="expired"):
            async with leases.lead("x", timing=TIMING) as term:
                laptop.advance_suspended(3600)
                with pytest.raises(TermLost):
                    term.check()
                with anyio.fail_after(1.1):
                    await anyio.sleep_forever()


async def test_many_elections_share_one_watch():
    network = Network()
    async with Rig().client("a", network) as leases, anyio.create_task_group() as tasks:

        async def hold(name):
            async with leases.lead(name, timing=TIMING):
                await anyio.sleep(30)

        for number in range(20):
            tasks.start_soon(hold, f"x{number}")
    assert network.sent("list") == 1
    assert network.sent("watch") == 1


async def test_an_error_of_the_body_leaves_the_client_as_it_is():
    with pytest.raises(ZeroDivisionError):
        async with Rig().client("a"):
            raise ZeroDivisionError


async def test_nothing_outlives_the_client():
    rig, network = Rig(), Network()
    async with rig.client("a", network) as leases:
        await anext(leases.terms("x", timing=TIMING))
    sent = len(network.calls)
    await anyio.sleep(60)
    assert len(network.calls) == sent
