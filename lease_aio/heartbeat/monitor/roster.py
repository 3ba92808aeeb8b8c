"""All nodes that a monitor knows of: who comes, changes and goes, and what follows for zones and taints. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable

from lease_aio.heartbeat.monitor.facts import LeaseFacts, NodeFacts
from lease_aio.heartbeat.monitor.memory import Memory
from lease_aio.heartbeat.monitor.settings import MonitorSettings
from lease_aio.heartbeat.monitor.taints import Taints
from lease_aio.heartbeat.monitor.verdicts import Availability, Finding, NodeVerdict, Reason, Verdict
from lease_aio.heartbeat.monitor.zones import Zones

_FINDINGS = {
    Availability.PENDING: Finding.PENDING,
    Availability.READY: Finding.READY,
    Availability.NOT_READY: Finding.NOT_READY,
    Availability.UNKNOWN: Finding.UNKNOWN,
}


class Roster:
    """Keeps the nodes, their zones and their taints in step, and tells each change of one's state.

    Args:
        settings: What to judge by.
        tell: Takes each verdict.

    Attributes:
        nodes: By name.
        strays: Leases of which no Node is known, by name.
        zones: Of those nodes.
        taints: Of those nodes.
    """

    def __init__(self, settings: MonitorSettings, tell: Callable[[Verdict], None]) -> None:
        self._settings, self._tell = settings, tell
        self.nodes: dict[str, Memory] = {}
        self.strays: dict[str, LeaseFacts] = {}
        self.zones = Zones(settings)
        self.taints = Taints(settings, self.zones, self.nodes, tell)

    def meet(self, name: str, facts: NodeFacts, now: float) -> Memory:
        """A node is new."""
        memory = self.nodes[name] = Memory(name, facts, now)
        memory.observed = self.strays.pop(name, None)
        if memory.state is Availability.UNKNOWN:
            memory.reason = Reason.WRITTEN
        self.zones.add(facts.zone, now, counts=facts.counts, ready=memory.state is Availability.READY)
        self._tell(_verdict(memory, Finding.NEW, None, now))
        self.taints.meet(memory, now)
        return memory

    def forget(self, memory: Memory, now: float) -> None:
        """A node is gone; its Lease may still be there."""
        del self.nodes[memory.name]
        if memory.observed is not None:
            self.strays[memory.name] = memory.observed
        self.taints.forget(memory)
        facts, memory.reason = memory.facts, Reason.GONE
        self.zones.remove(facts.zone, counts=facts.counts, ready=memory.state is Availability.READY)
        self._tell(_verdict(memory, Finding.DELETED, memory.state, now))

    def update(self, memory: Memory, facts: NodeFacts, now: float) -> None:
        """A Node looks like this now."""
        old = memory.facts
        if (old.zone, old.counts) != (facts.zone, facts.counts):
            ready = memory.state is Availability.READY
            if old.zone != facts.zone:
                self.taints.move(memory)
            self.zones.add(facts.zone, now, counts=facts.counts, ready=ready)
            self.zones.remove(old.zone, counts=old.counts, ready=ready)
        memory.facts, memory.plain = facts, False
        if memory.judged and facts.posted and facts.heartbeat_us != old.heartbeat_us:
            memory.judged = False  # had this verdict been written on the Node, its kubelet would have replaced it now
        self.restate(memory, Reason.STATED, now)

    def restate(self, memory: Memory, reason: Reason, now: float) -> None:
        """Let a node be what its condition says, unless this monitor has come to a verdict of its own."""
        if memory.judged:
            return
        stated = memory.facts.stated
        if stated is not Availability.UNKNOWN:
            self._become(memory, stated, reason, now)
        elif self._settings.heed_written:
            self._become(memory, stated, Reason.WRITTEN, now)

    def condemn(self, memory: Memory, now: float) -> None:
        """Call it Unknown: its grace has passed."""
        memory.judged = True
        memory.lease = memory.observed
        reason = Reason.SILENT if memory.posted else Reason.NEVER_POSTED
        self._become(memory, Availability.UNKNOWN, reason, now)

    def believe(self, memory: Memory, probe: float) -> None:
        """Let its last sign of life have been at that time."""
        memory.probe = probe
        self.set_deadline(memory)

    def set_deadline(self, memory: Memory) -> None:
        """When its grace passes, by what it is and when it was last heard."""
        if memory.state is Availability.UNKNOWN or not memory.looked:
            memory.deadline = math.inf
        elif memory.state is Availability.PENDING:
            memory.deadline = memory.probe + self._settings.startup_grace_s
        else:
            memory.deadline = memory.probe + self._settings.grace_s

    def _become(self, memory: Memory, state: Availability, reason: Reason, now: float) -> None:
        was = memory.state
        if state is was:
            return
        if Availability.READY in {was, state}:
            facts = memory.facts
            self.zones.turn(facts.zone, counts=facts.counts, ready=state is Availability.READY)
        memory.state, memory.reason, memory.since, memory.plain = state, reason, now, False
        self.set_deadline(memory)
        recovered = was is Availability.UNKNOWN and state is Availability.READY
        self._tell(_verdict(memory, Finding.RECOVERED if recovered else _FINDINGS[state], was, now))
        self.taints.follow(memory, now)


def _verdict(memory: Memory, finding: Finding, was: Availability | None, now: float) -> NodeVerdict:
    return NodeVerdict(
        at=now,
        node=memory.name,
        finding=finding,
        state=memory.state,
        was=was,
        reason=memory.reason,
        zone=memory.facts.zone,
        silent_s=now - memory.probe if memory.looked else None,
    )
