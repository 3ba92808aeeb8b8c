"""What a monitor has done: counts and histograms, and the report made of them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lease_aio.heartbeat.monitor.verdicts import Finding, NodeVerdict, Verdict
from lease_aio.scheduler import Histogram, HistogramSnapshot


@dataclass(frozen=True, kw_only=True, slots=True)
class MonitorReport:
    """How a monitor does, since its start.

    Attributes:
        passes: How many passes were made.
        held: In how many of them nothing was judged.
        pass_s: How long a pass took, in seconds. A verdict comes up to a period and a pass after its time.
        findings: How many verdicts on nodes there were, by what they found.
        silence_s: How long the last sign of life had been away when a node was called Unknown.
        asked: How often the server was asked for a Lease.
        refuted: How many nodes a Lease read from the server has saved from being called Unknown in a pass.
        dropped: Verdicts that nobody asked for in time, so that newer ones had to take their place.
    """

    passes: int
    held: int
    pass_s: HistogramSnapshot
    findings: Mapping[Finding, int]
    silence_s: HistogramSnapshot
    asked: int
    refuted: int
    dropped: int


class MonitorTally:
    """Counts what a monitor does."""

    def __init__(self) -> None:
        self._pass_s, self._silence_s = Histogram(), Histogram()
        self._findings: Counter[Finding] = Counter()
        self._passes = self._held = 0
        self.asked = self.refuted = self.dropped = 0

    def passed(self, duration_s: float, *, held: bool) -> None:
        """A pass has ended."""
        self._passes += 1
        self._held += held
        self._pass_s.record(duration_s)

    def told(self, verdicts: Iterable[Verdict]) -> None:
        """Verdicts were reached."""
        for verdict in verdicts:
            if isinstance(verdict, NodeVerdict):
                self._findings[verdict.finding] += 1
                if verdict.finding is Finding.UNKNOWN and verdict.silent_s is not None:
                    self._silence_s.record(verdict.silent_s)

    def report(self) -> MonitorReport:
        """All of it, frozen."""
        return MonitorReport(
            passes=self._passes,
            held=self._held,
            pass_s=self._pass_s.snapshot(),
            findings=dict(self._findings),
            silence_s=self._silence_s.snapshot(),
            asked=self.asked,
            refuted=self.refuted,
            dropped=self.dropped,
        )
