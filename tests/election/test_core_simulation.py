"""The core under every fault at once, by seed. `LEASE_AIO_SEEDS=20000` runs more of them."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from lease_aio.election.core import Election
from tests.election.simulation import BURST, FAULTS, Simulation, Violation, simulate

SEEDS = int(os.environ.get("LEASE_AIO_SEEDS", "600"))


@pytest.mark.timeout(60 + SEEDS)
def test_whatever_goes_wrong_terms_never_overlap_tokens_rise_and_somebody_leads_in_the_end():
    outcomes = [simulate(seed) for seed in range(SEEDS)]
    faults = sum((outcome.faults for outcome in outcomes), Counter[str]())
    assert faults.keys() == FAULTS, "a fault that never struck proves nothing"
    assert sum(outcome.terms for outcome in outcomes) > 3 * SEEDS
    assert max(outcome.burst for outcome in outcomes) <= BURST


def test_a_seed_replays_to_the_last_event():
    def timeline(seed: int) -> str:
        simulation = Simulation(seed, Election, consequences_only=False)
        simulation.run()
        return simulation.told()

    for seed in range(10):
        assert timeline(seed) == timeline(seed)


def test_a_violation_names_its_seed_and_tells_what_led_to_it():
    class LeadsForEver(Election):
        def expire(self, now):
            del now
            return ()

    with pytest.raises(Violation, match=r"(?s)^seed \d+: leads after its term\n.*sends renew.*VIOLATION") as caught:
        for seed in range(100):
            simulate(seed, election=LeadsForEver)
    assert len(str(caught.value).splitlines()) > 20
