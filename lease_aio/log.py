"""Where this package's log lines go: structlog, as the application set it up, else the standard logging.

An event is a stable dotted name with key-value pairs (`election.started lease=default/example token=812`).
The names are part of the public face: they change only with an entry in the changelog.
"""

from __future__ import annotations

import logging

import structlog


def get_logger(room: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of one room.

    An application that has configured structlog by then gets the events there, so this is called when there is
    something to log, not at import. One that has not gets them in the standard logger `lease_aio.<room>`: silent
    below WARNING by default, and never on standard output.
    """
    name = f"lease_aio.{room}"
    if structlog.is_configured():
        logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
        return logger
    wrapped: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[structlog.stdlib.filter_by_level, structlog.processors.KeyValueRenderer(key_order=["event"])],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
    )
    return wrapped
