"""Node heartbeats through Leases: a kubelet's rules, one node's heartbeat, fleets of simulated nodes, and a monitor."""

from lease_aio.heartbeat.fleet.fleet import Fleet
from lease_aio.heartbeat.fleet.selection import Selection, SimNode
from lease_aio.heartbeat.monitor import (
    Availability,
    DisruptionVerdict,
    Finding,
    Mode,
    Monitor,
    MonitorReport,
    MonitorSettings,
    NodeVerdict,
    NodeView,
    Sight,
    SightVerdict,
    TaintVerdict,
    Verdict,
    Zone,
    ZoneState,
    ZoneVerdict,
    ZoneView,
)
from lease_aio.heartbeat.node.profile import NodeGroup, NodeProfile
from lease_aio.heartbeat.record.tally import FleetReport
from lease_aio.heartbeat.renewal.rules import Owner, RenewalRules
from lease_aio.heartbeat.single import Heartbeat
from lease_aio.heartbeat.states import NodeState
from lease_aio.heartbeat.status.keeper import StatusRules

__all__ = [
    "Availability",
    "DisruptionVerdict",
    "Finding",
    "Fleet",
    "FleetReport",
    "Heartbeat",
    "Mode",
    "Monitor",
    "MonitorReport",
    "MonitorSettings",
    "NodeGroup",
    "NodeProfile",
    "NodeState",
    "NodeVerdict",
    "NodeView",
    "Owner",
    "RenewalRules",
    "Selection",
    "Sight",
    "SightVerdict",
    "SimNode",
    "StatusRules",
    "TaintVerdict",
    "Verdict",
    "Zone",
    "ZoneState",
    "ZoneVerdict",
    "ZoneView",
]
