"""The door: one `LeaseClient` owns one connection pool, one scheduler and one watch per namespace."""

from __future__ import annotations

import asyncio
import random as random_module
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeGuard, cast

import anyio
import anyio.abc

from lease_aio.api import LEASE_CANDIDATES, LEASES, Api, Follow, Page, PatchType, RestApi, follow, open_transport
from lease_aio.api.memory import MemoryApi
from lease_aio.clock import Clock, SystemClock
from lease_aio.election import (
    COORDINATOR_LEASE,
    Candidate,
    Coordinator,
    Decision,
    Engine,
    Event,
    Guard,
    Leadership,
    Observation,
    Roster,
    SharedWatches,
    Stamps,
    Terms,
)
from lease_aio.election.coordinated import BUILT_IN, CandidateInfo, CoordinatorTiming, Strategy
from lease_aio.errors import ApiError, ConfigurationError
from lease_aio.heartbeat import Fleet, Heartbeat, Monitor, MonitorSettings, NodeGroup, NodeProfile, Owner, StatusRules
from lease_aio.heartbeat.lifecycle import NodeLifecycle
from lease_aio.heartbeat.scenario import Played, PlayEvent, Scenario, play
from lease_aio.identity import (
    ApiServerIdentity,
    Identity,
    IdentityCollector,
    IdentityObservation,
    IdentityObserver,
    identities,
)
from lease_aio.model import Lease
from lease_aio.naming import KUBE_APISERVER, candidate_identity, check_lease_name, check_namespace
from lease_aio.recipes import Membership, MembershipObserver, MembersObservation
from lease_aio.scheduler import Scheduler, SchedulerReport
from lease_aio.server.store import Store
from lease_aio.timing import Timing

if TYPE_CHECKING:
    from kubernetes_asyncio.client import ApiClient  # takes most of a second to import

DEFAULT_NAMESPACE = "default"


class LeaseClient:
    """Everything that renews Leases, on one event loop.

    Inside its block (`async with`), any number of elections, heartbeats,
    fleets and identities run at once; each is an async context manager or iterator of its own, and
    nothing outlives its block.

    Args:
        source: The user's own `kubernetes_asyncio` ApiClient (its host, TLS and credentials are used; its
            session is not, see `RestApi.from_api_client`), or any `Api`, which stays its owner's to close.
        namespace: Where Leases live when a call names no namespace.
        identity: The holder identity when a call names none; unique for each client by default.
        clock: For tests and simulations.
        random: Uniform in [0, 1), for jitter.
        max_in_flight: Renewals on their way at once.
        reserved_for_elections: How many of those are never taken by heartbeats and identities.
        guard: A thread that watches this client's terms even while the event loop is blocked; see `Guard`.
    """

    def __init__(
        self,
        source: ApiClient | Api,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        identity: str | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] = random_module.random,
        max_in_flight: int = 128,
        reserved_for_elections: int = 16,
        guard: Guard | None = None,
    ) -> None:
        check_namespace(namespace)
        if not _is_api_client(source) and not _is_api(source):
            raise ConfigurationError(
                f"source={source!r} is neither an ApiClient of kubernetes_asyncio nor an Api; to find a cluster, "
                "use lease_aio.connect()"
            )
        self.namespace = namespace
        self.identity = candidate_identity() if identity is None else identity
        self._source = source
        self._clock = clock or SystemClock()
        self._random = random
        self._scheduler = Scheduler(self._clock, max_in_flight=max_in_flight, reserved=reserved_for_elections)
        self._roster = Roster()
        self._guard = guard
        self._stack = AsyncExitStack()
        self._engine: Engine | None = None
        self._entered = False

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ConfigurationError("this LeaseClient was entered before, and serves one block only: make a new one")
        self._entered = True
        async with AsyncExitStack() as stack:
            api = await self._open(stack)
            if self._guard is not None:
                stack.enter_context(self._guard)
            background = await self._start_background(stack)
            self._engine = Engine(
                api=api,
                clock=self._clock,
                scheduler=self._scheduler,
                watches=SharedWatches(api, LEASES, self._clock, background, self._random),
                candidate_watches=SharedWatches(api, LEASE_CANDIDATES, self._clock, background, self._random),
                tasks=background,
                random=self._random,
                stamps=Stamps(self._clock.wall_us),
                roster=self._roster,
                guard=self._guard,
            )
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._engine = None
        try:
            return await self._stack.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            if group.exceptions == (error,):  # the body's own: let `except TermLost` around the client work
                return False
            raise

    async def _start_background(self, stack: AsyncExitStack) -> anyio.abc.TaskGroup:
        """All that runs beside the body, in one task that a TaskGroup of asyncio owns.

        A cancellation of what is around the client does not reach it, so terms are still renewed and released. And
        the client may be left in another task than it was entered in, as fixtures of pytest-asyncio are.
        """
        background, started = anyio.create_task_group(), anyio.Event()

        async def work() -> None:
            async with background:
                started.set()
                try:
                    await self._scheduler.run()
                finally:
                    self._roster.close()

        owner = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(background.cancel_scope.cancel)
        owner.create_task(work(), name="lease_aio scheduler")
        await started.wait()
        return background

    async def _open(self, stack: AsyncExitStack) -> Api:
        if _is_api_client(self._source):
            return await stack.enter_async_context(RestApi.from_api_client(self._source))
        return cast("Api", self._source)

    @property
    def engine(self) -> Engine:
        """What the elections of this client share; for a `Candidate` of one's own."""
        if self._engine is None:
            raise ConfigurationError("the LeaseClient is not open; use it inside `async with`")
        return self._engine

    @property
    def api(self) -> Api:
        """The seam to the API server: seven verbs on Leases, Nodes and more."""
        return self.engine.api

    def report(self) -> SchedulerReport:
        """What the scheduler did so far, and how late it was."""
        return self._scheduler.report()

    # ------------------------------------------------------------------ elections and locks

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

    def _namespace(self, namespace: str | None) -> str:
        if namespace is None:
            return self.namespace
        check_namespace(namespace)
        return namespace

    # ------------------------------------------------------------------ heartbeats and identities

    def heartbeat(
        self,
        node: str,
        *,
        register: bool = False,
        profile: NodeProfile | None = None,
        status: bool | StatusRules | None = None,
        owner: Owner = Owner.REQUIRED,
        lease_duration_s: int = 40,
        renew_interval_s: float | None = None,
        ready_timeout_s: float | None = 30.0,
    ) -> Heartbeat:
        """Renew one node's Lease for the body, as a kubelet does. See `Heartbeat` for what each parameter means."""
        return Heartbeat(
            self.api,
            self._scheduler,
            self._clock,
            self.engine.tasks,
            node=node,
            register=register,
            profile=profile,
            status=status,
            owner=owner,
            lease_duration_s=lease_duration_s,
            renew_interval_s=renew_interval_s,
            ready_timeout_s=ready_timeout_s,
            random=self._random,
        )

    def fleet(
        self,
        nodes: int | NodeGroup | Collection[str] | Sequence[NodeGroup],
        *,
        name: str = "fleet",
        prefix: str = "node-",
        register: bool = False,
        status: bool | StatusRules | None = None,
        adopt: Literal["own", "any"] = "own",
        profile: NodeProfile | None = None,
        partition: tuple[int, int] | None = None,
        owner: Owner | None = None,
        spread_start: bool = True,
        delete_on_exit: bool = False,
        lease_duration_s: int = 40,
        renew_interval_s: float | None = None,
        backoff_jitter: float = 0.0,
        on_failure: Callable[[str, ApiError], None] | None = None,
    ) -> Fleet:
        """Heartbeats of many simulated nodes for the body. See `Fleet` for what each parameter means."""
        return Fleet(
            self.api,
            self._scheduler,
            self._clock,
            self.engine.tasks,
            nodes=nodes,
            name=name,
            prefix=prefix,
            register=register,
            status=status,
            adopt=adopt,
            profile=profile,
            partition=partition,
            owner=owner,
            spread_start=spread_start,
            delete_on_exit=delete_on_exit,
            lease_duration_s=lease_duration_s,
            renew_interval_s=renew_interval_s,
            backoff_jitter=backoff_jitter,
            on_failure=on_failure,
            random=self._random,
        )

    async def play(
        self, scenario: Scenario, fleet: Fleet, *, on_event: Callable[[PlayEvent], None] | None = None
    ) -> Played:
        """Play a scenario on a running fleet of this client's, to its end. See `lease_aio.heartbeat.scenario.play`."""
        return await play(scenario, fleet, api=self.api, clock=self._clock, on_event=on_event)

    def monitor(self, settings: MonitorSettings | None = None) -> Monitor:
        """Judge the availability of all nodes as the control plane does: `async with` it, then `async for verdict in`.

        See `Monitor` for what it tells, and `MonitorSettings` for what it judges by.
        """
        return Monitor(self.api, self._clock, self.engine.tasks, settings=settings, random=self._random)

    def node_lifecycle(self, settings: MonitorSettings | None = None) -> NodeLifecycle:
        """Write on Nodes what a monitor finds, for an API server without controllers, for the body.

        See `NodeLifecycle`.
        """
        return NodeLifecycle(self.api, self._clock, self.engine.tasks, settings=settings, random=self._random)

    def apiserver_identity(
        self,
        hostname: str | None = None,
        *,
        server: str = KUBE_APISERVER,
        label_value: str | None = None,
        peer_address: str | None = None,
        enabled: bool = True,
        delete_first: bool = True,
        keep_on_exit: bool = False,
        ready_timeout_s: float | None = 30.0,
        observer: IdentityObserver | None = None,
    ) -> ApiServerIdentity:
        """Publish an API server's identity for the body. See `ApiServerIdentity` for what each parameter means."""
        return ApiServerIdentity(
            self.api,
            self._scheduler,
            self._clock,
            hostname=hostname,
            server=server,
            label_value=label_value,
            peer_address=peer_address,
            enabled=enabled,
            delete_first=delete_first,
            keep_on_exit=keep_on_exit,
            ready_timeout_s=ready_timeout_s,
            observer=observer,
            random=self._random,
        )

    async def apiserver_identities(
        self, *, server: str = KUBE_APISERVER, old_releases: bool = False
    ) -> Sequence[Identity]:
        """All identities that servers of that name have published, in order of their Leases' names.

        `expired` is judged by this machine's wall clock, as Kubernetes does with identities and with nothing else.
        With `old_releases`, those of 1.20 to 1.26 are found, too.
        """
        wall_us = self._clock.wall_us()
        return await identities(self.api, wall_us=wall_us, server=server, old_releases=old_releases)

    def observe_identities(self, *, server: str = KUBE_APISERVER) -> IdentityObservation:
        """Follow the API servers that are there: `async with` it, then `async for change in` it."""
        return IdentityObservation(self.api, self._clock, server=server, random=self._random)

    def collect_identities(
        self,
        *,
        server: str = KUBE_APISERVER,
        period_s: float = 3600.0,
        dry_run: bool = False,
        warn_skew_s: float = 5.0,
        max_skew_s: float = 60.0,
        observer: IdentityObserver | None = None,
    ) -> IdentityCollector:
        """Delete expired identities: `await` it for one pass, `async with` it for one each period.

        See `IdentityCollector` for what each parameter means, and for what is never deleted.
        """
        return IdentityCollector(
            self.api,
            self._clock,
            self.engine.tasks,
            server=server,
            period_s=period_s,
            dry_run=dry_run,
            warn_skew_s=warn_skew_s,
            max_skew_s=max_skew_s,
            observer=observer,
            random=self._random,
        )

    # ------------------------------------------------------------------ groups

    def member_of(
        self,
        group: str,
        member: str | None = None,
        *,
        namespace: str | None = None,
        lease_duration_s: int = 15,
        ready_timeout_s: float | None = 30.0,
        observer: MembershipObserver | None = None,
    ) -> Membership:
        """Be a member of a group for the body: a Lease of one's own says that this process is alive.

        See `Membership` for what each parameter means, and for two processes of one name.
        """
        return Membership(
            self.api,
            self._scheduler,
            self._clock,
            self.engine.tasks,
            group=group,
            member=member,
            namespace=self._namespace(namespace),
            lease_duration_s=lease_duration_s,
            ready_timeout_s=ready_timeout_s,
            observer=observer,
            random=self._random,
        )

    def members(self, group: str, *, namespace: str | None = None) -> MembersObservation:
        """Follow who of a group is alive: `async with` it, then `async for change in` it."""
        return MembersObservation(
            self.api, self._clock, group=group, namespace=self._namespace(namespace), random=self._random
        )

    # ------------------------------------------------------------------ plain Leases

    async def get(self, name: str, *, namespace: str | None = None) -> Lease:
        """Read one Lease. Raises `NotFound` if it does not exist."""
        return await self.api.get(LEASES, check_lease_name(name), self._namespace(namespace))

    async def list(
        self,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> Page[Lease]:
        """List the Leases of a namespace (`""` for all namespaces)."""
        return await self.api.list(
            LEASES,
            self._namespace(namespace) if namespace != "" else "",
            label_selector=label_selector,
            field_selector=field_selector,
            limit=limit,
            continue_token=continue_token,
        )

    async def create(self, lease: Lease) -> Lease:
        """Create a Lease, in the client's namespace if it names none. Raises `AlreadyExists` if the name is taken."""
        return await self.api.create(LEASES, self._placed(lease))

    async def replace(self, lease: Lease) -> Lease:
        """Write a whole Lease if its resourceVersion is still the current one, else raise `Conflict`."""
        return await self.api.replace(LEASES, self._placed(lease))

    async def patch(
        self,
        name: str,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        namespace: str | None = None,
        type: PatchType = PatchType.MERGE,  # noqa: A002 - the field's word
    ) -> Lease:
        """Change parts of a Lease. Compare-and-swap only if the body carries `metadata.resourceVersion`."""
        return await self.api.patch(LEASES, check_lease_name(name), self._namespace(namespace), body=body, type=type)

    async def delete(
        self, name: str, *, namespace: str | None = None, uid: str = "", resource_version: str = ""
    ) -> None:
        """Delete a Lease; with preconditions only that incarnation or version, else raise `Conflict`."""
        await self.api.delete(
            LEASES, check_lease_name(name), self._namespace(namespace), uid=uid, resource_version=resource_version
        )

    def watch(self, *, namespace: str | None = None, label_selector: str = "") -> Follow[Lease]:
        """Follow the Leases of a namespace (`""` for all): `async with` it, then `async for change in`.

        Never loses an event between its list and its watch, and goes on over broken connections.
        """
        return follow(
            self.api,
            LEASES,
            self._namespace(namespace) if namespace != "" else "",
            label_selector=label_selector,
            clock=self._clock,
            random=self._random,
        )

    def _placed(self, lease: Lease) -> Lease:
        return lease if lease.namespace else lease.with_metadata(namespace=self.namespace)


def _is_api_client(source: ApiClient | Api) -> TypeGuard[ApiClient]:
    """Told by its configuration, which no `Api` has: asking for the class would import all its models."""
    return hasattr(source, "configuration")


def _is_api(source: object) -> bool:
    return callable(getattr(source, "watch", None)) and callable(getattr(source, "patch", None))


@asynccontextmanager
async def connect(
    target: Literal["embedded"] | None = None,
    *,
    kubeconfig: str | None = None,
    context: str | None = None,
    namespace: str | None = None,
    clock: Clock | None = None,
    **options: Any,
) -> AsyncGenerator[LeaseClient, None]:
    """Open a LeaseClient on the cluster that this process belongs to, or on none at all.

    Args:
        target: `"embedded"` for an API server in this process's memory, which ends with the block; left
            out: the service account of a pod, else the kubeconfig. The embedded one has the feature gate
            CoordinatedLeaderElection on; who coordinates is `LeaseClient.coordinator`.
        kubeconfig: A kubeconfig file, in place of `KUBECONFIG` or `~/.kube/config`.
        context: A context of the kubeconfig, in place of its current one.
        namespace: In place of the pod's or the context's.
        clock: For tests and simulations.
        options: Further parameters of `LeaseClient`.

    Raises:
        NoCluster: nothing was found to talk to; says what was tried.
        ConfigurationError: what was found cannot be used; names the value and the remedy.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        if target == "embedded":
            if kubeconfig is not None or context is not None:
                raise ConfigurationError("connect('embedded') needs no cluster: leave out kubeconfig and context")
            api: Api = MemoryApi(Store(now=clock.wall_us(), coordinated=True), wall_us=clock.wall_us)
            found = DEFAULT_NAMESPACE
        elif target is None:
            from lease_aio.api.config import load_configuration  # noqa: PLC0415 - see the import of ApiClient

            loaded = await load_configuration(kubeconfig, context=context)
            api = await stack.enter_async_context(RestApi(open_transport(loaded.configuration, headers=loaded.headers)))
            found = loaded.namespace or DEFAULT_NAMESPACE
        else:
            raise ConfigurationError(f"target={target!r} is not known; leave it out, or give 'embedded'")
        client = LeaseClient(api, namespace=namespace or found, clock=clock, **options)
        yield await stack.enter_async_context(client)
