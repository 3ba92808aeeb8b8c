"""What coordinated election (KEP-4355) adds to the rules of a candidate: it waits to be appointed. Pure.

A coordinator writes into the Lease whom it has chosen. It may judge by clocks that are wrong: kube-apiserver's compares
the `renewTime` of the holder with a wall clock of its own. So an appointment is a permission, not a proof: whoever is
named lets the terms of others that it has seen run out by its own clock first (`clear_at`), as it would in a plain
election. Where it may have missed a record in between, it assumes one that was written just before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from lease_aio.model import Lease
from lease_aio.timing import Timing

PREFERRED = "lease-aio/preferred-holder"
"""Annotation that stands in for `spec.preferredHolder` where an API server drops that field (its gate is off)."""


def preferred_holder(lease: Lease) -> str:
    """Whom the coordinator wants in place of the holder; empty where it is content."""
    return lease.spec.preferred_holder or lease.metadata.annotations.get(PREFERRED, "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Coordination:
    """What a coordinated candidate remembers beyond a plain one. Each record that it learns of makes a new one.

    Attributes:
        identity: The candidate's.
        timing: Its durations.
        fallback_after_s: How long a Lease that a plain candidate could take is left to the coordinator.
        served: The API server has LeaseCandidates; without them there is no coordinator to wait for.
        idle: Of late the Lease changed hands without a coordinator, so none is waited for.
        clear_at: By then all terms of others that were seen are over, on this clock.
        left_until: So long the present record is left to whom it names, taken up or not.
        since: When the candidacy began: the coordinator cannot have known of it before.
    """

    identity: str
    timing: Timing
    fallback_after_s: float
    served: bool = True
    idle: bool = False
    clear_at: float = -math.inf
    left_until: float = -math.inf
    since: float = -math.inf

    @property
    def patience_s(self) -> float:
        """How long the coordinator is waited for now."""
        return 0.0 if self.idle or not self.served else self.fallback_after_s

    def names_me(self, lease: Lease) -> bool:
        """The coordinator, or an earlier write of one's own, names this candidate and no better one."""
        return lease.holder == self.identity and not self.superseded(lease)

    def superseded(self, lease: Lease) -> bool:
        """The holder is to make room for another."""
        return preferred_holder(lease) not in {"", self.identity}

    def free_at(self, plain: float, lease: Lease | None, *, ours: bool, blocked_until: float) -> float:
        """From when on the candidate may take the Lease.

        Args:
            plain: The same by the rules of a plain election.
            lease: The record; None where there is none.
            ours: It is the candidate's own writing.
            blocked_until: The candidate has reasons of its own to wait until then.
        """
        if lease is not None and self.names_me(lease):
            return plain if ours else max(blocked_until, self.clear_at)
        return max(plain, self.clear_at, self.left_until, self.since) + self.patience_s

    def noted(self, lease: Lease, now: float, *, ours: bool, before: Lease | None, gap: bool) -> Coordination:
        """What is remembered after this record.

        Args:
            lease: The record, newer than any before.
            now: Monotonic seconds.
            ours: It is the candidate's own writing.
            before: The record known until now.
            gap: There may have been others in between.
        """
        known = self._heard(lease, before, ours=ours, gap=gap)
        if ours or not lease.holder:  # whoever wrote this had waited for those before, or has stopped
            return replace(known, clear_at=-math.inf, left_until=-math.inf)
        until = now + self._lasts_s(lease)
        if _appoints(lease, before) and (not gap or _same(lease, before)):
            return replace(known, left_until=until)  # nobody leads by it who has not written it anew
        return replace(known, clear_at=max(self.clear_at, until), left_until=until)

    def _lasts_s(self, lease: Lease) -> float:
        """How long no other may take it.

        A coordinator puts a short duration of its own in place of the one before. A term of which nothing was seen may
        have been confirmed just before that, and whom it names may have to let one run out: that is taken to last as
        long as ours do.
        """
        written_s = self.timing.takeover_after_s(lease.spec.lease_duration_seconds)
        if lease.spec.acquire_time is not None:
            return written_s
        return max(written_s, self.timing.takeover_after_s(self.timing.lease_duration_s))

    def _heard(self, lease: Lease, before: Lease | None, *, ours: bool, gap: bool) -> Coordination:
        """Whether a coordinator acts, as this record shows."""
        appointed = bool(lease.holder) and lease.spec.acquire_time is None
        if appointed or preferred_holder(lease):
            return replace(self, idle=False)
        taken = lease.holder and (before is None or before.holder != lease.holder)
        return replace(self, idle=True) if taken and not ours and not gap else self


def _appoints(lease: Lease, before: Lease | None) -> bool:
    """A coordinator wrote it: it leaves the acquire time out, and names nobody who is named already.

    Else it is the writing of its holder; client-go's coordinated elector leaves the acquire time out, too.
    """
    if lease.spec.acquire_time is not None:
        return False
    return before is None or before.holder != lease.holder or _same(lease, before)


def _same(lease: Lease, before: Lease | None) -> bool:
    """The same record, so none was in between, but for what a coordinator changes about a holder that it keeps."""
    if before is None:
        return False
    kept = lease.with_spec(strategy=before.spec.strategy, preferred_holder=before.spec.preferred_holder)
    return kept.spec == before.spec
