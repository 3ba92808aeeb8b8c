"""Who worked when, who overlapped, and whose fault it was. Pure: it judges what was recorded.

**Working intervals.** A candidate works from its `started` to its `stopped`, or to its death. All stamps are
CLOCK_BOOTTIME, which the processes of one machine share. While a process is stopped by SIGSTOP it does nothing, so
the freeze is cut out of its interval; what it does after SIGCONT counts.

**Attribution.** Two intervals that overlap are counted once, against the one that worked outside its right:

* *ours* or *ours, frozen*, if a candidate of this package worked after its right had ended. Its right ends, whichever
  comes first, `stop_grace_s` after the term's own `valid_for()` said 0, `stop_grace_s` after its work was told to stop,
  and a lease duration after the last of its writes that the API server's history has (this trusts no word of the
  candidate's). It is *frozen* if the process had been stopped by SIGSTOP before its right ended and had not been awake
  again for `stop_grace_s`: no process can do better then, and only the token keeps its writes out.
* *ours*, too, if it began a term that it had no right to: the history shows that it overwrote another holder before
  that one's duration was over, or that one of ours had emptied a Lease that another held.
* *client-go* otherwise: it worked on, or emptied the Lease of a holder that lived, or took over too early; *client-go,
  frozen* if it had been stopped by SIGSTOP and stopped its work within the same grace.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.torture.history import Write
from tests.torture.resource import Offer

OURS, CLIENT_GO = "ours", "client-go"
OURS_FROZEN, CLIENT_GO_FROZEN = "ours, frozen", "client-go, frozen"
_SEEN_LATE_S = 0.25


@dataclass(frozen=True, kw_only=True)
class LifeRecord:
    """What is known of one process; see `processes.Life`."""

    candidate: str
    ours: bool
    identity: str
    events: Sequence[Mapping[str, Any]]
    freezes: Sequence[tuple[float, float]] = ()
    ended: float = math.inf
    killed: bool = False


@dataclass(frozen=True, kw_only=True)
class Work:
    """One term of one process.

    Attributes:
        token: Of ours; 0 for client-go.
        asked: When it was asked to step down; None if it was not.
        told: When its work was told to stop; None if it never was, or is client-go.
        valid_until: By the term's own word; infinity where it left none.
        killed: It ended by SIGKILL.
    """

    candidate: str
    ours: bool
    identity: str
    start: float
    end: float
    token: int
    asked: float | None
    told: float | None
    valid_until: float
    killed: bool
    freezes: Sequence[tuple[float, float]]

    def pieces(self) -> Iterator[tuple[float, float]]:
        """The interval without its freezes."""
        at = self.start
        for frozen, thawed in sorted(self.freezes):
            if thawed > at and frozen < self.end:
                if frozen > at:
                    yield at, frozen
                at = max(at, thawed)
        if at < self.end:
            yield at, self.end


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Two that worked at once."""

    first: str
    second: str
    start: float
    length_s: float
    culprit: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Blanked:
    """A Lease that was emptied under a holder by somebody else."""

    version: int
    victim: str
    by: str


@dataclass(frozen=True, kw_only=True)
class HandOver:
    """From the end of one leader to the start of the next; `kind` says how the first one ended."""

    kind: str
    previous: str
    following: str
    start: float
    seconds: float

    def during(self, windows: Iterable[tuple[float, float]]) -> bool:
        """It shares some time with one of the windows."""
        return any(start < self.start + self.seconds and self.start < end for start, end in windows)


@dataclass(kw_only=True)
class Evidence:
    """What the judgement rests on.

    Attributes:
        works: All terms.
        writes: The API server's history of the Lease.
        writers: Candidate by resourceVersion, as far as the audit log knows.
        lease_duration_s: Of ours.
        stop_grace_s: Of ours.
    """

    works: Sequence[Work]
    writes: Sequence[Write]
    writers: Mapping[int, str]
    lease_duration_s: float
    stop_grace_s: float
    last_seen: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        self.last_seen = {write.holder: write.seen for write in self.writes}

    def before(self, version: int) -> Write | None:
        """The state that the write of this version replaced."""
        earlier = [write for write in self.writes if write.version < version]
        return earlier[-1] if earlier else None


def works_of(life: LifeRecord) -> Iterator[Work]:
    """The terms of one process, in order."""
    began: Mapping[str, Any] | None = None
    asked = told = None
    for event in life.events:
        match event["event"]:
            case "started":
                began, told, asked = event, None, None
            case "stepping-down":
                asked = event["boot"]
            case "stopping":
                told = event["boot"]
            case "stopped" if began is not None:
                yield _work(life, began, event["boot"], asked=asked, told=told, valid=event.get("valid_until"))
                began = None
    if began is not None:
        yield _work(life, began, life.ended, asked=asked, told=told, valid=None, killed=life.killed)


def _work(
    life: LifeRecord,
    began: Mapping[str, Any],
    end: float,
    *,
    asked: float | None,
    told: float | None,
    valid: float | None,
    killed: bool = False,
) -> Work:
    return Work(
        candidate=life.candidate,
        ours=life.ours,
        identity=life.identity,
        start=began["boot"],
        end=end,
        token=began.get("token", 0),
        asked=asked,
        told=told,
        valid_until=math.inf if valid is None else valid,
        killed=killed,
        freezes=life.freezes,
    )


# ---------------------------------------------------------------------- overlaps


def overlaps(evidence: Evidence) -> list[Overlap]:
    """All pairs of terms that overlap, with the judgement."""
    found = []
    in_order = sorted(evidence.works, key=lambda work: work.start)
    for number, first in enumerate(in_order):
        for second in in_order[number + 1 :]:
            if second.start >= first.end:
                break
            if shared := list(_shared(first, second)):
                found.append(_overlap(evidence, first, second, shared))
    return found


def _shared(first: Work, second: Work) -> Iterator[tuple[float, float]]:
    others = list(second.pieces())
    for start, end in first.pieces():
        for other_start, other_end in others:
            if max(start, other_start) < min(end, other_end):
                yield max(start, other_start), min(end, other_end)


def _overlap(evidence: Evidence, first: Work, second: Work, shared: Sequence[tuple[float, float]]) -> Overlap:
    culprit, why = _judge(evidence, first, second, shared)
    return Overlap(
        first=first.identity,
        second=second.identity,
        start=shared[0][0],
        length_s=sum(end - start for start, end in shared),
        culprit=culprit,
        why=why,
    )


def _judge(evidence: Evidence, first: Work, second: Work, shared: Sequence[tuple[float, float]]) -> tuple[str, str]:
    until = shared[-1][1]
    verdicts = [_overstayed(evidence, work, until) for work in (first, second) if work.ours]
    verdicts += [_usurped(evidence, work) for work in (first, second) if work.ours]
    for culprit in (OURS, OURS_FROZEN):
        for verdict in verdicts:
            if verdict is not None and verdict[0] == culprit:
                return verdict
    return _what_client_go_did(evidence, first, second, until)


def right_ends(evidence: Evidence, work: Work) -> float:
    """When a term of ours has to be over, its grace included."""
    grace = evidence.stop_grace_s
    by_server = evidence.last_seen.get(work.identity, math.inf) + evidence.lease_duration_s
    by_order = math.inf if work.told is None else work.told + grace
    return min(work.valid_until + grace, by_order, by_server)


def _overstayed(evidence: Evidence, work: Work, until: float) -> tuple[str, str] | None:
    right = right_ends(evidence, work)
    if until <= right:
        return None
    for frozen, thawed in work.freezes:
        if frozen < right and until <= thawed + evidence.stop_grace_s:
            return OURS_FROZEN, _after_freeze(work, frozen, thawed, until)
    return OURS, f"{work.identity} worked {until - right:.3f} s beyond its right"


def _usurped(evidence: Evidence, work: Work) -> tuple[str, str] | None:
    replaced = evidence.before(work.token)
    if replaced is None or replaced.holder == work.identity:
        return None
    if not replaced.holder:
        emptied = {blank.version: blank.by for blank in blanked(evidence) if blank.by.startswith(OURS)}
        if replaced.version in emptied:
            return OURS, f"{emptied[replaced.version]} emptied the Lease of another"
        return None
    won = next((write.seen for write in evidence.writes if write.version == work.token), math.inf)
    if won - replaced.seen < replaced.duration_s - _SEEN_LATE_S:
        return OURS, f"{work.identity} overwrote {replaced.holder} after {won - replaced.seen:.2f} s"
    return None


def _what_client_go_did(evidence: Evidence, first: Work, second: Work, until: float) -> tuple[str, str]:
    if first.ours:
        return CLIENT_GO, f"{second.identity} began while {first.identity} was in its right"
    for frozen, thawed in first.freezes:
        if frozen < until <= thawed + evidence.lease_duration_s:
            just_awake = until <= thawed + evidence.stop_grace_s
            return CLIENT_GO_FROZEN if just_awake else CLIENT_GO, _after_freeze(first, frozen, thawed, until)
    if any(blank.victim == first.identity for blank in blanked(evidence)):
        return CLIENT_GO, f"the Lease of {first.identity} was emptied by another's release"
    return CLIENT_GO, f"{first.identity} worked on"


def _after_freeze(work: Work, frozen: float, thawed: float, until: float) -> str:
    return f"{work.identity} was stopped for {thawed - frozen:.1f} s and worked {until - thawed:.3f} s on"


def blanked(evidence: Evidence) -> list[Blanked]:
    """Every Lease emptied under a holder by another candidate; what the audit log does not know is left out."""
    found, holder = [], ""
    for write in evidence.writes:
        by = evidence.writers.get(write.version)
        if not write.holder and holder and by is not None and by != holder.partition(".")[0]:
            found.append(Blanked(version=write.version, victim=holder, by=by))
        holder = write.holder
    return found


# ---------------------------------------------------------------------- tokens, writes, hand-overs


def token_faults(evidence: Evidence) -> list[str]:
    """Tokens that do not rise from term to term, or that the history does not have."""
    versions = {write.version: write.holder for write in evidence.writes}
    found, highest = [], 0
    for work in sorted((work for work in evidence.works if work.ours), key=lambda work: work.start):
        if work.token <= highest:
            found.append(f"{work.identity} began with token {work.token} after {highest}")
        if versions.get(work.token) != work.identity:
            found.append(f"token {work.token} of {work.identity} is not its write: {versions.get(work.token)!r}")
        highest = max(highest, work.token)
    return found


def stale_writes(offers: Iterable[Offer]) -> tuple[int, int]:
    """How many writes came with a token lower than one before, and how many of those were accepted."""
    highest = offered = accepted = 0
    for offer in offers:
        if offer.token < highest:
            offered += 1
            accepted += offer.accepted
        highest = max(highest, offer.token)
    return offered, accepted


def hand_overs(works: Iterable[Work]) -> Iterator[HandOver]:
    """From each term's end to the start of the next one, where another life led next."""
    in_order = sorted(works, key=lambda work: work.start)
    for previous, following in itertools.pairwise(in_order):
        kind, since = _how_it_ended(previous)
        if previous.identity != following.identity and following.start > since:
            yield HandOver(
                kind=kind,
                previous=_side(previous),
                following=_side(following),
                start=since,
                seconds=following.start - since,
            )


def _how_it_ended(work: Work) -> tuple[str, float]:
    if work.killed:
        return "SIGKILL", work.end
    if work.asked is not None and work.asked <= work.end:
        return "release", work.asked
    return "loss", work.end


def _side(work: Work) -> str:
    return OURS if work.ours else CLIENT_GO


def led_s(works: Iterable[Work]) -> float:
    """How long at least one worked."""
    total, until = 0.0, -math.inf
    for start, end in sorted(piece for work in works for piece in work.pieces()):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed; NaN of none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]
