"""The states of a coordinated candidate are those in the table: it takes no way that a plain one does not know."""

from typing import ClassVar

from lease_aio.testing.simulator import Fleet, Plan, simulate
from tests.test_docs import written
from tests.walk import Transition, Watched, walk


class Coordinated(Watched):
    """Waits for a coordinator."""

    seen: ClassVar[set[Transition]] = set()

    def __init__(self, **options):
        super().__init__(**{"fallback_after_s": 20.0, **options})


def test_a_coordinated_candidate_knows_no_transition_that_is_not_in_the_table():
    found, explored, _ = walk(4000, Coordinated)
    assert explored == 4000
    assert len(found) > 40
    assert found - written() == set()


def test_no_simulated_coordinator_leads_to_a_transition_that_is_not_in_the_table():
    class Simulated(Watched):
        pass

    for seed in range(60):
        simulate(seed, election=Simulated, plan=Plan(fleet=Fleet.COORDINATED))
    assert len(Simulated.seen) > 30
    assert Simulated.seen - written() == set()
