"""What a candidate does about its LeaseCandidate: publish it, renew it, answer the coordinator, withdraw it. Pure.

As client-go's `leasecandidate.go`, but for three things. What is found under the name is brought up to date; there a
leftover keeps its old versions for ever. An answer is never older than the question, whatever the wall clocks say. A
candidate that no longer contends takes itself off the list; there it stays, and holds up elections, for half an hour.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from lease_aio.election.coordinated.info import CandidateInfo
from lease_aio.election.requests import Failure
from lease_aio.model import LeaseCandidate, MicroTime

RENEW_S = 300.0
"""Between two renewals, up to a tenth earlier. Coordinators drop a candidate after half an hour."""
POLL_S = 2.0
"""Between two looks for a question, where there is no watch; a coordinator waits 5 s for the answer."""
UNSERVED_S = 60.0
"""Between two attempts at an API server that has no LeaseCandidates, or does not let a leader write its own."""


class Verb(enum.Enum):
    """What is asked of the API server."""

    READ = "read"
    CREATE = "create"
    REPLACE = "replace"
    DELETE = "delete"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """One request. `candidate` is what to write, or which incarnation to delete; None for a read."""

    verb: Verb
    candidate: LeaseCandidate | None = None


class Nomination:
    """One LeaseCandidate, from the wish to publish it to its end.

    The shell asks `tick` for what is due, performs it, and tells the outcome; at most one request is on its way.

    Attributes:
        wanted: It is to be there; else it is to be gone.
        polling: No watch tells of questions.
        served: The API server has LeaseCandidates, as far as is known.

    Args:
        info: What it says.
        name: Of the object: the holder identity.
        namespace: Its namespace, the Lease's.
        lease: What is contended for.
        random: Uniform in [0, 1), for jitter.
        wait_s: How long to wait after so many failures in a row, given what the server asked for.
    """

    def __init__(
        self,
        info: CandidateInfo,
        *,
        name: str,
        namespace: str,
        lease: str,
        random: Callable[[], float],
        wait_s: Callable[[int, float | None], float],
    ) -> None:
        self._info, self._name, self._namespace, self._lease = info, name, namespace, lease
        self._random, self._wait_s = random, wait_s
        self.wanted = self.polling = False
        self.served = True
        self._known: LeaseCandidate | None = None
        self._shown: LeaseCandidate | None = None  # by the watch, before the answer to the write that made it
        self._in_doubt = False  # what is there has to be read first
        self._in_flight = False
        self._failures = 0
        self._not_before = self._renew_at = self._read_at = -math.inf

    @property
    def published(self) -> bool:
        """It is there, as far as is known."""
        return self._known is not None

    @property
    def over(self) -> bool:
        """It is not wanted, and not there."""
        return not self.wanted and self._known is None and not self._in_doubt and not self._in_flight

    @property
    def due(self) -> float:
        """When `tick` wants to be called next; infinity where nothing is to be done."""
        if self._in_flight or self.over:
            return math.inf
        return max(self._wanted_at(), self._not_before)

    def _wanted_at(self) -> float:
        if self._known is None or self._in_doubt or not self.wanted or self.asked:
            return -math.inf
        return min(self._renew_at, self._read_at + POLL_S) if self.polling else self._renew_at

    @property
    def asked(self) -> bool:
        """A coordinator wants a sign of life, and has none yet."""
        if self._known is None or self._known.spec.ping_time is None:
            return False
        renewed = self._known.spec.renew_time
        return renewed is None or renewed.epoch_us < self._known.spec.ping_time.epoch_us

    # ------------------------------------------------------------------ requests

    def tick(self, now: float, wall_us: int) -> Ask | None:
        """The request to send now, if one is due."""
        if now < self.due:
            return None
        self._in_flight = True
        if self._in_doubt or not self._has_to_write(now):
            return Ask(verb=Verb.READ)
        known = self._known
        if known is not None and (not self.wanted or known.spec.lease_name != self._lease):
            return Ask(verb=Verb.DELETE, candidate=known)  # which Lease it is for cannot be changed
        fresh = self._info.candidate(self._name, self._namespace, lease=self._lease, at=self._stamp(wall_us))
        if known is None:
            return Ask(verb=Verb.CREATE, candidate=fresh)
        spec = msgspec.structs.replace(fresh.spec, ping_time=known.spec.ping_time)
        metadata = msgspec.structs.replace(known.metadata, labels={**known.metadata.labels, **fresh.metadata.labels})
        return Ask(verb=Verb.REPLACE, candidate=msgspec.structs.replace(known, spec=spec, metadata=metadata))

    def _has_to_write(self, now: float) -> bool:
        return self._known is None or not self.wanted or self.asked or now >= self._renew_at

    def _stamp(self, wall_us: int) -> MicroTime:
        ping = self._known.spec.ping_time if self._known is not None else None
        return MicroTime(max(wall_us, ping.epoch_us if ping is not None else 0))

    # ------------------------------------------------------------------ answers

    def answered(self, ask: Ask, found: LeaseCandidate | None, now: float) -> None:
        """The request succeeded. A read that found nothing, and a deletion, give None."""
        self._in_flight, self._failures = False, 0
        self._not_before = -math.inf
        if ask.verb is Verb.READ:
            self._in_doubt, self._read_at = False, now
            if found is None or not self._is_older(found):
                self._known = found
            return
        self.served = True
        if ask.verb is Verb.DELETE:
            self._known = None
            return
        assert found is not None
        self._renew_at = now + RENEW_S * (1 - 0.1 * self._random())
        self._read_at = now
        shown, self._shown = self._shown, None
        if shown is not None and shown.metadata.uid == found.metadata.uid:
            found = max(found, shown, key=lambda each: int(each.resource_version))
        if not self._is_older(found):
            self._known = found

    def failed(self, ask: Ask, failure: Failure, now: float, *, retry_after_s: float | None = None) -> None:
        """The request failed."""
        self._in_flight = False
        self._failures += 1
        wait_s = self._wait_s(self._failures, retry_after_s)
        if ask.verb is Verb.CREATE and failure is Failure.GONE:
            self.served = False
            wait_s = UNSERVED_S
        elif failure is Failure.GONE:
            self._known, self._in_doubt = None, False
            wait_s = 0.0
        elif failure is Failure.PERMANENT:
            self.wanted = False
            self._known, self._in_doubt = None, False
        elif failure is not Failure.NOT_DONE and ask.verb is not Verb.READ:
            self._in_doubt = True
            wait_s = 0.0 if self._failures == 1 else wait_s
        self._not_before = now + wait_s

    # ------------------------------------------------------------------ the watch

    def observed(self, candidate: LeaseCandidate) -> bool:
        """A watch showed this state. True where it holds a question that was not known."""
        if self._known is None:
            self._shown = candidate
            return False
        if self._is_older(candidate):
            return False
        before, self._known = self._known, candidate
        return self.asked and candidate.spec.ping_time != before.spec.ping_time

    def vanished(self, resource_version: str) -> None:
        """A watch showed that it is gone: somebody deleted it, and it is published again if wanted."""
        if self._known is None:
            return
        if not resource_version:
            self._in_doubt = True
        elif int(resource_version) > int(self._known.resource_version):
            self._known = None

    def _is_older(self, candidate: LeaseCandidate) -> bool:
        return self._known is not None and int(candidate.resource_version) < int(self._known.resource_version)
