"""Writes to the cluster what observers have noted, in a task of its own: no election waits for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from types import TracebackType
from typing import Generic, Self, TypeVar

import anyio

from lease_aio.api import Backoff
from lease_aio.client import LeaseClient
from lease_aio.errors import ApiError, ConfigurationError, Conflict, LeaseAioError, Refused, Throttled, Unavailable
from lease_aio.log import get_logger

Item = TypeVar("Item")

_FLUSH_S = 3.0  # how long leaving waits for what is not yet written
_PAUSES = Backoff(first_s=1.0, cap_s=30.0)


class Courier(ABC, Generic[Item]):
    """Writes the notes that it takes, in order, one after another, until it is left or refused for good.

    Use it with `async with`, once. Leaving waits at most 3 s for what is not written yet, and nothing outlives it.

    Args:
        client: In whose background it works; open.
        what: What is written, for the log.
        most: How many notes wait at most; the one being written is one of them.
    """

    def __init__(self, client: LeaseClient, what: str, most: int) -> None:
        self.client, self._what, self._most = client, what, most
        self._notes: deque[Item] = deque()
        self._news, self._done = anyio.Event(), anyio.Event()
        self._scope = anyio.CancelScope()
        self._entered = self._leaving = self._off = False
        self.log = get_logger("telemetry").bind(what=what)

    @abstractmethod
    async def write(self, note: Item) -> None:
        """Write one note; raise the errors of the API."""

    async def __aenter__(self) -> Self:
        if self._entered:
            raise ConfigurationError(f"this observer ({self._what}) was entered before, and serves one block only")
        engine = self.client.engine
        self._random = engine.random
        engine.tasks.start_soon(self._run, name=f"writer of {self._what}")
        self._entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving = True
        self._news.set()
        with anyio.move_on_after(_FLUSH_S, shield=True):
            await self._done.wait()
        self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._done.wait()

    def take(self, note: Item) -> bool:
        """Whether there is room for it. One that is off takes all, and writes none."""
        if self._off or len(self._notes) >= self._most:
            return self._off
        self._notes.append(note)
        self._news.set()
        return True

    async def _run(self) -> None:
        try:
            with self._scope:
                while not (self._off or (self._leaving and not self._notes)):
                    await self._news.wait()
                    self._news = anyio.Event()
                    await self._write_all()
        finally:
            self._done.set()

    async def _write_all(self) -> None:
        failures = 0
        while self._notes:
            try:
                await self.write(self._notes[0])
            except LeaseAioError as error:
                if not _passing(error):
                    self._switch_off(error)
                    return
                failures += 1
                retry_after_s = error.retry_after_s if isinstance(error, ApiError) else None
                await anyio.sleep(_PAUSES.delay_s(failures, self._random, retry_after_s=retry_after_s))
            else:
                self._notes.popleft()
                failures = 0

    def _switch_off(self, error: LeaseAioError) -> None:
        """What is refused once will be refused again; elections go on without."""
        self._off = True
        self._notes.clear()
        self.log.warning("telemetry.refused", error=str(error), remedy="elections go on, this is written no more")


def _passing(error: LeaseAioError) -> bool:
    """Whether another attempt may succeed. A 401 comes in passing, while a server's token checker is away."""
    return isinstance(error, Throttled | Unavailable | Conflict) or (isinstance(error, Refused) and error.status == 401)
