"""The shell of one LeaseCandidate: performs what `Nomination` asks for, through the shared scheduler and watch."""

from __future__ import annotations

import math
from typing import Protocol

import anyio

from lease_aio.api import LEASE_CANDIDATES, LEASE_CANDIDATES_V1ALPHA2, Backoff
from lease_aio.election.coordinated.info import CandidateInfo
from lease_aio.election.coordinated.nomination import UNSERVED_S, Ask, Nomination, Verb
from lease_aio.election.engine import Engine
from lease_aio.election.failures import failure_of
from lease_aio.election.requests import Failure
from lease_aio.election.watches import Subscription
from lease_aio.errors import ApiError, NotFound
from lease_aio.log import get_logger
from lease_aio.model import LeaseCandidate
from lease_aio.scheduler import Priority, Renewal, Verdict

_BACKOFF = Backoff(first_s=0.5, cap_s=5.0)


class Elector(Protocol):
    """Whom the nomination is for. The calls come from the event loop and must not block."""

    def coordinator_asks(self) -> None:
        """There is a coordinator, and it wants a sign of life."""

    def candidates_served(self, *, served: bool) -> None:
        """Whether the API server has LeaseCandidates."""

    def nomination_refused(self, error: ApiError) -> None:
        """The API server refuses the LeaseCandidate for good."""


class Nominee:
    """Publishes one LeaseCandidate while its candidate contends or leads.

    Args:
        engine: What the client shares.
        elector: Is told what comes of it.
        info: What the candidate says of itself.
        name: Of the object: the holder identity.
        namespace: Its namespace, the Lease's.
        lease: What is contended for.
        timeout_s: Bound of each request.
    """

    def __init__(
        self,
        engine: Engine,
        elector: Elector,
        info: CandidateInfo,
        *,
        name: str,
        namespace: str,
        lease: str,
        timeout_s: float,
    ) -> None:
        self._engine, self._elector = engine, elector
        self._name, self._namespace, self._timeout_s = name, namespace, timeout_s
        self._nomination = Nomination(
            info,
            name=name,
            namespace=namespace,
            lease=lease,
            random=engine.random,
            wait_s=lambda failures, asked_s: _BACKOFF.delay_s(failures, engine.random, retry_after_s=asked_s),
        )
        self._log = get_logger("election").bind(candidate=f"{namespace}/{name}", lease=f"{namespace}/{lease}")
        self._resource = LEASE_CANDIDATES
        self._renewal: Renewal | None = None
        self._subscription: Subscription[LeaseCandidate] | None = None
        self._over = anyio.Event()
        self._told_served = True
        self._told_refused = False
        self._refused_until = -math.inf

    @property
    def published(self) -> bool:
        """The object is there, as far as is known."""
        return self._nomination.published

    def publish(self) -> None:
        """Have it published, and kept alive; after a refusal, not at once again. Returns at once; may be repeated."""
        if self._nomination.wanted or self._engine.clock.now() < self._refused_until:
            return
        self._nomination.wanted = True
        if self._subscription is None:
            self._nomination.polling = False
            self._subscription = self._engine.candidate_watches.subscribe(self._namespace, self._name, self)
        self._reschedule()

    def withdraw(self) -> anyio.Event:
        """Have it taken away. Returns at once; the event is set when it is gone, as far as is known."""
        self._nomination.wanted = False
        self._over = anyio.Event()
        self._reschedule()
        return self._over

    def close(self) -> None:
        """Do nothing more about it, whether it is gone or not."""
        if not self._nomination.over and not self._nomination.wanted:
            self._log.warning("election.candidate_left_behind", remedy="a coordinator drops it after half an hour")
        self._nomination.wanted = False
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
        if self._renewal is not None:
            self._engine.scheduler.remove(self._renewal)
            self._renewal = None
        self._told_refused, self._refused_until = False, -math.inf
        self._over.set()

    # ------------------------------------------------------------------ the scheduler's side

    def _reschedule(self) -> None:
        now = self._engine.clock.now()
        due = max(self._nomination.due, now)
        if self._nomination.over:
            self._over.set()
        if self._renewal is not None:
            self._engine.scheduler.change(self._renewal, due=due)
        elif due < math.inf:
            self._renewal = self._new_renewal(due)
            self._engine.scheduler.add(self._renewal)

    def _new_renewal(self, due: float) -> Renewal:
        async def attempt() -> Verdict:
            return await self._attempt() if self._renewal is renewal else Verdict(due=None, renewed=False)

        renewal = Renewal(attempt=attempt, priority=Priority.ELECTION, due=due)
        return renewal

    async def _attempt(self) -> Verdict:
        clock, nomination = self._engine.clock, self._nomination
        ask = nomination.tick(clock.now(), self._engine.stamps.next_us())
        if ask is None:
            return self._verdict(renewed=False)
        try:
            found = await self._send(ask)
        except ApiError as error:
            return self._failed(ask, error)
        self._note(ask, found)
        return self._verdict(renewed=ask.verb in {Verb.CREATE, Verb.REPLACE})

    def _note(self, ask: Ask, found: LeaseCandidate | None) -> None:
        asked_before = self._nomination.asked
        self._nomination.answered(ask, found, self._engine.clock.now())
        if ask.verb in {Verb.CREATE, Verb.REPLACE}:
            self._told_refused = False
        if ask.verb is Verb.CREATE:
            self._log.info("election.candidate_published")
        elif ask.verb is Verb.DELETE:
            self._log.info("election.candidate_withdrawn")
        self._tell_served()
        if ask.verb is Verb.READ and self._nomination.asked and not asked_before:
            self._elector.coordinator_asks()

    async def _send(self, ask: Ask) -> LeaseCandidate | None:
        api, timeout_s, candidate = self._engine.api, self._timeout_s, ask.candidate
        if candidate is None:
            try:
                return await api.get(self._resource, self._name, self._namespace, timeout_s=timeout_s)
            except NotFound:
                return None
        if ask.verb is Verb.CREATE:
            return await self._create(candidate)
        if ask.verb is Verb.REPLACE:
            return await api.replace(self._resource, candidate, timeout_s=timeout_s)
        uid = candidate.metadata.uid or ""
        await api.delete(self._resource, self._name, self._namespace, uid=uid, timeout_s=timeout_s)
        return None

    async def _create(self, candidate: LeaseCandidate) -> LeaseCandidate:
        """In v1beta1, or in v1alpha2 where that is all that is served: without a watch then, looking for questions."""
        for resource in (LEASE_CANDIDATES, LEASE_CANDIDATES_V1ALPHA2):
            written = resource.type(metadata=candidate.metadata, spec=candidate.spec)
            try:
                found = await self._engine.api.create(resource, written, timeout_s=self._timeout_s)
            except NotFound as error:
                if error.namespace_missing or resource is LEASE_CANDIDATES_V1ALPHA2:
                    raise
            else:
                self._resource = resource
                return found
        raise AssertionError("the last of them raises or returns")

    def _failed(self, ask: Ask, error: ApiError) -> Verdict:
        failure = failure_of(error, leading=self._nomination.published)
        self._log.info("election.candidate_request_failed", request=ask.verb.value, error=str(error))
        wanted = self._nomination.wanted
        self._nomination.failed(ask, failure, self._engine.clock.now(), retry_after_s=error.retry_after_s)
        self._tell_served()
        if failure is Failure.PERMANENT and wanted:
            self._refused(error)
        return self._verdict(renewed=False, failed=True, retry_after_s=error.retry_after_s)

    def _refused(self, error: ApiError) -> None:
        """Told once. A leader goes on, and rights may be given back."""
        self._refused_until = self._engine.clock.now() + UNSERVED_S
        if not self._told_refused:
            self._told_refused = True
            self._elector.nomination_refused(error)

    def _tell_served(self) -> None:
        served = self._nomination.served
        if served == self._told_served:
            return
        self._told_served = served
        if served:
            self._log.info("election.coordinated_again", because="the API server has LeaseCandidates now")
        else:
            self._log.warning("election.not_coordinated", because="the API server has no LeaseCandidates")
        self._elector.candidates_served(served=served)

    def _verdict(self, *, renewed: bool, failed: bool = False, retry_after_s: float | None = None) -> Verdict:
        if self._nomination.over:
            self._over.set()
        due = max(self._nomination.due, self._engine.clock.now())
        return Verdict(due=due, renewed=renewed, failed=failed, retry_after_s=retry_after_s)

    # ------------------------------------------------------------------ see `watches.Listener`

    def changed(self, found: LeaseCandidate, *, listed: bool) -> None:
        """See `watches.Listener`."""
        del listed
        if self._nomination.observed(found):
            self._elector.coordinator_asks()
        self._reschedule()

    def gone(self, resource_version: str) -> None:
        """See `watches.Listener`."""
        self._nomination.vanished(resource_version)
        self._reschedule()

    def watch_refused(self, error: ApiError) -> None:
        """See `watches.Listener`."""
        del error
        self._nomination.polling = True
        self._reschedule()

    def watch_allowed(self) -> None:
        """See `watches.Listener`."""
        self._nomination.polling = False
        self._reschedule()
