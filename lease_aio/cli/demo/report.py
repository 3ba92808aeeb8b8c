"""The end of the demo: what it claims, what the server stored, and whether that is the same. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lease_aio.cli.demo.board import StoredTerm
from lease_aio.cli.demo.plan import Plan
from lease_aio.cli.demo.story import Cause, Handover, TermSeen
from lease_aio.model import Lease

UNDER_WAY_US = 1_000_000
"""A renewal that had been taken up when its node was silenced may still be sent, so much later at most."""

HANDOVERS_WANTED = (Cause.CRASH, Cause.RESIGNATION)


@dataclass(frozen=True, kw_only=True, slots=True)
class Claims:
    """What the demo saw from its own side.

    Attributes:
        leader: Who leads when the server is asked.
        terms: All of them, in order.
        handovers: Those between them.
        nodes: How many beat, or are silenced.
        fresh: Nodes that say that they were renewed within their lease.
        silenced: Their names, and when they were told to be silent (microseconds since the epoch).
        renewals: Confirmed writes of the fleet, at its end.
        failures: Its failed requests; after one, the outcome of a write may be unknown.
        identities: Holder by Lease name.
    """

    leader: str
    terms: Sequence[TermSeen]
    handovers: Sequence[Handover]
    nodes: int
    fresh: int
    silenced: Mapping[str, int]
    renewals: int
    failures: int
    identities: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """What the server says.

    Attributes:
        election: The Lease; None if there is none.
        terms: The terms that its changes told.
        nodes: The nodes' Leases.
        identities: The identities' Leases.
        changes: Writes of nodes' Leases that the watch told.
        asked_us: When the Leases were read.
        left: The election's holder after all candidates had stepped down.
    """

    election: Lease | None
    terms: Sequence[StoredTerm]
    nodes: Sequence[Lease]
    identities: Sequence[Lease]
    changes: int
    asked_us: int
    left: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One claim beside what is stored."""

    claim: str
    claimed: str
    stored: str
    true: bool


def checks(claims: Claims, stored: Stored, plan: Plan) -> list[Check]:
    """Every claim, checked."""
    return [*_election_checks(claims, stored), *_node_checks(claims, stored, plan), _identity_check(claims, stored)]


def _same(claim: str, claimed: object, stored: object) -> Check:
    return Check(claim=claim, claimed=str(claimed), stored=str(stored), true=claimed == stored)


def _election_checks(claims: Claims, stored: Stored) -> list[Check]:
    seen = [StoredTerm(holder=term.holder, transitions=term.transitions) for term in claims.terms]
    spec = stored.election.spec if stored.election is not None else None
    causes = {handover.cause for handover in claims.handovers}
    wanted = [cause.value for cause in HANDOVERS_WANTED]
    return [
        Check(
            claim="terms, in order",
            claimed=_terms_text(seen),
            stored=_terms_text(stored.terms),
            true=seen == list(stored.terms),
        ),
        _same("leader at the end", claims.leader, spec.holder_identity if spec else None),
        _same(
            "leaseTransitions", claims.terms[-1].transitions if claims.terms else None, spec and spec.lease_transitions
        ),
        Check(
            claim="never two leaders",
            claimed=f"{len(claims.terms)} terms",
            stored="tokens grow" if _tokens_grow(claims.terms) else "tokens do not grow",
            true=_tokens_grow(claims.terms) and not _overlap(claims.terms),
        ),
        Check(
            claim="hand-overs",
            claimed=", ".join(wanted),
            stored=", ".join(handover.cause.value for handover in claims.handovers) or "none",
            true=set(HANDOVERS_WANTED) <= causes,
        ),
        _same("released at the end", "", stored.left),
    ]


def _terms_text(terms: Sequence[StoredTerm]) -> str:
    return ", ".join(term.holder for term in terms) or "none"


def _tokens_grow(terms: Sequence[TermSeen]) -> bool:
    return all(one.token < other.token for one, other in pairwise(terms))


def _overlap(terms: Sequence[TermSeen]) -> bool:
    return any(one.ended_s is None or one.ended_s > other.started_s for one, other in pairwise(terms))


def _node_checks(claims: Claims, stored: Stored, plan: Plan) -> list[Check]:
    renewed_us = {lease.name: lease.spec.renew_time.epoch_us for lease in stored.nodes if lease.spec.renew_time}
    since_us = stored.asked_us - plan.node_lease_s * 1_000_000
    fresh = sum(at >= since_us for name, at in renewed_us.items() if name not in claims.silenced)
    silent = sum(renewed_us.get(name, 0) <= at + UNDER_WAY_US for name, at in claims.silenced.items())
    return [
        _same("nodes", claims.nodes, len(renewed_us)),
        _same("valid node leases", claims.fresh, fresh),
        _same("silenced nodes silent", len(claims.silenced), silent),
        Check(
            claim="renewals",
            claimed=str(claims.renewals),
            stored=str(stored.changes),
            true=claims.renewals == stored.changes or (claims.failures > 0 and stored.changes > claims.renewals),
        ),
    ]


def _identity_check(claims: Claims, stored: Stored) -> Check:
    found = {lease.name: lease.holder for lease in stored.identities if lease.name in claims.identities}
    valid = sum(_valid(lease, stored.asked_us) for lease in stored.identities if lease.name in found)
    return Check(
        claim="identities, valid",
        claimed=str(len(claims.identities)),
        stored=str(valid),
        true=found == dict(claims.identities) and valid == len(claims.identities),
    )


def _valid(lease: Lease, at_us: int) -> bool:
    spec = lease.spec
    if spec.renew_time is None or spec.lease_duration_seconds is None:
        return False
    return spec.renew_time.epoch_us + spec.lease_duration_seconds * 1_000_000 > at_us
