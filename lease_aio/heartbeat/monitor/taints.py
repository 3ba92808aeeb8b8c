"""Which taints nodes would have, and since when. Pure.

Source of the rules: `doNoScheduleTaintingPass`, `processTaintBaseEviction` and `doNoExecuteTaintingPass` of
node-lifecycle-controller; only the two taints of availability, none of the pressure conditions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

from lease_aio.heartbeat.monitor.memory import Memory
from lease_aio.heartbeat.monitor.settings import Mode, MonitorSettings
from lease_aio.heartbeat.monitor.verdicts import (
    NOT_READY,
    UNREACHABLE,
    Availability,
    Effect,
    TaintVerdict,
    Verdict,
)
from lease_aio.heartbeat.monitor.zones import Zones

_KEYS = {Availability.UNKNOWN: UNREACHABLE, Availability.NOT_READY: NOT_READY}


class Taints:
    """Decides on the taints of all nodes. NoSchedule follows the verdict at once; NoExecute is queued by passes.

    A careful monitor sets NoSchedule at the end of a pass, when it is known whether too much is silent at once.

    Args:
        settings: What to judge by.
        zones: Where the queues are.
        nodes: What is remembered of each node.
        tell: Takes each verdict.
    """

    def __init__(
        self,
        settings: MonitorSettings,
        zones: Zones,
        nodes: Mapping[str, Memory],
        tell: Callable[[Verdict], None],
    ) -> None:
        self._settings, self._zones, self._nodes, self._tell = settings, zones, nodes, tell
        self._careful = settings.mode is Mode.CAREFUL
        self._due: dict[str, Memory] = {}  # whose NoExecute taint the next pass has to see to
        self._held: dict[str, Memory] = {}  # whose NoSchedule taint waits for the end of a pass

    @property
    def next_at(self) -> float:
        """When the next NoExecute taint would be set; infinity where none waits."""
        return min((queue.next_at for queue in self._zones.queues()), default=math.inf)

    def meet(self, memory: Memory, now: float) -> None:
        """A node is seen for the first time. The controller begins with no NoExecute taint on it, and evicts anew."""
        taints = memory.facts.taints
        memory.no_schedule = next((key for key, effect in taints if effect is Effect.NO_SCHEDULE), "")
        for key, effect in taints:
            if effect is Effect.NO_EXECUTE:
                self._say(memory, key, effect, now, added=False)
        self.follow(memory, now)

    def follow(self, memory: Memory, now: float) -> None:
        """The verdict on a node has changed."""
        self._due[memory.name] = memory
        if self._careful and memory.state in _KEYS:
            self._held[memory.name] = memory
        else:
            self._schedule(memory, now)

    def forget(self, memory: Memory) -> None:
        """A node is gone. What waits for its taint is let out, and dropped then, as in the controller."""
        self._due.pop(memory.name, None)
        self._held.pop(memory.name, None)

    def move(self, memory: Memory) -> None:
        """A node is about to leave its zone."""
        self._zones.evictions(memory.facts.zone).discard(memory.name)
        self._due[memory.name] = memory

    def queue(self, fresh: Collection[str], now: float) -> None:
        """In a pass: queue those that are not ready, and set free those that are again.

        Args:
            fresh: Who became Unknown in this pass.
            now: The time.
        """
        due, self._due = self._due, {}
        for name, memory in due.items():
            if self._settings.evict_in_next_pass and name in fresh:
                self._due[name] = memory
            elif memory.state is Availability.READY:
                self._free(memory, now)
            elif key := _KEYS.get(memory.state):
                self._want(memory, key, now)

    def evict(self, now: float) -> None:
        """Set the NoExecute taints whose time has come."""
        for queue in self._zones.queues():
            for name, at in queue.due(now):
                memory = self._nodes.get(name)
                if memory is not None and (key := _KEYS.get(memory.state)):
                    self._execute(memory, key, at)

    def stop(self, now: float) -> None:
        """Evictions stop everywhere: no node keeps a NoExecute taint. They are queued again, where nothing moves."""
        for memory in self._nodes.values():
            if memory.state in _KEYS:
                self._free(memory, now)
                self._due[memory.name] = memory

    def release(self, now: float) -> None:
        """At the end of a pass: set the NoSchedule taints that a careful monitor has held, unless evictions stop."""
        if self._zones.stopped:
            return
        held, self._held = self._held, {}
        for memory in held.values():
            self._schedule(memory, now)

    def _schedule(self, memory: Memory, now: float) -> None:
        key = _KEYS.get(memory.state, "")
        if key == memory.no_schedule:
            return
        if memory.no_schedule:
            self._say(memory, memory.no_schedule, Effect.NO_SCHEDULE, now, added=False)
        if key:
            self._say(memory, key, Effect.NO_SCHEDULE, now, added=True)
        memory.no_schedule = key

    def _want(self, memory: Memory, key: str, now: float) -> None:
        """The two keys exclude each other; a swap between them is not limited in rate."""
        if not memory.no_execute:
            self._zones.evictions(memory.facts.zone).add(memory.name, now)
        elif memory.no_execute != key:
            self._execute(memory, key, now)

    def _execute(self, memory: Memory, key: str, at: float) -> None:
        if memory.no_execute == key:
            return
        if memory.no_execute:
            self._say(memory, memory.no_execute, Effect.NO_EXECUTE, at, added=False)
        memory.no_execute = key
        self._say(memory, key, Effect.NO_EXECUTE, at, added=True)

    def _free(self, memory: Memory, now: float) -> None:
        self._zones.evictions(memory.facts.zone).discard(memory.name)
        if memory.no_execute:
            self._say(memory, memory.no_execute, Effect.NO_EXECUTE, now, added=False)
            memory.no_execute = ""

    def _say(self, memory: Memory, key: str, effect: Effect, at: float, *, added: bool) -> None:
        zone = memory.facts.zone
        self._tell(TaintVerdict(at=at, node=memory.name, key=key, effect=effect, added=added, zone=zone))
