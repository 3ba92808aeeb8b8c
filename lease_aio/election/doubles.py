"""Whether another process uses one's identity. Pure: it reports, and no rule of the election depends on it."""

from __future__ import annotations

from lease_aio.model import Lease, MicroTime

SIGHTINGS = 3
"""Renewals by another that make a double.

The first may be what an earlier process of this identity left behind, the second its last write, which was still on
its way when it ended. Whoever writes a third is alive.
"""


class Doubles:
    """Counts the renewals of records that name us and that we did not write.

    A double that only waits cannot be told from nobody: it is found when one of the two has won.
    """

    __slots__ = ("_renewed", "_sightings", "_told")

    def __init__(self) -> None:
        self._renewed: MicroTime | None = None
        self._sightings = 0
        self._told = False

    def look(self, strange: Lease | None) -> bool:
        """Whether there is a double, for all that is known now; true once only.

        Args:
            strange: The newest record, if it names us and we did not write it.
        """
        if strange is None:
            self.forget()
            return False
        if strange.spec.renew_time != self._renewed:
            self._renewed = strange.spec.renew_time
            self._sightings += 1
        if self._told or self._sightings < SIGHTINGS:
            return False
        self._told = True
        return True

    def forget(self) -> None:
        """Begin to count anew."""
        self._renewed, self._sightings = None, 0
