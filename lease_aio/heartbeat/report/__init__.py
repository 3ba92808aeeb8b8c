"""A fleet's report as one page that opens from disk, and as JSON.

    page = report_page(fleet.report(), title="zone b fails")     # HTML; also `fleet.report().to_html()`
    write_report(fleet.report(), "report.html")                  # the page, written in one step
    write_json(fleet.report(), "report.json")                    # the document, see `document`

The page loads nothing: style, script, plots and the document itself (`<script id="report">`) are within it, and its
content policy forbids the browser to ask any server. It needs the extra `report` (plotly); the document needs nothing.
"""

from lease_aio.heartbeat.report.document import from_document, from_json, to_document, to_json
from lease_aio.heartbeat.report.files import check_writable, write_json, write_report
from lease_aio.heartbeat.report.page import report_page
from lease_aio.heartbeat.report.summary import Finding, Level, findings

__all__ = [
    "Finding",
    "Level",
    "check_writable",
    "findings",
    "from_document",
    "from_json",
    "report_page",
    "to_document",
    "to_json",
    "write_json",
    "write_report",
]
