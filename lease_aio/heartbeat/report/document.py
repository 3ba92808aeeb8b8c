"""A fleet's report as one JSON document, and back: the classes here are its shape. Pure.

`to_document(report)` gives plain dicts, lists and numbers; `from_document` and `from_json` give the same report again.
Unknown members are ignored, so older programs read newer documents of the same `version`. Durations are in seconds.

    {
      "version": 1,
      "nodes": 500, "fresh": 450, "late": 0, "pending": 0, "silenced": 50,
      "states": {"fresh": 450, "silenced": 50},
      "renewals": 4410, "renewals_per_s": 44.1,
      "errors": {"throttled": 3},
      "lateness": {"count": 4410, "sum_s": …, "min_s": …, "max_s": …, "p50_s": …, "p99_s": …,
                   "buckets": [[0.0010, 12], …]},
      "gap": {…},
      "parameters": {"name": "fleet", "lease_duration_s": 40, "renew_interval_s": 10, "jitter": 0.04, …},
      "timeline": {
        "slot_s": 1.0, "length_s": 90.2,
        "slots": [{"number": 0, "renewals": 44, "errors": {}, "states": {…}, "verdicts": {},
                   "lateness": {…}, "gap": {…}}, …],
        "marks": [{"at_s": 60.0, "text": "silence 50 nodes", "kind": "scenario"}, …], "marks_left_out": 0,
        "verdicts": [{"at_s": 105.1, "node": "node-7", "verdict": "unknown", "since_renewal_s": 44.9}, …],
        "verdicts_left_out": 0, "verdict_counts": {"unknown": 50}, "detection": {"unknown": {…}}
      }
    }

A bucket is its upper bound and the number of values in it; it begins where the bucket before it would end (32 to each
power of two), and a bound of null is infinity. A slot covers `number * slot_s` to `(number + 1) * slot_s` seconds after
the start; slots in which nothing happened are left out, and `timeline` is null if none was kept.
"""

from __future__ import annotations

import math
from typing import Any, cast

import msgspec

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.record.history import Mark, NodeVerdict, Slot, TimelineSnapshot
from lease_aio.heartbeat.record.tally import FleetParameters, FleetReport
from lease_aio.scheduler import HistogramSnapshot, SparseHistogram

VERSION = 1


class HistogramDocument(msgspec.Struct, kw_only=True):
    """Durations that were counted. The percentiles are for people: they follow from the buckets."""

    count: int
    sum_s: float
    min_s: float
    max_s: float
    buckets: list[tuple[float | None, int]]
    p50_s: float = 0.0
    p99_s: float = 0.0


class SlotDocument(msgspec.Struct, kw_only=True):
    """See `history.Slot`."""

    number: int
    renewals: int
    errors: dict[str, int]
    states: dict[str, int]
    verdicts: dict[str, int]
    lateness: HistogramDocument
    gap: HistogramDocument


class TimelineDocument(msgspec.Struct, kw_only=True):
    """See `history.TimelineSnapshot`."""

    slot_s: float
    length_s: float
    slots: list[SlotDocument]
    marks: tuple[Mark, ...]
    marks_left_out: int
    verdicts: tuple[NodeVerdict, ...]
    verdicts_left_out: int
    verdict_counts: dict[str, int]
    detection: dict[str, HistogramDocument]


class ReportDocument(msgspec.Struct, kw_only=True):
    """See `tally.FleetReport`."""

    version: int
    nodes: int
    fresh: int
    late: int
    pending: int
    silenced: int
    states: dict[str, int]
    renewals: int
    renewals_per_s: float
    errors: dict[str, int]
    lateness: HistogramDocument
    gap: HistogramDocument
    parameters: FleetParameters
    timeline: TimelineDocument | None = None


def to_document(report: FleetReport) -> dict[str, Any]:
    """The report as plain values for any JSON encoder."""
    return cast("dict[str, Any]", msgspec.json.decode(to_json(report)))  # to_builtins would leave tuples


def to_json(report: FleetReport) -> bytes:
    """The report as JSON in UTF-8."""
    return msgspec.json.encode(_report(report))


def from_document(document: object) -> FleetReport:
    """The report again.

    Raises:
        ConfigurationError: it is no such document: says where in it and why.
    """
    try:
        return _read(msgspec.convert(document, ReportDocument))
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"this is no fleet report: {error}") from error


def from_json(text: bytes | str) -> FleetReport:
    """The report again.

    Raises:
        ConfigurationError: it is no JSON, or no such document: says where in it and why.
    """
    try:
        return _read(msgspec.json.decode(text, type=ReportDocument))
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"this is no fleet report: {error}") from error


def _report(report: FleetReport) -> ReportDocument:
    return ReportDocument(
        version=VERSION,
        nodes=report.nodes,
        fresh=report.fresh,
        late=report.late,
        pending=report.pending,
        silenced=report.silenced,
        states=dict(report.states),
        renewals=report.renewals,
        renewals_per_s=report.renewals_per_s,
        errors=dict(report.errors),
        lateness=_histogram(report.lateness),
        gap=_histogram(report.gap),
        parameters=report.parameters,
        timeline=None if report.timeline is None else _timeline(report.timeline),
    )


def _timeline(timeline: TimelineSnapshot) -> TimelineDocument:
    return TimelineDocument(
        slot_s=timeline.slot_s,
        length_s=timeline.length_s,
        slots=[_slot(slot) for slot in timeline.slots],
        marks=timeline.marks,
        marks_left_out=timeline.marks_left_out,
        verdicts=timeline.verdicts,
        verdicts_left_out=timeline.verdicts_left_out,
        verdict_counts=dict(timeline.verdict_counts),
        detection={word: _histogram(each) for word, each in timeline.detection.items()},
    )


def _slot(slot: Slot) -> SlotDocument:
    return SlotDocument(
        number=slot.number,
        renewals=slot.renewals,
        errors=dict(slot.errors),
        states=dict(slot.states),
        verdicts=dict(slot.verdicts),
        lateness=_histogram(slot.lateness.snapshot()),
        gap=_histogram(slot.gap.snapshot()),
    )


def _histogram(histogram: HistogramSnapshot) -> HistogramDocument:
    return HistogramDocument(
        count=histogram.count,
        sum_s=histogram.sum_s,
        min_s=histogram.min_s,
        max_s=histogram.max_s,
        buckets=histogram.to_json_buckets(),
        p50_s=histogram.percentile(50),
        p99_s=histogram.percentile(99),
    )


def _read(document: ReportDocument) -> FleetReport:
    if document.version != VERSION:
        raise ConfigurationError(
            f"version={document.version!r} of a fleet report is unknown here; this reads {VERSION}"
        )
    return FleetReport(
        nodes=document.nodes,
        fresh=document.fresh,
        late=document.late,
        pending=document.pending,
        silenced=document.silenced,
        states=document.states,
        renewals=document.renewals,
        renewals_per_s=document.renewals_per_s,
        errors=document.errors,
        lateness=_read_histogram(document.lateness),
        gap=_read_histogram(document.gap),
        parameters=document.parameters,
        timeline=None if document.timeline is None else _read_timeline(document.timeline),
    )


def _read_timeline(document: TimelineDocument) -> TimelineSnapshot:
    return TimelineSnapshot(
        slot_s=document.slot_s,
        length_s=document.length_s,
        slots=tuple(_read_slot(slot) for slot in document.slots),
        marks=document.marks,
        marks_left_out=document.marks_left_out,
        verdicts=document.verdicts,
        verdicts_left_out=document.verdicts_left_out,
        verdict_counts=document.verdict_counts,
        detection={word: _read_histogram(each) for word, each in document.detection.items()},
    )


def _read_slot(document: SlotDocument) -> Slot:
    return Slot(
        number=document.number,
        renewals=document.renewals,
        errors=document.errors,
        states=document.states,
        verdicts=document.verdicts,
        lateness=SparseHistogram.from_snapshot(_read_histogram(document.lateness)),
        gap=SparseHistogram.from_snapshot(_read_histogram(document.gap)),
    )


def _read_histogram(document: HistogramDocument) -> HistogramSnapshot:
    return HistogramSnapshot(
        count=document.count,
        sum_s=document.sum_s,
        min_s=document.min_s,
        max_s=document.max_s,
        buckets=tuple((math.inf if upper_s is None else upper_s, count) for upper_s, count in document.buckets),
    )
