"""The detector is tested, too: each broken variant of the rules must be killed within 2,000 seeds."""

from __future__ import annotations

import pytest

from lease_aio.testing.simulator import Plan, Violation, shrink, simulate
from lease_aio.testing.simulator.mutants import (
    EQUIVALENT,
    MUTANTS,
    FightsOnAfterARefusal,
    ReleasesWhateverItReads,
    ValidFromTheAnswer,
    WorksOnUnderAnotherHolder,
    WritesWhatTheWallClockSays,
    first_kill,
    kill_table,
)

SEEDS = range(2000)
NO_CONSEQUENCE = {
    # Nobody takes over a valid term unless a hand undermines it, and then overlap is nobody's fault.
    WorksOnUnderAnotherHolder,
    # Equal times only matter between two processes of one identity whose wall clocks agree to the microsecond.
    WritesWhatTheWallClockSays,
    # It costs requests, but fewer than are many.
    FightsOnAfterARefusal,
}


def test_there_are_a_dozen_and_client_gos_release_is_among_them():
    assert len(MUTANTS) >= 12
    assert ReleasesWhateverItReads in MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_it_is_killed(mutant):
    assert first_kill(mutant, SEEDS) is not None


@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m not in NO_CONSEQUENCE], ids=lambda mutant: mutant.__name__)
def test_it_is_killed_by_what_comes_of_it_alone(mutant):
    assert first_kill(mutant, SEEDS, consequences_only=True) is not None


@pytest.mark.parametrize("mutant", EQUIVALENT, ids=lambda mutant: mutant.__name__)
def test_the_one_that_survives_is_as_safe_as_the_rules(mutant):
    assert first_kill(mutant, range(200)) is None


def test_the_table_tells_of_each():
    lines = kill_table(limit=3, sample=3).splitlines()
    assert len(lines) == 2 + len(MUTANTS) + len(EQUIVALENT)
    assert f"| {ValidFromTheAnswer.__name__} | client-go: the time of a term counts from the answer. | 0 | I6 |" in (
        "\n".join(lines)
    )


def failing_seeds(count):
    """So many seeds that fail, of as many mutants as there are."""
    found = []
    for seed in range(100):
        for mutant in MUTANTS:
            try:
                simulate(seed, election=mutant)
            except Violation as violation:
                found.append((mutant, violation))
                break
        if len(found) == count:
            return found
    raise AssertionError(len(found))


@pytest.mark.slow
def test_twenty_failing_seeds_replay_twenty_times_to_the_last_byte():
    for mutant, first in failing_seeds(20):
        for _ in range(20):
            with pytest.raises(Violation) as again:
                simulate(first.seed, election=mutant)
            assert again.value.digest == first.digest
            assert again.value.timeline == first.timeline


@pytest.mark.parametrize("mutant", [ReleasesWhateverItReads, ValidFromTheAnswer, FightsOnAfterARefusal])
def test_a_failing_seed_shrinks_to_what_it_takes(mutant):
    kill = first_kill(mutant, SEEDS)
    with pytest.raises(Violation) as caught:
        simulate(kill.seed, election=mutant)
    whole = caught.value
    small = shrink(whole, election=mutant, attempts=400)
    assert small.invariant == whole.invariant
    assert small.faults.total() < whole.faults.total() / 2
    assert len(small.timeline) < len(whole.timeline)
    with pytest.raises(Violation) as again:
        simulate(small.seed, election=mutant, plan=small.plan)
    assert again.value.digest == small.digest


def test_shrinking_ends_after_so_many_attempts():
    mutant = ValidFromTheAnswer
    with pytest.raises(Violation) as caught:
        simulate(0, election=mutant, plan=Plan())
    assert shrink(caught.value, election=mutant, attempts=0) is caught.value
