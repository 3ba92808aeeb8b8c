"""`lease-aio fleet --list-scenarios`."""

from __future__ import annotations

from lease_aio.cli.output import Output
from lease_aio.heartbeat.scenario import shipped_scenarios
from lease_aio.heartbeat.scenario.units import duration_text


def list_scenarios(output: Output) -> None:
    """Print the shipped scenarios, with how many nodes they have and how long they take."""
    found = shipped_scenarios()
    width = max(map(len, found))
    for name, scenario in found.items():
        nodes = scenario.fleet.nodes if scenario.fleet is not None else 0
        output.event(
            "scenario",
            f"{name:<{width}}  {duration_text(scenario.duration_s):>6}  {nodes:>4} nodes  {scenario.description}",
            name=name,
            description=scenario.description,
            duration_s=scenario.duration_s,
            nodes=nodes,
            expectations=len(scenario.expectations),
        )
