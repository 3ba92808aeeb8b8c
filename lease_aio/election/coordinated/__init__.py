"""Coordinated leader election (KEP-4355): candidates say who they are, and a coordinator chooses among them.

`CandidateInfo` makes a candidate of `LeaseClient.lead` and `terms` a coordinated one. The coordinator is that of a
kube-apiserver with the gate CoordinatedLeaderElection, or `LeaseClient.coordinator`.
"""

from lease_aio.election.coordinated.info import FALLBACK_AFTER_S, OLDEST_EMULATION_VERSION, CandidateInfo
from lease_aio.election.coordinated.rules import BUILT_IN, CoordinatorTiming, Disagreement, Strategy, pick_leader

__all__ = [
    "BUILT_IN",
    "FALLBACK_AFTER_S",
    "OLDEST_EMULATION_VERSION",
    "CandidateInfo",
    "CoordinatorTiming",
    "Disagreement",
    "Strategy",
    "pick_leader",
]
