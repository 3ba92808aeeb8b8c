"""A deterministic simulation of elections: the real rules, every fault, by seed.

`simulate(seed)` runs several candidates, each the real `lease_aio.election.core.Election` with a clock, durations and
a way to the server of its own, on one Lease, under all of `FAULTS`; then all that is broken is mended, and somebody
must come to lead. It checks the promises I1 to I10 (`lease_aio.testing.simulator.invariants`) at every step. The same
seed takes the same course to the last byte, on any machine.

    from lease_aio.testing.simulator import Violation, shrink, simulate

    try:
        simulate(1234, election=MyVariant)
    except Violation as violation:
        print(shrink(violation).timeline)

`python -m lease_aio.testing.simulator --seeds 20000` runs many of them.
"""

from lease_aio.testing.simulator.faults import FAULTS
from lease_aio.testing.simulator.invariants import Violation
from lease_aio.testing.simulator.plan import Backing, Fleet, Plan, Release
from lease_aio.testing.simulator.run import shrink, simulate, trace
from lease_aio.testing.simulator.world import Outcome

__all__ = ["FAULTS", "Backing", "Fleet", "Outcome", "Plan", "Release", "Violation", "shrink", "simulate", "trace"]
