"""Where the command line's logs go: structlog to standard error, so that standard output holds results alone."""

from __future__ import annotations

import logging
import sys

import structlog


def configure_logs(*, verbose: bool, json: bool = False) -> None:
    """Set structlog up for this process; may be called again.

    Args:
        verbose: From INFO up; else from WARNING up.
        json: One JSON object a line instead of text.
    """
    level = logging.INFO if verbose else logging.WARNING
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=level, stream=sys.stderr, force=True, format="%(levelname)s %(name)s %(message)s")
