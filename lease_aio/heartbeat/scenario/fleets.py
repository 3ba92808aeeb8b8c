"""What a fleet is made of, as a YAML file says it: groups with counts, zones and profiles. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.node.profile import NodeGroup, NodeProfile
from lease_aio.heartbeat.scenario.document import Item, read_document
from lease_aio.model import NodeAddress, Taint

_KEYS = ("groups", "name", "register", "lease_duration")
_GROUP_KEYS = ("count", "prefix", "name", "zones", "profile")
_TAINT_KEYS = ("key", "effect", "value")
_ADDRESS_KEYS = ("type", "address")


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetSpec:
    """A fleet, as a file describes it.

    Attributes:
        groups: Its nodes.
        name: What Nodes carry as the label `lease-aio/fleet`; None where the file does not say.
        register: Whether it needs Node objects; None where the file does not say.
        lease_duration_s: Of its leases; None where the file does not say.
    """

    groups: tuple[NodeGroup, ...]
    name: str | None = None
    register: bool | None = None
    lease_duration_s: int | None = None

    @property
    def nodes(self) -> int:
        """How many."""
        return sum(group.count for group in self.groups)


def parse_fleet(text: str, *, source: str = "fleet") -> FleetSpec:
    """Read the text of a fleet file; docs/scenarios.md describes it.

    Args:
        text: YAML.
        source: Its name in messages.

    Raises:
        ConfigurationError: it cannot be; the message starts with `source:line:column`, and has the remedy.
    """
    return read_fleet(read_document(text, source))


def read_fleet(item: Item) -> FleetSpec:
    """The same, of what stands in a scenario."""
    fields = item.fields("a fleet", _KEYS, {"groups": "[{count: 100}]"})
    groups = tuple(_group(one) for one in fields["groups"].items("groups"))
    if not groups:
        fields["groups"].refuse("groups: a fleet needs at least one group: write for example [{count: 100}]")
    return FleetSpec(
        groups=groups,
        name=fields["name"].text("fleet") if "name" in fields else None,
        register=fields["register"].flag() if "register" in fields else None,
        lease_duration_s=_whole_seconds(fields["lease_duration"]) if "lease_duration" in fields else None,
    )


def _whole_seconds(item: Item) -> int:
    seconds = item.duration("40s", least_s=1)
    if seconds != int(seconds):
        item.refuse(f"{item.key}: {item.raw!r} must be whole seconds, because a Lease stores them so: write 40s")
    return int(seconds)


def _group(item: Item) -> NodeGroup:
    fields = item.fields("a group", _GROUP_KEYS, {"count": "100"})
    read: dict[str, Callable[[Item], Any]] = {
        "count": lambda one: one.whole(0),
        "prefix": lambda one: one.text("node-"),
        "name": lambda one: one.text("small"),
        "zones": lambda one: tuple(zone.text("a") for zone in one.items("zones")),
        "profile": _profile,
    }
    values = {key: read[key](field) for key, field in fields.items()}
    for key, value in values.items():
        _check(fields[key], partial(NodeGroup, **{"count": 1, key: value}))
    return NodeGroup(**values)


def _profile(item: Item) -> NodeProfile:
    fields = item.fields("a profile", tuple(PROFILE))
    values = {key: PROFILE[key](field) for key, field in fields.items()}
    for key, value in values.items():
        _check(fields[key], partial(NodeProfile, **{key: value}))
    return NodeProfile(**values)


def _check(item: Item, make: Callable[[], object]) -> None:
    """Let the record itself refuse the value, and add where it stands."""
    try:
        make()
    except ConfigurationError as error:
        item.refuse(str(error))


def _text(item: Item) -> str:
    return item.text("a word")


def _texts(item: Item) -> Mapping[str, str]:
    entries = item.entries(f"{item.key} by name")
    return {key: entry.value().text("a word") for key, entry in entries.items()}


def _taints(item: Item) -> tuple[Taint, ...]:
    words = [_words(one, "a taint", _TAINT_KEYS) for one in item.items("taints")]
    return tuple(Taint(key=one["key"], effect=one["effect"], value=one.get("value", "")) for one in words)


def _addresses(item: Item) -> tuple[NodeAddress, ...]:
    words = [_words(one, "an address", _ADDRESS_KEYS) for one in item.items("addresses")]
    return tuple(NodeAddress(type=one["type"], address=one["address"]) for one in words)


def _words(item: Item, what: str, keys: tuple[str, ...]) -> dict[str, str]:
    """The first two of the keys are needed."""
    fields = item.fields(what, keys, dict.fromkeys(keys[:2], "a-word"))
    return {key: field.text("a-word") for key, field in fields.items()}


PROFILE: Mapping[str, Callable[[Item], Any]] = {
    "capacity": _texts,
    "allocatable": _texts,
    "labels": _texts,
    "annotations": _texts,
    "taints": _taints,
    "addresses": _addresses,
    **dict.fromkeys(
        (
            "zone",
            "region",
            "instance_type",
            "provider_id",
            "internal_cidr",
            "architecture",
            "operating_system",
            "kubelet_version",
            "os_image",
            "kernel_version",
            "container_runtime",
        ),
        _text,
    ),
}
"""How each attribute of a `NodeProfile` is read; all of them are."""
