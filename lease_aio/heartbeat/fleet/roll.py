"""Who belongs to a fleet: names, numbers, kinds, and the share of them that is this process's. Pure."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.node.profile import NodeGroup, NodeKind, NodeProfile
from lease_aio.naming import check_label_value, check_lease_name

Nodes = int | NodeGroup | Collection[str] | Sequence[NodeGroup]
"""How nodes are asked for: so many, a group, several, or their names."""


def are_names(nodes: Nodes) -> bool:
    """Whether they were asked for by name, one by one."""
    return not isinstance(nodes, int | NodeGroup) and all(isinstance(one, str) for one in nodes)


class Member(NamedTuple):
    """One node: its name, its number in the whole fleet, and what it shares with others."""

    name: str
    number: int
    kind: NodeKind


class Roll:
    """Gives names and kinds to nodes, and says which of them are this process's.

    Args:
        fleet: The fleet's name.
        prefix: Of names, where only a number is given.
        first: The first number of each prefix.
        profile: Of nodes that no group gives another one.
        partition: This process's part, from 0, and how many there are: a stable hash of a name says in which it lies.
            Processes that ask for the same nodes with the same `of` have all of them, each in exactly one.

    Attributes:
        fleet: As given.

    Raises:
        ConfigurationError: the name is no value of a label, or there is no such part.
    """

    def __init__(
        self,
        *,
        fleet: str = "fleet",
        prefix: str = "node-",
        first: int = 0,
        profile: NodeProfile | None = None,
        partition: tuple[int, int] | None = None,
    ) -> None:
        if not check_label_value("name", fleet):
            raise ConfigurationError("name='' is empty; it is written as the label that says whose the Nodes are")
        self.fleet = fleet
        self._prefix = prefix
        self._first = first
        self._profile = profile or NodeProfile()
        self._partition = _checked(partition)
        self._next: dict[str, int] = {}
        self._kinds: dict[tuple[int, str, str], NodeKind] = {}
        self._profiles: list[NodeProfile] = []  # keeps them alive, so that no other gets the same id
        self._number = 0
        self._everyone: dict[str, NodeKind] = {}

    @property
    def everyone(self) -> Mapping[str, NodeKind] | None:
        """What nodes of all parts are, by name in the order of their numbers; None where there is one part alone."""
        return None if self._partition[1] == 1 else self._everyone

    def enlist(self, nodes: Nodes) -> tuple[Member, ...]:
        """Those of `nodes` that are this process's.

        Raises:
            ConfigurationError: what was given is no number, group or list of names, or a name cannot be one.
        """
        members = tuple(self._members(nodes))
        counted = Counter(member.name for member in members)
        if twice := sorted(name for name, times in counted.items() if times > 1):
            raise ConfigurationError(f"node names must differ; there twice: {twice[:3]}")
        index, of = self._partition
        if of == 1:
            return members
        self._everyone.update((member.name, member.kind) for member in members)
        return tuple(one for one in members if zlib.crc32(one.name.encode()) % of == index)

    def strike(self, names: Iterable[str]) -> None:
        """Those have left, or have not come after all."""
        for name in names:
            self._everyone.pop(name, None)

    def _members(self, nodes: Nodes) -> Iterator[Member]:
        for group in self._groups(nodes):
            if isinstance(group, NodeGroup):
                yield from self._of_group(group)
            else:
                yield self._member(check_lease_name(group), self._profile, "", "")

    def _groups(self, nodes: Nodes) -> tuple[NodeGroup | str, ...]:
        if isinstance(nodes, str):
            raise ConfigurationError(f"nodes={nodes!r} is one string; give a number or a list of names")
        if isinstance(nodes, NodeGroup):
            return (nodes,)
        if isinstance(nodes, int):
            if nodes < 0:
                raise ConfigurationError(f"nodes={nodes!r} must be zero or more")
            return (NodeGroup(count=nodes, prefix=self._prefix, profile=self._profile),)
        try:
            return tuple(nodes)
        except TypeError as error:
            raise ConfigurationError(
                f"nodes={nodes!r} must be a whole number, a NodeGroup, or a list of either names or groups"
            ) from error

    def _of_group(self, group: NodeGroup) -> Iterator[Member]:
        first = self._next.get(group.prefix, self._first)
        self._next[group.prefix] = first + group.count
        for number in range(first, first + group.count):
            zone = group.zones[number % len(group.zones)] if group.zones else ""
            yield self._member(f"{group.prefix}{number}", group.profile, group.label, zone)

    def _member(self, name: str, profile: NodeProfile, group: str, zone: str) -> Member:
        number, self._number = self._number, self._number + 1
        key = (id(profile), group, zone)
        kind = self._kinds.get(key)
        if kind is None:
            self._profiles.append(profile)
            kind = self._kinds[key] = NodeKind(profile, fleet=self.fleet, group=group, zone=zone)
        return Member(name, number, kind)


def _checked(partition: tuple[int, int] | None) -> tuple[int, int]:
    if partition is None:
        return 0, 1
    index, of = partition
    if not 0 <= index < of:
        raise ConfigurationError(f"partition={partition!r} must be (index, of) with 0 <= index < of: (0, 2) and (1, 2)")
    return index, of
