"""Telling an application's observer what happened."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from lease_aio.identity.events import IdentityEvent

IdentityObserver = Callable[[IdentityEvent], None]
"""Called with each event, from the event loop; it must not block. What it raises is logged, and changes nothing."""


def tell(observer: IdentityObserver | None, event: IdentityEvent, log: structlog.typing.FilteringBoundLogger) -> None:
    """Tell the observer, if there is one."""
    if observer is None:
        return
    try:
        observer(event)
    except Exception:
        log.exception("identity.observer_raised", happened=type(event).__name__)
