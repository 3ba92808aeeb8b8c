"""The monitor's rules, whole: told what is seen and what time it is, it says what follows. Pure.

Source of the rules: node-lifecycle-controller of kubernetes/kubernetes, read at 1.37. What it takes from a Node and a
Lease is in `memory`, what it makes of zones in `zones`, what it taints in `taints`; here they are put together.

A pass is `examine`, then `confirm` for each of the expired with what the server has of its Lease, then `conclude`.
`assess` is a pass with nobody to ask.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from lease_aio.heartbeat.monitor.facts import BY_LEASE_ALONE, LeaseFacts, NodeFacts, facts_of_lease, facts_of_node
from lease_aio.heartbeat.monitor.memory import Memory, renew_plain
from lease_aio.heartbeat.monitor.outlook import Cause, Outlook
from lease_aio.heartbeat.monitor.settings import Mode, MonitorSettings
from lease_aio.heartbeat.monitor.taints import Taints
from lease_aio.heartbeat.monitor.verdicts import (
    Availability,
    Finding,
    NodeVerdict,
    Reason,
    Sight,
    SightVerdict,
    Verdict,
)
from lease_aio.heartbeat.monitor.zones import Zones, ZoneView
from lease_aio.model import Lease, Node

_FINDINGS = {
    Availability.PENDING: Finding.PENDING,
    Availability.READY: Finding.READY,
    Availability.NOT_READY: Finding.NOT_READY,
    Availability.UNKNOWN: Finding.UNKNOWN,
}
_KUBELETS_WORD = (Availability.READY, Availability.NOT_READY)
_QUIET_INTERVALS = 1.5  # no renewal of anybody for so many renew intervals is worth a question
_ASKED_WHEN_QUIET = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """What the first half of a pass found.

    Attributes:
        expired: Nodes whose grace has passed, in the order in which they came.
        held: Nothing is judged in this pass: blind, or not everything has been told yet.
    """

    expired: tuple[str, ...] = ()
    held: bool = False


class Judge:
    """Decides the availability of nodes. All times are seconds on one monotonic clock, and never go back.

    Each input returns the verdicts that follow at once. The memory grows with the Nodes and Leases that exist, and with
    nothing else: a node that is deleted is forgotten, where the controller keeps what it knew of that name.

    Args:
        settings: What to judge by; those of kube-controller-manager unless given.
        now: The time.
        sight: What can be seen at the start. OPENING holds all passes until `opened`.
    """

    def __init__(self, settings: MonitorSettings | None = None, *, now: float, sight: Sight = Sight.FULL) -> None:
        self.settings = settings or MonitorSettings()
        self._careful = self.settings.mode is Mode.CAREFUL
        self._nodes: dict[str, Memory] = {}
        self._strays: dict[str, LeaseFacts] = {}  # Leases of which no Node is known
        self._leases_version = 0  # of the newest Lease told
        self._wanted_version = 0  # of the newest Lease that the server is known to have
        self._heard_at = now  # when a Lease was last told, or found to be as it was told
        self._touched: dict[str, Memory] = {}  # to be looked at in the next pass
        self._out: list[Verdict] = []
        self._zones = Zones(self.settings)
        self._taints = Taints(self.settings, self._zones, self._nodes, self._out.append)
        self._outlook = Outlook(sight, now)

    # ------------------------------------------------------------------ what is known

    @property
    def nodes(self) -> Mapping[str, Memory]:
        """What is remembered of each node. To read, not to change."""
        return self._nodes

    @property
    def lease_names(self) -> list[str]:
        """Of all Leases as last told."""
        return [*self._strays, *(memory.name for memory in self._nodes.values() if memory.observed is not None)]

    @property
    def zones(self) -> tuple[ZoneView, ...]:
        """All zones, with their states as of the last pass."""
        return self._zones.views()

    @property
    def outlook(self) -> Outlook:
        """What can be seen. To read, not to change."""
        return self._outlook

    @property
    def stopped(self) -> bool:
        """Evictions have stopped in all zones."""
        return self._zones.stopped

    @property
    def next_eviction(self) -> float:
        """When the next NoExecute taint would be set; infinity where none waits."""
        return self._taints.next_at

    # ------------------------------------------------------------------ what is told

    def node_set(self, node: Node, *, now: float, wall_us: int) -> list[Verdict]:
        """A Node exists and looks like this."""
        facts, memory = facts_of_node(node), self._nodes.get(node.name)
        if memory is not None and memory.facts.uid != facts.uid:
            self._forget(memory, now)
            memory = None
        if memory is None:
            memory = self._meet(node.name, facts, now)
        else:
            self._update(memory, facts, now)
        self._touch(memory, now, wall_us)
        return self._told()

    def node_gone(self, name: str, *, now: float) -> list[Verdict]:
        """A Node does not exist any more."""
        if memory := self._nodes.get(name):
            self._forget(memory, now)
        return self._told()

    def lease_set(self, lease: Lease, *, now: float, wall_us: int) -> list[Verdict]:
        """A Lease exists and looks like this."""
        name, facts = lease.name, facts_of_lease(lease)
        self._leases_version = max(self._leases_version, facts.version)
        self._heard_at = now
        self._regain(Cause.UNREACHABLE, now)
        memory = self._nodes.get(name)
        if memory is None:
            self._strays[name] = facts
            memory = self._meet(name, BY_LEASE_ALONE, now) if self._outlook.leases_only else None
        if memory is not None:
            memory.observed, memory.leaseless = facts, False
            self._touch(memory, now, wall_us)
        return self._told()

    def lease_gone(self, name: str, *, now: float, wall_us: int) -> list[Verdict]:
        """A Lease does not exist any more. That is no verdict on its node: the time goes on."""
        self._heard_at = now
        self._strays.pop(name, None)
        if memory := self._nodes.get(name):
            memory.observed, memory.leaseless = None, self._outlook.leases_only
            self._touch(memory, now, wall_us)
        return self._told()

    # ------------------------------------------------------------------ what can be seen

    def opened(self, *, now: float) -> list[Verdict]:
        """Everything that exists has been told."""
        return self._told(self._outlook.open(now))

    def leases_only(self, why: str, *, now: float, wall_us: int) -> list[Verdict]:
        """Nodes may not be seen: from now on each Lease stands for one that says it is Ready."""
        self._say(self._outlook.narrow(why, now))
        for name in tuple(self._strays):
            self._touch(self._meet(name, BY_LEASE_ALONE, now), now, wall_us)
        return self._told()

    def blind(self, cause: Cause, why: str, *, now: float) -> list[Verdict]:
        """What is known may be old: nothing is judged until `seeing`."""
        return self._told(self._outlook.lose(cause, why, now))

    def seeing(self, cause: Cause, *, now: float) -> list[Verdict]:
        """That cause is over. A pass at this moment is held too: what was missed is still being told."""
        self._regain(cause, now)
        return self._told()

    def doubtful(self, now: float) -> tuple[str, ...]:
        """Leases to ask the server for, because it did not answer, or nobody's renewal was told for long.

        A few suffice for a quiet watch: of the nodes that live, each has renewed since.
        """
        unanswered = self._outlook.stands(Cause.UNREACHABLE)
        quiet = now - self._heard_at > _QUIET_INTERVALS * self.settings.renew_interval_s
        if not (unanswered or quiet):
            return ()
        alive = (one for one in self._nodes.values() if one.deadline < math.inf and one.observed is not None)
        likeliest = heapq.nlargest(_ASKED_WHEN_QUIET, alive, key=lambda memory: memory.probe)
        anybody = islice(self._nodes, 1) if unanswered else ()
        return tuple(memory.name for memory in likeliest) or tuple(anybody)

    def compare(self, name: str, live: Lease | None, *, now: float) -> list[Verdict]:
        """What the server has in answer to a doubt: a newer Lease than was told makes blind until it is told."""
        if live is not None and not self._is_told(name, live, now):
            return self._told()
        self._heard_at = now
        return self._told()

    # ------------------------------------------------------------------ a pass

    def assess(self, *, now: float, wall_us: int) -> list[Verdict]:
        """A whole pass, with nobody to ask."""
        return self.conclude(self.examine(now=now, wall_us=wall_us), now=now)

    def examine(self, *, now: float, wall_us: int) -> Examination:
        """The first half of a pass: look at what was told since the last one, and find those whose grace has passed.

        Args:
            now: The time, which in mode `kubernetes` becomes that of all signs of life found.
            wall_us: The wall clock, epoch microseconds; see `Memory.look_as_kubernetes`.
        """
        self._taints.evict(now)
        if self._wanted_version <= self._leases_version:
            self._regain(Cause.STALE, now)
        if self._is_held(now):
            return Examination(held=True)
        touched, self._touched = self._touched, {}
        for memory in renew_plain(touched.values(), now, now + self.settings.grace_s):
            self._look(memory, now, wall_us)
        return Examination(expired=tuple([name for name, memory in self._nodes.items() if memory.deadline < now]))

    def confirm(self, name: str, live: Lease | None, *, now: float) -> bool:
        """Whether an expired node may be called Unknown, by what the server has of its Lease.

        A newer Lease than was told makes the monitor blind until it is told: then nobody is called Unknown.

        Args:
            name: The node's.
            live: The Lease; None if there is none.
            now: The time.
        """
        memory = self._nodes.get(name)
        if memory is None or live is None:
            return memory is not None
        known = 0 if memory.lease is None else memory.lease.version
        return self._is_told(name, live, now) and facts_of_lease(live).version == known

    def conclude(self, examination: Examination, *, now: float, spared: Collection[str] = ()) -> list[Verdict]:
        """The second half of a pass: who is Unknown, how the zones are, who is tainted.

        Args:
            examination: The first half.
            now: The time.
            spared: Those of the expired that must not be called Unknown in this pass.
        """
        if not examination.held:
            fresh = self._condemn(examination.expired, spared, now)
            self._taints.queue(fresh, now)
            settled = self._zones.settle(now)
            self._out.extend(settled.verdicts)
            if settled.began:
                self._taints.stop(now)
            if settled.ended:
                self._new_grace(now)
            self._taints.release(now)
        return self.evict(now=now)

    def evict(self, *, now: float) -> list[Verdict]:
        """The NoExecute taints whose time has come; also for between two passes."""
        self._taints.evict(now)
        return self._told()

    # ------------------------------------------------------------------ nodes that come, change and go

    def _meet(self, name: str, facts: NodeFacts, now: float) -> Memory:
        memory = self._nodes[name] = Memory(name, facts, now)
        memory.observed = self._strays.pop(name, None)
        if memory.state is Availability.UNKNOWN:
            memory.reason = Reason.WRITTEN
        self._zones.add(facts.zone, now, counts=facts.counts, ready=memory.state is Availability.READY)
        self._out.append(_verdict(memory, Finding.NEW, None, now))
        self._taints.meet(memory, now)
        return memory

    def _forget(self, memory: Memory, now: float) -> None:
        del self._nodes[memory.name]
        self._touched.pop(memory.name, None)
        if memory.observed is not None:
            self._strays[memory.name] = memory.observed
        self._taints.forget(memory)
        facts, memory.reason = memory.facts, Reason.GONE
        self._zones.remove(facts.zone, counts=facts.counts, ready=memory.state is Availability.READY)
        self._out.append(_verdict(memory, Finding.DELETED, memory.state, now))

    def _update(self, memory: Memory, facts: NodeFacts, now: float) -> None:
        old = memory.facts
        if (old.zone, old.counts) != (facts.zone, facts.counts):
            ready = memory.state is Availability.READY
            if old.zone != facts.zone:
                self._taints.move(memory)
            self._zones.add(facts.zone, now, counts=facts.counts, ready=ready)
            self._zones.remove(old.zone, counts=old.counts, ready=ready)
        memory.facts, memory.plain = facts, False
        if memory.judged and facts.posted and facts.heartbeat_us != old.heartbeat_us:
            memory.judged = False  # had this verdict been written on the Node, its kubelet would have replaced it now
        self._restate(memory, Reason.STATED, now)

    def _restate(self, memory: Memory, reason: Reason, now: float) -> None:
        """Let a node be what its condition says, unless this monitor has come to a verdict of its own."""
        if memory.judged:
            return
        stated = memory.facts.stated
        if stated is not Availability.UNKNOWN:
            self._become(memory, stated, reason, now)
        elif self.settings.heed_written:
            self._become(memory, stated, Reason.WRITTEN, now)

    def _become(self, memory: Memory, state: Availability, reason: Reason, now: float) -> None:
        was = memory.state
        if state is was:
            return
        if Availability.READY in {was, state}:
            facts = memory.facts
            self._zones.turn(facts.zone, counts=facts.counts, ready=state is Availability.READY)
        memory.state, memory.reason, memory.since, memory.plain = state, reason, now, False
        self._set_deadline(memory)
        recovered = was is Availability.UNKNOWN and state is Availability.READY
        self._out.append(_verdict(memory, Finding.RECOVERED if recovered else _FINDINGS[state], was, now))
        self._taints.follow(memory, now)

    # ------------------------------------------------------------------ signs of life

    def _touch(self, memory: Memory, now: float, wall_us: int) -> None:
        """Something was told of a node: look at it in the next pass; a careful monitor, at once."""
        if self._careful:
            self._look(memory, now, wall_us)
        else:
            self._touched[memory.name] = memory

    def _look(self, memory: Memory, now: float, wall_us: int) -> None:
        if self._careful:
            alive = memory.look_carefully(now)
        else:
            alive = memory.look_as_kubernetes(now, wall_us)
            if memory.lease is None and memory.observed is not None:
                self._touched[memory.name] = memory  # it counts once more in the next pass
        if alive and memory.judged and memory.facts.stated in _KUBELETS_WORD:
            memory.judged = False  # nobody else has called it Unknown
            self._restate(memory, Reason.HEARD, now)
        memory.plain = memory.state in _KUBELETS_WORD
        self._set_deadline(memory)

    def _set_deadline(self, memory: Memory) -> None:
        if memory.state is Availability.UNKNOWN or not memory.looked:
            memory.deadline = math.inf
        elif memory.state is Availability.PENDING:
            memory.deadline = memory.probe + self.settings.startup_grace_s
        else:
            memory.deadline = memory.probe + self.settings.grace_s

    def _condemn(self, expired: Iterable[str], spared: Collection[str], now: float) -> set[str]:
        """Call nodes Unknown, but those of which something was told while the server was asked."""
        fresh: set[str] = set()
        if self._outlook.sight is Sight.BLIND:
            return fresh
        for name in expired:
            memory = self._nodes.get(name)
            if memory is None or name in spared or name in self._touched or memory.deadline >= now:
                continue
            if memory.leaseless:
                self._forget(memory, now)
                continue
            fresh.add(name)
            memory.judged = True
            memory.lease = memory.observed
            reason = Reason.SILENT if memory.posted else Reason.NEVER_POSTED
            self._become(memory, Availability.UNKNOWN, reason, now)
        return fresh

    def _new_grace(self, now: float) -> None:
        for memory in self._nodes.values():
            memory.probe = now
            self._set_deadline(memory)

    # ------------------------------------------------------------------ sight

    def _is_held(self, now: float) -> bool:
        """Not everything told, blind for the watches, or seeing again only since this moment."""
        outlook = self._outlook
        causes = (Cause.NODES, Cause.LEASES, Cause.STALE)
        if outlook.sight is Sight.OPENING or any(outlook.stands(cause) for cause in causes):
            return True
        return now - outlook.rejoined_at < self.settings.period_s / 2

    def _is_told(self, name: str, live: Lease, now: float) -> bool:
        version = facts_of_lease(live).version
        if version <= self._leases_version:
            return True
        self._wanted_version = version
        why = f"the server has version {version} of Lease {name}, of which the watch has not told"
        self._say(self._outlook.lose(Cause.STALE, why, now, since=self._heard_at))
        return False

    def _regain(self, cause: Cause, now: float) -> None:
        if not self._outlook.stands(cause):
            return
        verdict = self._outlook.regain(cause, now)
        self._say(verdict)
        if verdict is not None and self._careful:
            for memory in self._nodes.values():
                memory.probe = min(now, memory.probe + verdict.lasted_s)  # nobody could be heard meanwhile
                self._set_deadline(memory)

    def _say(self, verdict: Verdict | None) -> None:
        if verdict is not None:
            self._out.append(verdict)

    def _told(self, verdict: SightVerdict | None = None) -> list[Verdict]:
        self._say(verdict)
        told = self._out[:]
        self._out.clear()
        return told


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
