"""When the client ends, or breaks, under those that wait and lead; and when an observer raises."""

import asyncio

import anyio
import pytest
import structlog

from lease_aio.client import LeaseClient
from lease_aio.election import Candidate, Ended, EndReason, Started, State, Stopping, Waiting
from lease_aio.errors import ConfigurationError, LeaseAioError, Refused, TermLost
from lease_aio.server.status import StatusError
from tests.election.rig import TIMING, Network, Rig

pytestmark = pytest.mark.virtual_time


# ---------------------------------------------------------------- left too early


async def test_work_of_another_task_is_stopped_when_the_client_is_left_under_it():
    rig, heard = Rig(), []

    async def lead(leases):
        with pytest.raises(TermLost, match="the term on Lease default/x is over: client closed"):
            async with leases.lead("x", timing=TIMING, observer=heard.append) as term:
                try:
                    await anyio.sleep_forever()
                finally:
                    assert term.valid_for() == 0
                    assert term.reason is EndReason.CLIENT_CLOSED
        heard.append(rig.clock.now())

    async with anyio.create_task_group() as tasks, rig.client("a") as leases:
        tasks.start_soon(lead, leases)
        await anyio.sleep(1)
        left_at = rig.clock.now()
    started, stopping, ended, stopped_at = heard
    assert isinstance(started, Started)
    assert stopping == Stopping(term=started.term, reason=EndReason.CLIENT_CLOSED)
    assert ended == Ended(term=started.term, reason=EndReason.CLIENT_CLOSED, released=False)
    assert stopped_at - left_at < 0.001, "nobody waits for a release that nobody will send"
    assert (await rig.lease()).holder == "a", "it runs out by itself"


async def test_a_candidate_of_another_task_waits_no_longer_when_the_client_is_left():
    rig = Rig()
    await rig.held_by("other")
    async with anyio.create_task_group() as tasks:

        async def lead(leases):
            with pytest.raises(LeaseAioError, match="of a for default/x was ended before it won: client closed"):
                async with leases.lead("x", timing=TIMING):
                    pytest.fail("led through a client that was left")

        async with rig.client("a") as leases:
            tasks.start_soon(lead, leases)
            await anyio.sleep(1)


async def test_work_that_was_told_to_stop_before_keeps_its_reason():
    rig, heard = Rig(), []

    async def lead(leases):
        async with leases.lead("x", timing=TIMING, observer=heard.append) as term:
            term.resign()
            with anyio.CancelScope(shield=True):
                await anyio.sleep(3)
        assert term.reason is EndReason.RESIGNED

    async with anyio.create_task_group() as tasks, rig.client("a") as leases:
        tasks.start_soon(lead, leases)
        await anyio.sleep(1)
    assert [event.reason for event in heard[1:]] == [EndReason.RESIGNED, EndReason.RESIGNED]


async def test_a_term_that_nobody_entered_is_over_when_the_client_is_left():
    rig = Rig()
    async with rig.client("a") as leases:
        terms = leases.terms("x", timing=TIMING)
        term = await anext(terms)
        term.check()
    assert await term.lost() is EndReason.CLIENT_CLOSED
    with pytest.raises(TermLost, match="client closed"):
        term.check()
    with pytest.raises(ConfigurationError, match="the LeaseClient is closed"):
        await anext(terms)


async def test_nothing_contends_through_a_client_that_was_left():
    async with Rig().client("a") as leases:
        leadership = leases.lead("x", timing=TIMING)
        candidate = _candidate(leases)
    with pytest.raises(ConfigurationError, match="the LeaseClient is closed, and renews nothing more"):
        async with leadership:
            pytest.fail("led through a client that was left")
    with pytest.raises(ConfigurationError, match="closed"):
        candidate.start()
    assert candidate.state is State.IDLE
    with pytest.raises(ConfigurationError, match="is not open"):
        leases.lead("x")


async def test_a_client_serves_one_block_only():
    rig = Rig()
    async with rig.client("a") as leases:
        with pytest.raises(ConfigurationError, match="this LeaseClient was entered before"):
            async with leases:
                pytest.fail("entered twice")
        async with leases.lead("x", timing=TIMING):
            pass
    with pytest.raises(ConfigurationError, match="make a new one"):
        async with leases:
            pytest.fail("entered again")


# ---------------------------------------------------------------- broken


class _Crash(Exception):
    pass


async def test_a_bug_in_an_attempt_stops_the_work_and_is_seen():
    rig, broken, seen = Rig(), [], []

    async def faults(moment, call):
        if broken and call.verb == "update":
            raise _Crash("a bug")

    with pytest.raises(BaseExceptionGroup) as caught:
        async with rig.client("a", faults) as leases, leases.lead("x", timing=TIMING) as term:
            broken.append(True)
            try:
                await anyio.sleep_forever()
            finally:
                seen.append((term.reason, term.valid_for()))
    assert caught.value.subgroup(_Crash) is not None
    assert seen == [(EndReason.CLIENT_CLOSED, 0)]


async def test_a_bug_in_the_watch_stops_the_work_of_every_task_and_is_seen():
    rig, reasons, broken = Rig(), [], []

    async def faults(moment, call):
        if broken and call.verb in {"list", "watch"}:
            raise _Crash("a bug")

    async def lead(leases, name):
        async with leases.lead(name, timing=TIMING) as term:
            try:
                await anyio.sleep_forever()
            finally:
                reasons.append(term.reason)

    with pytest.raises(BaseExceptionGroup) as caught:
        async with rig.client("a", faults) as leases, anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(lead, leases, f"x{number}")
            await anyio.sleep(1)
            broken.append(True)
            await anyio.sleep(1000)
            pytest.fail("the watch broke, and nobody heard")
    assert caught.value.subgroup(_Crash) is not None
    assert reasons == [EndReason.CLIENT_CLOSED] * 3


async def test_the_work_is_told_when_every_task_of_the_loop_is_cancelled():
    """A common way to shut down: `for task in asyncio.all_tasks(): task.cancel()`."""
    rig, reasons = Rig(), []

    async def serve():
        async with rig.client("a") as leases, leases.lead("x", timing=TIMING) as term:
            try:
                await anyio.sleep_forever()
            finally:
                reasons.append(term.valid_for())

    before = asyncio.all_tasks()
    server = asyncio.ensure_future(serve())
    await anyio.sleep(1)
    mine = asyncio.all_tasks() - before
    assert len(mine) > 3
    for task in mine:
        task.cancel()
    with anyio.fail_after(5):
        await asyncio.wait([server])
    assert server.cancelled()
    assert len(reasons) == 1
    assert asyncio.all_tasks() == before


# ---------------------------------------------------------------- observers


async def test_an_observer_that_raises_is_logged_and_changes_nothing_for_anybody(logs):
    rig, heard = Rig(), []

    def raises(event):
        heard.append(type(event))
        raise ZeroDivisionError

    async with rig.client("a") as leases, leases.lead("y", timing=TIMING) as other:
        await rig.held_by("before", duration_s=5)
        async with leases.lead("x", timing=TIMING, observer=raises) as term:
            await anyio.sleep(60)
            term.check()
        other.check()
        assert (await rig.lease()).holder == ""
    assert heard == [Waiting, Started, Stopping, Ended]
    told = [line for line in logs if line["event"] == "election.observer_raised"]
    assert [line["happened"] for line in told] == ["Waiting", "Started", "Stopping", "Ended"]
    assert {line["lease"] for line in told} == {"default/x"}


async def test_an_observer_may_resign_from_within():
    rig = Rig()
    async with rig.client("a") as leases:
        for kind in (Started, Stopping, Ended):
            candidate = None

            def resigns(event, kind=kind):
                if isinstance(event, kind):
                    candidate.resign()  # noqa: B023 - the observer of this very turn

            candidate = _candidate(leases, observer=resigns)
            candidate.start()
            await candidate.won()
            ended = await candidate.finish()
            assert (ended.reason, ended.released) == (EndReason.RESIGNED, True)


@pytest.mark.parametrize("unsayable", ["started", "stopping"])
async def test_a_log_that_cannot_be_written_is_seen_and_leaves_no_work_untold(unsayable):
    """A full disk, a pipe whose reader is gone: a logger of the application's may raise."""

    def full(logger, method, line):
        if line["event"] == f"election.{unsayable}":
            raise OSError(28, "no space left on device")
        raise structlog.DropEvent

    rig, worked = Rig(), []

    async def lead(leases):
        with pytest.raises(TermLost):
            async with leases.lead("x", timing=TIMING) as term:
                try:
                    await anyio.sleep_forever()
                finally:
                    worked.append((term.reason, term.valid_for()))

    structlog.configure(processors=[full])
    try:
        async with anyio.create_task_group() as tasks:
            with pytest.raises(ExceptionGroup) as caught:
                async with rig.client("a") as leases:
                    tasks.start_soon(lead, leases)
                    await anyio.sleep(1)
                    await rig.edit(holder_identity="thief")
                    with anyio.fail_after(60):
                        await anyio.sleep_forever()
    finally:
        structlog.reset_defaults()
    assert caught.group_contains(OSError, match="no space left")
    expected = EndReason.CLIENT_CLOSED if unsayable == "started" else EndReason.TAKEN
    assert worked == [(expected, 0)]


# ---------------------------------------------------------------- what the user sees


async def test_an_error_of_the_body_passes_as_it_is_through_all_blocks():
    rig = Rig()
    with pytest.raises(ZeroDivisionError):
        async with rig.client("a") as leases, leases.lead("x", timing=TIMING):
            raise ZeroDivisionError


async def test_a_group_of_the_bodys_own_passes_as_it_is():
    rig, mine = Rig(), ExceptionGroup("mine", [ZeroDivisionError()])
    with pytest.raises(ExceptionGroup, match="mine") as caught:
        async with rig.client("a") as leases, leases.lead("x", timing=TIMING):
            raise mine
    assert caught.value is mine


async def test_a_lost_term_passes_as_it_is_through_the_client():
    rig = Rig()
    with pytest.raises(TermLost, match="taken"):
        async with rig.client("a") as leases, leases.lead("x", timing=TIMING):
            await rig.edit(holder_identity="thief")
            await anyio.sleep_forever()


async def test_where_the_term_is_lost_and_the_body_fails_the_bodys_error_is_seen():
    rig = Rig()
    with pytest.raises(ZeroDivisionError):
        async with rig.client("a") as leases, leases.lead("x", timing=TIMING) as term:
            await rig.edit(holder_identity="thief")
            try:
                await anyio.sleep_forever()
            finally:
                assert term.reason is EndReason.TAKEN
                raise ZeroDivisionError


async def test_what_is_left_of_a_group_is_seen_and_the_lease_released_though_part_of_it_was_the_terms_end():
    rig = Rig()

    async with rig.client("a") as leases:
        with pytest.raises(BaseExceptionGroup) as caught:
            async with leases.lead("x", timing=TIMING) as term:
                term.resign()
                try:
                    await anyio.sleep_forever()
                except anyio.get_cancelled_exc_class() as cancelled:
                    raise BaseExceptionGroup("both", [cancelled, ZeroDivisionError()]) from None
        assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError]
        assert (await rig.lease()).holder == ""


async def test_a_refusal_passes_as_it_is_through_the_client():
    async def refuse(moment, call):
        raise StatusError(403, "Forbidden", "no")

    with pytest.raises(Refused, match="get leases.coordination.k8s.io default/x: 403 Forbidden: no"):
        async with Rig().client("a", refuse) as leases, leases.lead("x", timing=TIMING):
            pytest.fail("led without the right to")


async def test_after_a_refusal_the_same_terms_contend_again_when_asked_again():
    rig, refused = Rig(), [True]

    async def faults(moment, call):
        if refused and call.verb in {"get", "update", "create"}:
            raise StatusError(403, "Forbidden", "no")

    async with rig.client("a", faults) as leases:
        terms = leases.terms("x", timing=TIMING)
        for _ in range(2):
            with pytest.raises(Refused):
                await anext(terms)
        refused.clear()
        async with await anext(terms) as term:
            refused.append(True)
            await term.lost()
        with pytest.raises(Refused, match="update"):
            await anext(terms)
        refused.clear()
        async with await anext(terms) as term:
            term.check()


async def test_a_refusal_names_what_was_refused_though_an_older_request_fails_otherwise_after_it():
    rig, network = Rig(), Network()
    network.hang = True
    async with rig.client("a", network) as leases:
        candidate = _candidate(leases)
        candidate.start()
        await anyio.sleep(TIMING.request_timeout_s - 0.5)
        await candidate.finish()
        network.hang = False
        candidate.start()
        await candidate.won()
        await anyio.sleep(5)
        assert candidate.error is None
        await candidate.finish()


async def test_a_refusal_that_comes_after_its_candidacy_is_none_of_the_next_one():
    rig, heard = Rig(), []

    async def faults(moment, call):
        if not heard and call.verb == "get":
            heard.append("asked")
            await anyio.sleep(1)
            raise StatusError(403, "Forbidden", "no")

    async with rig.client("a", faults) as leases:
        candidate = _candidate(leases, observer=heard.append)
        candidate.start()
        await anyio.sleep(0.5)
        await candidate.finish()
        candidate.start()
        await candidate.won()
        await anyio.sleep(5)
        assert candidate.error is None
        assert [type(event) for event in heard[1:]] == [Ended, Started]
        await candidate.finish()


def _candidate(leases: LeaseClient, **options):
    return Candidate(
        leases.engine, name="x", namespace=leases.namespace, identity=leases.identity, timing=TIMING, **options
    )
