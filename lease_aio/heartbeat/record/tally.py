"""What a group of heartbeats has done: counts, histograms, and the report made of them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from lease_aio.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Expired,
    Invalid,
    NotFound,
    Refused,
    Throttled,
    Unavailable,
)
from lease_aio.heartbeat.record.history import TimelineSnapshot
from lease_aio.heartbeat.record.timeline import Timeline
from lease_aio.heartbeat.states import NodeState
from lease_aio.scheduler import Histogram, HistogramSnapshot

_KINDS: dict[type[ApiError], str] = {
    AlreadyExists: "already_exists",
    Conflict: "conflict",
    Expired: "expired",
    Invalid: "invalid",
    NotFound: "not_found",
    Refused: "refused",
    Throttled: "throttled",
    Unavailable: "unavailable",
}
_WINDOW_S = 10
_STOPPED = {state.value for state in (NodeState.SILENCED, NodeState.PAUSED, NodeState.CRASHED)}


def error_kind(error: ApiError) -> str:
    """One word for what went wrong, to count by: `conflict`, `refused`, `unavailable`, `namespace_missing`, …."""
    if isinstance(error, NotFound) and error.namespace_missing:
        return "namespace_missing"
    return _KINDS.get(type(error), "other")


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetParameters:
    """How a fleet was set up.

    Attributes:
        name: The fleet's.
        lease_duration_s: What its leases say; later than that they would be stale.
        renew_interval_s: From the end of one pass to the start of the next, without jitter.
        jitter: The most that is added to that at random, as a part of it.
        namespace: Where the leases are.
        registered: Whether Nodes were created, too.
        status: Whether their status was reported.
        spread_start: Whether the first renewals were spread over an interval.
        started_wall_us: When it was entered, by its wall clock: microseconds since the epoch.
    """

    name: str = "fleet"
    lease_duration_s: float = 40.0
    renew_interval_s: float = 10.0
    jitter: float = 0.04
    namespace: str = "kube-node-lease"
    registered: bool = False
    status: bool = False
    spread_start: bool = True
    started_wall_us: int = 0

    @property
    def due_per_s(self) -> float:
        """How often each node is due to renew in a second, if its requests take no time."""
        return 1 / (self.renew_interval_s * (1 + self.jitter / 2))


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetReport:
    """A fleet at one moment. Histograms and counts run from its start.

    Attributes:
        nodes: All of them; the sum of `states`.
        fresh: Renewed less than a lease duration ago.
        late: Not renewed for longer than that, although they should have been.
        pending: Not renewed yet, and not late either.
        silenced: Cut off from the API server.
        renewals: Confirmed writes.
        renewals_per_s: The mean over the last 10 s.
        lateness: Start of a pass less its due time: grows when this process is the slow part.
        gap: Between the ends of two successive renewals of a node: what the control plane sees. Silences do not count.
        errors: How many requests failed, by kind.
        states: How many nodes are in each state, by the words of `NodeState`.
        parameters: How it was set up.
        timeline: What it did when, if that was written down.
    """

    nodes: int
    fresh: int
    late: int
    pending: int
    silenced: int
    renewals: int
    renewals_per_s: float
    lateness: HistogramSnapshot
    gap: HistogramSnapshot
    errors: dict[str, int]
    states: Mapping[str, int] = field(default_factory=dict[str, int])
    parameters: FleetParameters = FleetParameters()
    timeline: TimelineSnapshot | None = None

    @property
    def due_per_s(self) -> float:
        """How many renewals are due in a second, by the states of the nodes."""
        return beating(self.states) * self.parameters.due_per_s

    def to_dict(self, *, buckets: bool = False) -> dict[str, object]:
        """Plain numbers for logs and JSON, histograms as p50, p99 and max.

        `lease_aio.heartbeat.report.to_document` gives all, the parameters and the timeline too.

        Args:
            buckets: Give histograms with `count`, `sum_s` and `buckets` too: upper bound (null is infinity) and count.
        """
        return {
            "nodes": self.nodes,
            "fresh": self.fresh,
            "late": self.late,
            "pending": self.pending,
            "silenced": self.silenced,
            "renewals": self.renewals,
            "renewals_per_s": round(self.renewals_per_s, 1),
            "due_per_s": round(self.due_per_s, 1),
            "lateness": _plain(self.lateness, buckets=buckets),
            "gap": _plain(self.gap, buckets=buckets),
            "errors": dict(self.errors),
            "states": dict(self.states),
        }

    def to_html(self, *, title: str = "", grace_s: float = 50.0) -> str:
        """One page with plots, which opens from disk: see `lease_aio.heartbeat.report.report_page`.

        Raises:
            ConfigurationError: plotly, the extra `report`, is not installed.
        """
        from lease_aio.heartbeat.report import report_page  # noqa: PLC0415 - it reads reports, and few make a page

        return report_page(self, title=title, grace_s=grace_s)


def beating(states: Mapping[str, int]) -> int:
    """How many nodes should renew, by the words of `NodeState`: all but those that were told or made to stop."""
    return sum(count for state, count in states.items() if state not in _STOPPED)


class Rate:
    """How often something happens, as a mean over the last ten whole seconds."""

    __slots__ = ("_counts", "_second", "_since")

    def __init__(self) -> None:
        self._counts = [0] * (_WINDOW_S + 1)  # one slot for the second that is not over
        self._second: int | None = None
        self._since = 0

    def count(self, now: float) -> None:
        """It happened, at this monotonic second."""
        second = int(now)
        if second != self._second:
            self._turn(second)
        self._counts[second % len(self._counts)] += 1

    def per_s(self, now: float) -> float:
        """The mean; 0 within the first second."""
        second = int(now)
        if self._second is None:
            return 0.0
        self._turn(second)
        whole = min(_WINDOW_S, second - self._since)
        return (sum(self._counts) - self._counts[second % len(self._counts)]) / whole if whole else 0.0

    def _turn(self, second: int) -> None:
        if self._second is None:
            self._second = self._since = second
        for passed in range(self._second + 1, min(second, self._second + len(self._counts)) + 1):
            self._counts[passed % len(self._counts)] = 0
        self._second = max(self._second, second)


class Tally:
    """The running counts of a group of heartbeats.

    Attributes:
        timeline: Is told the same, if there is one.
    """

    __slots__ = ("errors", "gap", "lateness", "rate", "renewals", "timeline")

    def __init__(self) -> None:
        self.renewals = 0
        self.errors: Counter[str] = Counter()
        self.lateness, self.gap = Histogram(), Histogram()
        self.rate = Rate()
        self.timeline: Timeline | None = None

    def began(self, now: float, due: float) -> None:
        """Count by how much a pass began after its due time."""
        self.lateness.record(now - due)
        if self.timeline is not None:
            self.timeline.late(now, now - due)

    def renewed(self, now: float, last_success: float | None) -> None:
        """Count one confirmed write, and the gap since the one before."""
        self.renewals += 1
        self.rate.count(now)
        gap_s = None if last_success is None else now - last_success
        if gap_s is not None:
            self.gap.record(gap_s)
        if self.timeline is not None:
            self.timeline.renewed(now, None, gap_s)

    def failed(self, now: float, error: ApiError) -> None:
        """Count one failed request."""
        kind = error_kind(error)
        self.errors[kind] += 1
        if self.timeline is not None:
            self.timeline.failed(now, kind)

    def report(
        self, now: float, states: Mapping[NodeState, int], parameters: FleetParameters | None = None
    ) -> FleetReport:
        """All of it, frozen, together with how many nodes are in which state, and how they were set up."""
        return FleetReport(
            parameters=parameters or FleetParameters(),
            timeline=None if self.timeline is None else self.timeline.snapshot(now),
            nodes=sum(states.values()),
            fresh=states.get(NodeState.FRESH, 0),
            late=states.get(NodeState.LATE, 0),
            pending=states.get(NodeState.PENDING, 0),
            silenced=states.get(NodeState.SILENCED, 0),
            states={state.value: count for state in NodeState if (count := states.get(state))},
            renewals=self.renewals,
            renewals_per_s=self.rate.per_s(now),
            lateness=self.lateness.snapshot(),
            gap=self.gap.snapshot(),
            errors=dict(self.errors),
        )


def _plain(histogram: HistogramSnapshot, *, buckets: bool) -> dict[str, object]:
    short: dict[str, object] = {
        "p50_s": round(histogram.percentile(50), 6),
        "p99_s": round(histogram.percentile(99), 6),
        "max_s": round(histogram.max_s, 6),
    }
    if buckets:
        short.update(count=histogram.count, sum_s=histogram.sum_s, buckets=histogram.to_json_buckets())
    return short
