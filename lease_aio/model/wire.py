"""JSON to typed objects and back, losing nothing.

The decoder first tries the known fields alone, at C speed, and refuses anything else. Only an object
that holds a field of a newer Kubernetes takes the slow road, where what is unknown is kept in `extra`
of the struct it stood in and is written back by `encode`.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, TypeVar

import msgspec

from lease_aio.errors import MalformedObject
from lease_aio.model.times import MicroTime, Time

T = TypeVar("T", bound="Wire")
V = TypeVar("V")
_EXTRA = "*"  # no Kubernetes field can have this name
# `dict` itself, not `dict[str, Any]`: msgspec leaves an empty value out only if it knows the factory
_EMPTY = typing.cast("Callable[[], dict[str, Any]]", dict)


class Wire(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    rename="camel",
):
    """A part of a Kubernetes object. `extra` holds the fields that this version does not know."""

    extra: dict[str, Any] = msgspec.field(
        default_factory=typing.cast("Callable[[], dict[str, Any]]", dict), name=_EXTRA
    )


def always(value: str) -> Any:
    """A default that is written out nevertheless (`omit_defaults` leaves the plain ones out)."""
    return msgspec.field(default_factory=lambda: value)


_parse_time = lru_cache(maxsize=4096)(Time.parse)  # of whole seconds there are few: a fleet is created in some dozens


def _decode_hook(kind: type[Any], value: Any) -> Any:
    if isinstance(value, str):
        if kind is Time:
            return _parse_time(value)
        if kind is MicroTime:
            return MicroTime.parse(value)
    raise ValueError(f"expected {kind.__name__}, got {value!r}")


def _encode_hook(value: Any) -> Any:
    if isinstance(value, (MicroTime, Time)):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


_encoder = msgspec.json.Encoder(enc_hook=_encode_hook)
_any: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # msgspec lets the latter two through


@cache
def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(kind, dec_hook=_decode_hook)


def decode(data: bytes, kind: type[T]) -> T:
    """Read one JSON object.

    Raises:
        MalformedObject: as for `read`, or a known field has another type than Kubernetes gives it.
    """
    try:
        found: T = _decoder(kind).decode(data)
    except msgspec.ValidationError:
        return from_dict(read(_any, data, kind.__name__), kind)
    except _UNREADABLE as error:
        raise MalformedObject(kind.__name__, str(error)) from error
    return found


def read(decoder: msgspec.json.Decoder[V], data: bytes | msgspec.Raw, kind: str) -> V:
    """Read JSON with a decoder of one's own.

    Args:
        decoder: Knows the shape.
        data: Whatever came.
        kind: What it should be, for the message.

    Raises:
        MalformedObject: it is no JSON, no UTF-8, nested deeper than Python bears, or of another shape.
    """
    try:
        return decoder.decode(data)
    except _UNREADABLE as error:
        raise MalformedObject(kind, str(error)) from error


def parse(data: bytes) -> Any:
    """Read JSON into plain values.

    Raises:
        MalformedObject: as for `read`.
    """
    return read(_any, data, "object")


def from_dict(value: Any, kind: type[T]) -> T:
    """Make a typed object of plain values, keeping what is unknown in `extra`; nulls count as absent.

    Raises:
        MalformedObject: a known field has another type than Kubernetes gives it.
    """
    try:
        return _convert(value, kind)
    except msgspec.ValidationError:
        pass
    try:
        return _convert(_sort_out(value, kind), kind)
    except (msgspec.ValidationError, ValueError) as error:
        raise MalformedObject(kind.__name__, str(error)) from error


def _convert(value: Any, kind: type[T]) -> T:
    found: T = msgspec.convert(value, kind, dec_hook=_decode_hook)
    return found


def encode(value: Wire) -> bytes:
    """Write the object as JSON, with what `extra` holds back in its place."""
    data = _encoder.encode(value)
    if b'"*":' not in data:
        return data
    return msgspec.json.encode(_put_back(msgspec.json.decode(data), type(value)))


def to_dict(value: Wire) -> dict[str, Any]:
    """The object as plain values, lists and dicts that nobody else holds."""
    plain: dict[str, Any] = msgspec.json.decode(encode(value))
    return plain


@cache
def _plan(kind: type[Wire]) -> dict[str, type[Wire] | None]:
    """Known wire names of a struct, each with the struct that stands there, if one does."""
    hints = typing.get_type_hints(kind)
    fields = (f for f in msgspec.structs.fields(kind) if f.encode_name != _EXTRA)
    return {f.encode_name: _struct_in(hints[f.name]) for f in fields}


def _struct_in(hint: Any) -> type[Wire] | None:
    if inspect.isclass(hint) and issubclass(hint, Wire):
        return hint
    return next((found for arg in typing.get_args(hint) if (found := _struct_in(arg))), None)


def _each(value: Any, inner: type[Wire] | None, change: Any) -> Any:
    if inner is None:
        return value
    if isinstance(value, list):
        return [change(item, inner) for item in typing.cast("list[Any]", value)]  # type: ignore[redundant-cast]
    return change(value, inner)


def _sort_out(value: Any, kind: type[Wire]) -> Any:
    if not isinstance(value, dict):
        return value
    fields = typing.cast("dict[str, Any]", value)
    plan = _plan(kind)
    known = {k: _each(v, plan[k], _sort_out) for k, v in fields.items() if k in plan and v is not None}
    extra = {k: v for k, v in fields.items() if k not in plan}
    return {**known, _EXTRA: extra} if extra else known


def _put_back(value: dict[str, Any], kind: type[Wire]) -> dict[str, Any]:
    plan = _plan(kind)
    known = {k: _each(v, plan[k], _put_back) for k, v in value.items() if k != _EXTRA}
    return {**known, **value.get(_EXTRA, {})}
