"""Who hears of failed requests of a fleet: the caller's hook of each, the log of what waiting may not mend."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lease_aio.errors import ApiError
from lease_aio.heartbeat.grants import remedy
from lease_aio.heartbeat.record.tally import error_kind
from lease_aio.log import get_logger

Hook = Callable[[str, ApiError], None]
"""Told of a failed request: the node's name and the error."""

_WAITING = "waiting; kube-apiserver creates kube-node-lease within about a minute of its start"
_SAID: Mapping[str, tuple[str, Callable[[ApiError], str]]] = {
    "refused": ("fleet.refused", remedy),
    "namespace_missing": ("fleet.namespace_missing", lambda _: _WAITING),
}


class Complaints:
    """Passes failures on. Each kind that the log is told of is told once, however many nodes meet it.

    Args:
        fleet: The fleet's name.
        hook: The caller's, if there is one.
    """

    def __init__(self, fleet: str, hook: Hook | None) -> None:
        self._fleet, self._hook = fleet, hook
        self._said: set[str] = set()

    def hear(self, name: str, error: ApiError) -> None:
        """A request for that node has failed. Raises nothing."""
        kind = error_kind(error)
        if kind in _SAID and kind not in self._said:
            self._said.add(kind)
            event, mends = _SAID[kind]
            log = get_logger("heartbeat")
            log.warning(event, fleet=self._fleet, node=name, error=str(error), remedy=mends(error), said="once")
        if self._hook is not None:
            self._tell(self._hook, name, error)

    def _tell(self, hook: Hook, name: str, error: ApiError) -> None:
        """A hook that raises is a bug of its owner's: it must not end the renewals of everybody else."""
        try:
            hook(name, error)
        except Exception:  # noqa: BLE001 - whatever it is, it is not ours
            get_logger("heartbeat").exception("fleet.on_failure_raised", node=name)
