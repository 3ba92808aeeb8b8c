"""Nodes at one moment, made when they are looked at. Pure."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from lease_aio.heartbeat.monitor.memory import Memory
from lease_aio.heartbeat.monitor.verdicts import Availability, Reason, Zone
from lease_aio.model import MicroTime


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeView:
    """A node at one moment.

    Attributes:
        name: Of the node, and of its Lease.
        state: The verdict.
        reason: Why.
        since_s: How long it has been so.
        silent_s: How long ago its last sign of life counted, by the monitor's clock; None before the first pass.
        zone: Where it is.
        counts: Whether it counts for the state of its zone.
        no_schedule: Key of the NoSchedule taint that it would have; empty for none.
        no_execute: Key of the NoExecute taint that it would have; empty for none.
        renew_time: What its Lease says, by the node's own wall clock: for people to look at, no verdict rests on it.
    """

    name: str
    state: Availability
    reason: Reason
    since_s: float
    silent_s: float | None
    zone: Zone
    counts: bool
    no_schedule: str
    no_execute: str
    renew_time: MicroTime | None


def node_view(memory: Memory, now: float) -> NodeView:
    """A node now."""
    observed = memory.observed
    renewed_us = None if observed is None else observed.renew_us
    return NodeView(
        name=memory.name,
        state=memory.state,
        reason=memory.reason,
        since_s=now - memory.since,
        silent_s=now - memory.probe if memory.looked else None,
        zone=memory.facts.zone,
        counts=memory.facts.counts,
        no_schedule=memory.no_schedule,
        no_execute=memory.no_execute,
        renew_time=None if renewed_us is None else MicroTime(renewed_us),
    )


class NodesView(Mapping[str, NodeView]):
    """All nodes by their names, as they are when they are asked for."""

    __slots__ = ("_memories", "_now")

    def __init__(self, memories: Mapping[str, Memory], now: Callable[[], float]) -> None:
        self._memories, self._now = memories, now

    def __getitem__(self, name: str) -> NodeView:
        return node_view(self._memories[name], self._now())

    def __iter__(self) -> Iterator[str]:
        return iter(self._memories)

    def __len__(self) -> int:
        return len(self._memories)

    def most_silent(self, most: int, *, longer_than_s: float) -> list[NodeView]:
        """Those that are not Unknown and have been silent for longer than that, the most silent first."""
        now = self._now()
        late = [one for one in self._memories.values() if one.deadline < math.inf and now - one.probe > longer_than_s]
        return [node_view(one, now) for one in heapq.nsmallest(most, late, key=lambda memory: memory.probe)]

    def by_state(self) -> dict[Availability, int]:
        """How many nodes are what."""
        counts = dict.fromkeys(Availability, 0)
        for memory in self._memories.values():
            counts[memory.state] += 1
        return counts
