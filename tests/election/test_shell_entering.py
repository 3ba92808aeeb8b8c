"""No work begins that may not run: a term can be over before its body has had its turn."""

import anyio.lowlevel
import pytest

from lease_aio.election import EndReason, Started, Stopping, Term
from lease_aio.errors import TermLost
from tests.election.rig import TIMING, Rig

pytestmark = pytest.mark.virtual_time


class Once:
    """An observer that does something at the first term's start, before the task that waits for it has its turn."""

    def __init__(self, do) -> None:
        self._do, self.events = do, []

    def __call__(self, event) -> None:
        self.events.append(event)
        if [type(each) for each in self.events].count(Started) == 1 and isinstance(event, Started):
            self._do()


@pytest.mark.parametrize("way", ["lead", "terms"])
async def test_a_term_that_ran_out_before_its_body_had_its_turn_is_contended_for_anew(way):
    """The loop was blocked by somebody else's work, or the machine slept, just after the winning answer."""
    rig = Rig()
    observer = Once(lambda: rig.clock.advance_suspended(60))
    async with rig.client("a") as leases:
        if way == "lead":
            async with leases.lead("x", timing=TIMING, observer=observer) as term:
                assert term.valid_for() > 0
        else:
            async with await anext(leases.terms("x", timing=TIMING, observer=observer)) as term:
                assert term.valid_for() > 0
    assert [event.term.token for event in observer.events if isinstance(event, Started)][1] == term.token


async def test_a_term_that_runs_out_before_it_is_entered_is_not_entered():
    rig = Rig()
    async with rig.client("a") as leases:
        terms = leases.terms("x", timing=TIMING)
        term = await anext(terms)
        rig.clock.advance_suspended(60)
        with pytest.raises(TermLost, match="expired"):
            async with term:
                pytest.fail("began to work after the term")
        async with await anext(terms) as second:
            second.check()
        assert second.token > term.token


async def test_a_term_that_is_lost_while_nobody_has_entered_it_is_not_entered():
    rig = Rig()
    async with rig.client("a") as leases:
        terms = leases.terms("x", timing=TIMING)
        term = await anext(terms)
        await rig.edit(holder_identity="thief", lease_duration_seconds=1)
        await term.lost()
        with pytest.raises(TermLost, match="taken"):
            async with term:
                pytest.fail("began to work after the term")


async def test_a_term_that_ends_in_the_moment_of_entering_is_given_back(monkeypatch):
    rig = Rig()

    def over(self):
        raise TermLost("default/x", "expired")

    async with rig.client("a") as leases:
        with monkeypatch.context() as patched, pytest.raises(TermLost, match="expired"):
            patched.setattr(Term, "check", over)
            async with leases.lead("x", timing=TIMING):
                pytest.fail("began to work after the term")
        assert (await rig.lease()).holder == ""
        assert leases.engine.roster.size == 0


async def test_a_term_resigned_before_its_body_had_its_turn_is_cancelled_at_once_and_released():
    """Nobody else can have it: it is held and renewed until the body has stopped."""
    rig, reached = Rig(), []

    def resign():
        leadership._candidate.resign()

    async with rig.client("a") as leases:
        observer = Once(resign)
        leadership = leases.lead("x", timing=TIMING, observer=observer)
        async with leadership as term:
            await anyio.lowlevel.checkpoint()
            reached.append(True)
        assert (term.reason, reached) == (EndReason.RESIGNED, [])
        assert [type(event) for event in observer.events[:2]] == [Started, Stopping]
        assert (await rig.lease()).holder == ""
