"""What an election says of itself: frozen records, safe to log, count or send on."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class State(enum.Enum):
    """Where a candidate stands."""

    IDLE = "idle"
    """Does not contend."""
    OBSERVING = "observing"
    """Contends, and has not read the Lease yet."""
    WAITING = "waiting"
    """Somebody else holds it, or held it less than the take-over time ago."""
    ACQUIRING = "acquiring"
    """The write that would win is on its way."""
    UNCERTAIN = "uncertain"
    """A write was sent and its outcome is unknown: the next request reads it back."""
    LEADING = "leading"
    """The term is valid and the work may run."""
    STOPPING = "stopping"
    """The work was told to stop and has not stopped yet."""
    RELEASING = "releasing"
    """The work has stopped; the Lease is being given back."""


class EndReason(enum.Enum):
    """Why a term or a candidacy ended."""

    EXPIRED = "expired"
    """No write was confirmed in time: the servers could not be reached, or were too slow."""
    TAKEN = "taken"
    """Another holder, or an empty one, was read in the Lease."""
    DELETED = "deleted"
    """The Lease was deleted under the holder."""
    REFUSED = "refused"
    """The API server refuses for good: 403, 422, or the namespace is gone."""
    RESIGNED = "resigned"
    """The holder's own wish: the work ended, failed or was cancelled, or `resign` was called."""
    YIELDED = "yielded"
    """The coordinator prefers another candidate (coordinated election only)."""
    CLIENT_CLOSED = "client closed"
    """The LeaseClient was left, or broke, while this one still contended or led: nothing renews it any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TermRecord:
    """The facts of one term.

    Attributes:
        token: The fencing token: the resourceVersion of the acquiring write. It grows from term to
            term, over release, crash and deletion of the Lease, since the API server counts all its
            writes with one counter.
        transitions: `leaseTransitions` of this term.
        started: When the term was won, on the clock of this process.
        appointed: A coordinator chose this candidate (coordinated election only).
    """

    lease: str
    namespace: str
    holder: str
    token: int
    transitions: int
    started: float
    appointed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """Another holder is in the way; empty where a vanished one's time is still running."""

    holder: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """The term was won."""

    term: TermRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopping:
    """The work must stop now."""

    term: TermRecord
    reason: EndReason


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """The candidacy is over. `term` is None where it never led; `released` says that the Lease was given back."""

    term: TermRecord | None
    reason: EndReason
    released: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestFailed:
    """A request of the candidacy failed; what follows, if anything does, is told by the other events.

    Attributes:
        request: What it was for: `read`, `acquire`, `renew` or `release`.
        failure: What it means: `not done`, `unknown`, `conflict`, `gone` or `permanent`.
        error: What the API server, or the way to it, said.
    """

    request: str
    failure: str
    error: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DuplicateIdentity:
    """Another process renews the Lease under this candidate's identity. Told once for each candidate.

    The terms of this one are as safe as ever: a record counts as its own only if it wrote it. But neither can tell the
    other from itself in what the Lease says, and clients that go by the identity alone would both lead.
    """

    identity: str


Event = Waiting | Started | Stopping | Ended | RequestFailed | DuplicateIdentity
