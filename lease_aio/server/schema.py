"""What the fields of an object are: the table from which bodies are decoded and OpenAPI documents made.

Decoding does to a JSON body what a typed server does: unknown fields are dropped (and named, for field
validation), `null` means absent, empty values vanish where Go says `omitempty`, wrong types are refused in
the words of Go's decoder. A struct that is `open` keeps what it does not know: the server only serves as
much of a Node as coordination needs and must not lose the rest.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias, cast

from lease_aio.server.status import Json
from lease_aio.server.times import read_micro_time, read_time

Decoder: TypeAlias = Callable[[Any, list[str]], Any]
"""Turns a JSON value into its canonical form and adds the paths of unknown fields to the list."""


class DecodeError(ValueError):
    """A body does not have the types of its schema; the text is that of Go's JSON decoder."""


class Scalar(Enum):
    """A field that is a single value; the value of each member is the Go type that error messages name."""

    STRING = "string"
    INT32 = "int32"
    INT64 = "int64"
    BOOLEAN = "bool"
    TIME = "v1.Time"
    MICRO_TIME = "v1.MicroTime"
    STRING_MAP = "map[string]string"
    ANY = "interface {}"


class Empty(Enum):
    """What becomes of an empty value (`""`, `0`, `false`, `{}`, `[]`)."""

    DROPPED = "omitempty"
    KEPT = "pointer"
    WRITTEN = "always"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Struct:
    """A typed JSON object: its Go type name and its fields; `open` structs keep unknown fields."""

    name: str
    fields: tuple[Field, ...]
    about: str
    open: bool = False


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Many:
    """A list of structs or strings; `merge_key` is the key by which a strategic merge patch joins its entries."""

    item: Struct | Scalar
    merge_key: str = ""
    as_set: bool = False


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Field:
    """One field of a struct."""

    name: str
    type: Scalar | Struct | Many
    about: str = ""
    empty: Empty = Empty.DROPPED


def as_object(value: object) -> Json | None:
    """The value if it is a JSON object, else None."""
    return cast("Json", value) if isinstance(value, dict) else None


def as_list(value: object) -> list[Any] | None:
    """The value if it is a JSON array, else None."""
    return cast("list[Any]", value) if isinstance(value, list) else None  # type: ignore[redundant-cast]


def compile_struct(struct: Struct, path: str = "", owner: str = "") -> Decoder:
    """Make the decoder of a struct whose place in the object is `path`, within the struct `owner`."""
    prefix = f"{path}." if path else ""
    decoders = {field.name: _compile(field.type, struct.name, prefix + field.name) for field in struct.fields}
    droppable = frozenset(field.name for field in struct.fields if field.empty is Empty.DROPPED)
    written = {field.name: _zero(field.type) for field in struct.fields if field.empty is Empty.WRITTEN}
    keep_unknown = struct.open

    def decode(value: Any, unknown: list[str]) -> Json:
        if not isinstance(value, dict):
            raise _mismatch(json_type(value), f"{owner}.{path}", f"v1.{struct.name}")
        source = cast("Json", value)
        result: Json = {}
        for key, raw in source.items():
            decoder = decoders.get(key)
            if decoder is None:
                _unknown_field(result, key, raw, prefix, unknown, keep=keep_unknown)
                continue
            if raw is None:
                continue
            decoded = decoder(raw, unknown)
            if decoded or key not in droppable:
                result[key] = decoded
        if written:
            for key, zero in written.items():
                if key not in result:
                    result[key] = zero()
        return result

    return decode


def _unknown_field(result: Json, key: str, raw: Any, prefix: str, unknown: list[str], *, keep: bool) -> None:
    if keep:
        if raw is not None:
            result[key] = raw
    else:
        unknown.append(f'unknown field "{prefix}{key}"')


def _zero(kind: Scalar | Struct | Many) -> Callable[[], Any]:
    if isinstance(kind, Struct):
        decoder = compile_struct(kind)
        return lambda: decoder({}, [])
    zeros = {Scalar.STRING: "", Scalar.INT32: 0, Scalar.INT64: 0}
    return lambda: zeros.get(kind) if isinstance(kind, Scalar) else None


def _compile(kind: Scalar | Struct | Many, owner: str, path: str) -> Decoder:
    if isinstance(kind, Struct):
        return compile_struct(kind, path, owner)
    if isinstance(kind, Many):
        return _compile_list(kind, owner, path)
    return _SCALARS[kind](f"{owner}.{path}")


def _compile_list(kind: Many, owner: str, path: str) -> Decoder:
    # Paths of unknown fields carry the index, so each place has its own decoder; they are made when first
    # needed.
    @functools.lru_cache(maxsize=32)
    def decoder_at(at: int) -> Decoder:
        return _compile(kind.item, owner, f"{path}[{at}]")

    def decode(value: Any, unknown: list[str]) -> list[Any]:
        items = as_list(value)
        if items is None:
            raise _mismatch(json_type(value), f"{owner}.{path}", f"[]{_go_name(kind.item)}")
        return [decoder_at(at)(item, unknown) for at, item in enumerate(items)]

    return decode


def _go_name(kind: Struct | Scalar) -> str:
    return f"v1.{kind.name}" if isinstance(kind, Struct) else kind.value


def _string_decoder(where: str) -> Decoder:
    def decode(value: Any, _unknown: list[str]) -> str:
        if not isinstance(value, str):
            raise _mismatch(json_type(value), where, "string")
        return value

    return decode


def _string_map_decoder(where: str) -> Decoder:
    def decode(value: Any, _unknown: list[str]) -> dict[str, str]:
        source = as_object(value)
        if source is None:
            raise _mismatch(json_type(value), where, "map[string]string")
        for key, text in source.items():
            if not isinstance(text, str):
                if text is None:
                    return decode({**source, key: ""}, _unknown)
                raise _mismatch(json_type(text), where, "string")
        return source

    return decode


def _integer_decoder(where: str, name: str, bound: int) -> Decoder:
    def decode(value: Any, _unknown: list[str]) -> int:
        if type(value) is not int:
            shown = f"number {value}" if isinstance(value, float) else json_type(value)
            raise _mismatch(shown, where, name)
        if not -bound <= value < bound:
            raise _mismatch(f"number {value}", where, name)
        return value

    return decode


def _boolean_decoder(where: str) -> Decoder:
    def decode(value: Any, _unknown: list[str]) -> bool:
        if not isinstance(value, bool):
            raise _mismatch(json_type(value), where, "bool")
        return value

    return decode


def _time_decoder(where: str, read: Callable[[str], str | None]) -> Decoder:
    def decode(value: Any, _unknown: list[str]) -> str | None:
        if not isinstance(value, str):
            raise _mismatch(json_type(value), where, "string")
        try:
            return read(value)
        except ValueError as error:
            raise DecodeError(str(error)) from None

    return decode


def _mismatch(shown: str, where: str, go_type: str) -> DecodeError:
    # Go names the field of a list without the index.
    place = re.sub(r"\[\d+\]", "", where)
    return DecodeError(f"json: cannot unmarshal {shown} into Go struct field {place} of type {go_type}")


def json_type(value: object) -> str:
    """What Go's decoder calls the type of a JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    names: dict[type, str] = {str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


_SCALARS: dict[Scalar, Callable[[str], Decoder]] = {
    Scalar.STRING: _string_decoder,
    Scalar.STRING_MAP: _string_map_decoder,
    Scalar.INT32: lambda where: _integer_decoder(where, "int32", 2**31),
    Scalar.INT64: lambda where: _integer_decoder(where, "int64", 2**63),
    Scalar.BOOLEAN: _boolean_decoder,
    Scalar.TIME: lambda where: _time_decoder(where, read_time),
    Scalar.MICRO_TIME: lambda where: _time_decoder(where, read_micro_time),
    Scalar.ANY: lambda _where: lambda value, _unknown: value,
}
