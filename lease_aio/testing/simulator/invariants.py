"""What is promised, and who keeps the books to check it.

| | promise |
|---|---|
| I1 | at most one candidate's work runs, outside declared exceptions |
| I2 | tokens rise from term to term |
| I3 | a resource that compares tokens lets no write in after one of a later term |
| I4 | nobody writes over a term that may still run: a take-over waits, a renewal and a release touch only one's own |
| I5 | the Lease is released only after the work has stopped |
| I6 | a term is valid no longer than its last stored write, counted from its sending, allows |
| I7 | after the faults somebody leads, in bounded time, and stays |
| I8 | what the server refuses for good ends the candidacy; nothing is sent after it |
| I9 | a candidacy that has ended wants nothing: no timer, no request |
| I10 | requests are few |

The exceptions of I1 are what no rule on a Lease can outlast:

- A hand, or an elector with other rules, took away what the others wait for: it blanked the holder, lowered the
  duration, released or took over a Lease before its time. The term so undermined may overlap with later ones.
- The Lease was deleted. The term may overlap with later ones, yet never with one of a candidate that knew of the
  Lease, found it gone and created it anew, as long as its own duration is not the shorter one: that of a holder it
  never saw it cannot know.
- The process stood still (frozen, suspended, its loop blocked) when its work should have been told to stop, or while
  it stopped. For this there are fencing tokens: I3 has no exception.

In a fleet with client-go's electors an overlap counts against us (I1) when the older work is ours, and none of the
above holds: then client-go has waited as long as the Lease says, and we had not stopped. The other way round it is I4
that counts against us: we took over before the duration that stands in the Lease had passed since it was last written.
All other overlaps with client-go are its own, and are counted.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from lease_aio.election.requests import Kind
from lease_aio.model import Lease
from lease_aio.testing.simulator.host import Call, Host

if TYPE_CHECKING:
    from lease_aio.testing.simulator.plan import Plan
    from lease_aio.testing.simulator.world import World

BURST = 45
"""Most requests of one candidate in ten of its retry intervals."""
CLIENT_GOS_OWN = "client-go's own"
"""The cause of overlaps that neither we nor any hand or stand-still must answer for."""
SLACK_S = 1e-6
INVARIANTS = ("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10")
CONSEQUENCES = frozenset({"I1", "I2", "I3", "I4", "I7", "I10"})
"""What others notice. The rest are rules by which the core brings these about."""


class Violation(AssertionError):
    """A promise was broken. The message ends with the timeline, and the command that runs it again.

    Attributes:
        seed: Which seed.
        plan: What it was run with.
        invariant: Which promise: `I1` to `I10`.
        what: What happened.
        timeline: All that led to it.
        digest: SHA-256 of the timeline: the same whenever this is run again.
        faults: What struck, how often.
        thrown: How many single faults there were to skip.
    """

    def __init__(self, world: World, invariant: str, what: str) -> None:
        self.seed, self.plan, self.invariant, self.what = world.seed, world.plan, invariant, what
        self.timeline, self.digest = world.timeline.text(), world.timeline.digest
        self.faults, self.thrown = +world.dice.struck, world.dice.thrown
        self.ended_s = world.time.now
        self.candidates = len(world.hosts)
        super().__init__(f"seed {self.seed}: {invariant}: {what}\n{world.timeline.text(60)}")


class Tenancy:
    """One winning write, as the server saw it.

    Attributes:
        serial: Its place in the order of winning writes.
        token: Its fencing token.
        renewed_at: When its last write was stored.
        duration_s: What stands in the Lease.
        undermined: Who took away what others wait for, if anybody did.
        deleted: The Lease was deleted under it.
        created: The winning write created the Lease.
        ignorant_since: Before this, no term escaped its candidate's notice.
    """

    __slots__ = (
        "acquired_at",
        "created",
        "deleted",
        "duration_s",
        "epoch",
        "host",
        "ignorant_since",
        "renewed_at",
        "serial",
        "token",
        "undermined",
    )

    def __init__(
        self, call: Call, serial: int, stored: Lease, now: float, *, created: bool, ignorant_since: float
    ) -> None:
        self.host, self.epoch, self.serial = call.host, call.epoch, serial
        self.token = int(stored.resource_version)
        self.duration_s = stored.spec.lease_duration_seconds or 0
        self.acquired_at = self.renewed_at = now
        self.created, self.ignorant_since = created, ignorant_since
        self.undermined, self.deleted = "", False

    def belongs_to(self, call: Call) -> bool:
        """The very process that won it sends that."""
        return self.host is call.host and self.epoch == call.epoch


def _serial(tenancy: Tenancy) -> int:
    return tenancy.serial


class Judge:
    """Checks each promise when it could be broken.

    Attributes:
        current: The term that all others wait for; None where the Lease is free or gone.
        terms: How many began.
        overlaps: Overlapping work that is not ours to answer for, by cause.
    """

    __slots__ = ("_plan", "_serial", "_tokens", "_world", "current", "overlaps", "terms")

    def __init__(self, world: World, plan: Plan) -> None:
        self._world, self._plan = world, plan
        self._serial = 0
        self._tokens: list[tuple[int, int]] = []  # serial and token of the terms that began
        self.current: Tenancy | None = None
        self.terms = 0
        self.overlaps: Counter[str] = Counter()

    def promise(self, kept: object, invariant: str, host: Host | None, what: str) -> None:
        """Nothing, if it was kept.

        Raises:
            Violation: it was not.
        """
        if kept or (self._plan.consequences_only and invariant not in CONSEQUENCES):
            return
        self._world.note(host, f"VIOLATION of {invariant}: {what}")
        raise Violation(self._world, invariant, what)

    # ------------------------------------------------------------------ what is stored

    def stored(self, call: Call, old: Lease | None, new: Lease, *, ignorant_since: float) -> None:
        """A write of a process was committed."""
        now, current = self._world.time.now, self.current
        mine = current is None or current.belongs_to(call)
        if call.kind is Kind.ACQUIRE:
            self._check_takeover(call, old, now)
            self._serial += 1
            self.current = Tenancy(call, self._serial, new, now, created=old is None, ignorant_since=ignorant_since)
            if call.epoch == call.host.epoch:
                call.host.tenancy = self.current
            return
        if not mine and current is not None:
            self._judge_stranger(call, current)
        if call.kind is Kind.RELEASE:
            self.current = None
        elif current is not None:
            current.renewed_at = now

    def _check_takeover(self, call: Call, old: Lease | None, now: float) -> None:
        current = self.current
        if old is None or current is None or current.belongs_to(call) or current.undermined:
            return
        early = now + SLACK_S < current.renewed_at + current.duration_s
        if early and call.host.ours:
            self.promise(False, "I4", call.host, f"took over from {current.host.name} before its time")  # noqa: FBT003
        elif early:
            current.undermined = "client-go took over before its time"

    def _judge_stranger(self, call: Call, current: Tenancy) -> None:
        what = "released" if call.kind is Kind.RELEASE else "renewed"
        if call.host.ours:
            self.promise(False, "I4", call.host, f"{what} what {current.host.name} holds")  # noqa: FBT003
        current.undermined = f"client-go {what} it"

    def edited(self, what: str) -> None:
        """A hand did that to the record."""
        current = self.current
        if current is None:
            return
        if what == "deleted":
            current.deleted = True
        elif what not in {"label edited", "renewTime edited", "holder edited"}:  # for these, all wait as for a renewal
            current.undermined = what
        if what in {"deleted", "holder blanked", "holder null"}:
            self.current = None

    # ------------------------------------------------------------------ what begins

    def started(self, host: Host, tenancy: Tenancy) -> None:
        """The work of a term begins."""
        self.terms += 1
        if host.ours:
            self._check_token(host, tenancy)
        for other in self._world.hosts:
            if other is not host and other.working is not None:
                self._overlap(*sorted((other.working, tenancy), key=_serial))

    def _check_token(self, host: Host, tenancy: Tenancy) -> None:
        for serial, token in self._tokens:
            rises = (serial < tenancy.serial) == (token < tenancy.token)
            self.promise(rises and serial != tenancy.serial, "I2", host, f"token {tenancy.token} beside {token}")
        self._tokens.append((tenancy.serial, tenancy.token))

    def _overlap(self, old: Tenancy, new: Tenancy) -> None:
        """Two works run: that of the term that was won first should have stopped, or never begun."""
        cause = self._excuse(old, new)
        if not old.host.ours:
            cause = cause or CLIENT_GOS_OWN
        self.promise(cause, "I1", new.host, f"its work overlaps with that of {old.host.name}")
        self.overlaps[cause] += 1

    def _excuse(self, old: Tenancy, new: Tenancy) -> str:
        if old.undermined or new.undermined:
            return "undermined"
        if new.deleted or (old.deleted and not self._must_know_of(new, old)):
            return "deleted"
        return "stood still" if old.host.late_until >= old.host.must_stop_at else ""

    @staticmethod
    def _must_know_of(new: Tenancy, old: Tenancy) -> bool:
        knew = old.acquired_at < new.ignorant_since and old.duration_s <= new.duration_s
        return new.host.ours and new.created and knew


class Burst:
    """I10 for one process: how many requests it has sent of late."""

    __slots__ = ("_sent", "_window_s", "worst")

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._sent: list[float] = []
        self.worst = 0

    def count(self, now: float) -> int:
        """One more; the number in the window."""
        sent = self._sent
        sent.append(now)
        oldest = now - self._window_s
        while sent[0] < oldest:
            del sent[0]
        self.worst = max(self.worst, len(sent))
        return len(sent)
