"""Tasks that run beside an `async with` block, in a task group of somebody else, and end with the block."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import anyio.abc


class Background:
    """Starts tasks, and ends them.

    The task group is the client's: a cancellation of what is around the block does not reach it, and the block may be
    left in another task than it was entered in. An exception that escapes is a bug, and ends the client.

    Args:
        tasks: Owns the tasks.
    """

    def __init__(self, tasks: anyio.abc.TaskGroup) -> None:
        self._tasks = tasks
        self._running: dict[anyio.CancelScope, anyio.Event] = {}

    def start(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        """Let it run until it ends, or `stop`."""
        scope, ended = anyio.CancelScope(), anyio.Event()
        self._running[scope] = ended

        async def run() -> None:
            try:
                with scope:
                    await work()
            finally:
                ended.set()
                self._running.pop(scope, None)

        self._tasks.start_soon(run, name=name)

    async def stop(self) -> None:
        """End all; none runs any more when this returns, also when it is cancelled."""
        running = dict(self._running)
        for scope in running:
            scope.cancel()
        with anyio.CancelScope(shield=True):
            for ended in running.values():
                await ended.wait()
