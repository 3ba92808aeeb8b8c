"""Telling an application's observer what happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog

from lease_aio.identity.events import IdentityEvent

IdentityObserver = Callable[[IdentityEvent], None]
"""Called with each event, from the event loop; it must not block. What it raises is logged, and changes nothing."""


Event = TypeVar("Event")


def tell(
    observer: Callable[[Event], None] | None,
    event: Event,
    log: structlog.typing.FilteringBoundLogger,
    *,
    failure: str = "identity.observer_raised",
) -> None:
    """Tell the observer, if there is one; what it raises is logged as `failure`."""
    if observer is None:
        return
    try:
        observer(event)
    except Exception:
        log.exception(failure, happened=type(event).__name__)
