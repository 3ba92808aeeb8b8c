"""Node heartbeats through Leases: a kubelet's renewal rules, one node's heartbeat, and fleets of simulated nodes."""

from lease_aio.heartbeat.fleet import Fleet
from lease_aio.heartbeat.profile import NodeGroup, NodeProfile
from lease_aio.heartbeat.rules import Owner, RenewalRules
from lease_aio.heartbeat.selection import Selection, SimNode
from lease_aio.heartbeat.single import Heartbeat
from lease_aio.heartbeat.states import NodeState
from lease_aio.heartbeat.tally import FleetReport

__all__ = [
    "Fleet",
    "FleetReport",
    "Heartbeat",
    "NodeGroup",
    "NodeProfile",
    "NodeState",
    "Owner",
    "RenewalRules",
    "Selection",
    "SimNode",
]
