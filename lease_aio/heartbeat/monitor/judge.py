"""The monitor's rules, whole: told what is seen and what time it is, it says what follows. Pure.

Source of the rules: node-lifecycle-controller of kubernetes/kubernetes, read at 1.37. What it takes from a Node and a
Lease is in `memory`, whom it knows in `roster`, what it makes of zones in `zones`, what it taints in `taints`; whether
it can trust what it was told, in `outlook` and `doubts`. Here they are put together.

A pass is `examine`, then `confirm` for each of the expired with what the server has of its Lease, then `conclude`.
`assess` is a pass with nobody to ask.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from lease_aio.heartbeat.monitor.doubts import Doubts
from lease_aio.heartbeat.monitor.facts import BY_LEASE_ALONE, facts_of_lease, facts_of_node
from lease_aio.heartbeat.monitor.memory import Memory, renew_plain
from lease_aio.heartbeat.monitor.outlook import Cause, Outlook
from lease_aio.heartbeat.monitor.roster import Roster
from lease_aio.heartbeat.monitor.settings import Mode, MonitorSettings
from lease_aio.heartbeat.monitor.verdicts import Availability, Reason, Sight, SightVerdict, Verdict
from lease_aio.heartbeat.monitor.zones import ZoneView
from lease_aio.model import Lease, Node

_KUBELETS_WORD = (Availability.READY, Availability.NOT_READY)


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
        self._touched: dict[str, Memory] = {}  # to be looked at in the next pass
        self._out: list[Verdict] = []
        self._roster = Roster(self.settings, self._out.append)
        self._nodes = self._roster.nodes
        self._doubts = Doubts(self.settings.renew_interval_s, now)
        self._outlook = Outlook(sight, now)

    # ------------------------------------------------------------------ what is known

    @property
    def nodes(self) -> Mapping[str, Memory]:
        """What is remembered of each node. To read, not to change."""
        return self._nodes

    @property
    def lease_names(self) -> list[str]:
        """Of all Leases as last told."""
        return [*self._roster.strays, *(memory.name for memory in self._nodes.values() if memory.observed is not None)]

    @property
    def zones(self) -> tuple[ZoneView, ...]:
        """All zones, with their states as of the last pass."""
        return self._roster.zones.views()

    @property
    def outlook(self) -> Outlook:
        """What can be seen. To read, not to change."""
        return self._outlook

    @property
    def stopped(self) -> bool:
        """Evictions have stopped in all zones."""
        return self._roster.zones.stopped

    @property
    def next_eviction(self) -> float:
        """When the next NoExecute taint would be set; infinity where none waits."""
        return self._roster.taints.next_at

    # ------------------------------------------------------------------ what is told

    def node_set(self, node: Node, *, now: float, wall_us: int) -> list[Verdict]:
        """A Node exists and looks like this."""
        facts, memory = facts_of_node(node), self._nodes.get(node.name)
        if memory is not None and memory.facts.uid != facts.uid:
            self._forget(memory, now)
            memory = None
        if memory is None:
            memory = self._roster.meet(node.name, facts, now)
        else:
            self._roster.update(memory, facts, now)
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
        self._doubts.heard(now, facts.version)
        self._regain(Cause.UNREACHABLE, now)
        memory = self._nodes.get(name)
        if memory is None:
            self._roster.strays[name] = facts
            memory = self._roster.meet(name, BY_LEASE_ALONE, now) if self._outlook.leases_only else None
        if memory is not None:
            memory.observed, memory.leaseless = facts, False
            self._touch(memory, now, wall_us)
        return self._told()

    def lease_gone(self, name: str, *, now: float, wall_us: int) -> list[Verdict]:
        """A Lease does not exist any more. That is no verdict on its node: the time goes on."""
        self._doubts.heard(now)
        self._roster.strays.pop(name, None)
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
        for name in tuple(self._roster.strays):
            self._touch(self._roster.meet(name, BY_LEASE_ALONE, now), now, wall_us)
        return self._told()

    def blind(self, cause: Cause, why: str, *, now: float) -> list[Verdict]:
        """What is known may be old: nothing is judged until `seeing`."""
        return self._told(self._outlook.lose(cause, why, now))

    def seeing(self, cause: Cause, *, now: float) -> list[Verdict]:
        """That cause is over. A pass at this moment is held too: what was missed is still being told."""
        self._regain(cause, now)
        return self._told()

    def doubtful(self, now: float) -> tuple[str, ...]:
        """Leases to ask the server for, because it did not answer, or nobody's renewal was told for long."""
        return self._doubts.suspects(self._nodes, now, unanswered=self._outlook.stands(Cause.UNREACHABLE))

    def compare(self, name: str, live: Lease | None, *, now: float) -> list[Verdict]:
        """What the server has in answer to a doubt: a newer Lease than was told makes blind until it is told."""
        if live is None or self._is_told(name, live, now):
            self._doubts.heard(now)
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
        self._roster.taints.evict(now)
        if self._doubts.allayed:
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
            self._roster.taints.queue(self._condemn(examination.expired, spared, now), now)
            self._settle(now)
        return self.evict(now=now)

    def evict(self, *, now: float) -> list[Verdict]:
        """The NoExecute taints whose time has come; also for between two passes."""
        self._roster.taints.evict(now)
        return self._told()

    def _forget(self, memory: Memory, now: float) -> None:
        self._touched.pop(memory.name, None)
        self._roster.forget(memory, now)

    def _settle(self, now: float) -> None:
        """How the zones are now, and what follows for everybody."""
        settled = self._roster.zones.settle(now)
        self._out.extend(settled.verdicts)
        if settled.began:
            self._roster.taints.stop(now)
        if settled.ended:
            for memory in self._nodes.values():
                self._roster.believe(memory, now)
        self._roster.taints.release(now)

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
            self._roster.restate(memory, Reason.HEARD, now)
        memory.plain = memory.state in _KUBELETS_WORD
        self._roster.set_deadline(memory)

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
            self._roster.condemn(memory, now)
        return fresh

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
        if self._doubts.is_told(version):
            return True
        why = f"the server has version {version} of Lease {name}, of which the watch has not told"
        self._say(self._outlook.lose(Cause.STALE, why, now, since=self._doubts.heard_at))
        return False

    def _regain(self, cause: Cause, now: float) -> None:
        if not self._outlook.stands(cause):
            return
        verdict = self._outlook.regain(cause, now)
        self._say(verdict)
        if verdict is not None and self._careful:
            for memory in self._nodes.values():
                self._roster.believe(memory, min(now, memory.probe + verdict.lasted_s))  # none could be heard meanwhile

    def _say(self, verdict: Verdict | None) -> None:
        if verdict is not None:
            self._out.append(verdict)

    def _told(self, verdict: SightVerdict | None = None) -> list[Verdict]:
        self._say(verdict)
        told = self._out[:]
        self._out.clear()
        return told
