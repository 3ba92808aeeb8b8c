"""What elections tell to those who watch them: Prometheus metrics (extra `metrics`), Kubernetes Events, a pod's label.

All of them but the scheduler's figures are observers: `leases.lead("x", observer=…)`. Two or more: `tell_all`.
"""

from collections.abc import Callable
from contextlib import ExitStack

from lease_aio.election import Event

__all__ = ["Observer", "tell_all"]

Observer = Callable[[Event], None]


def tell_all(*observers: Observer) -> Observer:
    """One observer that tells several, in order. What one of them raises comes after all have heard."""

    def tell(event: Event) -> None:
        with ExitStack() as stack:
            for observer in reversed(observers):
                stack.callback(observer, event)

    return tell
