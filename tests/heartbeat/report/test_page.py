"""The page of a report: it loads nothing, holds the numbers, and shows them in a browser."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.record.tally import FleetReport
from lease_aio.heartbeat.record.timeline import Timeline
from lease_aio.heartbeat.report import report_page, write_json, write_report
from lease_aio.heartbeat.report.document import from_json, to_document
from tests.heartbeat.report.runs import NODES, SILENT, empty, made_up

pytest.importorskip("plotly")

MADE_UP = made_up()
BAD = '<img src="http://evil.example/x"></script><script>alert(1)</script>'
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


class Elements(HTMLParser):
    """The elements of a page, and their texts by id or else by tag."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags:
            tag, attributes = self.tags[-1]
            name = attributes.get("id") or tag
            self.texts[name] = self.texts.get(name, "") + data


def figures_of(page: str) -> dict:
    return json.loads(Elements(page).texts["figures"])


@pytest.fixture(scope="module")
def page() -> str:
    return MADE_UP.to_html()


def test_the_page_loads_nothing(page: str):
    for tag, attributes in Elements(page).tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base"}, attributes
        assert not {"src", "href", "srcset", "action"} & attributes.keys(), tag
    styles = Elements(page).texts["style"]
    assert "url(" not in styles
    assert "@import" not in styles


def test_its_policy_forbids_the_browser_to_ask_any_server(page: str):
    policies = [tag[1]["content"] for tag in Elements(page).tags if "http-equiv" in tag[1]]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none';")
    assert "http" not in policies[0]
    assert "connect-src" not in policies[0]


def test_the_page_holds_the_whole_document(page: str):
    embedded = Elements(page).texts["report"]
    assert json.loads(embedded) == to_document(MADE_UP)
    assert from_json(embedded).gap == MADE_UP.gap


def test_what_is_drawn_is_what_was_reported(page: str):
    figures = figures_of(page)
    renewed, due = figures["renewals"]["data"]
    assert sum(renewed["y"]) == pytest.approx(MADE_UP.renewals)
    assert max(due["y"]) == pytest.approx(NODES / 10.2)
    states = {trace["name"]: trace["y"] for trace in figures["states"]["data"]}
    assert max(states["silenced"]) == SILENT
    assert all(sum(each) == NODES for each in zip(states["fresh"], states["silenced"], states["pending"], strict=True))
    assert sum(figures["gap-distribution"]["data"][0]["y"]) == MADE_UP.gap.count
    assert sum(figures["lateness-distribution"]["data"][0]["y"]) == MADE_UP.lateness.count
    assert sum(figures["errors"]["data"][0]["y"]) == MADE_UP.errors["throttled"]
    verdicts = {trace["name"]: sum(trace["y"]) for trace in figures["verdicts"]["data"]}
    assert verdicts == MADE_UP.timeline.verdict_counts == {"unknown": SILENT, "ready": SILENT}
    assert [(trace["name"], len(trace["x"])) for trace in figures["detection"]["data"]] == [("unknown", SILENT)]
    assert [sum(trace["y"]) for trace in figures["detection-distribution"]["data"]] == [SILENT]
    assert max(each or 0 for each in figures["gap"]["data"][2]["y"]) == pytest.approx(MADE_UP.gap.max_s)


def test_marks_lease_duration_and_grace_are_lines(page: str):
    figures = figures_of(page)
    lines = figures["gap"]["layout"]["shapes"]
    assert [line["x0"] for line in lines if line.get("yref") == "paper"] == [60, 130]
    assert [line["y0"] for line in lines if line.get("xref") == "paper"] == [40, 50]
    limits = figures["gap-distribution"]["layout"]
    assert [line["x0"] for line in limits["shapes"]] == [40, 50]
    assert [name["text"] for name in limits["annotations"]] == [
        "lease duration 40 s",
        "grace of the control plane 50 s",
    ]
    assert "silence 10 nodes" in page


def test_another_grace_is_drawn_where_it_is():
    figures = figures_of(report_page(MADE_UP, grace_s=45))
    assert [line["x0"] for line in figures["gap-distribution"]["layout"]["shapes"]] == [40, 45]


def test_a_grace_of_nothing_is_refused():
    with pytest.raises(ConfigurationError, match="grace_s=0 must be more than 0"):
        report_page(MADE_UP, grace_s=0)


def test_names_and_texts_cannot_become_part_of_the_page():
    timeline = Timeline(0.0)
    timeline.mark(1.0, BAD)
    timeline.failed(1.5, BAD)
    timeline.verdict(2.0, BAD, BAD, 45.0)
    report = replace(MADE_UP, errors={BAD: 1}, states={BAD: 3}, timeline=timeline.snapshot(3.0))
    page = report_page(report, title=BAD)
    assert "<img" not in page
    assert len(re.findall("<script", page)) == len(re.findall("</script>", page)) == 4
    assert json.loads(Elements(page).texts["report"])["timeline"]["marks"][0]["text"] == BAD


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (empty(), "the fleet has no nodes, and nothing was renewed"),
        (replace(MADE_UP, timeline=None), "No timeline was kept"),
        (replace(empty(), nodes=5, pending=5, states={"pending": 5}), "No node has renewed twice yet"),
    ],
)
def test_a_run_with_little_to_show_still_gives_a_page(report: FleetReport, words: str):
    page = report_page(report)
    assert words in page
    assert json.loads(Elements(page).texts["report"]) == to_document(report)


def test_a_very_long_run_is_drawn_with_few_points():
    timeline = Timeline(0.0)
    for second in range(0, 30_000, 3):
        timeline.renewed(float(second), 0.001, 10.0)
    figures = figures_of(report_page(replace(MADE_UP, timeline=timeline.snapshot(30_000))))
    renewed = figures["renewals"]["data"][0]
    assert len(renewed["x"]) <= 401
    assert figures["renewals"]["layout"]["xaxis"]["title"]["text"] == "hours since the start"


def test_many_marks_are_listed_and_do_not_hide_what_they_explain():
    timeline = Timeline(0.0)
    for second in range(300):
        timeline.renewed(float(second), 0.001, 10.0)
        timeline.mark(float(second), f"restart node-{second}")
    page = report_page(replace(MADE_UP, timeline=timeline.snapshot(300)))
    assert figures_of(page)["renewals"]["layout"].get("shapes", []) == []
    assert "300 steps, of which the first 200 are listed" in page


def test_without_plotly_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "plotly"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(ConfigurationError, match=re.escape("python -m pip install 'lease-aio[report]'")):
        report_page(MADE_UP)


def test_importing_the_report_does_not_import_plotly():
    found = "import sys, lease_aio.heartbeat.report; sys.exit('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", found], check=False).returncode == 0


def test_a_report_is_written_whole(tmp_path: Path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(MADE_UP, path, title="zone b fails")
    assert "<h1>zone b fails</h1>" in path.read_text()
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_its_json_is_written_whole(tmp_path: Path):
    write_json(MADE_UP, str(tmp_path / "report.json"))
    assert to_document(from_json((tmp_path / "report.json").read_bytes())) == to_document(MADE_UP)


def test_a_written_report_can_be_read_by_whom_the_umask_lets(tmp_path: Path):
    before = os.umask(0o027)
    try:
        write_json(MADE_UP, tmp_path / "report.json")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert (tmp_path / "report.json").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("write", [write_report, write_json])
def test_a_path_that_cannot_be_written_is_named(write, tmp_path: Path):
    with pytest.raises(ConfigurationError, match=f"cannot write the report to {tmp_path}: it is a folder"):
        write(MADE_UP, tmp_path)
    nowhere = tmp_path / "no" / "report"
    with pytest.raises(ConfigurationError, match=f"cannot write the report to {nowhere}: there is no folder"):
        write(MADE_UP, nowhere)


def test_a_full_disk_leaves_the_old_report_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "report.json"
    write_json(empty(), path)
    old = path.read_bytes()

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConfigurationError, match=f"cannot write the report to {path}: No space left on device"):
        write_json(MADE_UP, path)
    assert path.read_bytes() == old
    assert [each.name for each in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize("report", [MADE_UP, replace(MADE_UP, timeline=None), empty()])
def test_a_browser_draws_every_plot_and_complains_of_nothing(report: FleetReport, tmp_path: Path):
    write_report(report, tmp_path / "report.html")
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --enable-logging=stderr --virtual-time-budget=8000 --dump-dom"
    )
    run = subprocess.run(
        [CHROMIUM, *flags.split(), f"--user-data-dir={tmp_path}/profile", f"file://{tmp_path}/report.html"],
        capture_output=True,
        text=True,
        check=True,
        timeout=250,
    )
    places = re.findall(r'<div class="plot[^"]*" data-figure="([\w-]+)"', run.stdout)
    assert set(places) == figures_of(report.to_html()).keys()
    assert run.stdout.count('<div class="plot-container plotly') == len(places)
    assert "CONSOLE" not in run.stderr
