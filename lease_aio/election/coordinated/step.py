"""One look of a coordinator at one Lease: what to write, and when to look again. Pure.

Nothing is remembered from one look to the next but what stands in the Lease and in its candidates, as in
kube-apiserver's `reconcileElectionStep`:

- no candidates: the Lease is not managed;
- its holder is alive, and the best of all: nothing to do;
- else ask all candidates for a sign of life, wait for the answers, and choose among those that answered;
- a Lease that nobody holds, or whose holder's time is over, is given to the chosen one; beside a holder that is alive,
  the chosen one is named as preferred, and the holder makes room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from lease_aio.election.appointment import PREFERRED, preferred_holder
from lease_aio.election.coordinated import rules
from lease_aio.election.coordinated.rules import BUILT_IN, CoordinatorTiming, Disagreement, Strategy, pick_strategy
from lease_aio.model import Lease, LeaseCandidate, LeaseSpec, MicroTime, new_lease


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What one look leads to.

    Attributes:
        pings: Candidates to be written: they are asked for a sign of life.
        lease: The Lease to be written, if it is to change; without a resourceVersion it is to be created.
        chosen: Who was elected; empty where nobody was.
        look_again_s: When to look again, if nothing changes before; None: not before something changes.
        problem: Why nobody could be elected; empty if there is none.
        undecided: Candidates were asked, now or before, and may still answer.
    """

    pings: tuple[LeaseCandidate, ...] = ()
    lease: Lease | None = None
    chosen: str = ""
    look_again_s: float | None = None
    problem: str = ""
    undecided: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What a coordinator sees of one election.

    Attributes:
        name: The Lease.
        namespace: Its namespace.
        lease: The record; None where there is none.
        candidates: All that name this Lease.
        wall_us: The wall clock.
        silent_s: How long this version of the record has been seen, on a monotonic clock; None to believe the
            holder's `renewTime` instead, as kube-apiserver does.
        timing: Durations.
        strategies: How to choose, by name.
        field_dropped: The API server drops `spec.preferredHolder`, so the annotation stands in for it.
        ahead_us: By how much the clocks of candidates are ahead of `wall_us`, as far as was seen; by name.
    """

    name: str
    namespace: str
    lease: Lease | None
    candidates: Sequence[LeaseCandidate]
    wall_us: int
    silent_s: float | None = None
    timing: CoordinatorTiming = field(default_factory=CoordinatorTiming)
    strategies: Mapping[str, Strategy] = field(default_factory=lambda: BUILT_IN)
    field_dropped: bool = False
    ahead_us: Mapping[str, int] = field(default_factory=dict[str, int])

    def clock_of(self, candidate: LeaseCandidate) -> int:
        """What its clock shows, in microseconds since the epoch: its times are judged, and it is asked, by that.

        One that is behind is of no account, as an answer is never older than the question.
        """
        return self.wall_us + self.ahead_us.get(candidate.name, 0)

    @property
    def expired(self) -> bool:
        """The holder's time is over."""
        return self.lease is None or rules.is_lease_expired(self.lease, self.wall_us, self.timing, self.silent_s)


def look(view: View) -> Step:
    """Decide what to do about one Lease."""
    timing = view.timing
    candidates = [each for each in view.candidates if not rules.is_candidate_expired(each, view.clock_of(each), timing)]
    if not candidates:
        return Step()
    try:
        if not _is_needed(view, candidates):
            return Step(look_again_s=timing.look_again_s)
    except Disagreement as error:
        return Step(look_again_s=timing.look_again_s, problem=str(error))
    pings, waits = _pings(view, candidates)
    if pings or waits:
        return Step(pings=pings, look_again_s=timing.look_again_s, undecided=True)
    alive = [each for each in candidates if rules.is_fresh(each, view.clock_of(each), timing)]
    return _elect(view, alive)


def _is_needed(view: View, candidates: Sequence[LeaseCandidate]) -> bool:
    lease = view.lease
    if lease is None or not lease.holder or view.expired:
        return True
    if any(rules.is_half_expired(each, view.clock_of(each), view.timing) for each in candidates):
        return True
    choose = view.strategies.get(pick_strategy(candidates))
    best = choose(candidates) if choose is not None else None
    return best is not None and best.name != lease.holder


def _pings(view: View, candidates: Sequence[LeaseCandidate]) -> tuple[tuple[LeaseCandidate, ...], bool]:
    """Whom to ask for a sign of life, and whether somebody who was asked may still answer."""
    timing = view.timing
    waits, to_ask = False, list[LeaseCandidate]()
    for each in candidates:
        wall_us = view.clock_of(each)
        if rules.is_asked(each, wall_us, timing):
            waits = True
        elif not rules.is_fresh(each, wall_us, timing) and rules.is_to_be_asked(each, wall_us, timing):
            to_ask.append(_asked(each, wall_us))
    return tuple(to_ask), waits


def _asked(candidate: LeaseCandidate, wall_us: int) -> LeaseCandidate:
    return msgspec.structs.replace(
        candidate, spec=msgspec.structs.replace(candidate.spec, ping_time=MicroTime(wall_us))
    )


def _elect(view: View, alive: Sequence[LeaseCandidate]) -> Step:
    if not alive:
        return Step(problem="no candidate gave a sign of life")
    try:
        strategy = pick_strategy(alive)
    except Disagreement as error:
        return Step(problem=str(error))
    choose = view.strategies.get(strategy)
    if choose is None:
        return _left_to_others(view, strategy)
    chosen = choose(alive)
    if chosen is None:
        return Step(problem=f"strategy {strategy!r} chose nobody among {', '.join(each.name for each in alive)}")
    changed = _appointing(view, strategy, chosen.name)
    lease = changed if changed != view.lease else None
    return Step(lease=lease, chosen=chosen.name, look_again_s=view.timing.look_again_s)


def _left_to_others(view: View, strategy: str) -> Step:
    """A strategy of another coordinator, which finds its name in the Lease. What is kube-apiserver's own, it does."""
    again_s = view.timing.look_again_s
    if "/" not in strategy:
        return Step(look_again_s=again_s)
    if view.lease is None:
        return Step(lease=_created(view, strategy, None), look_again_s=again_s)
    changed = _managed(view, view.lease, strategy)
    return Step(lease=changed if changed != view.lease else None, look_again_s=again_s)


def _appointing(view: View, strategy: str, chosen: str) -> Lease:
    """The Lease with the chosen one in it: as holder, or as preferred beside a holder that is alive."""
    lease = view.lease
    if lease is None:
        return _created(view, strategy, chosen)
    lease = _managed(view, lease, strategy)
    if not lease.holder or (view.expired and lease.holder != chosen):
        return _without_annotation(lease).with_spec(
            holder_identity=chosen,
            preferred_holder=None,
            renew_time=MicroTime(view.wall_us),
            acquire_time=None,
            lease_duration_seconds=view.timing.appointment_s,
        )
    if lease.holder == chosen:  # kube-apiserver leaves an earlier preference standing, and the holder yields to nobody
        return _without_annotation(lease).with_spec(preferred_holder=None)
    if preferred_holder(lease) == chosen:
        return lease
    if view.field_dropped:
        return lease.with_metadata(annotations={**lease.metadata.annotations, PREFERRED: chosen})
    return lease.with_spec(preferred_holder=chosen)


def _managed(view: View, lease: Lease, strategy: str) -> Lease:
    return lease if view.field_dropped else lease.with_spec(strategy=strategy)


def _created(view: View, strategy: str, holder: str | None) -> Lease:
    spec = LeaseSpec(
        holder_identity=holder,
        lease_duration_seconds=view.timing.appointment_s,
        renew_time=MicroTime(view.wall_us),
        strategy=strategy,
    )
    return new_lease(view.name, view.namespace, spec)


def _without_annotation(lease: Lease) -> Lease:
    annotations = lease.metadata.annotations
    if PREFERRED not in annotations:
        return lease
    return lease.with_metadata(annotations={key: text for key, text in annotations.items() if key != PREFERRED})
