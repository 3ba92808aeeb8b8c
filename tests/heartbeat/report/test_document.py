"""The report as JSON, and back."""

import json
import math
from dataclasses import replace

import pytest

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.record.tally import FleetReport
from lease_aio.heartbeat.record.timeline import Timeline
from lease_aio.heartbeat.report.document import from_document, from_json, to_document, to_json
from lease_aio.scheduler import Histogram
from tests.heartbeat.report.runs import NODES, SILENT, empty, made_up

MADE_UP = made_up()


def with_value(value_s: float) -> FleetReport:
    histogram = Histogram()
    histogram.record(value_s)
    return replace(empty(), gap=histogram.snapshot())


def test_a_document_holds_what_the_report_holds():
    document = to_document(MADE_UP)
    assert document["nodes"] == NODES
    assert document["renewals"] == MADE_UP.renewals == sum(slot["renewals"] for slot in document["timeline"]["slots"])
    assert document["gap"]["count"] == sum(slot["gap"]["count"] for slot in document["timeline"]["slots"])
    assert document["gap"]["max_s"] == max(slot["gap"]["max_s"] for slot in document["timeline"]["slots"])
    assert document["timeline"]["verdict_counts"] == {"unknown": SILENT, "ready": SILENT}
    assert document["parameters"]["lease_duration_s"] == 40
    assert document["errors"] == MADE_UP.errors != {}


def test_the_percentiles_stand_beside_the_buckets():
    gap = to_document(MADE_UP)["gap"]
    assert gap["p99_s"] == MADE_UP.gap.percentile(99)
    assert sum(count for _, count in gap["buckets"]) == gap["count"]


@pytest.mark.parametrize("report", [MADE_UP, empty(), replace(MADE_UP, timeline=None), with_value(1e9), with_value(0)])
def test_a_report_comes_back_from_its_json_as_it_was(report: FleetReport):
    again = from_json(to_json(report))
    assert to_document(again) == to_document(report)
    assert (again.gap, again.lateness, again.errors) == (report.gap, report.lateness, report.errors)
    if report.timeline is not None:
        assert again.timeline.verdicts == report.timeline.verdicts
        assert again.timeline.marks == report.timeline.marks
        assert again.timeline.detection == report.timeline.detection


def test_any_json_encoder_can_write_it_and_any_parser_read_it():
    text = json.dumps(to_document(with_value(math.nextafter(2.0**20, math.inf))), allow_nan=False)
    assert from_document(json.loads(text)).gap.buckets == ((math.inf, 1),)


def test_merged_slots_come_back_too():
    report = made_up(most=8)
    assert report.timeline.slot_s == 32
    assert to_document(from_document(to_document(report))) == to_document(report)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("{", "this is no fleet report: Input data was truncated"),
        ("[]", "this is no fleet report: Expected `object`, got `array`"),
        ("{}", "this is no fleet report: Object missing required field `version`"),
    ],
)
def test_what_is_no_report_is_refused_with_the_reason(broken: str, why: str):
    with pytest.raises(ConfigurationError, match=why):
        from_json(broken)


def test_a_wrong_value_is_named_by_its_place():
    document = to_document(MADE_UP)
    document["timeline"]["slots"][3]["renewals"] = "many"
    with pytest.raises(ConfigurationError, match=r"Expected `int`, got `str` - at `\$.timeline.slots\[3\].renewals`"):
        from_document(document)


def test_a_report_of_another_version_is_refused():
    with pytest.raises(ConfigurationError, match="version=2 of a fleet report is unknown here; this reads 1"):
        from_document({**to_document(empty()), "version": 2})


def test_what_newer_programs_add_is_ignored():
    assert to_document(from_document({**to_document(MADE_UP), "colour": "red"})) == to_document(MADE_UP)


def test_a_long_runs_document_stays_small():
    timeline = Timeline(0.0)
    for tenth in range(200_000):
        timeline.renewed(tenth / 10, (tenth % 97) / 1000, 10 + (tenth % 41) / 100)
    report = replace(empty(), timeline=timeline.snapshot(20_000))
    assert len(to_json(report)) < 3_000_000
