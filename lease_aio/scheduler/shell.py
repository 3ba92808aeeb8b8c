"""The part of the scheduler that awaits: it sleeps, starts attempts, and hands their verdicts to the queue."""

import asyncio
import math

import anyio
from anyio.abc import TaskGroup

from lease_aio.clock import Clock
from lease_aio.scheduler.queue import RenewalQueue
from lease_aio.scheduler.renewal import Priority, Renewal, State, Verdict
from lease_aio.scheduler.statistics import ClassReport, ClassStatistics, SchedulerReport

_LEAVE = Verdict(due=None, renewed=False)


class Scheduler:
    """Drives every renewal of one client on one event loop.

    `run()` is started once, in the client's task group; whoever cancels that, cancels all attempts. The other methods
    are to be called in the event loop's thread, before `run()` or while it runs; all but `drain` are synchronous.

    Attempts run on worker tasks, at most `max_in_flight`, made when first needed and kept: a renewal that waits costs
    no task and no timer. One timer serves all. See `RenewalQueue` for what starts when.

    Args:
        clock: Where all times come from; due times and deadlines are on its `now()`.
        max_in_flight: Attempts that may run at once.
        reserved: How many of them are kept for elections.

    Raises:
        ConfigurationError: the numbers leave no room, or are out of range.
    """

    def __init__(self, clock: Clock, *, max_in_flight: int = 128, reserved: int = 16) -> None:
        self._clock = clock
        self._queue = RenewalQueue(max_in_flight=max_in_flight, reserved=reserved)
        self._statistics = {priority: ClassStatistics() for priority in Priority}
        self._parked: list[asyncio.Future[Renewal]] = []
        self._drained: dict[Renewal, anyio.Event] = {}
        self._nap = anyio.CancelScope()
        self._alarm = -math.inf  # when the nap ends by itself; minus infinity while there is none to end
        self._started = self._closed = False

    async def run(self) -> None:
        """Renew until cancelled; at the end nothing is in flight, and no worker is left.

        Raises:
            ExceptionGroup: an attempt raised: the scheduler stops all others, and does not hide it.
            RuntimeError: it was run before.
        """
        if self._started:
            raise RuntimeError("a Scheduler runs once; make a new one")
        self._started = True
        try:
            async with anyio.create_task_group() as workers:
                while True:
                    self._start_due(workers)
                    await self._sleep()
        finally:
            self._close()

    def add(self, renewal: Renewal) -> None:
        """Drive it from now on; never one that was removed from another scheduler which still runs.

        Raises:
            ConfigurationError: it is driven already, or an attempt from before its removal still runs.
            RuntimeError: the scheduler has ended.
        """
        if self._closed:
            raise RuntimeError("the scheduler has ended, and drives nothing more")
        self._queue.add(renewal)
        self._reconsider(renewal.due)

    def remove(self, renewal: Renewal) -> bool:
        """Drive it no more; False if it was not driven. An attempt that runs goes on; its verdict is dropped."""
        return self._queue.remove(renewal)

    def change(self, renewal: Renewal, *, due: float | None = None, deadline: float | None = None) -> bool:
        """Set when it is tried next, its deadline, or both; False if it is not driven (any more).

        While an attempt runs, this can bring the next one forward only. See `RenewalQueue.change`.

        Raises:
            ConfigurationError: a value is not a number.
        """
        changed = self._queue.change(renewal, due=due, deadline=deadline)
        self._reconsider(renewal.due)
        return changed

    async def drain(self, renewal: Renewal) -> None:
        """Remove it, and wait until no attempt at it runs. Harmless if there is nothing to wait for.

        Cancelled, it leaves the renewal removed. An attempt must not drain itself: it would wait for its own end.
        """
        self._queue.remove(renewal)
        if renewal.state is State.LEAVING:
            await self._drained.setdefault(renewal, anyio.Event()).wait()

    def report(self) -> SchedulerReport:
        """What was done, and how late, up to now."""
        return SchedulerReport(
            elections=self._class_report(Priority.ELECTION),
            beats=self._class_report(Priority.BEAT),
            held_for_s=max(0.0, self._queue.held_until - self._clock.now()),
        )

    def _class_report(self, priority: Priority) -> ClassReport:
        return self._statistics[priority].report(
            queued=self._queue.queued(priority),
            overdue=self._queue.overdue(priority),
            in_flight=self._queue.in_flight(priority),
        )

    def _start_due(self, workers: TaskGroup) -> None:
        for renewal in self._queue.take(self._clock.now()):
            waiter = self._parked_worker()
            if waiter is None:
                workers.start_soon(self._work, renewal)
            else:
                waiter.set_result(renewal)

    def _parked_worker(self) -> asyncio.Future[Renewal] | None:
        while self._parked:
            waiter = self._parked.pop()
            if not waiter.done():  # it is when its worker was cancelled
                return waiter
        return None

    async def _sleep(self) -> None:
        wake = self._queue.next_wakeup(self._clock.now())
        self._alarm = math.inf if wake is None else wake
        try:
            with anyio.CancelScope() as self._nap:
                await self._clock.sleep_until(self._alarm)
        finally:
            self._alarm = -math.inf

    def _reconsider(self, due: float) -> None:
        """Wake earlier if `due` asks for it; the comparison with the alarm keeps adding thousands cheap."""
        if due < self._alarm:
            self._wake_by(self._queue.next_wakeup(self._clock.now()))

    def _wake_by(self, wake: float | None) -> None:
        if wake is not None and wake < self._alarm:
            self._alarm = -math.inf
            self._nap.cancel()

    async def _work(self, first: Renewal) -> None:
        """One worker: attempt after attempt while something is due, then parked until something is."""
        renewal = first
        while True:
            ended = await self._attempt(renewal)
            wake = self._queue.next_wakeup(ended)
            if wake is not None and wake <= ended:
                renewal = await self._overdue() or await self._park()
            else:
                self._wake_by(wake)
                renewal = await self._park()

    async def _overdue(self) -> Renewal | None:
        """What the end of an attempt has made room for."""
        await asyncio.sleep(0)  # else attempts that never really wait would keep the loop from everything else
        due = self._queue.take(self._clock.now(), limit=1)
        self._reconsider(-math.inf)
        return due[0] if due else None

    async def _park(self) -> Renewal:
        waiter: asyncio.Future[Renewal] = asyncio.get_running_loop().create_future()
        self._parked.append(waiter)
        return await waiter

    async def _attempt(self, renewal: Renewal) -> float:
        """Try once, and return when that ended."""
        statistics = self._statistics[renewal.priority]
        started = self._clock.now()
        statistics.lateness.record(started - renewal.due)
        verdict = _LEAVE
        try:
            verdict = await renewal.attempt()
        finally:
            ended, last_success = self._clock.now(), renewal.last_success
            self._queue.finished(renewal, ended, verdict)
            if renewal in self._drained:
                self._drained.pop(renewal).set()
        statistics.ended(verdict, started=started, now=ended, last_success=last_success)
        return ended

    def _close(self) -> None:
        """Let go of everything: no worker is left, so whatever was taken but not begun never will be."""
        self._closed = True
        self._parked.clear()
        self._queue.clear()
        for drained in self._drained.values():
            drained.set()
        self._drained.clear()
