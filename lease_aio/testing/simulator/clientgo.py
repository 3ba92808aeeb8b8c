"""A model of client-go's elector (`tools/leaderelection`, as of 2026), to contend against.

A re-statement of its rules, not its code: LeaseDuration, RenewDeadline and RetryPeriod in the proportions 15 : 10 : 2.

- An attempt is one write with the cached version if it believes that it leads (the fast path), else a read and then
  a create or a write. The record's own duration counts, on the local clock, from when an answer showed a *change*;
  changes are compared with the precision of a second.
- Acquiring: an attempt, then a wait of 1.0 to 2.2 retry periods.
- Renewing: a wait of one retry period after each success; then attempts on a grid of retry periods under a deadline
  that starts with this round, that is, after the last answer.
- Seeing another holder does not end the term. At the deadline it does; then the Lease is released, if so wished, and
  only then is the work told to stop.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lease_aio.election.requests import Kind
from lease_aio.errors import ApiError
from lease_aio.model import Lease, LeaseSpec, MicroTime, new_lease
from lease_aio.testing.simulator.host import Call, Host, Recruit
from lease_aio.testing.simulator.plan import Release
from lease_aio.timing import Timing

if TYPE_CHECKING:
    from lease_aio.testing.simulator.world import World

_JITTER = 1.2


class ClientGo(Host):
    """One elector, started again after each end, as a restarted process would."""

    ours = False

    def __init__(self, world: World, recruit: Recruit, release: Release) -> None:
        duration = world.dice.pick(recruit.durations)
        self._renew_deadline_s, self._retry_s = duration * 10 / 15, duration * 2 / 15
        timing = Timing(
            lease_duration_s=duration,
            request_timeout_s=self._renew_deadline_s / 2,
            renew_interval_s=self._retry_s,
            retry_interval_s=self._retry_s,
            stop_grace_s=duration * 0.1,
            clock_error=0.0,
        )
        super().__init__(world, recruit, timing)
        self._release = release

    # ------------------------------------------------------------------ a process

    def start(self) -> None:
        """See `Host`."""
        self._round = 0  # what was meant for an earlier round comes too late
        self._run()

    def _run(self) -> None:
        self._round += 1
        self._lease: Lease | None = None  # as the lock object caches it
        self._observed: LeaseSpec | None = None
        self._observed_raw: object = None
        self._observed_at = -math.inf
        self._leads = self._releasing = False
        self._deadline = math.inf
        self._attempt()

    @property
    def leading(self) -> bool:
        """See `Host`."""
        return self.alive and self.working is not None and self._leads

    @property
    def must_stop_at(self) -> float:
        """See `Host`. Its own rules give no bound: any stand-still since its last write is an excuse."""
        return self.tenancy.renewed_at if self.tenancy is not None else -math.inf

    # ------------------------------------------------------------------ one attempt

    def _is_me(self) -> bool:
        return self._observed is not None and self._observed.holder_identity == self.identity

    def _valid(self, now: float) -> bool:
        seen = self._observed
        return seen is not None and self._observed_at + (seen.lease_duration_seconds or 0) > now

    def _attempt(self) -> None:
        self._began = self.clock.now()
        if self._is_me() and self._valid(self._began) and self._lease is not None:
            self._write(self._kind, self._lease.with_spec(renew_time=self._wall()), "fast")
        else:
            self._ask(Kind.READ, None, "read")

    @property
    def _kind(self) -> Kind:
        return Kind.RENEW if self._leads else Kind.ACQUIRE

    def _wall(self) -> MicroTime:
        return MicroTime(self.clock.wall_us())

    def _ask(self, kind: Kind, lease: Lease | None, step: str) -> None:
        now = self.clock.now()
        left = self._deadline - now
        self.send(kind, lease, (self._round, step), now, max(0.001, min(self.timing.request_timeout_s, left)))

    def _write(self, kind: Kind, lease: Lease, step: str) -> None:
        self.world.note(self, f"sends {kind.value} on version {lease.resource_version or 'none'}")
        self._ask(kind, lease, step)

    def _record(self) -> LeaseSpec:
        wall = self._wall()
        return LeaseSpec(
            holder_identity=self.identity,
            lease_duration_seconds=self.timing.lease_duration_s,
            acquire_time=wall,
            renew_time=wall,
            lease_transitions=0,
        )

    def answered(self, call: Call, lease: Lease | None, served_at: float) -> None:
        """See `Host`."""
        del served_at
        if self.waits_for is not call or call.tag[0] != self._round:
            return
        self.waits_for = None
        step = call.tag[1]
        if step == "read":
            self._have_read(lease)
        elif step == "release read":
            self._release_over(lease)
        elif step == "release write":
            self._stop_work()
        else:
            assert lease is not None
            self._have_written(lease)

    def _have_read(self, lease: Lease | None) -> None:
        if lease is None:
            self._write(Kind.ACQUIRE, new_lease("x", "default", self._record()), "write")
            return
        self._lease = lease
        if _raw(lease) != self._observed_raw:
            self._observed_raw, self._observed, self._observed_at = _raw(lease), lease.spec, self.clock.now()
        if lease.holder and self._valid(self._began) and not self._is_me():
            self._attempt_failed()
            return
        if lease.holder == self.identity:
            self._write(self._kind, self._renewed(lease, same_term=True), "write")
        else:
            self._write(Kind.ACQUIRE, self._renewed(lease, same_term=False), "write")

    def _renewed(self, lease: Lease, *, same_term: bool) -> Lease:
        record = self._record()
        transitions = lease.spec.lease_transitions or 0
        acquired = lease.spec.acquire_time if same_term else record.acquire_time
        return lease.with_spec(
            holder_identity=record.holder_identity,
            lease_duration_seconds=record.lease_duration_seconds,
            acquire_time=acquired,
            renew_time=record.renew_time,
            lease_transitions=transitions if same_term else transitions + 1,
        )

    def _have_written(self, lease: Lease) -> None:
        self._lease, self._observed, self._observed_at = lease, lease.spec, self.clock.now()
        self._deadline = math.inf
        if not self._leads:
            self._leads = True
            self._start_work()
        self.after(self._retry_s, self._renew, self._round)

    def _start_work(self) -> None:
        assert self.tenancy is not None
        self.world.note(self, "LEADS (client-go)")
        self.world.judge.started(self, self.tenancy)
        self.working = self.tenancy

    def failed(self, call: Call, error: ApiError) -> None:
        """See `Host`."""
        if self.waits_for is not call or call.tag[0] != self._round:
            return
        self.waits_for = None
        match call.tag[1]:
            case "fast":
                self._ask(Kind.READ, None, "read")
            case "release read":
                self._stop_work()
            case "release write":
                self._release_again(error)
            case _:
                self._attempt_failed()

    # ------------------------------------------------------------------ the loops

    def _attempt_failed(self) -> None:
        if not self._leads:
            self.after(self._retry_s * (1 + _JITTER * self.world.dice.random()), self._acquire_again, self._round)
            return
        now = self.clock.now()
        tick = self._next_tick(now)
        if tick < self._deadline:
            self.after(tick - now, self._try_again, self._round)

    def _next_tick(self, now: float) -> float:
        began = self._deadline - self._renew_deadline_s
        return began + (math.floor((now - began) / self._retry_s) + 1) * self._retry_s

    def _acquire_again(self, round_: int) -> None:
        if round_ == self._round and not self._leads:
            self._attempt()

    def _try_again(self, round_: int) -> None:
        if round_ == self._round and self._leads and not self._releasing and self.waits_for is None:
            self._attempt()

    def _renew(self, round_: int) -> None:
        if round_ != self._round or not self._leads:
            return
        self._deadline = self.clock.now() + self._renew_deadline_s
        self.after(self._renew_deadline_s, self._deadline_passed, round_, self._deadline)
        self._attempt()

    def _deadline_passed(self, round_: int, deadline: float) -> None:
        if round_ == self._round and self._leads and self._deadline == deadline:
            self.step_down()

    def step_down(self) -> None:
        """It failed to renew, or was told to end."""
        if not self._leads or self._releasing:
            return
        self.world.note(self, "gives up (client-go)")
        self._releasing = True
        self._round += 1
        self.waits_for = None
        if self._release is Release.NONE:
            self._stop_work()
            return
        self._deadline = self.clock.now() + self._renew_deadline_s
        self._ask(Kind.READ, None, "release read")

    # ------------------------------------------------------------------ release, and the end

    def _release_over(self, lease: Lease | None) -> None:
        if lease is None:
            self._stop_work()
            return
        if self._release is Release.CHECKED:
            self._observed = lease.spec
        if not self._is_me():
            self._stop_work()
            return
        wall = self._wall()
        blank = lease.with_spec(
            holder_identity="",
            lease_duration_seconds=1,
            acquire_time=wall,
            renew_time=wall,
            strategy=None,
            preferred_holder=None,
        )
        self._write(Kind.RELEASE, blank, "release write")

    def _release_again(self, error: ApiError) -> None:
        if error.status == 409 and self.clock.now() < self._deadline:
            self._ask(Kind.READ, None, "release read")
        else:
            self._stop_work()

    def _stop_work(self) -> None:
        """Only now is the leading context cancelled."""
        self.told_at = self.world.time.now
        self._round += 1
        self._leads, self._deadline = False, math.inf
        self.after(self.timing.stop_grace_s * self.world.dice.random(), self._work_stopped, self._round)

    def _work_stopped(self, round_: int) -> None:
        if round_ == self._round:
            self.world.note(self, "work stopped (client-go)")
            self.working, self.told_at = None, math.inf
            self._run()


def _raw(lease: Lease) -> object:
    """The record as client-go compares it: times to the second, the version not at all."""
    spec = lease.spec
    acquired, renewed = spec.acquire_time, spec.renew_time
    return (
        spec.holder_identity,
        spec.lease_duration_seconds,
        acquired and acquired.epoch_us // 10**6,
        renewed and renewed.epoch_us // 10**6,
        spec.lease_transitions,
    )
