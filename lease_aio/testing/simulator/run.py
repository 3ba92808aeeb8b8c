"""Run a seed, and make a failing one as small as it gets."""

from __future__ import annotations

from lease_aio.election.core import Election
from lease_aio.testing.simulator.plan import EVERYTHING, Plan
from lease_aio.testing.simulator.shrinking import shrink
from lease_aio.testing.simulator.timeline import Timeline
from lease_aio.testing.simulator.world import Outcome, World

__all__ = ["shrink", "simulate", "trace"]


def simulate(seed: int, *, election: type[Election] = Election, plan: Plan = EVERYTHING) -> Outcome:
    """Run one seed to its end.

    Args:
        seed: Decides everything.
        election: The core, or a variant of it.
        plan: Who contends, and which faults may strike.

    Raises:
        Violation: a promise was broken.
    """
    return World(seed, election, plan).run()


def trace(seed: int, *, election: type[Election] = Election, plan: Plan = EVERYTHING) -> Timeline:
    """Run one seed and tell what happened.

    Raises:
        Violation: a promise was broken; it has the timeline, too.
    """
    world = World(seed, election, plan)
    world.run()
    return world.timeline
