"""States of zones, and the rate at which their nodes would be evicted. Pure.

Source of the rules: `ComputeZoneState` and `handleDisruption` of node-lifecycle-controller.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lease_aio.heartbeat.monitor.evictions import Evictions
from lease_aio.heartbeat.monitor.settings import Mode, MonitorSettings
from lease_aio.heartbeat.monitor.verdicts import DisruptionVerdict, Verdict, Zone, ZoneState, ZoneVerdict

_FEW = 2  # so many nodes may be not ready, whatever part of the zone they are


def zone_state(ready: int, not_ready: int, threshold: float) -> ZoneState:
    """The state of a zone with so many nodes that count."""
    if ready == 0 and not_ready > 0:
        return ZoneState.FULL
    if not_ready > _FEW and not_ready / (ready + not_ready) >= threshold:
        return ZoneState.PARTIAL
    return ZoneState.NORMAL


def eviction_rate(state: ZoneState, nodes: int, settings: MonitorSettings) -> float:
    """NoExecute taints a second in a zone that comes into that state with so many nodes."""
    if state is not ZoneState.PARTIAL:
        return settings.eviction_rate_per_s
    return settings.secondary_eviction_rate_per_s if nodes > settings.large_zone else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ZoneView:
    """A zone at one moment.

    Attributes:
        zone: Which.
        state: As of the last pass.
        nodes: How many nodes count for it.
        not_ready: How many of them are not Ready.
        excluded: How many do not count, by their label.
        rate_per_s: NoExecute taints a second.
        queued: How many nodes wait for theirs.
    """

    zone: Zone
    state: ZoneState
    nodes: int
    not_ready: int
    excluded: int
    rate_per_s: float
    queued: int


class _Ledger:
    """One zone."""

    __slots__ = ("evictions", "excluded", "not_ready", "ready", "state")

    def __init__(self, settings: MonitorSettings, now: float) -> None:
        self.ready = self.not_ready = self.excluded = 0
        self.state = ZoneState.INITIAL
        self.evictions = Evictions(settings.eviction_rate_per_s, now)

    @property
    def nodes(self) -> int:
        return self.ready + self.not_ready


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """What a pass made of the zones.

    Attributes:
        verdicts: What became different.
        began: Evictions stop everywhere with this pass: taints are to be taken off.
        ended: That is over: every node gets a new grace.
    """

    verdicts: tuple[Verdict, ...] = ()
    began: bool = False
    ended: bool = False


class Zones:
    """All zones: how many of their nodes are ready, their states, their queues.

    Args:
        settings: Thresholds and rates.
    """

    def __init__(self, settings: MonitorSettings) -> None:
        self._settings = settings
        self._zones: dict[Zone, _Ledger] = {}
        self.stopped = False

    def add(self, zone: Zone, now: float, *, counts: bool, ready: bool) -> None:
        """A node more."""
        ledger = self._zones.get(zone)
        if ledger is None:
            ledger = self._zones[zone] = _Ledger(self._settings, now)
        self._count(ledger, 1, counts=counts, ready=ready)

    def remove(self, zone: Zone, *, counts: bool, ready: bool) -> None:
        """A node less; a zone goes with its last."""
        ledger = self._zones[zone]
        self._count(ledger, -1, counts=counts, ready=ready)
        if not ledger.nodes and not ledger.excluded:
            del self._zones[zone]

    def turn(self, zone: Zone, *, counts: bool, ready: bool) -> None:
        """A node becomes ready, or ceases to be so."""
        self._count(self._zones[zone], -1, counts=counts, ready=not ready)
        self._count(self._zones[zone], 1, counts=counts, ready=ready)

    def evictions(self, zone: Zone) -> Evictions:
        """The queue of a zone that has nodes."""
        return self._zones[zone].evictions

    def queues(self) -> Iterator[Evictions]:
        """The queues of all zones."""
        return (ledger.evictions for ledger in self._zones.values())

    def views(self) -> tuple[ZoneView, ...]:
        """All zones, sorted."""
        return tuple(self._view(zone, ledger) for zone, ledger in sorted(self._zones.items(), key=lambda one: one[0]))

    def settle(self, now: float) -> Settled:
        """At the end of a pass: the new states, and the rates that follow from changes of state."""
        found = {
            zone: zone_state(ledger.ready, ledger.not_ready, self._settings.unhealthy_zone_threshold)
            for zone, ledger in self._zones.items()
            if ledger.nodes
        }
        for zone, ledger in self._zones.items():
            if zone not in found:
                ledger.state = ZoneState.INITIAL
        stop, stopped = self._stop(found), self._was_stopped(found)
        self.stopped = stop and bool(found)
        if stop and stopped:
            return Settled(verdicts=self._move(found, now, rates=False))
        if stop:
            return self._begin(found, now)
        if stopped:
            return self._end(found, now)
        return Settled(verdicts=self._move(found, now, rates=True))

    def _stop(self, found: dict[Zone, ZoneState]) -> bool:
        """Whether so much is not ready that nothing may be evicted: in `kubernetes` all, in `careful` a large part."""
        if all(state is ZoneState.FULL for state in found.values()):
            return True
        if self._settings.mode is Mode.KUBERNETES:
            return False
        nodes, not_ready = self._totals()
        return not_ready > _FEW and not_ready / nodes >= self._settings.unhealthy_zone_threshold

    def _was_stopped(self, found: dict[Zone, ZoneState]) -> bool:
        """The controller asks the states of before, so that a zone which comes new to a stop ends it without resets."""
        if self._settings.mode is Mode.CAREFUL:
            return self.stopped or not found
        return all(self._zones[zone].state is ZoneState.FULL for zone in found)

    def _begin(self, found: dict[Zone, ZoneState], now: float) -> Settled:
        for zone in found:
            self._zones[zone].evictions.swap_rate(0.0, now)
        return Settled(verdicts=(*self._move(found, now, rates=False), self._disruption(now, stopped=True)), began=True)

    def _end(self, found: dict[Zone, ZoneState], now: float) -> Settled:
        for zone, state in found.items():
            self._zones[zone].evictions.swap_rate(self._rate(zone, state), now)
        return Settled(
            verdicts=(self._disruption(now, stopped=False), *self._move(found, now, rates=False)), ended=True
        )

    def _move(self, found: dict[Zone, ZoneState], now: float, *, rates: bool) -> tuple[Verdict, ...]:
        """Enter the new states. A zone that stays in its state keeps its rate, even if its size has changed."""
        changed = [(zone, state) for zone, state in sorted(found.items()) if self._zones[zone].state is not state]
        return tuple(self._enter(zone, state, now, rates=rates) for zone, state in changed)

    def _enter(self, zone: Zone, state: ZoneState, now: float, *, rates: bool) -> ZoneVerdict:
        ledger = self._zones[zone]
        if rates:
            ledger.evictions.swap_rate(self._rate(zone, state), now)
        was, ledger.state = ledger.state, state
        return ZoneVerdict(
            at=now,
            zone=zone,
            state=state,
            was=was,
            nodes=ledger.nodes,
            not_ready=ledger.not_ready,
            rate_per_s=ledger.evictions.rate_per_s,
        )

    def _rate(self, zone: Zone, state: ZoneState) -> float:
        return eviction_rate(state, self._zones[zone].nodes, self._settings)

    def _disruption(self, now: float, *, stopped: bool) -> DisruptionVerdict:
        nodes, not_ready = self._totals()
        return DisruptionVerdict(at=now, stopped=stopped, nodes=nodes, not_ready=not_ready)

    def _totals(self) -> tuple[int, int]:
        ledgers = self._zones.values()
        return sum(one.nodes for one in ledgers), sum(one.not_ready for one in ledgers)

    @staticmethod
    def _count(ledger: _Ledger, by: int, *, counts: bool, ready: bool) -> None:
        if not counts:
            ledger.excluded += by
        elif ready:
            ledger.ready += by
        else:
            ledger.not_ready += by

    @staticmethod
    def _view(zone: Zone, ledger: _Ledger) -> ZoneView:
        return ZoneView(
            zone=zone,
            state=ledger.state,
            nodes=ledger.nodes,
            not_ready=ledger.not_ready,
            excluded=ledger.excluded,
            rate_per_s=ledger.evictions.rate_per_s,
            queued=len(ledger.evictions),
        )
