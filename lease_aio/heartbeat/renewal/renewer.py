"""The rules by which a kubelet keeps its lease alive, one request at a time. Pure.

Source of the rules: `apimachinery/lease` of kubernetes/component-helpers, which kubelet and kube-apiserver share.

A *pass* is what happens once a period. It ends with a confirmed write or with failure, and the next one starts a period
after its end:

1. If a Lease is remembered: up to five updates of it, one right after the other, without reading first.
2. If there is none, or all five failed: *ensure*, that is read, and create if there is none; with pauses of 0.2 to 7 s,
   for as long as it takes. A pass that created the Lease is done.
3. Up to five updates of what was read. If they fail the pass has failed.

A conflict within the updates is answered by an ensure, too, and the row of updates goes on with what that found.
"""

from __future__ import annotations

import enum

import msgspec

from lease_aio.errors import ApiError, Conflict, NotFound, Throttled
from lease_aio.heartbeat.renewal.kept import Kept, Template, has_owner
from lease_aio.heartbeat.renewal.rules import Owner, RenewalRules
from lease_aio.model import Lease, MicroTime, Node
from lease_aio.scheduler.phase import jittered

ATTEMPTS = 5
"""Updates in a row, without a pause, before the Lease is read again."""

_FIRST_BACKOFF_S = 0.1  # doubled before it is first slept


class Read(msgspec.Struct, frozen=True):
    """Read the Lease."""


class ReadOwner(msgspec.Struct, frozen=True):
    """Read the Node of the Lease's name, for its uid."""


class Create(msgspec.Struct, frozen=True):
    """Create this Lease."""

    lease: Lease


class Replace(msgspec.Struct, frozen=True):
    """Write this Lease over the stored one."""

    lease: Lease


Request = Read | ReadOwner | Create | Replace
"""What a renewer wants to ask of the API server next."""


class Next(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What follows from an answer.

    Attributes:
        due: When the next request is due.
        renewed: A write was confirmed: the Lease carries a fresh renewTime.
        created: That write created the Lease.
        pass_over: The pass has ended, so `due` is about a period away.
        failed: The answer was an error that counts; the 404 that leads to a create does not.
        repeated: An update failed, and it was not the first of its row: when a kubelet closes its idle connections.
            Conflicts are no sign of a bad connection and never set it.
    """

    due: float
    renewed: bool = False
    created: bool = False
    pass_over: bool = False
    failed: bool = False
    repeated: bool = False


class _Step(enum.Enum):
    UPDATE = "update"
    READ = "read"
    CREATE = "create"


_READ = Read()
_READ_OWNER = ReadOwner()


class Renewer:
    """Keeps one Lease alive, as its rules say. Holds a few hundred bytes and touches nothing but itself.

    Ask for `request`, perform it, and tell the answer to `succeeded` or `failed`; both say when the next request is
    due. `request` changes nothing: one that was never sent, or whose answer nobody waited for, may be asked for again.

    Args:
        rules: Shared by many.
        name: The Lease's name; that of its owner as well.
        holder: Written at creation and never rewritten: a Lease that exists keeps whatever holder it has.
        owner_uid: The uid of the Node, if it is known. It serves the first write only: whenever an owner is missing
            later, the Node is read, since by then it may be another one.
    """

    __slots__ = ("_attempts", "_backoff_s", "_kept", "_last_row", "_owner_uid", "_resume", "_step", "_template")

    def __init__(self, rules: RenewalRules, name: str, holder: str, *, owner_uid: str | None = None) -> None:
        self._template = Template(rules, name, holder)
        self._kept: Kept | None = None
        self._owner_uid = owner_uid  # None: not known; empty: there is no such Node
        self._step = _Step.READ
        self._attempts = 0  # updates of this row that have failed
        self._last_row = False  # the row follows an ensure: when it fails, so does the pass
        self._resume = False  # the ensure answers a conflict: it goes back to its row
        self._backoff_s = _FIRST_BACKOFF_S

    def forget(self) -> None:
        """Be as a new one, of whose owner nothing is known."""
        self._kept = self._owner_uid = None
        self.reread()

    @property
    def rules(self) -> RenewalRules:
        """As given."""
        return self._template.rules

    @property
    def name(self) -> str:
        """As given."""
        return self._template.name

    @property
    def holder(self) -> str:
        """As given; what the Lease says is in `lease`."""
        return self._template.holder

    @property
    def lease(self) -> Lease | None:
        """The newest known version of the Lease, but for renewTime and duration; None if none is remembered."""
        return None if self._kept is None else self._template.restore(self._kept)

    def request(self, wall_us: int) -> Request:
        """The next request.

        Args:
            wall_us: The wall clock, microseconds since the epoch: what is written as renewTime.
        """
        if self._step is _Step.READ:
            return _READ
        if self._lacks_owner():
            return _READ_OWNER
        base = self._kept if self._step is _Step.UPDATE else None
        lease = self._template.written(base, self._owner_uid or "", MicroTime(wall_us))
        return Replace(lease) if self._step is _Step.UPDATE else Create(lease)

    def succeeded(self, answer: Lease | Node, now: float) -> Next:
        """Take the server's answer to the request.

        Args:
            answer: The stored Lease; the Node if the request was `ReadOwner`.
            now: Monotonic seconds, after the answer.
        """
        if isinstance(answer, Node):
            self._owner_uid = answer.metadata.uid
            return Next(due=now)
        self._kept = self._template.keep(answer)
        if self._step is _Step.READ:
            self._update()
            return Next(due=now)
        created = self._step is _Step.CREATE
        self._owner_uid = None
        if created and self._resume:
            self._update()
            return Next(due=now, renewed=True, created=True)
        return Next(due=self._end_pass(now), renewed=True, created=created, pass_over=True)

    def failed(self, error: ApiError, now: float) -> Next:
        """Take an error in place of an answer.

        A `Throttled` that says how long to wait is no attempt: the same request comes again, and it is the scheduler
        that waits, for all. (A kubelet's client does that beneath these rules.)

        Args:
            error: What was raised.
            now: Monotonic seconds, after the answer.
        """
        if isinstance(error, Throttled) and error.retry_after_s is not None:
            return Next(due=now, failed=True)
        if self._step is _Step.READ:
            return self._not_read(error, now)
        if self._lacks_owner():
            return self._no_owner(error, now)
        self._owner_uid = None
        if self._step is _Step.UPDATE:
            return self._not_updated(now, conflict=isinstance(error, Conflict))
        self._step = _Step.READ
        return self._back_off(now)

    def reread(self) -> None:
        """Start a pass that reads first, whatever comes next: after a time in which the server was out of reach."""
        self._attempts = 0
        self._last_row = False
        self._ensure(resume=False)

    def _lacks_owner(self) -> bool:
        if self._owner_uid is not None or self._template.rules.owner is Owner.NONE:
            return False
        return self._step is _Step.CREATE or not has_owner(self._kept)

    def _ensure(self, *, resume: bool) -> None:
        self._step = _Step.READ
        self._resume = resume
        self._backoff_s = _FIRST_BACKOFF_S

    def _update(self) -> None:
        """The ensure is over: go on with the row that met a conflict, or start the last row of the pass."""
        self._step = _Step.UPDATE
        if not self._resume:
            self._attempts = 0
            self._last_row = True

    def _not_read(self, error: ApiError, now: float) -> Next:
        if not isinstance(error, NotFound):
            return self._back_off(now)
        self._step = _Step.CREATE
        return Next(due=now)

    def _back_off(self, now: float) -> Next:
        rules = self._template.rules
        self._backoff_s = min(2 * self._backoff_s, rules.longest_backoff_s)
        return Next(due=now + jittered(self._backoff_s, rules.backoff_jitter, rules.random), failed=True)

    def _no_owner(self, error: ApiError, now: float) -> Next:
        """The Node cannot be read: that fails an update, and puts a create off to the next pass."""
        if isinstance(error, NotFound) and self._template.rules.owner is Owner.IF_FOUND:
            self._owner_uid = ""
            return Next(due=now)
        if self._step is _Step.UPDATE:
            return self._not_updated(now, conflict=False)
        self._kept = None
        if self._resume:
            self._update()
            return Next(due=now, failed=True)
        return Next(due=self._end_pass(now), failed=True, pass_over=True)

    def _not_updated(self, now: float, *, conflict: bool) -> Next:
        repeated = self._attempts > 0 and not conflict
        self._attempts += 1
        if self._attempts < ATTEMPTS:
            if conflict:
                self._ensure(resume=True)
        elif self._last_row:
            return Next(due=self._end_pass(now), failed=True, repeated=repeated, pass_over=True)
        else:
            self._ensure(resume=False)
        return Next(due=now, failed=True, repeated=repeated)

    def _end_pass(self, now: float) -> float:
        """Make ready for the next pass; returns when that is due."""
        rules = self._template.rules
        self._attempts = 0
        self._last_row = False
        if self._kept is None:
            self._ensure(resume=False)
        else:
            self._step = _Step.UPDATE
        return now + jittered(rules.renew_interval_s, rules.jitter, rules.random)
