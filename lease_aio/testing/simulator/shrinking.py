"""From a failing seed to the smallest plan under which it still breaks the same promise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lease_aio.election.core import Election
from lease_aio.testing.simulator.invariants import Violation
from lease_aio.testing.simulator.plan import Plan
from lease_aio.testing.simulator.world import World


def shrink(violation: Violation, *, election: type[Election] = Election, attempts: int = 2000) -> Violation:
    """Take away fault classes, candidates, time and single faults, as long as the same promise is broken.

    Deterministic, and bounded: it ends when nothing more can go, or after so many runs.

    Args:
        violation: Of the seed.
        election: What broke it.
        attempts: Most runs.

    Returns:
        The violation under the smallest plan found; `plan` and `seed` bring it back.
    """
    shrinker = _Shrinker(violation, election, attempts)
    shrinker.classes()
    shrinker.candidates()
    shrinker.storm()
    shrinker.single_faults()
    return shrinker.best


class _Shrinker:
    def __init__(self, violation: Violation, election: type[Election], attempts: int) -> None:
        self.best = violation
        self._election, self._left = election, attempts

    def _try(self, plan: Plan) -> bool:
        if self._left <= 0:
            return False
        self._left -= 1
        try:
            World(self.best.seed, self._election, plan).run()
        except Violation as violation:
            if violation.invariant == self.best.invariant:
                self.best = violation
                return True
        return False

    def classes(self) -> None:
        """Fault classes, the rarest first."""
        for fault in sorted(self.best.faults, key=lambda name: (self.best.faults[name], name)):
            plan = self.best.plan
            self._try(replace(plan, without=plan.without | {fault}))

    def candidates(self) -> None:
        """As few as two, or one."""
        for count in (1, 2, 3):
            if count < self.best.plan.candidates and self._try(replace(self.best.plan, candidates=count)):
                return

    def storm(self) -> None:
        """Less time."""
        for share in (0.25, 0.5, 0.75, 0.9):
            if self._try(replace(self.best.plan, storm_s=round(self.best.ended_s * share, 3))):
                return

    def single_faults(self) -> None:
        """Ever smaller runs of single faults."""
        size = max(1, self.best.thrown // 2)
        while size and self._left > 0:
            for run in self._runs(size):
                plan = self.best.plan
                if not run <= plan.skipped:
                    self._try(replace(plan, skipped=plan.skipped | run))
            size //= 2

    def _runs(self, size: int) -> Iterator[frozenset[int]]:
        for begin in range(0, self.best.thrown, size):
            yield frozenset(range(begin, begin + size))
