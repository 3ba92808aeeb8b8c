"""However it is used, one client never gives the same Lease to two bodies at once."""

import anyio
import anyio.lowlevel
import pytest

from lease_aio.api.memory import Moment
from lease_aio.election import Candidate, EndReason, State
from lease_aio.errors import ConfigurationError, TermLost
from lease_aio.testing import VirtualClock
from tests.election.rig import TIMING, Network, Rig

pytestmark = pytest.mark.virtual_time


class Inside:
    """Counts the bodies that run at once."""

    def __init__(self) -> None:
        self.now = self.most = self.all = 0

    def __enter__(self) -> None:
        self.now += 1
        self.all += 1
        self.most = max(self.most, self.now)

    def __exit__(self, *exc: object) -> None:
        self.now -= 1


# ---------------------------------------------------------------- work that does not stop


async def test_while_the_work_ignores_its_cancellation_nobody_else_gets_in():
    rig, inside = Rig(), Inside()

    async def stubborn(leases):
        async with leases.lead("x", timing=TIMING) as term:
            with inside:
                term.resign()
                for _ in range(300):
                    try:
                        await anyio.sleep(1)
                    except anyio.get_cancelled_exc_class():
                        with anyio.CancelScope(shield=True):
                            await anyio.sleep(1)

    async with rig.client("a") as a, rig.client("b") as b, anyio.create_task_group() as tasks:
        tasks.start_soon(stubborn, a)
        await anyio.sleep(1)
        async with b.lead("x", timing=TIMING):
            with inside:
                await anyio.sleep(1)
    assert (inside.all, inside.most) == (2, 1)


async def test_an_overrun_is_told_while_it_lasts_and_how_long_it_was_at_its_end(logs):
    async with Rig().client("a") as leases, leases.lead("x", timing=TIMING) as term:
        term.resign()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(TIMING.stop_grace_s - 0.1)
            before = _overruns(logs)
            await anyio.sleep(0.2)
            during = _overruns(logs)
            await anyio.sleep(5.9)
    assert before == []
    assert during == [("election.work_overruns", None)]
    assert _overruns(logs) == [("election.work_overruns", None), ("election.work_overran", 6.0)]


async def test_work_that_stops_in_time_is_told_no_overrun_also_not_of_the_term_before(logs):
    async with Rig().client("a") as leases:
        terms = leases.terms("x", timing=TIMING)
        for _ in range(3):
            async with await anext(terms):
                await anyio.sleep(60)
    assert sum(line["event"] == "election.started" for line in logs) == 3
    assert _overruns(logs) == []


def _overruns(logs):
    return [(line["event"], line.get("overrun_s")) for line in logs if "overr" in line["event"]]


async def test_a_lock_inside_that_cannot_be_given_back_holds_the_body_up_for_two_request_timeouts():
    rig, network, left_after = Rig(), Network(), []
    async with rig.client("a", network) as leases:
        with pytest.raises(TermLost, match="expired"):
            async with leases.lead("x", timing=TIMING) as term:
                ends_at = rig.clock.now() + term.valid_for()
                try:
                    async with leases.lock("y", timing=TIMING):
                        network.hang = True
                        await anyio.sleep_forever()
                finally:
                    left_after.append(rig.clock.now() - ends_at)
    assert left_after == [pytest.approx(2 * TIMING.request_timeout_s, abs=0.01)]


# ---------------------------------------------------------------- one identity, one instant


@pytest.mark.parametrize("exists", [False, True])
async def test_two_of_one_client_that_write_in_the_same_microsecond_do_not_take_each_others_write_for_their_own(exists):
    rig, inside, writes = Rig(), Inside(), []

    async def one_arrives_the_other_never(moment, call):
        if call.verb in {"create", "update"} and moment is Moment.BEFORE:
            writes.append(call)
            await anyio.sleep(0.1 if len(writes) == 1 else 5 if len(writes) == 2 else 0)

    if exists:
        await rig.held_by("")
    async with rig.client("a", one_arrives_the_other_never) as leases, anyio.create_task_group() as tasks:

        async def lead():
            async with leases.lead("x", timing=TIMING):
                with inside:
                    await anyio.sleep(10)

        for _ in range(2):
            tasks.start_soon(lead)
    assert (inside.all, inside.most) == (2, 1)


# ---------------------------------------------------------------- told by a check


@pytest.mark.parametrize("in_a_task_group", [False, True])
async def test_a_check_that_finds_the_term_over_leads_to_the_next_as_a_cancellation_does(in_a_task_group):
    laptop, tokens = VirtualClock(), []

    async def work(term):
        term.check()
        if len(tokens) == 1:
            laptop.advance_suspended(3600)  # before the loop can tell the work to stop
            term.check()

    async with Rig().client("a", clock=laptop) as leases:
        async for term in leases.terms("x", timing=TIMING):
            tokens.append(term.token)
            async with term:
                if in_a_task_group:
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(work, term)
                else:
                    await work(term)
            if len(tokens) == 2:
                break
    assert tokens[0] < tokens[1]


async def test_a_check_of_another_term_is_an_error_of_the_bodys_own():
    async with Rig().client("a") as leases:
        async with leases.lead("y", timing=TIMING) as other:
            pass
        with pytest.raises(TermLost, match="default/y is over"):
            async for term in leases.terms("x", timing=TIMING):
                async with term:
                    other.check()


async def test_a_check_beside_an_error_of_the_works_own_does_not_hide_it():
    laptop = VirtualClock()

    async def fail():
        raise ZeroDivisionError

    async def check(term):
        laptop.advance_suspended(3600)
        term.check()

    async with Rig().client("a", clock=laptop) as leases:
        with pytest.raises(ExceptionGroup) as raised:
            async for term in leases.terms("x", timing=TIMING):
                async with term, anyio.create_task_group() as tasks:
                    tasks.start_soon(check, term)
                    tasks.start_soon(fail)
    assert raised.group_contains(ZeroDivisionError)


async def test_who_leads_one_term_alone_is_told_by_the_check_itself():
    laptop = VirtualClock()
    async with Rig().client("a", clock=laptop) as leases:
        with pytest.raises(TermLost, match="default/x is over: expired"):
            async with leases.lead("x", timing=TIMING) as term:
                laptop.advance_suspended(3600)
                term.check()


# ---------------------------------------------------------------- one object, used twice


async def test_a_leadership_that_is_held_cannot_be_entered_again_and_is_none_the_worse():
    async with Rig().client("a") as leases:
        leadership = leases.lead("x", timing=TIMING)
        async with leadership as term:
            with pytest.raises(ConfigurationError, match="a contends for default/x already, through this very object"):
                async with leadership:
                    pytest.fail("entered twice")
            await anyio.sleep(60)
            term.check()
        assert term.reason is EndReason.RESIGNED


async def test_a_leadership_that_another_task_waits_in_cannot_be_entered():
    rig = Rig()
    await rig.held_by("other", duration_s=60)
    async with rig.client("a") as leases, anyio.create_task_group() as tasks:
        leadership, led = leases.lead("x", timing=TIMING), []

        async def wait_for_it():
            async with leadership as term:
                led.append(term)

        tasks.start_soon(wait_for_it)
        await anyio.sleep(1)
        with pytest.raises(ConfigurationError, match="already"):
            await leadership.__aenter__()
    assert len(led) == 1


async def test_a_leadership_that_was_left_can_be_entered_again():
    async with Rig().client("a") as leases:
        leadership, tokens = leases.lead("x", timing=TIMING), []
        for _ in range(3):
            async with leadership as term:
                tokens.append(term.token)
        assert tokens == sorted(set(tokens))


async def test_a_term_is_entered_once():
    async with Rig().client("a") as leases, leases.lead("x", timing=TIMING) as term:
        with pytest.raises(ConfigurationError, match="the term on Lease default/x is entered already"):
            async with term:
                pytest.fail("entered twice")
        await anyio.sleep(60)
        term.check()


async def test_a_term_that_is_over_cannot_be_entered():
    async with Rig().client("a") as leases:
        terms = leases.terms("x", timing=TIMING)
        first = await anext(terms)
        async with await anext(terms):
            with pytest.raises(TermLost, match="resigned"):
                async with first:
                    pytest.fail("entered a term that is over")
        with pytest.raises(TermLost):
            first.check()


async def test_the_next_term_cannot_be_had_while_the_body_of_the_last_runs():
    rig, inside = Rig(), Inside()
    async with rig.client("a") as leases, rig.client("b") as others, anyio.create_task_group() as tasks:
        terms = leases.terms("x", timing=TIMING)
        term = await anext(terms)

        async def work():
            async with term:
                with inside:
                    await anyio.sleep(30)

        async def other():
            async with others.lead("x", timing=TIMING):
                with inside:
                    await anyio.sleep(1)

        tasks.start_soon(work)
        tasks.start_soon(other)
        await anyio.sleep(1)
        with pytest.raises(ConfigurationError, match="cannot be finished, nor followed by the next, while its body"):
            await anext(terms)
        term.check()
    assert (inside.all, inside.most) == (2, 1)


async def test_a_term_cannot_be_finished_from_inside_its_body():
    rig = Rig()
    async with rig.client("a") as leases:
        async with leases.lead("x", timing=TIMING) as term:
            with pytest.raises(ConfigurationError, match="leave the body first; `resign` makes it stop"):
                await term.finish()
            term.check()
            assert (await rig.lease()).holder == "a"
        assert (await rig.lease()).holder == ""


async def test_two_tasks_cannot_ask_for_the_next_term_at_once():
    rig = Rig()
    await rig.held_by("other")
    async with rig.client("a") as leases, anyio.create_task_group() as tasks:
        terms, won = leases.terms("x", timing=TIMING), []

        async def ask():
            won.append(await anext(terms))

        tasks.start_soon(ask)
        await anyio.sleep(1)
        with pytest.raises(ConfigurationError, match="already"):
            await anext(terms)
        await anyio.sleep(60)
        won[0].check()


async def test_a_term_finished_twice_or_by_another_task_is_released_once():
    rig, network = Rig(), Network()
    async with rig.client("a", network) as leases:
        term = await anext(leases.terms("x", timing=TIMING))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(term.finish)
            tasks.start_soon(term.finish)
        await term.finish()
        assert (await rig.lease()).holder == ""
        assert network.sent("update") == 1
        term.resign()
        assert (await term.lost(), term.reason, term.valid_for()) == (EndReason.RESIGNED, EndReason.RESIGNED, 0)


async def test_a_term_that_ended_by_itself_was_lost_for_whoever_listens():
    heard = []
    async with Rig().client("a") as leases, anyio.create_task_group() as tasks:

        async def listen(term):
            heard.append(await term.lost())

        async with leases.lead("x", timing=TIMING) as term:
            tasks.start_soon(listen, term)
            await anyio.sleep(1)
        assert term.valid_for() == 0
        with pytest.raises(TermLost, match="the term on Lease default/x is over: resigned"):
            term.check()
    assert heard == [EndReason.RESIGNED]


# ---------------------------------------------------------------- a candidate of one's own


async def test_a_candidate_that_never_started_cannot_finish():
    async with Rig().client("a") as leases:
        with pytest.raises(ConfigurationError, match="default/x was never started"):
            await _candidate(leases).finish()


async def test_a_candidate_may_start_again_at_once_though_its_last_attempt_still_hangs():
    rig, network = Rig(), Network()
    network.hang = True
    async with rig.client("a", network) as leases:
        candidate = _candidate(leases)
        for _ in range(3):
            candidate.start()
            await anyio.sleep(0.1)
            await candidate.finish()
        network.hang = False
        candidate.start()
        with anyio.fail_after(10):
            record = await candidate.won()
        assert candidate.valid_for(record) > 0
        await anyio.sleep(60)
        assert candidate.valid_for(record) > 0
        ended = await candidate.finish()
        assert (ended.term, ended.released, candidate.state) == (record, True, State.IDLE)


async def test_a_candidate_that_starts_again_within_one_turn_is_not_forgotten():
    """An attempt already handed to a worker belongs to the candidacy before; the new one must have its own."""
    rig = Rig()
    async with rig.client("a") as leases:
        for turns in range(12):
            candidate = _candidate(leases, f"x{turns}")
            candidate.start()
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            candidate.resign()
            if candidate.state is not State.IDLE:
                await candidate.finish()
            candidate.start()
            with anyio.fail_after(5):
                await candidate.won()
            await candidate.finish()


def _candidate(leases, name="x"):
    return Candidate(leases.engine, name=name, namespace=leases.namespace, identity=leases.identity, timing=TIMING)
