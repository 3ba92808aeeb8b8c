"""The shell of a coordinator: follows Leases and LeaseCandidates, and writes what `Ledger` decides.

It runs under an election of its own, so any number of them may be started; two at once would do no harm, since each of
their writes is compare-and-swap, but would ask and write twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import anyio
import anyio.abc

from lease_aio.api import LEASE_CANDIDATES, LEASES, ChangeType, Resource, follow
from lease_aio.election.candidate import Candidate
from lease_aio.election.coordinated.ledger import Key, Ledger
from lease_aio.election.coordinated.rules import BUILT_IN, CoordinatorTiming, Strategy, is_candidate_expired
from lease_aio.election.coordinated.step import Step
from lease_aio.election.engine import Engine
from lease_aio.election.term import Term, Terms
from lease_aio.errors import ApiError, Conflict, Invalid, NotFound, Refused
from lease_aio.log import get_logger
from lease_aio.model import KubeObject, Lease, LeaseCandidate
from lease_aio.observers import check_observer

T = TypeVar("T", bound=KubeObject)
COORDINATOR_LEASE = "lease-aio-coordinator"
"""The Lease by which coordinators elect the one that acts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What a coordinator did about one Lease; one that says nothing of all this takes the problem told before back.

    Attributes:
        lease: Its name.
        namespace: Its namespace.
        chosen: Who was appointed, or preferred; empty where nobody was.
        preferred: The Lease has a holder that is alive, and was asked to make room.
        asked: Candidates that were asked for a sign of life.
        problem: Why nobody can be elected; empty if there is none.
    """

    lease: str
    namespace: str
    chosen: str = ""
    preferred: bool = False
    asked: tuple[str, ...] = ()
    problem: str = ""


class Coordinator:
    """Elects among the candidates of a namespace's Leases while its `async with` block runs, and it is the one to act.

    Guarantees no more than that the best candidate is named in the end: safety is the candidates' own, who let each
    other's terms run out by their own clocks, whatever a coordinator writes.

    Raises in the block, and at its end:
        ApiError: the API server refuses for good what it needs: to read, watch and write Leases and LeaseCandidates.

    Args:
        engine: What the client shares.
        candidate: Contends for the right to act.
        namespace: Whose Leases; empty for all namespaces.
        timing: Durations.
        strategies: How to choose, by name.
        observer: Called with each decision, from the event loop; it must not block or raise.
    """

    def __init__(
        self,
        engine: Engine,
        candidate: Candidate,
        *,
        namespace: str,
        timing: CoordinatorTiming,
        strategies: Mapping[str, Strategy] = BUILT_IN,
        observer: Callable[[Decision], None] | None = None,
    ) -> None:
        self._engine, self._candidate = engine, candidate
        self._namespace, self._timing, self._strategies = namespace, timing, strategies
        check_observer(observer)
        self._observer = observer
        self._log = get_logger("coordinator").bind(namespace=namespace or "(all)", identity=candidate.identity)
        self._ledger = Ledger(timing, strategies)
        self._news = anyio.Event()
        self._synced: set[str] = set()
        self._problems: dict[Key, str] = {}
        self._tasks: anyio.abc.TaskGroup | None = None
        self._error: ApiError | None = None
        self.acting = False

    @property
    def identity(self) -> str:
        """Under which it contends for the right to act."""
        return self._candidate.identity

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._run, self._tasks.cancel_scope, name="lease_aio coordinator")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        tasks, self._tasks = self._tasks, None
        assert tasks is not None
        tasks.cancel_scope.cancel()
        absorbed = await tasks.__aexit__(kind, error, trace)
        if self._error is not None and (error is None or absorbed):
            raise self._error
        return absorbed

    async def _run(self, scope: anyio.CancelScope) -> None:
        try:
            async for term in Terms(self._candidate):
                async with term:
                    await self._act(term)
        except ApiError as refused:
            self._log.error("coordinator.refused", error=str(refused))
            self._error = refused
            scope.cancel()

    # ------------------------------------------------------------------ a term

    async def _act(self, term: Term) -> None:
        """Coordinate for one term, beginning with what stands now."""
        self._ledger, self._synced = Ledger(self._timing, self._strategies), set()
        self.acting = True
        self._log.info("coordinator.acts", token=term.token)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._follow, LEASES, self._lease_changed, self._ledger.lease_gone)
                tasks.start_soon(self._follow, LEASE_CANDIDATES, self._candidate_changed, self._candidate_gone)
                tasks.start_soon(self._collect, term)
                await self._look_on(term)
        except BaseExceptionGroup as group:
            found = _refusal(group)
            if found is None:
                raise
            raise found from None
        finally:
            self.acting = False
            for key in tuple(self._problems):  # whoever acts next sees for itself
                self._tell_problem(key, "")

    async def _follow(
        self, resource: Resource[T], changed: Callable[[T], None], gone: Callable[[str, str, float], None]
    ) -> None:
        clock = self._engine.clock
        follower = follow(self._engine.api, resource, self._namespace, clock=clock, random=self._engine.random)
        async with follower as changes:
            async for change in changes:
                if change.type is ChangeType.SYNCED:
                    self._synced.add(resource.plural)
                elif change.type is ChangeType.GONE:
                    gone(change.namespace, change.name, clock.now())
                elif change.object is not None:
                    changed(change.object)
                self._news.set()

    def _lease_changed(self, lease: Lease) -> None:
        self._ledger.lease_changed(lease, self._engine.clock.now())

    def _candidate_changed(self, candidate: LeaseCandidate) -> None:
        self._ledger.candidate_changed(candidate, self._engine.clock.now())

    def _candidate_gone(self, namespace: str, name: str, now: float) -> None:
        self._ledger.candidate_gone(namespace, name, now)
        for key in [key for key in self._problems if not self._ledger.manages(key)]:
            self._tell_problem(key, "")

    async def _look_on(self, term: Term) -> None:
        clock, ledger = self._engine.clock, self._ledger
        while True:
            key = ledger.next(clock.now()) if len(self._synced) == 2 else None
            if key is None:
                await self._wait(ledger.due)
                continue
            if term.valid_for() <= 0:  # the cancellation is on its way
                await anyio.sleep_forever()
            step = ledger.look(key, clock.now(), clock.wall_us())
            await self._perform(key, step)

    async def _wait(self, until: float) -> None:
        """Until the next look is due, or something is learnt."""
        clock = self._engine.clock
        self._news = news = anyio.Event()
        async with anyio.create_task_group() as tasks:

            async def alarm() -> None:
                await clock.sleep_until(until)
                news.set()

            if len(self._synced) == 2:
                tasks.start_soon(alarm)
            await news.wait()
            tasks.cancel_scope.cancel()

    # ------------------------------------------------------------------ what a look leads to

    async def _perform(self, key: Key, step: Step) -> None:
        if not step.undecided:
            self._tell_problem(key, step.problem)
        failed = False
        if step.pings:
            async with anyio.create_task_group() as tasks:
                for candidate in step.pings:
                    tasks.start_soon(self._ask, key, candidate)
            self._tell(key, asked=tuple(each.name for each in step.pings))
        if step.lease is not None:
            failed = not await self._write(key, step)
        if failed:
            self._ledger.failed(key, self._engine.clock.now())

    async def _ask(self, key: Key, candidate: LeaseCandidate) -> None:
        try:
            stored = await self._engine.api.replace(LEASE_CANDIDATES, candidate, timeout_s=self._timing.answer_s)
        except ApiError as error:
            self._failed(key, "ask", error)
            self._ledger.failed(key, self._engine.clock.now())
        else:
            self._ledger.candidate_asked(stored, self._engine.clock.now())

    async def _write(self, key: Key, step: Step) -> bool:
        assert step.lease is not None
        api, timeout_s = self._engine.api, self._timing.answer_s
        creates = not step.lease.resource_version
        try:
            if creates:
                stored = await api.create(LEASES, step.lease, timeout_s=timeout_s)
            else:
                stored = await api.replace(LEASES, step.lease, timeout_s=timeout_s)
        except ApiError as error:
            self._failed(key, "appoint", error)
            return False
        self._ledger.wrote(step, stored, self._engine.clock.now())
        preferred = bool(step.chosen) and stored.holder != step.chosen
        if step.chosen and (preferred or stored.spec.acquire_time is None):
            self._log.info("coordinator.chose", lease=_shown(key), chosen=step.chosen, preferred=preferred)
            self._tell(key, chosen=step.chosen, preferred=preferred)
        return True

    def _failed(self, key: Key, what: str, error: ApiError) -> None:
        """What a later look may mend is logged; what none will, ends all.

        Raises:
            Refused: the credentials do not allow it.
        """
        self._log.info("coordinator.request_failed", lease=_shown(key), request=what, error=str(error))
        if isinstance(error, Refused) and error.status == 403:
            raise error

    def _tell_problem(self, key: Key, problem: str) -> None:
        """Once for each, not at every look."""
        if problem == self._problems.get(key, ""):
            return
        if problem:
            self._problems[key] = problem
            self._log.warning("coordinator.stuck", lease=_shown(key), problem=problem)
            self._tell(key, problem=problem)
        else:
            del self._problems[key]
            self._log.info("coordinator.unstuck", lease=_shown(key))
            self._tell(key)

    def _tell(
        self, key: Key, *, chosen: str = "", preferred: bool = False, asked: tuple[str, ...] = (), problem: str = ""
    ) -> None:
        if self._observer is not None:
            self._observer(
                Decision(
                    lease=key[1], namespace=key[0], chosen=chosen, preferred=preferred, asked=asked, problem=problem
                )
            )

    # ------------------------------------------------------------------ candidates that are none any more

    async def _collect(self, term: Term) -> None:
        """Delete them, at first and every half an hour; each is read before, and only what was read is deleted."""
        clock, api = self._engine.clock, self._engine.api
        pause_s = self._timing.look_again_s
        while True:
            await clock.sleep_until(clock.now() + pause_s)
            pause_s = self._timing.candidate_s
            for each in self._ledger.expired(clock.wall_us()):
                if term.valid_for() <= 0:
                    break
                try:
                    live = await api.get(LEASE_CANDIDATES, each.name, each.namespace)
                    if is_candidate_expired(live, clock.wall_us(), self._timing):
                        version = live.resource_version
                        await api.delete(LEASE_CANDIDATES, each.name, each.namespace, resource_version=version)
                        self._log.info("coordinator.collected", candidate=f"{each.namespace}/{each.name}")
                except (NotFound, Conflict):
                    pass
                except ApiError as error:
                    self._failed((each.namespace, each.name), "collect", error)


def _refusal(group: BaseExceptionGroup[BaseException]) -> ApiError | None:
    """What the API server refuses for good, if that is all there is."""
    refused, rest = group.split((Refused, Invalid, NotFound))
    if refused is None or rest is not None:
        return None
    leaf: BaseException = refused
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    assert isinstance(leaf, ApiError)
    return leaf


def _shown(key: Key) -> str:
    return f"{key[0]}/{key[1]}"
