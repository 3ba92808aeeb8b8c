"""The real rules under every fault. More seeds run in the simulator's own command, see `nox -s sim`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lease_aio.election.core import Election
from lease_aio.election.engine import Stamps
from lease_aio.errors import ConfigurationError
from lease_aio.testing.simulator import (
    FAULTS,
    Backing,
    Fleet,
    Plan,
    Release,
    Violation,
    candidate,
    simulate,
    trace,
)
from lease_aio.testing.simulator.campaign import Tally, run_campaign, run_chunk
from lease_aio.testing.simulator.invariants import BURST, CLIENT_GOS_OWN
from lease_aio.testing.simulator.mutants import LeadsWithoutItsWork

SEEDS = 1200


@pytest.fixture(scope="module")
def tally() -> Tally:
    return run_chunk(range(SEEDS), Plan())


@pytest.mark.slow
def test_whatever_goes_wrong_every_promise_is_kept(tally):
    assert tally.failing == []
    assert tally.seeds == SEEDS
    assert tally.terms > 3 * SEEDS
    assert tally.most_requests <= BURST


def test_every_fault_strikes(tally):
    assert tally.silent_faults == []
    assert not tally.faults.keys() - FAULTS.keys()


def test_stale_writes_are_offered_and_none_is_let_in(tally):
    assert tally.stale_offered > 50
    assert tally.stale_accepted == 0


def test_what_no_lease_can_prevent_happens_and_is_told_apart(tally):
    assert {"stood still", "deleted", "undermined", CLIENT_GOS_OWN} <= tally.overlaps.keys()


def test_without_hands_stand_stills_and_strangers_no_works_overlap_at_all():
    tally = run_chunk(
        range(150),
        Plan(
            fleet=Fleet.OURS,
            without=frozenset(
                {"holder blanked", "holder null", "duration edited", "deleted", "frozen", "suspended", "loop blocked"}
            ),
        ),
    )
    assert not tally.violations
    assert not +tally.overlaps
    assert tally.stale_offered > 0, "what is written late is stale without any overlap, too"


def test_rules_of_client_go_do_overlap_under_the_same_faults():
    plan = Plan(fleet=Fleet.CLIENT_GO, release=Release.AS_OF_2026)
    assert run_chunk(range(150), plan).overlapping > 15


class StandingStill(Stamps):
    """What is written rises by a microsecond only, until a wall clock that was set back has caught up."""

    def next_us(self):
        self._last_us = max(self._clock.wall_us(), self._last_us + 1)
        return self._last_us


@pytest.mark.parametrize("kind", [Stamps, StandingStill])
def test_client_go_waits_for_a_leader_of_ours_whatever_its_wall_clock_does(kind, monkeypatch):
    monkeypatch.setattr(candidate, "Stamps", kind)
    tally = run_chunk(range(400), Plan(storm_s=60, without=FAULTS.keys() - {"client-go competes", "wall clock jumped"}))
    assert tally.faults["client-go competes"] > 50
    assert tally.faults["wall clock jumped"] > 500
    if kind is Stamps:
        assert not +tally.overlaps
    else:
        assert tally.overlaps["undermined"] > 5, "it compares whole seconds: the simulation shows what comes of it"


def test_a_seed_takes_the_same_course_each_time_and_on_either_store():
    for seed in range(60):
        swap, store = (Plan(backing=backing) for backing in (Backing.SWAP, Backing.STORE))
        assert trace(seed, plan=swap).digest == trace(seed, plan=swap).digest == trace(seed, plan=store).digest


def test_a_seed_takes_the_same_course_in_another_process():
    """Whatever the hashes of strings are there."""
    code = "from lease_aio.testing.simulator import trace; print(trace(7).digest)"
    for hash_seed in "12":
        told = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": hash_seed}
        )
        assert told.stdout.strip() == trace(7).digest


def test_several_processes_add_up_to_the_same():
    told: list[int] = []
    one = run_campaign(range(250), processes=1)
    two = run_campaign(range(250), processes=2, progress=lambda tally: told.append(tally.seeds))
    assert (one.faults, one.terms, one.overlaps) == (two.faults, two.terms, two.overlaps)
    assert told[-1] == 250


def test_a_violation_names_its_seed_and_tells_what_led_to_it():
    class LeadsForEver(Election):
        def expire(self, now):
            del now
            return ()

    with pytest.raises(Violation, match=r"(?s)^seed \d+: I6: leads after its term\n.*sends renew.*VIOLATION") as caught:
        for seed in range(100):
            simulate(seed, election=LeadsForEver)
    assert len(str(caught.value).splitlines()) > 20


def test_a_campaign_counts_violations_and_goes_on():
    tally = run_chunk(range(30), Plan(), LeadsWithoutItsWork)
    assert 0 < tally.violations < tally.seeds == 30
    assert len(tally.failing) == min(10, tally.violations)
    assert all(what.startswith(("I5", "I7")) for _, what in tally.failing)


def test_a_calm_from_the_start_has_no_faults():
    outcome = simulate(3, plan=Plan(storm_s=0))
    assert outcome.faults.keys() <= {"409"}
    assert outcome.terms == 1


@pytest.mark.parametrize("bad", [{"candidates": 0}, {"candidates": 7}, {"storm_s": -1.0}, {"storm_s": float("nan")}])
def test_a_plan_that_makes_no_sense_is_refused(bad):
    with pytest.raises(ConfigurationError, match=next(iter(bad))):
        Plan(**bad)


@pytest.mark.parametrize("bad", [{"seeds": range(0)}, {"seeds": range(5), "processes": 0}])
def test_a_campaign_without_seeds_or_processes_is_refused(bad):
    with pytest.raises(ConfigurationError, match="at least 1"):
        run_campaign(**bad)
