"""A shipped scenario, played in simulated time on a server in memory, with a control plane that judges and writes."""

import random
from collections import defaultdict
from dataclasses import dataclass, field

from lease_aio.heartbeat import Fleet, FleetReport
from lease_aio.heartbeat.monitor import MonitorSettings
from lease_aio.heartbeat.monitor.lifecycle import NodeLifecycle
from lease_aio.heartbeat.scenario import Acted, Played, Wrote, load_scenario, play
from tests.heartbeat.stage import staged


@dataclass
class Show:
    """What happened: `changed` is who was changed by which verb and when, `wrote` what the control plane made of it."""

    played: Played
    report: FleetReport
    zones: dict
    acted: list = field(default_factory=list)
    wrote: dict = field(default_factory=lambda: defaultdict(dict))  # words to {node: [seconds]}

    def nodes(self, verb, number=0):
        """Those that the so-many-th action of this verb changed."""
        return set([one for one in self.acted if one.action.deed.verb.value == verb][number].nodes)

    def changed(self, verb):
        """All that any action of this verb changed, and when it was."""
        return {name: one.at_s for one in self.acted if one.action.deed.verb.value == verb for name in one.nodes}

    def times(self, words):
        """When each node became so, the first time, in seconds from the start."""
        return {node: times[0] for node, times in self.wrote[words].items()}

    def failures(self):
        return [
            f"{one.expectation.place}: {one.expectation.text}: {one.found}"
            for one in self.played.outcomes
            if not one.held
        ]


async def perform(name, minor=37):
    """Play it to its end, beside a control plane that judges as Kubernetes 1.`minor` does."""
    scenario = load_scenario(name)
    told, chance = [], random.Random(1).random
    async with (
        staged() as stage,
        Fleet(*stage.fleet_parts, nodes=scenario.fleet.groups, register=True, random=chance) as fleet,
        NodeLifecycle(
            stage.api, stage.clock, stage.fleet_parts[-1], settings=MonitorSettings.of_release(minor), random=chance
        ),
    ):
        zones = {name: one.labels["topology.kubernetes.io/zone"] for name, one in fleet.nodes.items()}
        played = await play(scenario, fleet, api=stage.api, clock=stage.clock, on_event=told.append)
        show = Show(played, fleet.report(), zones)
    for event in told:
        if isinstance(event, Acted):
            show.acted.append(event)
        elif isinstance(event, Wrote):
            show.wrote[event.words].setdefault(event.node, []).append(event.at_s)
    return show
