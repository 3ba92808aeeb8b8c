"""What a candidate asks of the API server, what it knows of what is there, and the records that it writes. Pure.

No rule stands here: when to ask and what to make of an answer is for `lease_aio.election.core` to say.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from lease_aio.election.appointment import PREFERRED
from lease_aio.model import Lease, LeaseSpec, MicroTime, new_lease

SUCCESSOR = "lease-aio/successor"
"""Annotation of a released Lease: for whom it is meant. Only a hint; whoever does not know it may win."""
_HINTS = {SUCCESSOR, PREFERRED}
_RELEASED_DURATION_S = 1  # what client-go writes on release: 0 is refused by the API
_MOST_TRANSITIONS = 2**31 - 1  # an int32


class Kind(enum.Enum):
    """What a request is for."""

    READ = "read"
    ACQUIRE = "acquire"
    RENEW = "renew"
    RELEASE = "release"


class Failure(enum.Enum):
    """How a request failed, by what it means for the election."""

    NOT_DONE = "not done"
    """Known to have changed nothing and may succeed later: throttled, unavailable, 401."""
    UNKNOWN = "unknown"
    """A write that may or may not have been done."""
    CONFLICT = "conflict"
    """Somebody wrote first."""
    GONE = "gone"
    """404: there is no such Lease."""
    PERMANENT = "permanent"
    """403, 422, namespace missing: trying again changes nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request to the API server.

    Attributes:
        kind: What it is for.
        lease: What to write; None for a read.
        appointed: It takes up what a coordinator has written.
    """

    kind: Kind
    lease: Lease | None = None
    appointed: bool = False

    @property
    def creates(self) -> bool:
        """The Lease does not exist yet, as far as is known."""
        return self.lease is not None and not self.lease.resource_version


@dataclass(slots=True, eq=False)
class Flight:
    """A request on its way, or a write whose outcome is unknown.

    Attributes:
        request: What was asked.
        sent: When, in monotonic seconds.
        known: The newest version known when it was sent.
        landed: The record, where the watch showed it before the answer came.
        overtaken: Something else was seen since: should it still land, then as a stranger's.
    """

    request: Request
    sent: float
    known: int
    landed: Lease | None = None
    overtaken: bool = False

    def wrote(self, lease: Lease) -> bool:
        """The record is this write, done."""
        mine = self.request.lease
        return mine is not None and not self.overtaken and signature(mine) == signature(lease)

    def may_follow(self, version: int) -> bool:
        """It could still pass compare-and-swap now that `version` is the current one."""
        mine = self.request.lease
        return mine is not None and mine.resource_version == str(version)


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest record known, and since when this candidate has known this version of it."""

    lease: Lease
    since: float


def signature(lease: Lease) -> tuple[object, ...]:
    """What tells one write of a record from another (rule 4 of the core)."""
    spec = lease.spec
    return spec.holder_identity, spec.acquire_time, spec.renew_time, spec.lease_transitions


@dataclass(frozen=True, kw_only=True, slots=True)
class Writer:
    """What one candidate writes; what others have put into the Lease is kept.

    Attributes:
        name: The Lease.
        namespace: Its namespace.
        identity: What is written as holder.
        duration_s: What is written as duration.
        labels: Put on the Lease, beside what is there.
    """

    name: str
    namespace: str
    identity: str
    duration_s: int
    labels: dict[str, str]

    def acquiring(self, old: Lease | None, at: MicroTime) -> Lease:
        """The first record of a term; `old` is the one to overwrite, None where the Lease is to be created."""
        if old is None:
            first = LeaseSpec(
                holder_identity=self.identity,
                lease_duration_seconds=self.duration_s,
                acquire_time=at,
                renew_time=at,
                lease_transitions=0,
            )
            return new_lease(self.name, self.namespace, first, labels=self.labels)
        return _without_hints(self._labelled(old)).with_spec(
            holder_identity=self.identity,
            lease_duration_seconds=self.duration_s,
            acquire_time=at,
            renew_time=at,
            lease_transitions=min((old.spec.lease_transitions or 0) + 1, _MOST_TRANSITIONS),
            preferred_holder=None,
        )

    def renewing(self, ours: Lease, at: MicroTime) -> Lease:
        """The next record of the term of `ours`."""
        return self._labelled(ours).with_spec(lease_duration_seconds=self.duration_s, renew_time=at)

    def releasing(self, ours: Lease, at: MicroTime, successor: str) -> Lease:
        """The last record of the term of `ours`: nobody holds it; a successor that is not empty is hinted at."""
        if successor:
            ours = ours.with_metadata(annotations={**ours.metadata.annotations, SUCCESSOR: successor})
        return ours.with_spec(holder_identity="", lease_duration_seconds=_RELEASED_DURATION_S, renew_time=at)

    def _labelled(self, lease: Lease) -> Lease:
        if self.labels.items() <= lease.metadata.labels.items():
            return lease
        return lease.with_metadata(labels={**lease.metadata.labels, **self.labels})


def _without_hints(lease: Lease) -> Lease:
    """They have served their turn."""
    annotations = lease.metadata.annotations
    if not annotations.keys() & _HINTS:
        return lease
    return lease.with_metadata(annotations={key: text for key, text in annotations.items() if key not in _HINTS})
