"""What a monitor remembers of one node, and what counts as a sign of life. Pure.

Source of the rules: `tryUpdateNodeHealth` of node-lifecycle-controller. Its `readyTransitionTimestamp` is left out: it
decides nothing any more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from lease_aio.heartbeat.monitor.facts import LeaseFacts, NodeFacts
from lease_aio.heartbeat.monitor.verdicts import Availability, Reason


class Memory:
    """One node. Times are on the monitor's clock.

    Attributes:
        name: The node's.
        facts: The Node as it was last seen.
        state: The verdict.
        reason: Why.
        since: When the state began.
        judged: It was called Unknown by this monitor, not by the Node's condition.
        probe: When the last sign of life counted.
        deadline: After this it is Unknown; infinity where it is already, and before the first look.
        looked: There was a first look, so `probe` has a meaning.
        posted: The kubelet's condition was there at the last look.
        heartbeat_us: That condition's lastHeartbeatTime.
        lease: The last Lease that counted.
        observed: The Lease as last told; None if there is none.
        plain: Nothing but a later Lease can matter: looked at since the Node was told, and not Unknown.
        no_schedule: Key of the NoSchedule taint that it would have; empty for none.
        no_execute: Key of the NoExecute taint; empty for none.
        leaseless: Without the right to see Nodes: its Lease was deleted.
    """

    __slots__ = (
        "deadline",
        "facts",
        "heartbeat_us",
        "judged",
        "lease",
        "leaseless",
        "looked",
        "name",
        "no_execute",
        "no_schedule",
        "observed",
        "plain",
        "posted",
        "probe",
        "reason",
        "since",
        "state",
    )

    def __init__(self, name: str, facts: NodeFacts, now: float) -> None:
        self.name = name
        self.facts = facts
        self.state = facts.stated
        self.reason = Reason.STATED
        self.since = now
        self.judged = False
        self.probe = now
        self.deadline = math.inf
        self.looked = False
        self.posted = False
        self.heartbeat_us: int | None = None
        self.lease: LeaseFacts | None = None
        self.observed: LeaseFacts | None = None
        self.plain = False
        self.no_schedule = ""
        self.no_execute = ""
        self.leaseless = False

    @property
    def posted_anew(self) -> bool:
        """Whether the condition is another than at the last look: newly there, or with another heartbeat.

        Any difference counts, also backwards. One that disappears does not.
        """
        facts = self.facts
        return facts.posted and (not self.posted or facts.heartbeat_us != self.heartbeat_us)

    def look_as_kubernetes(self, now: float, wall_us: int) -> bool:
        """What a pass of the controller takes for a sign of life.

        Args:
            now: The time of the pass, which becomes that of the sign.
            wall_us: The wall clock: compared with creationTimestamp for a Node without a condition, and with nothing
                else.

        Returns:
            Whether there was a sign.
        """
        saved, observed, alive = self.lease, self.observed, False
        if not self.looked:
            alive, self.probe = True, self._first_probe(now, wall_us)
        elif self.posted_anew:
            # A new record is begun, and that forgets the Lease: an old one counts once more at the next pass.
            alive, self.probe, self.lease = True, now, None
        self._remember()
        if observed is not None and (saved is None or _renewed_later(observed, saved)):
            alive, self.probe, self.lease = True, now, observed
        return alive

    def look_carefully(self, now: float) -> bool:
        """What a careful monitor takes for a sign of life, at the time of an event: any change.

        Args:
            now: The time of the event, which becomes that of the sign.

        Returns:
            Whether there was a sign.
        """
        observed, alive = self.observed, not self.looked or self.posted_anew
        self._remember()
        if observed is not None and (self.lease is None or observed.version != self.lease.version):
            alive = True
        self.lease = observed
        if alive:
            self.probe = now
        return alive

    def _first_probe(self, now: float, wall_us: int) -> float:
        created_us = self.facts.created_us
        if self.facts.stated is not Availability.PENDING or created_us is None:
            return now
        return now - (wall_us - created_us) / 1e6

    def _remember(self) -> None:
        self.looked = True
        self.posted = self.facts.posted
        self.heartbeat_us = self.facts.heartbeat_us


def renew_plain(memories: Iterable[Memory], now: float, deadline: float) -> list[Memory]:
    """The common case of `look_as_kubernetes`, for many nodes at once: a later Lease of a node that is well.

    Args:
        memories: Nodes of which something was told.
        now: The time of the pass.
        deadline: That of a node which has just shown a sign of life.

    Returns:
        Those that are no such case, to be looked at one by one.
    """
    rest: list[Memory] = []
    for memory in memories:
        saved, observed = memory.lease, memory.observed
        if memory.plain and saved is not None and observed is not None:
            if _renewed_later(observed, saved):
                memory.lease, memory.probe, memory.deadline = observed, now, deadline
        else:
            rest.append(memory)
    return rest


def _renewed_later(observed: LeaseFacts, saved: LeaseFacts) -> bool:
    """Strictly later. What has no renewTime is neither later nor earlier than anything."""
    if observed.renew_us is None or saved.renew_us is None:
        return False
    return saved.renew_us < observed.renew_us
