"""Leader election: pure rules in `core`, the shell that performs them, and what user code holds."""

from lease_aio.election.candidate import Candidate
from lease_aio.election.coordinated.coordinator import COORDINATOR_LEASE, Coordinator, Decision
from lease_aio.election.engine import Engine, Roster, Stamps
from lease_aio.election.events import (
    DuplicateIdentity,
    Ended,
    EndReason,
    Event,
    RequestFailed,
    Started,
    State,
    Stopping,
    TermRecord,
    Waiting,
)
from lease_aio.election.guard import Guard
from lease_aio.election.observe import Holding, Observation
from lease_aio.election.term import Leadership, Term, Terms
from lease_aio.election.watches import SharedWatches

__all__ = [
    "COORDINATOR_LEASE",
    "Candidate",
    "Coordinator",
    "Decision",
    "DuplicateIdentity",
    "EndReason",
    "Ended",
    "Engine",
    "Event",
    "Guard",
    "Holding",
    "Leadership",
    "Observation",
    "RequestFailed",
    "Roster",
    "SharedWatches",
    "Stamps",
    "Started",
    "State",
    "Stopping",
    "Term",
    "TermRecord",
    "Terms",
    "Waiting",
]
