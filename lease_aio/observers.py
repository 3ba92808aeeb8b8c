"""What is asked of a function that an application gives, to be told of events."""

from __future__ import annotations

import inspect

from lease_aio.errors import ConfigurationError


def check_observer(observer: object, name: str = "observer") -> None:
    """Refuse what could not be called with an event: it would be heard of only when the first one comes, or never.

    Args:
        observer: What was given; None is nobody.
        name: The parameter's.

    Raises:
        ConfigurationError: it cannot be called, or is a coroutine function, which a call would not run.
    """
    if observer is None:
        return
    if not callable(observer):
        raise ConfigurationError(f"{name}={observer!r} must be a function of one event")
    if inspect.iscoroutinefunction(observer) or inspect.iscoroutinefunction(type(observer).__call__):
        raise ConfigurationError(
            f"{name}={observer!r} must be a plain function, not an async one: it is called and not awaited. "
            "Let it put the event where a task of yours waits for it, such as an asyncio.Queue"
        )
