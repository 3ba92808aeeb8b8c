"""Every order of events of two candidates, to a depth; `--exhaustive` of the simulator's command goes deeper."""

from __future__ import annotations

import pytest

from lease_aio.testing.simulator.exhaustive import ScopeViolation, explore
from lease_aio.testing.simulator.mutants import (
    CountsFromTheFirstSightOfTheHolder,
    NeverExpires,
    NoStopGrace,
    ReleasesBeforeTheWorkHasStopped,
    UnansweredCountsAsDone,
    ValidFromTheAnswer,
    WritesWithoutComparing,
)


@pytest.mark.slow
@pytest.mark.parametrize(("held", "depth", "states"), [(False, 7, 10_000), (True, 9, 10_000)])
def test_no_order_of_events_breaks_a_promise(held, depth, states):
    seen = explore(depth, held=held)
    assert seen.states > states
    assert seen.terms >= 3, "terms followed each other"


@pytest.mark.parametrize(
    "mutant",
    [
        ValidFromTheAnswer,
        UnansweredCountsAsDone,
        NoStopGrace,
        NeverExpires,
        ReleasesBeforeTheWorkHasStopped,
        WritesWithoutComparing,
        CountsFromTheFirstSightOfTheHolder,
    ],
    ids=lambda mutant: mutant.__name__,
)
def test_it_finds_the_shortest_way_to_break_what_is_broken(mutant):
    with pytest.raises(ScopeViolation, match=r"two works at once|leads without right|released while work runs"):
        explore(8, election=mutant, held=True, crashes=0)


def test_the_same_search_visits_the_same_states():
    assert explore(5) == explore(5)
