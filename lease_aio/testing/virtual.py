"""Virtual time: an event loop that jumps to its next timer instead of waiting for it, and a clock on top of it.

Everything that reads the loop's time obeys: `anyio.sleep`, deadlines of cancel scopes, `asyncio.timeout`. An hour of
renewals takes milliseconds, and each run takes the same course.

Real I/O does not fit: a request over a socket would be overtaken by its own timeout, because time jumps as soon as no
socket is ready. Tests with sockets or subprocesses belong on an ordinary loop. Work in asyncio's own executor
(`asyncio.to_thread`) is waited for; threads started in any other way are not.
"""

import asyncio
import math
import selectors
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from types import CoroutineType
from typing import Any, Final, TypeVar, TypeVarTuple, cast

import anyio
import anyio.lowlevel

from lease_aio.errors import ConfigurationError

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_Events = list[tuple[selectors.SelectorKey, int]]
_Select = Callable[[float | None], _Events]

LOOP_START: Final = 10_000.0
"""`loop.time()` of a fresh virtual loop, in seconds. Not zero, so that taking a duration for a time stands out."""

CLOCK_START: Final = 1_000_000.0
"""`VirtualClock.now()` at that moment. Far from `LOOP_START`, so that mixing the two time lines stands out too."""

WALL_START_US: Final = 1_750_000_000_000_000
"""`VirtualClock.wall_us()` at that moment: 2025-06-15T15:06:40Z."""

_RESUME_SLICE_S = 1.0
_BUSY_TURNS = 10_000
_SHORTEST_SLEEP_S = 1e-9


class Deadlock(RuntimeError):
    """Nothing can ever happen again on a virtual loop: no callback, no timer, no I/O. Names the waiting tasks."""

    def __init__(self, waiting: list[str]) -> None:
        tasks = "".join(f"\n  {task}" for task in waiting) or " none"
        super().__init__(
            "virtual time has nowhere to go: no timer is set and no I/O is registered, so the tasks below wait"
            f" for ever. Set what they wait for, or give the wait a timeout. Waiting tasks:{tasks}"
        )


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop whose `time()` starts at `LOOP_START` and jumps to the next timer.

    It jumps when no callback and no I/O is ready, and when some have been ready for 10,000 turns in a row.
    Raises `Deadlock` out of `run_until_complete` when there is no next
    timer either.
    """

    def __init__(self) -> None:
        self._virtual_now = LOOP_START
        self._outside_work = 0
        self._busy_turns = 0
        self._events_from = _JumpingSelector(self._next_events)
        super().__init__(self._events_from)

    def time(self) -> float:
        """Virtual seconds."""
        return self._virtual_now

    def run_in_executor(self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts) -> asyncio.Future[_T]:
        """As asyncio's; virtual time stands still until the thread is done."""
        self._outside_work += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._outside_work_done)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """As asyncio's; waits as long as its threads take."""
        del timeout  # in virtual time it would pass at once
        self._outside_work += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._outside_work -= 1

    def _outside_work_done(self, future: asyncio.Future[Any]) -> None:
        del future
        self._outside_work -= 1

    def _next_events(self, select: _Select, timeout: float | None) -> _Events:
        """Stands in for the selector's wait: `timeout` is the virtual time to the next timer, None without one."""
        events = select(0)
        if events or timeout == 0:
            self._busy_turns += 1
            if self._busy_turns > _BUSY_TURNS:
                self._let_time_pass()
            return events
        self._busy_turns = 0
        if self._outside_work:
            return select(None)
        if timeout is not None:
            self._virtual_now += timeout
            return []
        if len(self._events_from.get_map()) > 1:  # the loop's own wake-up pipe is always registered
            return select(None)
        raise Deadlock(sorted(_where(task) for task in asyncio.all_tasks(self)))

    def _let_time_pass(self) -> None:
        """To the next timer although callbacks are ready: on a real loop, being busy takes time too.

        anyio repeats a cancellation at each turn until it is obeyed, so a shielded clean-up that waits for a timer
        would otherwise never see its time come.
        """
        self._busy_turns = 0
        timers = cast("list[asyncio.TimerHandle]", getattr(self, "_scheduled"))  # noqa: B009 - the base class's own
        next_timer = min((timer.when() for timer in timers if not timer.cancelled()), default=self._virtual_now)
        self._virtual_now = max(self._virtual_now, next_timer)


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that asks the loop how to wait."""

    def __init__(self, wait: Callable[[_Select, float | None], _Events]) -> None:
        super().__init__()
        self._wait = wait

    def select(self, timeout: float | None = None) -> _Events:
        return self._wait(super().select, timeout)


def _where(task: asyncio.Task[Any]) -> str:
    """The task's name and the calls in which it waits, outermost first."""
    calls: list[str] = []
    waits: Any = task.get_coro()
    while isinstance(waits, CoroutineType):
        calls.append(f"{waits.cr_code.co_name}:{waits.cr_frame.f_lineno if waits.cr_frame else '?'}")
        waits = waits.cr_await
    return f"{task.get_name()}: {' > '.join(calls)}"


class VirtualClock:
    """A `lease_aio.clock.Clock` that reads the running virtual loop.

    Several clocks on one loop model several machines: each has its own rate, offset, suspends and wall clock.

    Args:
        rate: seconds that this clock counts in one second of true (loop) time. 1.01 runs fast by one per cent.
        offset_s: `now()` of a fresh loop.
    """

    def __init__(self, *, rate: float = 1.0, offset_s: float = CLOCK_START) -> None:
        if not (rate > 0 and math.isfinite(rate)):
            raise ConfigurationError(f"rate={rate!r} must be a positive number; 1.0 is a true clock")
        self._rate = rate
        self._offset_s = offset_s
        self._wall_step_s = 0.0
        self._resumed: anyio.Event | None = None

    def now(self) -> float:
        """Virtual seconds, suspends included. Raises RuntimeError unless a virtual loop is running."""
        return self._offset_s + self._rate * (_running_loop().time() - LOOP_START)

    def wall_us(self) -> int:
        """Virtual microseconds since the epoch: runs with `now()`, and is stepped by `step_wall`."""
        elapsed_s = self._rate * (_running_loop().time() - LOOP_START) + self._wall_step_s
        return WALL_START_US + round(elapsed_s * 1_000_000)

    async def sleep_until(self, when: float) -> None:
        """See `Clock.sleep_until`. A sleeper notices a suspend one second of loop time after it, the latest it may."""
        if when <= self.now():
            await anyio.lowlevel.checkpoint()
        elif when == math.inf:
            await anyio.sleep_forever()
        while (remaining := when - self.now()) > 0:
            with anyio.move_on_after(max(remaining / self._rate, _SHORTEST_SLEEP_S)):
                await self._after_resume()

    def advance_suspended(self, seconds: float) -> None:
        """Suspend the machine for so long: `now()` and the wall clock jump, the loop's timers do not."""
        if not seconds >= 0:
            raise ConfigurationError(f"seconds={seconds!r} must be zero or more: a suspend takes no negative time")
        self._offset_s += seconds
        self._wall_step_s += seconds
        if self._resumed is not None:
            self._resumed.set()
            self._resumed = None

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward, or back if negative, as NTP or an administrator would. `now()` is unmoved."""
        self._wall_step_s += seconds

    async def _after_resume(self) -> None:
        if self._resumed is None:
            self._resumed = anyio.Event()
        await self._resumed.wait()
        await anyio.sleep(_RESUME_SLICE_S)


def _running_loop() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise RuntimeError(  # noqa: TRY004 - the fault is where the test runs, not what it passed
            "a VirtualClock needs a virtual event loop, and the running one is real: use lease_aio.testing.run(),"
            " or make the anyio_backend fixture return lease_aio.testing.VIRTUAL_TIME"
        )
    return loop


VIRTUAL_TIME: Final[tuple[str, dict[str, Any]]] = ("asyncio", {"loop_factory": VirtualLoop})
"""What an `anyio_backend` fixture returns to run its tests in virtual time."""


def run(async_fn: Callable[[*_Ts], Awaitable[_T]], *args: *_Ts) -> _T:
    """Run `async_fn(*args)` on a fresh virtual loop and return its result.

    Raises:
        Deadlock: all that is left waits for something that can never happen.
    """
    return anyio.run(async_fn, *args, backend=VIRTUAL_TIME[0], backend_options=VIRTUAL_TIME[1])
