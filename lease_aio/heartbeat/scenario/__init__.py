"""Scenario files: what happens to a fleet, when, and what must hold then."""

from lease_aio.heartbeat.scenario.scenario import Scenario

__all__ = ["Scenario"]
