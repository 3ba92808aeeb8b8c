"""Scenario files: what happens to a fleet, when, and what must hold then."""

from lease_aio.heartbeat.scenario.events import Acted, Judged, Played, PlayEvent, Wrote
from lease_aio.heartbeat.scenario.fleets import FleetSpec, parse_fleet
from lease_aio.heartbeat.scenario.library import load_fleet, load_scenario, shipped_scenarios
from lease_aio.heartbeat.scenario.player import play
from lease_aio.heartbeat.scenario.scenario import Scenario

__all__ = [
    "Acted",
    "FleetSpec",
    "Judged",
    "PlayEvent",
    "Played",
    "Scenario",
    "Wrote",
    "load_fleet",
    "load_scenario",
    "parse_fleet",
    "play",
    "shipped_scenarios",
]
