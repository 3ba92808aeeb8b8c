"""What the scheduler drives: one thing to renew, and what an attempt at it says. Pure."""

import enum
import math
from collections.abc import Awaitable, Callable

import msgspec

from lease_aio.errors import ConfigurationError


class Priority(enum.IntEnum):
    """The class of a renewal: whose room it may use, and who goes first."""

    ELECTION = 0
    """Elections and locks: first, in all the room there is, woken the moment they are due."""
    BEAT = 1
    """Heartbeats and identities: never in the room reserved for elections, and woken in batches."""


class Verdict(
    msgspec.Struct, frozen=True, kw_only=True, gc=False
):  # one per attempt: a dataclass costs ten times as much
    """What one attempt tells the scheduler.

    Attributes:
        due: When to try next, absolute, on the scheduler's clock. A time that is past means at once, infinity means not
            until the renewal is changed, None means never again: it leaves the scheduler.
        renewed: Whether the attempt did renew. Counts as a success, and closes the gap since the one before.
        failed: Whether the server, or the way to it, said no. An attempt may do neither: it read, or it waits.
        sent: Whether the server was asked. What never reached it costs nothing of what paces those that are behind.
        deadline: When the next attempt will be too late, absolute. Orders those that are due; none is dropped.
        retry_after_s: The server is overloaded and asked for so much rest. It is granted once, for all renewals.
    """

    due: float | None
    renewed: bool
    failed: bool = False
    sent: bool = True
    deadline: float = math.inf
    retry_after_s: float | None = None


class State(enum.Enum):
    """Where a renewal stands."""

    IDLE = enum.auto()
    """In no queue."""
    WAITING = enum.auto()
    """Its time has not come."""
    DUE = enum.auto()
    """Its time has come; there was no room yet."""
    BEHIND = enum.auto()
    """Its time has come, and it waits for its turn to catch up."""
    IN_FLIGHT = enum.auto()
    """An attempt runs."""
    LEAVING = enum.auto()
    """An attempt runs, and the renewal was removed meanwhile: the verdict will be dropped."""


class Renewal:
    """One thing to be renewed again and again: a record without a task of its own, about 200 bytes.

    Args:
        attempt: Tries once, and says what comes next. It must bound its own duration, and catch what it can expect
            (errors of the API server): an exception that escapes is a bug, and ends the scheduler.
        priority: Its class, for good.
        due: When to try first, absolute, on the scheduler's clock.
        deadline: When that attempt will be too late.
        period_s: How often it is renewed, if that is known, in seconds. Those whose periods are known are paced while
            they are behind, see `Pace`.

    Raises:
        ConfigurationError: a time is not a number, or the period not a positive one.

    Attributes:
        attempt: As given.
        priority: As given.
        due: When it is tried next; while an attempt runs, when that was due.
        deadline: Of that attempt.
        period_s: As given.
        last_success: When an attempt last renewed, since it was added; None before.
        retries: Its last attempt failed, or one before did and what followed at once has not renewed yet.
        state: Where it stands.
        asked_due: What `change` asked for while an attempt runs, else infinity.
        asked_deadline: Likewise.
        wake: When it is woken, if it waits: `due`, or what that is rounded up to.
        ticket: Tells its place among those that are due from stale ones.

    The attributes are the queue's to write.
    """

    __slots__ = (
        "asked_deadline",
        "asked_due",
        "attempt",
        "deadline",
        "due",
        "last_success",
        "period_s",
        "priority",
        "retries",
        "state",
        "ticket",
        "wake",
    )

    def __init__(
        self,
        attempt: Callable[[], Awaitable[Verdict]],
        *,
        priority: Priority,
        due: float,
        deadline: float = math.inf,
        period_s: float | None = None,
    ) -> None:
        check_times(due, deadline)
        if period_s is not None and not 0 < period_s < math.inf:
            raise ConfigurationError(f"period_s={period_s!r} must be a positive number of seconds, or None")
        self.attempt = attempt
        self.priority = priority
        self.due = due
        self.deadline = deadline
        self.period_s = period_s
        self.last_success: float | None = None
        self.retries = False
        self.state = State.IDLE
        self.asked_due = math.inf
        self.asked_deadline = math.inf
        self.wake = due
        self.ticket = 0

    def reset(self, *, due: float, deadline: float = math.inf) -> None:
        """Make it what a new one would be: cheaper than that where there are thousands. It must be in no queue.

        Raises:
            ConfigurationError: it is, or an attempt from before its removal still runs; or a time is not a number.
        """
        if self.state is not State.IDLE:
            raise ConfigurationError(f"a renewal that is {self.state.name} cannot be reset: remove it, and drain it")
        check_times(due, deadline)
        self.due = self.wake = due
        self.deadline = deadline
        self.last_success = None
        self.retries = False

    def __repr__(self) -> str:
        return f"<Renewal {self.priority.name} {self.state.name} due={self.due:.3f} deadline={self.deadline:.3f}>"


def check_times(due: float | None, deadline: float | None) -> None:
    """Refuse what has no place on a time line: NaN breaks the order of a heap in silence, minus infinity all lateness.

    Raises:
        ConfigurationError: one of them is such a value; None is not.
    """
    if due is not None and not due > -math.inf:
        raise ConfigurationError(f"due={due!r} must be a time in seconds, or infinity for not until changed")
    if deadline is not None and not deadline > -math.inf:
        raise ConfigurationError(f"deadline={deadline!r} must be a time in seconds, or infinity for none")
