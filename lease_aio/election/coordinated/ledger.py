"""All that a coordinator knows: the Leases, who is a candidate for each, and which of them to look at when. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lease_aio.election.appointment import preferred_holder
from lease_aio.election.coordinated.rules import (
    BUILT_IN,
    CoordinatorTiming,
    Strategy,
    has_answered,
    is_candidate_expired,
)
from lease_aio.election.coordinated.step import Step, View, look
from lease_aio.model import Lease, LeaseCandidate, MicroTime

AGAIN_AFTER_FAILURE_S = 1.0

Key = tuple[str, str]
"""Namespace and name of a Lease."""


_Times = tuple[MicroTime | None, MicroTime | None]


@dataclass(frozen=True, slots=True)
class _Sight:
    lease: Lease
    since: float


class Ledger:
    """Told by two watches; says which Lease to look at next, and what a look finds.

    Attributes:
        field_dropped: The API server drops `spec.strategy` and `spec.preferredHolder`.

    Args:
        timing: Durations.
        strategies: How to choose, by name.
    """

    def __init__(self, timing: CoordinatorTiming, strategies: Mapping[str, Strategy] = BUILT_IN) -> None:
        self._timing, self._strategies = timing, strategies
        self.field_dropped = False
        self._leases: dict[Key, _Sight] = {}
        self._candidates: dict[Key, dict[str, LeaseCandidate]] = {}
        self._lease_of: dict[Key, Key] = {}  # of each candidate
        self._ahead: dict[Key, tuple[_Times, int]] = {}  # of each candidate that was looked at
        self._due: dict[Key, float] = {}

    # ------------------------------------------------------------------ what the watches tell

    def candidate_changed(self, candidate: LeaseCandidate, now: float) -> None:
        """A LeaseCandidate has this state; older ones than what is known are passed over."""
        me = (candidate.namespace, candidate.name)
        key = (candidate.namespace, candidate.spec.lease_name)
        known = self._candidate(*me)
        if known is not None and int(candidate.resource_version) < int(known.resource_version):
            return
        if self._lease_of.get(me, key) != key:
            self.candidate_gone(*me, now)
        self._lease_of[me] = key
        self._candidates.setdefault(key, {})[candidate.name] = candidate
        if has_answered(candidate):  # else it was asked just now: the look that asked it has set its time
            self._look_by(key, now)

    def candidate_asked(self, candidate: LeaseCandidate, now: float) -> None:
        """A question was stored like this. The watch may have shown the answer before, or the candidate's end."""
        if self._candidate(candidate.namespace, candidate.name) is not None:
            self.candidate_changed(candidate, now)

    def _candidate(self, namespace: str, name: str) -> LeaseCandidate | None:
        key = self._lease_of.get((namespace, name))
        return None if key is None else self._candidates[key][name]

    def candidate_gone(self, namespace: str, name: str, now: float) -> None:
        """A LeaseCandidate is no more."""
        self._ahead.pop((namespace, name), None)
        key = self._lease_of.pop((namespace, name), None)
        if key is None:
            return
        del self._candidates[key][name]
        if not self._candidates[key]:
            del self._candidates[key]
            self._due.pop(key, None)
        else:
            self._look_by(key, now)

    def lease_changed(self, lease: Lease, now: float) -> None:
        """A Lease has this state."""
        key = (lease.namespace, lease.name)
        known = self._leases.get(key)
        if known is None or int(known.lease.resource_version) < int(lease.resource_version):
            self._leases[key] = _Sight(lease, now)
            self._look_by(key, now)

    def lease_gone(self, namespace: str, name: str, now: float) -> None:
        """A Lease is no more."""
        if self._leases.pop((namespace, name), None) is not None:
            self._look_by((namespace, name), now)

    def manages(self, key: Key) -> bool:
        """Whether there are candidates for that Lease."""
        return key in self._candidates

    def _look_by(self, key: Key, at: float) -> None:
        if self.manages(key):
            self._due[key] = min(at, self._due.get(key, math.inf))

    # ------------------------------------------------------------------ looks

    @property
    def due(self) -> float:
        """When something is to be looked at."""
        return min(self._due.values(), default=math.inf)

    def next(self, now: float) -> Key | None:
        """Which Lease to look at now, if one is due."""
        key = min(self._due, key=lambda each: self._due[each], default=None)
        return key if key is not None and self._due[key] <= now else None

    def look(self, key: Key, now: float, wall_us: int) -> Step:
        """Look at one Lease, and note when to do so again."""
        self._due.pop(key, None)
        sight, candidates = self._leases.get(key), self._candidates.get(key, {})
        step = look(
            View(
                name=key[1],
                namespace=key[0],
                lease=sight.lease if sight is not None else None,
                candidates=sorted(candidates.values(), key=lambda each: each.name),
                wall_us=wall_us,
                silent_s=now - sight.since if sight is not None else None,
                timing=self._timing,
                strategies=self._strategies,
                field_dropped=self.field_dropped,
                ahead_us={name: self._ahead_us(each, wall_us) for name, each in candidates.items()},
            )
        )
        if step.problem and step.look_again_s is None:  # kube-apiserver waits for something to happen; it may not
            step = replace(step, look_again_s=self._timing.look_again_s)
        if step.look_again_s is not None:
            self._look_by(key, min(now + step.look_again_s, self._expires_at(sight, now)))
        return step

    def _ahead_us(self, candidate: LeaseCandidate, wall_us: int) -> int:
        """By how much its times were in the future when they were seen first: no sign of life can be."""
        me, times = (candidate.namespace, candidate.name), (candidate.spec.renew_time, candidate.spec.ping_time)
        before, ahead_us = self._ahead.get(me, ((None, None), 0))
        if before != times:
            newest_us = max((each.epoch_us for each in times if each is not None), default=wall_us)
            same_sign = before[0] == times[0]  # it was only asked
            ahead_us = max(ahead_us if same_sign else 0, newest_us - wall_us, 0)
            self._ahead[me] = times, ahead_us
        return ahead_us

    def _expires_at(self, sight: _Sight | None, now: float) -> float:
        """When the holder's time is over, unless it renews; infinity if it is over already."""
        duration_s = sight.lease.spec.lease_duration_seconds if sight is not None else None
        if sight is None or duration_s is None:
            return math.inf
        at = sight.since + duration_s * (1 + self._timing.clock_error)
        return at if at > now else math.inf

    def wrote(self, step: Step, stored: Lease, now: float) -> None:
        """The Lease was stored like this. The watch may have shown its end before."""
        assert step.lease is not None
        if step.lease.spec.strategy and not stored.spec.strategy:
            self.field_dropped = True
        if step.lease.resource_version and (stored.namespace, stored.name) not in self._leases:
            return
        self.lease_changed(stored, now)
        if preferred_holder(step.lease) != preferred_holder(stored):
            self._look_by((stored.namespace, stored.name), now)

    def failed(self, key: Key, now: float) -> None:
        """A write failed; the watch may show why."""
        self._look_by(key, now + AGAIN_AFTER_FAILURE_S)

    def expired(self, wall_us: int) -> list[LeaseCandidate]:
        """The candidates that have given no sign of life for too long to be any."""
        return [
            each
            for candidates in self._candidates.values()
            for each in candidates.values()
            if is_candidate_expired(each, wall_us, self._timing)
        ]
