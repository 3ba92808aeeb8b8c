"""Leader election: pure rules in `core`, the shell that performs them, and what user code holds."""

from lease_aio.election.candidate import Candidate, Engine
from lease_aio.election.events import Ended, EndReason, Event, Started, State, Stopping, TermRecord, Waiting
from lease_aio.election.term import Leadership, Term, Terms
from lease_aio.election.watches import SharedWatches

__all__ = [
    "Candidate",
    "EndReason",
    "Ended",
    "Engine",
    "Event",
    "Leadership",
    "SharedWatches",
    "Started",
    "State",
    "Stopping",
    "Term",
    "TermRecord",
    "Terms",
    "Waiting",
]
