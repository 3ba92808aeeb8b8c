"""An election counted, under the names that dashboards know."""

import contextlib

import anyio
import pytest
from prometheus_client import CollectorRegistry, generate_latest

import lease_aio
from lease_aio import TermLost, Timing
from lease_aio.election import Ended, EndReason, Started, Stopping, TermRecord, Waiting
from lease_aio.telemetry import tell_all
from lease_aio.telemetry.elections import ElectionMetrics
from lease_aio.testing import VirtualClock
from tests.election.rig import Network, Rig

pytestmark = pytest.mark.virtual_time

TERM = TermRecord(lease="x", namespace="default", holder="me", token=7, transitions=0, started=0.0)
QUICK = Timing(lease_duration_s=15, stop_grace_s=4)


class Scrape:
    """What a scrape sees of the Lease `x`."""

    def __init__(self, clock: VirtualClock) -> None:
        self.registry = CollectorRegistry()
        self.metrics = ElectionMetrics(registry=self.registry, clock=clock)

    @property
    def gauge(self) -> float | None:
        return self.registry.get_sample_value("leader_election_master_status", {"name": "x"})

    def sum(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"lease_aio_{name}_seconds_sum", {"name": "x"})

    def count(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"lease_aio_{name}_seconds_count", {"name": "x"})

    def ended(self, reason: str, *, led: str = "true") -> float | None:
        labels = {"name": "x", "led": led, "reason": reason}
        return self.registry.get_sample_value("lease_aio_candidacies_total", labels)


@pytest.fixture
def scrape(virtual_clock: VirtualClock) -> Scrape:
    return Scrape(virtual_clock)


async def test_the_gauge_falls_when_the_task_is_cancelled(scrape, virtual_clock):
    """client-go's stays 1."""
    async with lease_aio.connect("embedded", clock=virtual_clock) as leases:
        with anyio.move_on_after(10):
            async with leases.lead("x", observer=scrape.metrics.of("x")):
                assert scrape.gauge == 1
                await anyio.sleep_forever()
    assert scrape.gauge == 0
    assert scrape.ended("resigned") == 1


async def test_the_gauge_falls_when_the_term_expires_and_before_the_work_has_stopped(scrape):
    rig = Rig()
    network = Network()
    async with rig.client("me", network) as leases:
        with pytest.raises(TermLost):
            async with leases.lead("x", timing=QUICK, observer=scrape.metrics.of("x")):
                network.cut = True
                try:
                    await anyio.sleep_forever()
                finally:
                    assert scrape.gauge == 0
                    assert (scrape.count("term"), scrape.count("term_stop")) == (1, 0)
                    with anyio.CancelScope(shield=True):
                        await anyio.sleep(2)
    assert scrape.ended("expired") == 1
    assert 2 <= scrape.sum("term_stop") <= 2 + 2 * QUICK.request_timeout_s


async def test_the_gauge_falls_when_the_lease_is_taken(scrape):
    rig = Rig()
    async with rig.client("me") as leases:
        with pytest.raises(TermLost):
            async with leases.lead("x", observer=scrape.metrics.of("x")):
                await rig.edit(holder_identity="thief")
                await anyio.sleep_forever()
        assert scrape.gauge == 0
    assert scrape.ended("taken") == 1


async def test_the_gauge_falls_when_the_client_is_left_first(scrape, virtual_clock):
    async with lease_aio.connect("embedded", clock=virtual_clock) as leases:
        terms = leases.terms("x", observer=scrape.metrics.of("x"))
        await anext(terms)
        assert scrape.gauge == 1
    assert scrape.gauge == 0
    assert scrape.ended("client closed") == 1


async def test_a_standby_is_there_and_zero(scrape):
    """An alert on the sum over all replicas needs the zeros."""
    assert scrape.gauge is None
    scrape.metrics.of("x")
    assert scrape.gauge == 0


async def test_a_candidacy_that_never_led_is_counted_apart(scrape):
    rig = Rig()
    await rig.held_by("other")
    async with rig.client("me") as leases:
        with anyio.move_on_after(5):
            async with leases.lead("x", observer=scrape.metrics.of("x")):
                pytest.fail("led")
    assert scrape.ended("resigned", led="false") == 1
    assert scrape.ended("resigned") is None
    assert scrape.count("term") == 0


async def test_failures_are_counted_by_what_was_asked_and_what_it_means(scrape):
    rig = Rig()
    network = Network()
    async with rig.client("me", network) as leases:
        with anyio.move_on_after(60):
            async with leases.lead("x", timing=QUICK, observer=scrape.metrics.of("x")):
                await anyio.sleep(5)
                network.cut = True
                await anyio.sleep(5)
                network.cut = False
                network.lose_answers = True
                await anyio.sleep(5)
                network.lose_answers = False
                await anyio.sleep_forever()

    def failed(**labels: str) -> float:
        return scrape.registry.get_sample_value("lease_aio_request_failures_total", {"name": "x", **labels})

    assert failed(request="renew", failure="not done") >= 3
    assert failed(request="renew", failure="unknown") >= 1
    assert scrape.ended("resigned") == 1


async def test_a_term_is_as_long_as_it_was(scrape, virtual_clock):
    async with lease_aio.connect("embedded", clock=virtual_clock) as leases:
        for seconds in (100, 20):
            async with leases.lead("x", observer=scrape.metrics.of("x")):
                await anyio.sleep(seconds)
    assert scrape.count("term") == 2
    assert scrape.sum("term") == pytest.approx(120, abs=0.1)


async def test_a_hand_over_is_timed_from_the_release_to_the_next_holder_seen(scrape):
    rig = Rig()
    async with rig.client("me") as mine, rig.client("other") as others, anyio.create_task_group() as tasks:

        async def lead_next() -> None:
            await anyio.sleep(30)
            async with others.lead("x"):
                await anyio.sleep(60)

        async for term in mine.terms("x", observer=scrape.metrics.of("x")):
            async with term:
                if term.transitions:
                    break
                tasks.start_soon(lead_next)
                await anyio.sleep(29)
            await anyio.sleep(5)
    assert scrape.count("handover") == 1
    assert scrape.sum("handover") == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize(("reason", "handovers", "seconds"), [("EXPIRED", 1, 3), ("DELETED", 1, 3), ("TAKEN", 0, 0)])
async def test_a_loss_to_nobody_begins_a_hand_over(scrape, reason, handovers, seconds):
    candidate = scrape.metrics.of("x")
    candidate(Started(term=TERM))
    candidate(Stopping(term=TERM, reason=EndReason[reason]))
    await anyio.sleep(3)
    candidate(Ended(term=TERM, reason=EndReason[reason], released=False))
    candidate(Waiting(holder="other"))
    assert (scrape.count("handover"), scrape.sum("handover")) == (handovers, pytest.approx(seconds))


async def test_who_follows_the_lease_tells_the_hand_overs_of_others(scrape):
    seen = scrape.metrics.of("x")
    for holder, seconds in (("", 9), ("a", 5), ("", 2), ("", 1), ("b", 4), ("c", 4)):
        seen.saw(holder)
        await anyio.sleep(seconds)
    assert scrape.count("handover") == 1
    assert scrape.sum("handover") == pytest.approx(3)


async def test_candidates_that_share_a_name_are_one_gauge(scrape):
    one, two = scrape.metrics.of("x"), scrape.metrics.of("x")
    one(Started(term=TERM))
    two(Started(term=TERM))
    assert scrape.gauge == 1
    one(Stopping(term=TERM, reason=EndReason.TAKEN))
    assert scrape.gauge == 1
    two(Ended(term=TERM, reason=EndReason.EXPIRED, released=False))
    one(Ended(term=TERM, reason=EndReason.TAKEN, released=False))
    assert scrape.gauge == 0


async def test_it_is_scraped_in_client_gos_words(scrape):
    scrape.metrics.of("x")(Started(term=TERM))
    assert b'\nleader_election_master_status{name="x"} 1.0\n' in generate_latest(scrape.registry)


async def test_each_observer_hears_though_another_raises():
    heard: list[object] = []

    def raises(event: object) -> None:
        heard.append(event)
        raise ValueError("a bug")

    event = Waiting(holder="other")
    with contextlib.suppress(ValueError):
        tell_all(raises, heard.append, raises, heard.append)(event)
    assert heard == [event] * 4
