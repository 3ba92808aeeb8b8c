"""The second heartbeat of a kubelet, the status of its Node: when it is computed and when it is written. Pure.

Source of the rules: `pkg/kubelet/kubelet_node_status.go` of Kubernetes 1.37, with kubernetes/kubernetes#105272 (jitter)
and #130919 (the offset after a change). A kubelet writes once more right after it has registered its Node; here the
registration says all and counts as that report.

The status is computed every 10 s, plus up to 4 %, counted from the end of the computation before. It is written if
anything but the heartbeat times differs from what the API server has, or if the last writing was 5 minutes ago. After a
writing because of a difference, and after a start, the next report without one comes up to half of that earlier or
later, once, so that nodes which changed together do not report together for ever.

A computation that writes nothing leaves no trace. So those are not performed here: the times of all of them are fixed
beforehand by a seed, and the keeper asks to be woken at the first at which there is something to write. What an API
server sees is the same, moment for moment, as if each of them was performed.
"""

from __future__ import annotations

import enum
import math
import random as random_module
from collections.abc import Callable
from dataclasses import dataclass

from lease_aio.errors import ApiError, ConfigurationError, Throttled
from lease_aio.heartbeat.node.drift import Drift

TRIES = 5
"""How often a computation tries to write, without a pause."""

_FAR_BACK_S = 3600.0
_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusRules:
    """How the status is kept; the defaults are a kubelet's.

    Attributes:
        update_frequency_s: From the end of one computation to the next, without jitter (`nodeStatusUpdateFrequency`).
        report_frequency_s: How long nothing is written if nothing changes (`nodeStatusReportFrequency`).
        jitter: The most that is added at random to the first of them, as a part of it.
        request_timeout_s: Bound of each request.
        random: Numbers of [0, 1), for the jitter and the offset.

    Raises:
        ConfigurationError: a value is out of range.
    """

    update_frequency_s: float = 10.0
    report_frequency_s: float = 300.0
    jitter: float = 0.04
    request_timeout_s: float = 10.0
    random: Callable[[], float] = random_module.random

    def __post_init__(self) -> None:
        for what in ("update_frequency_s", "report_frequency_s", "request_timeout_s"):
            if not 0 < getattr(self, what) < math.inf:
                raise ConfigurationError(f"{what}={getattr(self, what)!r} must be a positive number of seconds")
        if not 0 <= self.jitter < math.inf:
            raise ConfigurationError(f"jitter={self.jitter!r} must be zero or more")


def status_rules(
    *, status: bool | StatusRules | None, register: bool, random: Callable[[], float]
) -> StatusRules | None:
    """What is meant by a parameter `status`: rules, or None for no status.

    Args:
        status: As it was given; None: if Nodes are registered.
        register: Whether they are.
        random: For rules that were not given.

    Raises:
        ConfigurationError: the status of Nodes that are not registered.
    """
    if status and not register:
        raise ConfigurationError("status without register=True: only the status of a registered Node is kept")
    if isinstance(status, StatusRules):
        return status
    return StatusRules(random=random) if status or (status is None and register) else None


class Ask(enum.Enum):
    """What the API server is asked for next."""

    NOTHING = "nothing"
    READ = "read"
    PATCH = "patch"


class StatusKeeper:
    """Says when the status of one Node is written. Holds a few numbers, and touches nothing but itself.

    Before its due time there is nothing to do. Then ask for `ask`, do it, and tell the outcome to `read`, `patched`,
    `failed` or `idle`; each says when to come again. So do `seen`, `changed` and `reconnected`, told at any time.

    A computation that finds something to write tries five times: first from what the watch has told, later from what it
    reads; then the next computation does. Where the watch has told that there is no such Node, the first try has failed
    without a request.

    Args:
        rules: Shared by many.
        now: Monotonic seconds.
        reported: The status was written just now, with the Node's registration. If not, it is computed and written at
            once, as a kubelet does at its start.
        computed: When the last computation ended; left out, now. Kubelets that were not started at one moment do not
            compute at one moment either.

    Attributes:
        drift: What the API server has otherwise than it should be, as far as is known; None if nothing.
        due: When to come again.
    """

    __slots__ = ("_base", "_has_read", "_offset_s", "_reported", "_rules", "_seed", "_tries", "drift", "due")

    def __init__(self, rules: StatusRules, now: float, *, reported: bool, computed: float | None = None) -> None:
        self._rules = rules
        self._tries = 0  # of this computation that have failed
        self._has_read = False  # within this try
        self._reported = now if reported else -math.inf
        self.drift: Drift | None = None
        self._draw_offset()
        self._computed(now if computed is None else computed)
        self.due = self._next_report(now) if reported else now

    @property
    def rules(self) -> StatusRules:
        """As given."""
        return self._rules

    def seen(self, drift: Drift | None, now: float) -> float:
        """The watch told what the API server has.

        Args:
            drift: What of it should be otherwise; None if nothing.
            now: Monotonic seconds.
        """
        self.drift = drift
        if not self._tries:  # a row of tries goes on in any case
            self.due = self._next_report(now) if drift is None else min(self.due, self.computation(now))
        return self.due

    def changed(self, now: float) -> float:
        """The node itself has changed: the next computation finds that."""
        self.due = min(self.due, self.computation(now))
        return self.due

    def reconnected(self, now: float) -> float:
        """The node could reach nobody until now; what it tried meanwhile has failed, and the next computation tries."""
        self._end_try(0)
        self.due = self._next_report(now) if self.drift is None else self.computation(now)
        return self.due

    def ask(self, now: float, *, changed: bool) -> Ask:
        """What to do at this time.

        Args:
            now: Monotonic seconds.
            changed: The node itself has changed since it was last written.
        """
        missing = self.drift is not None and self.drift.missing
        if (self._tries or missing) and not self._has_read:
            return Ask.READ
        return Ask.PATCH if changed or self.drift is not None or self._expired(now) else Ask.NOTHING

    def idle(self, now: float) -> float:
        """There was nothing to do."""
        self._end_try(0)
        self.due = self._next_report(now)
        return self.due

    def read(self, drift: Drift | None, now: float) -> float:
        """The Node was read, and this of it should be otherwise: it is written from that, or all is well."""
        self._has_read = True
        self.drift = drift
        self.due = now
        return self.due

    def patched(self, now: float, mended: Drift | None, *, changed: bool) -> float:
        """The status was written.

        Args:
            now: Monotonic seconds.
            mended: The drift for which that was asked; what the watch has told since then is still to be mended.
            changed: As it was when that was asked for.
        """
        if changed or mended is not None or self._reported == -math.inf:
            self._draw_offset()
        else:
            self._offset_s = 0.0
        self._reported = now
        if self.drift is mended:
            self.drift = None
        self._end_try(0)
        self._computed(now)
        self.due = self._next_report(now) if self.drift is None else self.computation(now)
        return self.due

    def failed(self, error: ApiError, now: float) -> float:
        """What was asked for has failed.

        A `Throttled` that says how long to wait is no try: the same request comes again, when the scheduler lets it.
        """
        if isinstance(error, Throttled) and error.retry_after_s is not None:
            self.due = now
            return now
        unseen = not self._tries and self.drift is not None and self.drift.missing
        self._end_try(self._tries + (2 if unseen else 1))
        if self._tries >= TRIES:
            self._end_try(0)
            self._computed(now)
        self.due = now if self._tries else self.computation(now)
        return self.due

    def computation(self, at_least: float) -> float:
        """The first computation at that time or later."""
        rules = self._rules
        if at_least - self._base > _FAR_BACK_S:  # where it lies is as random as ever: no need to count them all
            self._computed(at_least - rules.random() * rules.update_frequency_s)
        at, number = self._base, 0
        while True:
            number += 1
            at += rules.update_frequency_s * (1.0 + rules.jitter * _uniform(self._seed + number))
            if at >= at_least:
                return at

    def _next_report(self, now: float) -> float:
        """When it is written next if nothing changes."""
        return self.computation(max(now, self._reported + self._rules.report_frequency_s + self._offset_s))

    def _expired(self, now: float) -> bool:
        return now >= self._reported + self._rules.report_frequency_s + self._offset_s

    def _end_try(self, tries: int) -> None:
        self._tries = tries
        self._has_read = False

    def _computed(self, now: float) -> None:
        """A computation has ended: those after it are counted from here."""
        self._base = now
        self._seed = int(self._rules.random() * (1 << 53))

    def _draw_offset(self) -> None:
        """The report after the next writing comes up to half of its frequency earlier or later."""
        self._offset_s = self._rules.report_frequency_s * (self._rules.random() - 0.5)


def _uniform(seed: int) -> float:
    """A number of [0, 1) for each seed: the finalizer of splitmix64."""
    mixed = (seed * _GOLDEN) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return (mixed ^ (mixed >> 31)) / (1 << 64)
