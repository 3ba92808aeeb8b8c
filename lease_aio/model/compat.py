"""To and from kubernetes_asyncio's generated models, for those who have them. It is imported at the first call.

Nothing that both sides know is lost. A field that this package keeps in `extra` survives only if the generated
model knows it; a V1 model has no place for others.
"""

from __future__ import annotations

import importlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from lease_aio.errors import ConfigurationError
from lease_aio.model.lease import Lease
from lease_aio.model.meta import KubeObject
from lease_aio.model.node import Node
from lease_aio.model.times import MicroTime
from lease_aio.model.wire import from_dict, to_dict

if TYPE_CHECKING:
    from kubernetes_asyncio.client import V1Lease, V1Node

T = TypeVar("T", bound=KubeObject)
_MANY = re.compile(r"list\[(.*)\]")
_MAPPING = re.compile(r"dict\(([^,]*), (.*)\)")


def lease_to_v1(lease: Lease) -> V1Lease:
    """The same Lease as a `V1Lease`; its times are aware datetimes in UTC, to the microsecond."""
    return cast("V1Lease", _build("V1Lease", to_dict(lease)))


def lease_from_v1(model: V1Lease) -> Lease:
    """The same Lease as ours.

    Raises:
        ConfigurationError: a datetime in it has no time zone, so it names no instant.
        MalformedObject: a field has another type than Kubernetes gives it.
    """
    return _read(model, Lease)


def node_to_v1(node: Node) -> V1Node:
    """The same Node as a `V1Node`, with all that the server sent."""
    return cast("V1Node", _build("V1Node", to_dict(node)))


def node_from_v1(model: V1Node) -> Node:
    """The same Node as ours; see `lease_from_v1`."""
    return _read(model, Node)


def _read(model: Any, kind: type[T]) -> T:
    return from_dict(_plain(model), kind)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return _written(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in cast("list[Any]", value)]
    if not hasattr(value, "attribute_map"):
        return value
    found = {wire: _plain(getattr(value, name)) for name, wire in value.attribute_map.items()}
    return {wire: item for wire, item in found.items() if item is not None}


def _written(moment: datetime) -> str:
    """As short as it can be: whoever reads it into a MicroTime writes six digits again."""
    if moment.tzinfo is None:
        raise ConfigurationError(f"{moment!r} has no time zone; give an aware datetime, e.g. datetime.now(UTC)")
    text = moment.astimezone(UTC).isoformat()
    return f"{text.removesuffix('+00:00')}Z"


def _build(kind: str, value: Any) -> Any:
    """Make what kubernetes_asyncio calls `kind`, by its own table of field types."""
    if value is None or kind == "object":
        return value
    if kind == "datetime":
        return MicroTime.parse(value).datetime()
    if many := _MANY.fullmatch(kind):
        return [_build(many[1], item) for item in value]
    if mapping := _MAPPING.fullmatch(kind):
        return {name: _build(mapping[2], item) for name, item in value.items()}
    if not kind.startswith("V"):
        return value
    made: Any = getattr(importlib.import_module("kubernetes_asyncio.client.models"), kind)
    fields = {
        name: _build(made.openapi_types[name], value[wire])
        for name, wire in made.attribute_map.items()
        if value.get(wire) is not None
    }
    return made(**fields)
