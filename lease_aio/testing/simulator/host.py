"""One machine: its clock, its way to the server, whether its code runs, and when its timers fire."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lease_aio.election.requests import Kind
from lease_aio.errors import ApiError
from lease_aio.model import Lease
from lease_aio.testing.simulator.clock import MachineClock
from lease_aio.timing import Timing

if TYPE_CHECKING:
    from lease_aio.testing.simulator.invariants import Tenancy
    from lease_aio.testing.simulator.world import World

_RESUME_SLICE_S = 1.0  # a sleeper notices a suspend this much after it, at the latest: see `lease_aio.clock`
_SAME_INSTANT_S = 0.002  # what arrived while a process stood still comes in order; its timers, before, between or after


class Call:
    """One request to the API server.

    Attributes:
        host: Whose.
        epoch: Which of its processes.
        kind: What for.
        lease: What to write, None for a read.
        tag: The sender's own.
        sent: When, on its clock.
        gives_up_at: When it stops waiting, in true time.
    """

    __slots__ = ("epoch", "gives_up_at", "host", "kind", "lease", "sent", "tag")

    def __init__(
        self, host: Host, kind: Kind, lease: Lease | None, tag: Any, *, sent: float, gives_up_at: float
    ) -> None:
        self.host, self.kind, self.lease, self.tag = host, kind, lease, tag
        self.epoch, self.sent, self.gives_up_at = host.epoch, sent, gives_up_at


@dataclass(frozen=True, kw_only=True, slots=True)
class Recruit:
    """Who is to contend.

    Attributes:
        name: Of the machine.
        identity: Of its first process.
        rho: By how much its clock's rate may be wrong.
        durations: One of these is its lease duration.
        fallback_after_s: How long it waits for a coordinator; None for a plain candidate.
    """

    name: str
    identity: str
    rho: float
    durations: tuple[int, ...]
    fallback_after_s: float | None = None


class Host(ABC):
    """A machine on which one process contends, and after a crash another.

    Attributes:
        epoch: The number of the process; what was meant for an earlier one never reaches a later one.
        waits_for: The request that is not answered and not given up.
        working: The term whose work runs.
        tenancy: The term won last, as the server knows it.
        told_at: When its work was told to stop, in true time.
        late_until: Until then (true time) its timers may be late, or no code runs.
    """

    ours = True

    def __init__(self, world: World, recruit: Recruit, timing: Timing) -> None:
        dice, rho = world.dice, recruit.rho
        self.world, self.timing = world, timing
        self.name, self.identity = recruit.name, recruit.identity
        self.clock = MachineClock(
            world.time,
            rate=1 + rho * dice.pick((-1.0, 1.0, dice.between(-1, 1))),
            offset_s=dice.between(-1e4, 1e4),
            wall_offset_s=dice.between(-1e4, 1e4),
        )
        self.epoch, self.alive = 0, True
        self.cut_until = self.deaf_until = -math.inf
        self.cut_way = ""
        self.paused_until = self.frozen_until = self.late_until = -math.inf
        self.waits_for: Call | None = None
        self.working: Tenancy | None = None
        self.tenancy: Tenancy | None = None
        self.told_at = math.inf

    # ------------------------------------------------------------------ what a kind of process must tell

    @property
    @abstractmethod
    def leading(self) -> bool:
        """It believes that it leads."""

    @property
    @abstractmethod
    def must_stop_at(self) -> float:
        """When the work was, or will be, told to stop unless a renewal comes; in true time."""

    @abstractmethod
    def start(self) -> None:
        """A new process begins."""

    @abstractmethod
    def answered(self, call: Call, lease: Lease | None, served_at: float) -> None:
        """A request succeeded; a read that found nothing gives None."""

    @abstractmethod
    def failed(self, call: Call, error: ApiError) -> None:
        """A request failed."""

    def landed(self, call: Call) -> None:  # noqa: B027 - most need not know
        """A write of this very process was committed just now; the process itself does not know yet."""

    def hears(self) -> bool:
        """There is a watch, and it stands."""
        return False

    # ------------------------------------------------------------------ when its code runs

    def after(self, local_s: float, action: Callable[..., None], *args: Any) -> None:
        """Do that after so many seconds of this clock."""
        time = self.world.time
        time.at(time.now + local_s / self.clock.rate, self._enter, self.epoch, True, action, args)  # noqa: FBT003

    def at(self, when: float, action: Callable[..., None], *args: Any) -> None:
        """Something arrives from outside at that true time."""
        self.world.time.at(when, self._enter, self.epoch, False, action, args)  # noqa: FBT003

    def _enter(self, epoch: int, timer: bool, action: Callable[..., None], args: tuple[Any, ...]) -> None:  # noqa: FBT001
        if epoch != self.epoch or not self.alive:
            return
        time = self.world.time
        ready_at = self.late_until if timer else self.paused_until
        if time.now < ready_at:
            when = ready_at + _SAME_INSTANT_S * (self.world.dice.random() if timer else 0.5)
            time.at(when, self._enter, epoch, timer, action, args)
        else:
            action(*args)

    def pause(self, until: float, *, work_too: bool, timers_late: bool = False) -> None:
        """No callback runs until then.

        Args:
            until: True time.
            work_too: Neither does the work.
            timers_late: Timers did not count meanwhile, and notice it late.
        """
        self.paused_until = max(self.paused_until, until)
        late = until + (self.world.dice.random() * _RESUME_SLICE_S if timers_late else 0.0)
        self.late_until = max(self.late_until, late)
        if work_too:
            self.frozen_until = max(self.frozen_until, until)
        if self.waits_for is not None:
            self.give_up_later(self.waits_for)

    # ------------------------------------------------------------------ requests

    def send(self, kind: Kind, lease: Lease | None, tag: Any, now: float, timeout_s: float) -> None:
        """Send it; `answered` or `failed` will tell. `now` is this clock's."""
        gives_up_at = self.world.time.now + timeout_s / self.clock.rate
        self.waits_for = call = Call(self, kind, lease, tag, sent=now, gives_up_at=gives_up_at)
        self.world.network.send(call)

    def give_up_later(self, call: Call) -> None:
        """Its time-out, or now if that has passed."""
        time = self.world.time
        when = max(time.now, call.gives_up_at)
        time.at(when, self._enter, call.epoch, True, self._give_up, (call,))  # noqa: FBT003

    def _give_up(self, call: Call) -> None:
        if self.waits_for is call:
            self.failed(call, self.world.network.timed_out(call))

    # ------------------------------------------------------------------ the end of a process

    def crash(self) -> None:
        """The process is gone at once, and its work with it."""
        self.world.note(self, "CRASHES")
        self.alive, self.working, self.waits_for = False, None, None
        self.told_at = math.inf

    def restart(self) -> None:
        """Another process on the same machine."""
        self.world.note(self, f"restarts as {self.identity}")
        self.epoch += 1
        self.alive, self.working, self.tenancy, self.waits_for = True, None, None, None
        self.told_at = math.inf
        self.paused_until = self.frozen_until = self.late_until = -math.inf
        self.start()
