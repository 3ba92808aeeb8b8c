"""What is done to a simulated node while it runs, and the one state that it is in. Pure.

A node that nothing was done to has no entry anywhere: troubles stand in a table beside the nodes.
"""

from __future__ import annotations

import enum
import math
import re
from collections import Counter
from collections.abc import Iterable

from lease_aio.errors import ConfigurationError
from lease_aio.scheduler import Renewal

_FIRST_US, _LAST_US = -62_135_596_799_000_000, 253_402_300_799_999_999  # to an API server, less would be no time at all
_ALL_YEARS_S = 1e12
_REASON = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", re.ASCII)  # as the API documents a condition's reason


class NodeState(enum.Enum):
    """How a node does. It is in exactly one of these; what was done to it goes before how its lease does."""

    PENDING = "pending"
    """Not renewed yet since it started, and not late either."""
    FRESH = "fresh"
    """Renewed less than a lease duration ago."""
    LATE = "late"
    """Not renewed for longer than that, although it should have been."""
    UNREADY = "unready"
    """Fresh, and told to report that it is not ready."""
    SILENCED = "silenced"
    """Cut off from the API server: it sends nothing."""
    PAUSED = "paused"
    """Its process stands still."""
    CRASHED = "crashed"
    """Its process is gone, and has not been started again."""


class Trouble:
    """What is done to one node. Several things at once are kept apart, and each ends by itself.

    Attributes:
        silenced: Nothing is sent.
        paused: The process stands still.
        crashed: The process is gone until somebody starts it.
        starts_at: When a process that was started again begins to run; minus infinity if none was.
        rereads: The next request reads: what was remembered of the server may be outdated.
        delay_s: How long each request is held before it is sent.
        offset_s: By how much the wall clock was off when that was set.
        drift: How much more it is off after each second.
        skewed_at: When that was set.
        unready: Why the node reports that it is not ready; empty if it does not.
        renewed_at: When the process that has crashed last renewed.
    """

    __slots__ = (
        "crashed",
        "delay_s",
        "drift",
        "offset_s",
        "paused",
        "renewed_at",
        "rereads",
        "silenced",
        "skewed_at",
        "starts_at",
        "unready",
    )

    def __init__(self) -> None:
        self.silenced = self.paused = self.crashed = self.rereads = False
        self.starts_at = -math.inf
        self.delay_s = 0.0
        self.offset_s = self.drift = self.skewed_at = 0.0
        self.unready = ""
        self.renewed_at: float | None = None

    @property
    def stopped(self) -> bool:
        """Whether it sends nothing until somebody changes that."""
        return self.silenced or self.paused or self.crashed

    @property
    def over(self) -> bool:
        """Whether nothing is left of it, so that it may be forgotten."""
        kept = self.stopped or self.rereads or self.starts_at > -math.inf or self.unready
        return not (kept or self.delay_s or self.offset_s or self.drift)

    def wall_us(self, now: float, wall_us: int) -> int:
        """What the node's wall clock shows while a true one shows `wall_us`: nothing before year 1, nor after 9999."""
        off_s = self.offset_s + self.drift * (now - self.skewed_at)
        shown_us = wall_us + round(max(-_ALL_YEARS_S, min(_ALL_YEARS_S, off_s)) * 1e6)
        return max(_FIRST_US, min(_LAST_US, shown_us))

    def state(self, now: float) -> NodeState | None:
        """What it makes of the node, if it goes before how its lease does."""
        if self.crashed or now < self.starts_at:
            return NodeState.CRASHED
        if self.paused:
            return NodeState.PAUSED
        return NodeState.SILENCED if self.silenced else None


def checked_reason(reason: str) -> str:
    """The reason itself, if a condition can have it.

    Raises:
        ConfigurationError: it cannot.
    """
    if not _REASON.fullmatch(reason):
        raise ConfigurationError(f"reason={reason!r} must be one word in CamelCase, such as 'KubeletNotReady'")
    return reason


def state_of(renewal: Renewal, trouble: Trouble | None, now: float) -> NodeState:
    """The state of the node whose lease this renews."""
    stopped = None if trouble is None else trouble.state(now)
    if stopped is not None:
        return stopped
    state = _untroubled(renewal, now)
    unready = state is NodeState.FRESH and trouble is not None and trouble.unready
    return NodeState.UNREADY if unready else state


def _untroubled(renewal: Renewal, now: float) -> NodeState:
    if now > renewal.deadline:
        return NodeState.LATE
    return NodeState.PENDING if renewal.last_success is None else NodeState.FRESH


def count_states(renewals: Iterable[Renewal], now: float) -> Counter[NodeState]:
    """How many are in each state, as if nothing was done to any; `correct` mends that."""
    late = fresh = total = 0
    for renewal in renewals:
        total += 1
        if now > renewal.deadline:
            late += 1
        elif renewal.last_success is not None:
            fresh += 1
    counts = {NodeState.LATE: late, NodeState.FRESH: fresh, NodeState.PENDING: total - late - fresh}
    return Counter({state: count for state, count in counts.items() if count})


def correct(counts: Counter[NodeState], troubled: Iterable[tuple[Renewal, Trouble]], now: float) -> Counter[NodeState]:
    """The counts, with those that something was done to counted as what they are."""
    for renewal, trouble in troubled:
        counts[_untroubled(renewal, now)] -= 1
        counts[state_of(renewal, trouble, now)] += 1
    return +counts  # without those that are zero
