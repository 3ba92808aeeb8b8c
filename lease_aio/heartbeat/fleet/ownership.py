"""Whose the Nodes are that have the names of a fleet: nothing of others is written unless told."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from lease_aio.api.protocol import NODES, Api
from lease_aio.errors import ApiError, ConfigurationError, Expired, Refused, Throttled, Unavailable
from lease_aio.heartbeat.grants import remedy, with_remedy
from lease_aio.heartbeat.node.profile import FLEET_LABEL
from lease_aio.heartbeat.node.register import not_ours, with_patience
from lease_aio.log import get_logger

Adopt = Literal["own", "any"]
"""Which existing Nodes may be taken over: those that carry the fleet's label, or any."""

_PAGE = 500
_PASSING = (Unavailable, Throttled, Expired)


def checked_adopt(adopt: object) -> Adopt:
    """The value itself, if it is one.

    Raises:
        ConfigurationError: it is not.
    """
    if adopt == "own":
        return "own"
    if adopt == "any":
        return "any"
    raise ConfigurationError(f"adopt={adopt!r} must be 'own' or 'any'")


async def refuse_foreign(api: Api, names: Collection[str], fleet: str, *, registers: bool) -> None:
    """See that no Node of these names is somebody else's.

    Args:
        api: Where.
        names: The fleet's.
        fleet: Its own name: Nodes that say so are its own.
        registers: Whether it will write Nodes. One that writes leases only can do without the right to list Nodes.

    Raises:
        ConfigurationError: one is; names the first and the remedy.
        ApiError: it cannot be told, and Nodes would be written.
    """
    try:
        foreign = await with_patience(lambda: _first_foreign(api, names, fleet), over=_PASSING)
    except ApiError as error:
        if registers and isinstance(error, Refused):
            raise with_remedy(error) from error
        if registers or isinstance(error, _PASSING):
            raise
        _say_unchecked(error)
        return
    if foreign is not None:
        raise not_ours(*foreign, fleet)


async def _first_foreign(api: Api, names: Collection[str], fleet: str) -> tuple[str, str] | None:
    """The name and the owner of the first such Node, page by page: a large cluster is not held in memory."""
    token = ""
    while True:
        page = await api.list(NODES, label_selector=f"{FLEET_LABEL}!={fleet}", limit=_PAGE, continue_token=token)
        for node in page.items:
            if node.name in names:
                return node.name, node.metadata.labels.get(FLEET_LABEL, "")
        token = page.continue_token
        if not token:
            return None


def _say_unchecked(error: ApiError) -> None:
    get_logger("heartbeat").warning(
        "fleet.nodes_unchecked",
        error=str(error),
        effect="a Node of the same name as one of the fleet's would be kept alive by it unnoticed",
        remedy=remedy(error),
    )
