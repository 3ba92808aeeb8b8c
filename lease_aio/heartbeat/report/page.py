"""Puts the page together: one HTML file that loads nothing."""

from __future__ import annotations

import importlib
import importlib.resources
import json
from datetime import UTC, datetime
from html import escape
from typing import Any

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.record.tally import FleetReport
from lease_aio.heartbeat.report.document import to_json
from lease_aio.heartbeat.report.sections import sections_of
from lease_aio.heartbeat.report.summary import GRACE_S, number
from lease_aio.words import length

_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"


def report_page(report: FleetReport, *, title: str = "", grace_s: float = GRACE_S) -> str:
    """One HTML page of a fleet's report, which opens from disk.

    Args:
        report: Of which fleet. One without a timeline, or of a fleet without nodes, gives a page with less.
        title: Stands above all; left out, it names the fleet.
        grace_s: How long the control plane waits for a sign of life, drawn as a line.

    Raises:
        ConfigurationError: plotly is not installed, or `grace_s` is not more than 0.
    """
    if not grace_s > 0:
        raise ConfigurationError(f"grace_s={grace_s!r} must be more than 0 seconds")
    plotly = _plotly("plotly.offline").get_plotlyjs()
    title = title or f"Fleet “{report.parameters.name}”"
    sections = sections_of(report, grace_s)
    figures = {plot.name: plot.figure for section in sections for plot in section.plots}
    return _PAGE.format(
        policy=_POLICY,
        title=escape(title),
        subtitle=escape(_subtitle(report)),
        style=_asset("page.css"),
        sections="\n".join(section.to_html() for section in sections),
        document=_inert(to_json(report).decode()),
        figures=_inert(_figures_json(figures)),
        plotly=plotly,
        script=_asset("page.js"),
    )


def _subtitle(report: FleetReport) -> str:
    parts = [f"{number(report.nodes)} nodes"]
    if report.timeline is not None:
        parts.append(length(report.timeline.length_s))
    if started_us := report.parameters.started_wall_us:
        parts.append(f"started {datetime.fromtimestamp(started_us / 1e6, UTC):%d %b %Y, %H:%M:%S} UTC")
    return " · ".join(parts)


def _figures_json(figures: dict[str, Any]) -> str:
    """As JSON, once plotly has found every property to be one of its own."""
    figure_type = _plotly("plotly.graph_objects").Figure
    return json.dumps({name: json.loads(figure_type(figure).to_json()) for name, figure in figures.items()})


def _plotly(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            "the report page is drawn with plotly, which is not installed: python -m pip install 'lease-aio[report]'"
        ) from error


def _asset(name: str) -> str:
    return importlib.resources.files("lease_aio.heartbeat.report").joinpath("assets", name).read_text(encoding="utf-8")


def _inert(text: str) -> str:
    """JSON that cannot end the element it stands in."""
    return text.replace("<", "\\u003c")


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{title}</h1><p>{subtitle}</p></header>
<main>
{sections}
</main>
<footer>Drag within a plot to zoom, double-click to return, click a name to hide it. Made by lease-aio; all numbers are
within this page as JSON, in its element <code>report</code>.</footer>
<script type="application/json" id="report">{document}</script>
<script type="application/json" id="figures">{figures}</script>
<script>{plotly}</script>
<script>{script}</script>
</body>
</html>
"""
