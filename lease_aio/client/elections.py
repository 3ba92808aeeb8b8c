"""Elections and locks: contending for a Lease, watching who holds it, choosing who may."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lease_aio.client.base import ClientBase
from lease_aio.election import (
    COORDINATOR_LEASE,
    Candidate,
    Coordinator,
    Decision,
    Event,
    Leadership,
    Observation,
    Terms,
)
from lease_aio.election.coordinated import BUILT_IN, CandidateInfo, CoordinatorTiming, Strategy
from lease_aio.naming import candidate_identity, check_lease_name
from lease_aio.timing import Timing


class Elections(ClientBase):
    """The elections and locks of a client."""

    def lead(
        self,
        name: str,
        *,
        namespace: str | None = None,
        identity: str | None = None,
        timing: Timing | None = None,
        labels: Mapping[str, str] | None = None,
        observer: Callable[[Event], None] | None = None,
        coordinated: CandidateInfo | None = None,
    ) -> Leadership:
        """Wait for leadership, hold it for the body, release it after the body.

        The body is cancelled if the term ends; then `TermLost` is raised at its end. See `Term` for what
        is guaranteed and what is not.

        Args:
            name: The Lease.
            namespace: The client's if left out.
            identity: Who is written as holder; the client's if left out.
            timing: Durations.
            labels: Put on the Lease, beside what is there.
            observer: Called with each event of the election; must not block or raise.
            coordinated: Leave it to a coordinator who leads (KEP-4355), and tell it this. See `CandidateInfo`.

        Raises:
            ConfigurationError: a name is not valid.
        """
        return Leadership(
            self._candidate(
                name,
                namespace=namespace,
                identity=identity,
                timing=timing,
                labels=labels,
                observer=observer,
                coordinated=coordinated,
            )
        )

    def terms(
        self,
        name: str,
        *,
        namespace: str | None = None,
        identity: str | None = None,
        timing: Timing | None = None,
        labels: Mapping[str, str] | None = None,
        observer: Callable[[Event], None] | None = None,
        coordinated: CandidateInfo | None = None,
    ) -> Terms:
        """Iterate over terms: contends again after every loss. Parameters as for `lead`."""
        return Terms(
            self._candidate(
                name,
                namespace=namespace,
                identity=identity,
                timing=timing,
                labels=labels,
                observer=observer,
                coordinated=coordinated,
            )
        )

    def coordinator(
        self,
        *,
        namespace: str | None = None,
        strategies: Mapping[str, Strategy] = BUILT_IN,
        coordinator_timing: CoordinatorTiming | None = None,
        lease: str = COORDINATOR_LEASE,
        identity: str | None = None,
        timing: Timing | None = None,
        observer: Callable[[Decision], None] | None = None,
    ) -> Coordinator:
        """Elect among the LeaseCandidates of a namespace for the body, as kube-apiserver's coordinator does (KEP-4355).

        For clusters where that does not run, and for strategies of one's own. Of several, one acts at a time.

        Args:
            namespace: Whose Leases; the client's if left out, `""` for all.
            strategies: How to choose, by name: functions from the candidates that are alive to one of them.
            coordinator_timing: Its durations.
            lease: By which coordinators elect the one that acts, in the client's namespace.
            identity: Who is written as holder of that; unique by default.
            timing: Durations of that.
            observer: Called with each decision; must not block or raise.

        Raises:
            ConfigurationError: a name is not valid.
        """
        own = candidate_identity() if identity is None else identity
        return Coordinator(
            self.engine,
            self._candidate(lease, namespace=None, identity=own, timing=timing, labels=None, observer=None),
            namespace="" if namespace == "" else self._namespace(namespace),
            timing=coordinator_timing or CoordinatorTiming(),
            strategies=strategies,
            observer=observer,
        )

    def observe(self, name: str, *, namespace: str | None = None, timing: Timing | None = None) -> Observation:
        """Tell who holds a Lease, without contending: `async with` it, then `async for holding in` it.

        Args:
            name: The Lease.
            namespace: The client's if left out.
            timing: For how long a silent holder is believed in, and how often to read where watching is refused.

        Raises:
            ConfigurationError: a name is not valid.
        """
        check_lease_name(name)
        return Observation(self.engine, name=name, namespace=self._namespace(namespace), timing=timing or Timing())

    def lock(
        self,
        name: str,
        *,
        namespace: str | None = None,
        timing: Timing | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Leadership:
        """A mutual-exclusion lock that renews itself: `lead` under an identity of its own for each call.

        Not re-entrant, not fair. What it locks should compare `token`, as with every lock that can be lost.
        """
        return Leadership(
            self._candidate(
                name, namespace=namespace, identity=candidate_identity(), timing=timing, labels=labels, observer=None
            )
        )

    def _candidate(
        self,
        name: str,
        *,
        namespace: str | None,
        identity: str | None,
        timing: Timing | None,
        labels: Mapping[str, str] | None,
        observer: Callable[[Event], None] | None,
        coordinated: CandidateInfo | None = None,
    ) -> Candidate:
        check_lease_name(name)
        return Candidate(
            self.engine,
            name=name,
            namespace=self._namespace(namespace),
            identity=self.identity if identity is None else identity,
            timing=timing or Timing(),
            labels=labels,
            observer=observer,
            coordinated=coordinated,
        )
