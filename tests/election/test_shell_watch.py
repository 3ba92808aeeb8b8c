"""The watch that candidates share: refused, allowed again, failing for hours, left and joined in one turn."""

import anyio
import anyio.lowlevel
import pytest

from lease_aio.election.watches import ASK_AGAIN_S, SharedWatches
from lease_aio.server.status import StatusError
from tests.election.rig import TIMING, Network, Rig

pytestmark = pytest.mark.virtual_time


class Gate(Network):
    """A network on which the watching of Leases can be refused, and the reading of one counted."""

    def __init__(self) -> None:
        super().__init__()
        self.no_list = self.no_watch = False

    async def __call__(self, moment, call):
        await super().__call__(moment, call)
        if (self.no_list and call.verb == "list") or (self.no_watch and call.verb == "watch"):
            raise StatusError(403, "Forbidden", f"may not {call.verb}")


class Ear:
    """A listener that notes what it hears."""

    def __init__(self) -> None:
        self.heard = []

    def changed(self, found, **_):
        self.heard.append(found.holder)

    def gone(self, resource_version):
        self.heard.append(f"gone at {resource_version}")

    def watch_refused(self, error):
        self.heard.append(f"refused: {error.status}")

    def watch_allowed(self):
        self.heard.append("allowed")


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize("what", ["no_list", "no_watch"])
async def test_polling_ends_when_the_right_to_watch_is_given(what, logs):
    rig, gate, led_at = Rig(), Gate(), []
    setattr(gate, what, True)
    async with rig.client("a") as first, rig.client("b", gate) as second, anyio.create_task_group() as tasks:

        async def wait_for_it():
            async with second.lead("x", timing=TIMING):
                led_at.append(rig.clock.now())

        async with first.lead("x", timing=TIMING):
            tasks.start_soon(wait_for_it)
            await anyio.sleep(3 * ASK_AGAIN_S)
            assert gate.sent("get") > 30, "it polls"
            setattr(gate, what, False)
            await anyio.sleep(2 * ASK_AGAIN_S)
            gate.calls.clear()
            await anyio.sleep(10 * ASK_AGAIN_S)
            assert gate.requests == [], "it polls no more"
        released_at = rig.clock.now()
    assert led_at[0] - released_at < 0.05
    told = [line["event"] for line in logs if "watch" in line["event"]]
    assert told == ["election.watch_refused", "election.watch_allowed"]


async def test_a_watch_that_is_allowed_and_refused_again_is_told_each_time():
    rig, gate, ear = Rig(), Gate(), Ear()
    gate.no_watch = True
    async with rig.client("b", gate) as leases:
        subscription = leases.engine.watches.subscribe("default", "x", ear)
        await anyio.sleep(1)
        gate.no_watch = False
        await anyio.sleep(ASK_AGAIN_S)
        await rig.held_by("a")
        await anyio.sleep(1)
        gate.no_watch = True
        await anyio.sleep(1000)
        subscription.close()
    assert ear.heard == ["refused: 403", "allowed", "a", "refused: 403"] + ["a"] * (len(ear.heard) - 4)


async def test_who_joins_a_refused_watch_is_told_so_at_once():
    gate, first, second = Gate(), Ear(), Ear()
    gate.no_list = True
    async with Rig().client("b", gate) as leases:
        watches = leases.engine.watches
        subscriptions = [watches.subscribe("default", "x", first)]
        await anyio.sleep(1)
        subscriptions.append(watches.subscribe("default", "x", second))
        assert (first.heard, second.heard) == (["refused: 403"], ["refused: 403"])
        for subscription in subscriptions:
            subscription.close()


async def test_a_candidate_that_polled_does_not_poll_when_it_contends_again_with_a_watch():
    rig, gate = Rig(), Gate()
    gate.no_list = True
    async with rig.client("a", gate) as leases:
        leadership = leases.lead("x", timing=TIMING)
        async with leadership:
            await anyio.sleep(1)
        gate.no_list = False
        await rig.edit(holder_identity="other", lease_duration_seconds=600)
        with anyio.move_on_after(300):
            gate.calls.clear()
            async with leadership:
                pytest.fail("led though another holds it")
        assert gate.sent("get") == 1


# ---------------------------------------------------------------- failing


async def test_while_the_watch_fails_for_hours_candidates_wait_on_without_a_storm_and_lead_when_it_is_free():
    rig, gate, led_at = Rig(), Gate(), []

    async def no_streams(moment, call):
        await gate(moment, call)
        if call.verb in {"list", "watch"}:
            raise StatusError(503, "ServiceUnavailable", "no")

    async with rig.client("a") as first, rig.client("b", no_streams) as second, anyio.create_task_group() as tasks:

        async def wait_for_it():
            async with second.lead("x", timing=TIMING):
                led_at.append(rig.clock.now())

        async with first.lead("x", timing=TIMING) as term:
            tasks.start_soon(wait_for_it)
            await anyio.sleep(2 * 3600)
            term.check()
            assert len(gate.calls) < 2 * 3600 / 5
        released_at = rig.clock.now()
    assert led_at[0] - released_at < 2 * TIMING.lease_duration_s


# ---------------------------------------------------------------- joined and left


async def test_the_last_to_leave_and_the_first_to_come_in_one_turn_get_a_watch_that_lives():
    rig, network, ears = Rig(), Network(), []
    async with rig.client("b", network) as leases:
        watches = leases.engine.watches
        for turns in range(12):
            ears.append(Ear())
            subscription = watches.subscribe("default", "x", ears[-1])
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            subscription.close()
            subscription.close()
        last = Ear()
        subscription = watches.subscribe("default", "x", last)
        await anyio.sleep(1)
        await rig.held_by("a")
        await anyio.sleep(1)
        subscription.close()
        await anyio.sleep(1)
        assert last.heard == ["a"]
        assert [ear.heard for ear in ears] == [[]] * 12
        assert rig.store.open_watches == 0


async def test_watches_that_have_ended_are_forgotten():
    async with Rig().client("a") as leases:
        watches: SharedWatches = leases.engine.watches
        for number in range(50):
            watches.subscribe(f"namespace-{number}", "x", Ear()).close()
        watches.subscribe("default", "x", Ear())
        assert list(watches._watches) == ["default"]


async def test_who_closes_another_while_both_are_told_silences_it_at_once():
    rig, other = Rig(), Ear()
    async with rig.client("b") as leases:
        watches: SharedWatches = leases.engine.watches

        class Closes(Ear):
            def changed(self, found, **how):
                super().changed(found, **how)
                second.close()

        closes = Closes()
        first = watches.subscribe("default", "x", closes)
        second = watches.subscribe("default", "x", other)
        await anyio.sleep(1)
        await rig.held_by("a")
        await anyio.sleep(1)
        first.close()
    assert (closes.heard, other.heard) == (["a"], [])
