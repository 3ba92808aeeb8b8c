"""The availability monitor: who is Ready, Unknown or NotReady, judged from Nodes and Leases as Kubernetes judges.

The rules are pure and whole in `judge`; `Monitor` feeds them from watches.
"""

from lease_aio.heartbeat.monitor.conditions import unknown_conditions
from lease_aio.heartbeat.monitor.judge import Examination, Judge
from lease_aio.heartbeat.monitor.outlook import Cause
from lease_aio.heartbeat.monitor.report import MonitorReport
from lease_aio.heartbeat.monitor.settings import Mode, MonitorSettings
from lease_aio.heartbeat.monitor.shell import Monitor
from lease_aio.heartbeat.monitor.verdicts import (
    NOT_READY,
    UNREACHABLE,
    Availability,
    DisruptionVerdict,
    Effect,
    Finding,
    NodeVerdict,
    Reason,
    Sight,
    SightVerdict,
    TaintVerdict,
    Verdict,
    Zone,
    ZoneState,
    ZoneVerdict,
)
from lease_aio.heartbeat.monitor.views import NodesView, NodeView
from lease_aio.heartbeat.monitor.zones import ZoneView

__all__ = [
    "NOT_READY",
    "UNREACHABLE",
    "Availability",
    "Cause",
    "DisruptionVerdict",
    "Effect",
    "Examination",
    "Finding",
    "Judge",
    "Mode",
    "Monitor",
    "MonitorReport",
    "MonitorSettings",
    "NodeVerdict",
    "NodeView",
    "NodesView",
    "Reason",
    "Sight",
    "SightVerdict",
    "TaintVerdict",
    "Verdict",
    "Zone",
    "ZoneState",
    "ZoneVerdict",
    "ZoneView",
    "unknown_conditions",
]
