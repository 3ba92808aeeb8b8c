"""What the demo does when, fitted into the seconds it is given. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from lease_aio.errors import ConfigurationError
from lease_aio.timing import Timing

SHORTEST_S = 8.0
LONGEST_S = 86_400.0
NODES = 1000
SILENCED = 50
CANDIDATES = ("alpha", "bravo", "charlie")
IDENTITIES = 3
LATE_AFTER = 1.15
"""A node is late when its renewal is older than so many intervals: 4 % is jitter, the rest patience."""
SILENT_AFTER = 1.5
"""A node is silent when its renewal is older than so many intervals. (A control plane waits for 4 or 5.)"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Times are seconds from the start of the demo.

    Attributes:
        seconds: How long all of it takes, without the report.
        timing: Of the election.
        node_lease_s: Duration of a node's lease; it is renewed every quarter of that, 40 and 10 s if there is time.
        crash_at_s: The leader crashes.
        resign_at_s: The leader resigns.
        silence_at_s: Some nodes fall silent, or later: once each has renewed.
        rest_s: How long the crashed stays away after another took over, and the one that resigned stands aside.
    """

    seconds: float
    timing: Timing
    node_lease_s: int
    crash_at_s: float
    resign_at_s: float
    silence_at_s: float
    rest_s: float

    @property
    def node_interval_s(self) -> float:
        """Between two renewals of a node."""
        return self.node_lease_s / 4


def plan_for(seconds: float) -> Plan:
    """The plan for a demo of so many seconds.

    Raises:
        ConfigurationError: there are too few for a take-over after a crash, or more than a day.
    """
    if not seconds >= SHORTEST_S:
        raise ConfigurationError(
            f"--seconds {seconds:g} is too short for a crash, a resignation and what follows from them: "
            f"give {SHORTEST_S:g} or more"
        )
    if seconds > LONGEST_S:
        raise ConfigurationError(f"--seconds {seconds:g} is more than a day: give {LONGEST_S:g} or less")
    duration_s = max(2, min(5, int(seconds / 6)))
    # One interval until all have renewed, then 1.5 of them until the last of the silenced counts as silent.
    node_lease_s = max(4, min(40, int(4 * (seconds - 1.5) / (1.1 + SILENT_AFTER))))
    return Plan(
        seconds=seconds,
        timing=Timing(
            lease_duration_s=duration_s,
            renew_interval_s=duration_s / 5,
            request_timeout_s=duration_s / 5,
            stop_grace_s=duration_s / 10,
            retry_interval_s=duration_s / 20,
        ),
        node_lease_s=node_lease_s,
        crash_at_s=0.2 * seconds,
        resign_at_s=0.62 * seconds,
        silence_at_s=1.1 * node_lease_s / 4,
        rest_s=duration_s / 2,
    )
