"""What every area of a `LeaseClient` stands on: its opening and closing, its API, its scheduler, its clock."""

from __future__ import annotations

import asyncio
import random as random_module
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeGuard, cast

import anyio
import anyio.abc

from lease_aio.api import LEASE_CANDIDATES, LEASES, Api, RestApi
from lease_aio.clock import Clock, SystemClock
from lease_aio.election import Engine, Guard, Roster, SharedWatches, Stamps
from lease_aio.errors import ConfigurationError
from lease_aio.naming import candidate_identity, check_identity, check_namespace
from lease_aio.scheduler import Scheduler, SchedulerReport

if TYPE_CHECKING:
    from kubernetes_asyncio.client import ApiClient  # takes most of a second to import

DEFAULT_NAMESPACE = "default"


class ClientBase:
    """A client without what it is for. See `LeaseClient` for the parameters."""

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
        if identity is not None:
            check_identity(identity)
        if guard is not None and not isinstance(guard, Guard):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"guard={guard!r} must be a lease_aio.Guard, e.g. guard=Guard()")
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
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ConfigurationError("this LeaseClient was entered before, and serves one block only: make a new one")
        self._entered = True
        self._loop = asyncio.get_running_loop()
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
                stamps=Stamps(self._clock),
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
        """What the elections of this client share; for a `Candidate` of one's own.

        Raises:
            ConfigurationError: the client is not open, or open on another event loop than the running one.
        """
        if self._engine is None:
            raise ConfigurationError("the LeaseClient is not open; use it inside `async with`")
        if _running_loop() not in {None, self._loop}:
            raise ConfigurationError(
                "the LeaseClient was opened on another event loop, and works on that one alone: use it there, or open "
                "one on this loop"
            )
        return self._engine

    @property
    def api(self) -> Api:
        """The seam to the API server: seven verbs on Leases, Nodes and more."""
        return self.engine.api

    def report(self) -> SchedulerReport:
        """What the scheduler did so far, and how late it was."""
        return self._scheduler.report()

    def _namespace(self, namespace: str | None) -> str:
        if namespace is None:
            return self.namespace
        check_namespace(namespace)
        return namespace


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_api_client(source: ApiClient | Api) -> TypeGuard[ApiClient]:
    """Told by its configuration, which no `Api` has: asking for the class would import all its models."""
    return hasattr(source, "configuration")


def _is_api(source: object) -> bool:
    return callable(getattr(source, "watch", None)) and callable(getattr(source, "patch", None))
