"""One candidate of ours: the real core, and a shell that performs what it asks for as the real one does."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from lease_aio.election.core import Election
from lease_aio.election.engine import Stamps
from lease_aio.election.events import Ended, EndReason, Event, Started, State, Stopping
from lease_aio.election.failures import failure_of
from lease_aio.election.requests import Failure, Kind, Request
from lease_aio.errors import ApiError
from lease_aio.model import Lease
from lease_aio.testing.simulator.host import Call, Host, Recruit
from lease_aio.testing.simulator.invariants import BURST, SLACK_S, Burst
from lease_aio.testing.simulator.work import Work
from lease_aio.timing import Timing

if TYPE_CHECKING:
    from lease_aio.testing.simulator.world import World

_CRASH, _CRASH_AT_ROUTINE = 0.02, 0.002  # the chance of a crash at one effect; at those that come all the time


def _crashes(when: str) -> dict[Kind, tuple[str, float]]:
    chances = {Kind.READ: _CRASH_AT_ROUTINE, Kind.RENEW: _CRASH_AT_ROUTINE}
    return {kind: (f"crash: {when}".format(kind.value), chances.get(kind, _CRASH)) for kind in Kind}


_SENDING, _LANDED = _crashes("sending {}"), _crashes("{} landed")


class Candidate(Host):
    """The real `Election` on a machine of its own, contending again after each end."""

    def __init__(self, world: World, recruit: Recruit, election: type[Election]) -> None:
        dice = world.dice
        duration = dice.pick(recruit.durations)
        timing = Timing(
            lease_duration_s=duration,
            renew_interval_s=duration / dice.pick((5, 6, 8)),
            request_timeout_s=duration / dice.pick((4, 6, 8)),
            stop_grace_s=duration * dice.pick((0.05, 0.2)),
            clock_error=recruit.rho,
            retry_interval_s=duration / 15,
        )
        super().__init__(world, recruit, timing)
        self._election = election
        self._fallback_after_s = recruit.fallback_after_s
        self.minor = 30 + int(3 * dice.random()) if self.coordinated else 0

    @property
    def coordinated(self) -> bool:
        """It leaves it to a coordinator who leads."""
        return self._fallback_after_s is not None

    # ------------------------------------------------------------------ a process

    def start(self) -> None:
        """See `Host`."""
        dice = self.world.dice
        self.core = self._election(
            name="x",
            namespace="default",
            identity=self.identity,
            timing=self.timing,
            random=dice.random,
            fallback_after_s=self._fallback_after_s,
        )
        if self.coordinated:
            self.core.candidates_served(served=not dice.hit("no candidates served", 0.05))
            if self.epoch and dice.hit("version changed", 0.3):
                self.minor = 30 + int(3 * dice.random())
        self.core.polling = dice.hit("watch refused", 0.2)
        self._listens_idle = dice.random() < 0.5
        self._candidacy = 0
        self._wake_at = self._timer_at = math.inf
        self._confirmed_sent = -math.inf  # of the newest write of this process that was stored
        self._last_stamp = 0
        self._refused = False
        stamps: type[Stamps] = getattr(self._election, "stamps", Stamps)  # a variant of the rules may bring its own
        self._stamps = stamps(self.clock)
        self._burst = Burst(10 * self.timing.retry_interval_s)
        self._heard_until = self.world.time.now
        # What it can know of the Lease's existence, for the exception of I1 about deletions.
        self.ignorant_since = -math.inf
        self._let_go_at = -math.inf
        self._contend()

    def _contend(self) -> None:
        self._refused = False
        self._candidacy += 1
        self.core.contend(self.clock.now())
        self.step(())

    @property
    def leading(self) -> bool:
        """See `Host`."""
        return self.alive and self.working is not None and self.core.leading

    @property
    def must_stop_at(self) -> float:
        """See `Host`."""
        return min(self.told_at, self.clock.true_time(self.core.valid_until))

    @property
    def most_requests(self) -> int:
        """Most requests in ten retry intervals."""
        return self._burst.worst

    def crash(self) -> None:
        """See `Host`."""
        super().crash()
        self._wake_at = self._timer_at = math.inf

    def _dies(self, moment: str, chance: float = _CRASH) -> bool:
        """A crash at every effect: perhaps here."""
        if self.world.dice.hit(moment, chance):
            self.world.trouble.crash(self)
            return True
        return False

    # ------------------------------------------------------------------ the shell

    def step(self, events: tuple[Event, ...]) -> None:
        """Perform the events, send what is due, set the timer."""
        core, now = self.core, self.clock.now()
        if core.leading:
            events += core.expire(now)
        for event in events:
            self._perform(event)
            if not self.alive:
                return
        due = core.due
        if now >= due:
            request = core.tick(now, self._stamps.next_us())
            if request is None:
                self.world.judge.promise(False, "I9", self, "is due, and sends nothing")  # noqa: FBT003
            else:
                self._request(request, now)
                if not self.alive:
                    return
            due = core.due
        if core.leading:
            self._check(now)
            due = min(due, core.valid_until) if core.valid_until > now else due
        elif self.working is None and due == math.inf:
            self._wake_at = math.inf
            return
        self._arm(now, due)

    def _arm(self, now: float, wake: float) -> None:
        """One timer, that may fire too soon and is then set again: cheaper than one for each change."""
        self._wake_at = wake
        if wake < self._timer_at:
            self._timer_at = wake
            self.after(max(0.0, wake - now), self._fire, wake)

    def _fire(self, local: float) -> None:
        if local != self._timer_at:
            return
        self._timer_at = math.inf
        self.clock.has_reached(local)
        now = self.clock.now()
        if self._wake_at <= now:
            self.step(())
        elif self._wake_at < math.inf:
            self._arm(now, self._wake_at)

    def _perform(self, event: Event) -> None:
        self.world.note(self, event)
        self._count(event)
        if isinstance(event, Started):
            self._begin(event)
        elif isinstance(event, Stopping):
            self._stop()
        elif isinstance(event, Ended):
            self._end()

    def _count(self, event: Event) -> None:
        if not self.coordinated:
            return
        if isinstance(event, Started):
            self.world.appointed += event.term.appointed
            self.world.fallbacks += not event.term.appointed
        elif isinstance(event, Stopping):
            self.world.yields += event.reason is EndReason.YIELDED

    def _begin(self, event: Started) -> None:
        assert self.tenancy is not None
        self.tenancy.token = event.term.token
        self.world.judge.started(self, self.tenancy)
        self.working = self.tenancy
        if not self._dies("crash: started"):
            Work(self, self.tenancy)

    def _stop(self) -> None:
        if self.working is None:
            return
        self.told_at = self.world.time.now
        grace, dice = self.timing.stop_grace_s, self.world.dice
        takes = grace if dice.hit("work slow to stop", 0.5) else grace * dice.random()
        if not self._dies("crash: stopping"):
            self.after(takes, self.work_stops, self.working)

    def _end(self) -> None:
        self.told_at = math.inf
        promise = self.world.judge.promise
        promise(self.core.due == math.inf and not self.core.leading, "I9", self, "wants something after its end")
        promise(self.working is None or not self.core.leading, "I5", self, "ended while it leads")
        if not self._dies("crash: ended"):
            self.after(self.timing.renew_interval_s * self.world.dice.random(), self._contend)

    def work_stops(self, tenancy: object) -> None:
        """The work of that term is over: on its own, or as it was told."""
        if self.working is not tenancy:
            return
        self.world.note(self, "work stopped")
        self.working = None
        if not self._dies("crash: work stopped"):
            self.leave(self.core.work_stopped)

    def leave(self, how: Callable[[float], tuple[Event, ...]]) -> None:
        """Release or give up; after two time-outs without ado."""
        candidacy = self._candidacy
        self.step(how(self.clock.now()))
        self.after(2 * self.timing.request_timeout_s, self._abandon, candidacy)

    def _abandon(self, candidacy: int) -> None:
        if self._candidacy == candidacy and self.working is None and not self.core.leading:
            self.step(self.core.abandon())

    # ------------------------------------------------------------------ requests

    def _request(self, request: Request, now: float) -> None:
        world, judge = self.world, self.world.judge
        world.note(self, request)
        looks_once_more = request.kind is Kind.READ and self.core.term is not None  # the Lease was deleted meanwhile
        judge.promise(not self._refused or looks_once_more, "I8", self, "goes on though it was refused for good")
        if request.kind is Kind.RELEASE:
            judge.promise(self.working is None, "I5", self, "releases while its work runs")
        if request.lease is not None and request.lease.spec.renew_time is not None:
            stamp = request.lease.spec.renew_time.epoch_us
            judge.promise(stamp > self._last_stamp, "I6", self, "wrote a time twice")
            self._last_stamp = stamp
        few = self._burst.count(now) <= BURST
        judge.promise(few, "I10", self, f"more than {BURST} requests in ten retry intervals")
        world.requests += 1
        self.send(request.kind, request.lease, request, now, self.timing.request_timeout_s)
        self._dies(*_SENDING[request.kind])

    def landed(self, call: Call) -> None:
        """See `Host`."""
        if call.kind is not Kind.RELEASE:
            self._confirmed_sent = max(self._confirmed_sent, call.sent)
        self._dies(*_LANDED[call.kind])

    def answered(self, call: Call, lease: Lease | None, served_at: float) -> None:
        """See `Host`."""
        if self.waits_for is call:
            self.waits_for = None
            self._sees(lease, served_at)
        self.step(self.core.answered(call.tag, lease, self.clock.now()))

    def failed(self, call: Call, error: ApiError) -> None:
        """See `Host`."""
        if call.kind is Kind.READ and error.status == 404:
            self.answered(call, None, self.world.time.now)
            return
        failure = failure_of(error, leading=self.core.leading)
        if self.waits_for is call:
            self.waits_for = None
            self._refused = failure is Failure.PERMANENT
        self.step(self.core.failed(call.tag, failure, self.clock.now()))

    def asked(self) -> None:
        """A coordinator wants a sign of life."""
        self.core.heard_coordinator()
        self.step(())

    # ------------------------------------------------------------------ the watch

    def hears(self) -> bool:
        """See `Host`."""
        now = self.world.time.now
        if not self.alive or self.core.polling or now < self.deaf_until:
            return False
        if now < self.cut_until and self.cut_way != "partition: requests":
            return False
        return self._listens_idle or self.core.state is not State.IDLE

    def show(self, version: int | None, lease: Lease | None) -> None:
        """Put one change into its watch: late, perhaps, but in order.

        Args:
            version: The change's; None where the watch begins anew, and of an absence only the fact is known.
            lease: What stands from then on.
        """
        dice, now = self.world.dice, self.world.time.now
        slow = dice.hit("watch slow", self.world.harshness / 3)
        delay = self.timing.lease_duration_s / 2 * dice.random() if slow else 0.001 + 0.029 * dice.random()
        self._heard_until = max(self._heard_until, now + delay)
        self.at(self._heard_until, self._hear, version, lease, now)

    def _hear(self, version: int | None, lease: Lease | None, shown: float) -> None:
        if not self.hears():
            return
        self._sees(lease, shown)
        if lease is None:
            self.step(self.core.vanished("" if version is None else str(version)))
        else:
            self.step(self.core.observed(lease, self.clock.now(), gap=version is None))

    def _sees(self, lease: Lease | None, at: float) -> None:
        if lease is not None:
            if at >= self._let_go_at:
                self.ignorant_since = math.inf
        elif self.core.leading:
            self.ignorant_since, self._let_go_at = -math.inf, at
        elif self.ignorant_since == math.inf:
            self.ignorant_since = at

    # ------------------------------------------------------------------ what it believes

    def _check(self, now: float) -> None:
        core, promise = self.core, self.world.judge.promise
        latest = self._confirmed_sent + self.timing.term_length_s
        if core.valid_until > latest + SLACK_S:
            promise(False, "I6", self, "valid beyond its last stored write")  # noqa: FBT003
        if now >= core.valid_until:
            promise(False, "I6", self, "leads after its term")  # noqa: FBT003
        if core.holder != self.identity:
            promise(False, "I6", self, "leads while it knows of another holder")  # noqa: FBT003
        if self.working is None:
            promise(False, "I5", self, "leads without work")  # noqa: FBT003
