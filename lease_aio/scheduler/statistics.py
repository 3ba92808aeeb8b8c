"""What the scheduler measures of itself: how late, how slow, how long between two successes. Pure."""

from dataclasses import dataclass

from lease_aio.scheduler.histogram import Histogram, HistogramSnapshot
from lease_aio.scheduler.renewal import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassReport:
    """One class of renewals, since the scheduler was made.

    Attributes:
        attempts: Attempts that ended with a verdict.
        successes: Those that renewed.
        failures: Those that the server, or the way to it, refused; the rest read, or had nothing to do.
        throttles: Those that the server asked to rest.
        queued: Renewals that wait for their time or for room, now.
        overdue: Those of them that are due and wait for room.
        in_flight: Attempts that run now.
        lateness: Start of an attempt less its due time. Grows when this process is the slow part.
        latency: End of an attempt less its start. Grows when the server is.
        gap: Between the ends of two successive successful attempts of one renewal: what its watchers see.
    """

    attempts: int
    successes: int
    failures: int
    throttles: int
    queued: int
    overdue: int
    in_flight: int
    lateness: HistogramSnapshot
    latency: HistogramSnapshot
    gap: HistogramSnapshot

    def to_dict(self) -> dict[str, object]:
        """Plain numbers for logs and JSON."""
        return {
            "attempts": self.attempts,
            "successes": self.successes,
            "failures": self.failures,
            "throttles": self.throttles,
            "queued": self.queued,
            "overdue": self.overdue,
            "in_flight": self.in_flight,
            "lateness": self.lateness.to_dict(),
            "latency": self.latency.to_dict(),
            "gap": self.gap.to_dict(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerReport:
    """All of the scheduler at one moment.

    Attributes:
        elections: Elections and locks.
        beats: Heartbeats and identities.
        held_for_s: How much longer the server's wish for rest (Retry-After) is honoured; 0 if there is none.
    """

    elections: ClassReport
    beats: ClassReport
    held_for_s: float

    def to_dict(self) -> dict[str, object]:
        """Plain numbers for logs and JSON."""
        return {
            "elections": self.elections.to_dict(),
            "beats": self.beats.to_dict(),
            "held_for_s": self.held_for_s,
        }


class ClassStatistics:
    """The running counts of one class."""

    __slots__ = ("attempts", "failures", "gap", "latency", "lateness", "successes", "throttles")

    def __init__(self) -> None:
        self.attempts = self.successes = self.failures = self.throttles = 0
        self.lateness, self.latency, self.gap = Histogram(), Histogram(), Histogram()

    def ended(self, verdict: Verdict, *, started: float, now: float, last_success: float | None) -> None:
        """Count one attempt, given when its renewal had last succeeded before."""
        self.attempts += 1
        self.latency.record(now - started)
        if verdict.failed:
            self.failures += 1
        if verdict.retry_after_s is not None:
            self.throttles += 1
        if verdict.renewed:
            self.successes += 1
            if last_success is not None:
                self.gap.record(now - last_success)

    def report(self, *, queued: int, overdue: int, in_flight: int) -> ClassReport:
        """All of it, frozen, together with what the queue knows."""
        return ClassReport(
            attempts=self.attempts,
            successes=self.successes,
            failures=self.failures,
            throttles=self.throttles,
            queued=queued,
            overdue=overdue,
            in_flight=in_flight,
            lateness=self.lateness.snapshot(),
            latency=self.latency.snapshot(),
            gap=self.gap.snapshot(),
        )
