"""Which nodes a selector means. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.node.profile import GROUP_LABEL, HOSTNAME_LABEL, REGION_LABEL, ZONE_LABEL, NodeKind
from lease_aio.server.selectors import Requirement, parse_labels
from lease_aio.server.status import StatusError

SHORTHANDS = {"zone": ZONE_LABEL, "region": REGION_LABEL, "group": GROUP_LABEL, "name": HOSTNAME_LABEL}
"""Keys that may be written for the labels that they stand for."""


class NodeSelector:
    """A label selector as Kubernetes knows them, with `zone`, `region`, `group` and `name` for their long labels.

    Raises:
        ConfigurationError: it cannot be parsed; says where.
    """

    __slots__ = ("_of_kind", "_of_name")

    def __init__(self, text: str) -> None:
        try:
            parsed = parse_labels(text)
        except StatusError as error:
            raise ConfigurationError(
                f"selector {text!r}: {error}; write it as for kubectl -l: 'zone=b', 'zone in (a,b),group!=gpu'"
            ) from error
        wanted = [replace(one, key=SHORTHANDS.get(one.key, one.key)) for one in parsed]
        self._of_name: tuple[Requirement, ...] = tuple(one for one in wanted if one.key == HOSTNAME_LABEL)
        self._of_kind: tuple[Requirement, ...] = tuple(one for one in wanted if one.key != HOSTNAME_LABEL)

    def among(self, nodes: Iterable[tuple[str, NodeKind]]) -> Iterator[str]:
        """The names of those that it means. What nodes share is looked at once for all of them."""
        held: dict[NodeKind, bool] = {}
        for name, kind in nodes:
            holds = held.get(kind)
            if holds is None:
                holds = held[kind] = all(one.holds(kind.shared) for one in self._of_kind)
            if holds and all(one.holds({HOSTNAME_LABEL: name}) for one in self._of_name):
                yield name
