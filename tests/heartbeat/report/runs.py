"""A made-up run of a fleet, for what reads reports: 60 nodes for three minutes, ten of them silent for a while."""

import random
from dataclasses import replace

from lease_aio.errors import Call, Throttled
from lease_aio.heartbeat.record.tally import FleetParameters, FleetReport, Tally
from lease_aio.heartbeat.record.timeline import Timeline
from lease_aio.heartbeat.states import NodeState

NODES = 60
SILENT = 10
LENGTH_S = 180
SILENT_FROM_S, SILENT_TO_S = 60, 130
GRACE_S = 50
START = 5000.0
PARAMETERS = FleetParameters(name="made-up", registered=True, started_wall_us=1_780_000_000_000_000)
BUSY = Throttled(Call(verb="update", resource="leases.coordination.k8s.io"), "slow down")


def made_up(*, seed: int = 1, nodes: int = NODES, silent: int = SILENT, **options) -> FleetReport:
    """What a fleet reports after such a run."""
    run = Run(Timeline(START, **options), nodes, silent, random.Random(seed))
    for second in range(LENGTH_S):
        run.pass_second(second)
    return run.report()


def empty() -> FleetReport:
    """Of a fleet without nodes, right after its start."""
    report = Tally().report(START, {})
    return replace(report, timeline=Timeline(START).snapshot(START))


class Run:
    def __init__(self, timeline, nodes, silent, chance):
        self.timeline, self.tally, self.chance = timeline, Tally(), chance
        self.nodes, self.silent, self.silent_now = nodes, silent, 0
        self.last: dict[int, float] = {}
        self.due = {node: START + 10 * node / nodes for node in range(nodes)}

    def pass_second(self, second):
        now = START + second
        self.silent_now = self.silent if SILENT_FROM_S <= second < SILENT_TO_S else 0
        self._play(second, now)
        for node in sorted(self.due, key=self.due.__getitem__):
            if self.due[node] < now + 1 and node >= self.silent_now:
                self._renew(node, max(now, self.due[node]))
        self.timeline.sample(now + 0.99, self._states())

    def report(self):
        now = START + LENGTH_S
        report = self.tally.report(now, self._states())
        return replace(report, parameters=PARAMETERS, timeline=self.timeline.snapshot(now))

    def _play(self, second, now):
        if second == SILENT_FROM_S:
            self.timeline.mark(now, f"silence {self.silent} nodes")
        if second == SILENT_TO_S:
            self.timeline.mark(now, f"revive {self.silent} nodes")
        for node in range(self.silent):
            if second == SILENT_FROM_S + 45 + node % 3 * 5:
                self.timeline.verdict(now, f"node-{node}", "unknown", now - self.last[node])
            if second == SILENT_TO_S + 5 + node % 3 * 5:
                self.timeline.verdict(now, f"node-{node}", "ready", now - self.last[node])

    def _renew(self, node, now):
        late_s = self.chance.expovariate(200)
        now += late_s
        self.tally.lateness.record(late_s)
        self.timeline.late(now, late_s)
        if self.chance.random() < 0.01:
            self.tally.failed(now, BUSY)
            self.timeline.failed(now, "throttled")
            self.due[node] = now + 1
            return
        last = self.last.get(node)
        counts = last is not None and now - last < GRACE_S
        self.tally.renewed(now, last if counts else None)
        self.timeline.renewed(now, None, now - last if counts else None)
        self.last[node] = now
        self.due[node] = now + 10 * (1 + 0.04 * self.chance.random())

    def _states(self):
        renewed = sum(node >= self.silent_now for node in self.last)
        pending = self.nodes - self.silent_now - renewed
        counts = {NodeState.FRESH: renewed, NodeState.SILENCED: self.silent_now, NodeState.PENDING: pending}
        return {state: count for state, count in counts.items() if count}
