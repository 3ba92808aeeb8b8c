"""Bodies on the wire: reading JSON, YAML and protobuf, and writing JSON and YAML."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

from lease_aio.server import protobuf
from lease_aio.server.schema import as_list
from lease_aio.server.status import StatusError, bad_request

JSON = "application/json"
YAML = "application/yaml"
SERVED = (JSON, YAML, protobuf.MEDIA_TYPE)
"""The media types that error messages name. Bodies are read in all three; answers are written in the first two."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def write(value: Any, *, media_type: str = JSON, indented: bool = False) -> bytes:
    """A value as JSON with one trailing newline, or as YAML."""
    if media_type == YAML:
        import yaml  # noqa: PLC0415  # slow to import, and hardly anybody asks for it

        return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).encode()
    text = _encode(value)
    return (msgspec.json.format(text, indent=2) if indented else text) + b"\n"


def read(data: bytes, media_type: str = JSON) -> Any:
    """The value of a body.

    Raises:
        StatusError: 400, when it is not what its media type says.
    """
    if media_type == protobuf.MEDIA_TYPE:
        return protobuf.decode(data)
    return _read_yaml(data) if media_type == YAML else _read_json(data)


def _read_json(data: bytes) -> Any:
    try:
        return _decode(data)
    except UnicodeDecodeError:
        return _read_json(data.decode(errors="replace").encode())  # as Go reads it
    except (msgspec.DecodeError, RecursionError) as error:
        raise _unreadable(error, data) from None


def _read_yaml(data: bytes) -> Any:
    import yaml  # noqa: PLC0415

    try:
        # Through its events and nodes only: a time must stay the text that it is.
        return _plain(yaml.compose(data, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:  # a TypeError for a list as a key
        raise _unreadable(error, data) from None


def _plain(node: Any) -> Any:
    import yaml  # noqa: PLC0415

    if isinstance(node, yaml.MappingNode):
        return {_plain(key): _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    if node is None or node.tag == "tag:yaml.org,2002:null":
        return None
    if node.tag == "tag:yaml.org,2002:bool":
        return node.value.lower() in {"true", "yes", "on"}
    if node.tag in {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}:
        return _number(node)
    return node.value


def _number(node: Any) -> int | float:
    import yaml  # noqa: PLC0415

    is_whole = node.tag.endswith(":int")
    safe = yaml.SafeLoader("")
    number: int | float = (safe.construct_yaml_int if is_whole else safe.construct_yaml_float)(node)
    if not math.isfinite(number):
        raise ValueError(f"JSON has no {node.value}")
    return number


def _unreadable(error: Exception, data: bytes) -> StatusError:
    deep = "exceeded max depth" if isinstance(error, RecursionError) else ""
    why = "unexpected end of JSON input" if not data.strip() else deep or str(error)
    shown = data.decode(errors="replace") if data else "<empty>"
    return bad_request(f"couldn't get version/kind; json parse error: {why} ({shown[:1000]})")


def duplicates(data: bytes) -> list[str]:
    """Complaints about fields that occur twice in one object of a JSON body; the last one has won."""
    try:
        _without_duplicates.decode(data.decode(errors="replace"))
    except _DuplicateError:
        # Where they are is only worked out when there are some, which is next to never.
        return _located(json.loads(data, object_pairs_hook=_Pairs), "")
    return []


class _DuplicateError(Exception):
    """A field occurs twice."""


def _distinct(items: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(items)
    if len(result) != len(items):
        raise _DuplicateError
    return result


_without_duplicates = json.JSONDecoder(object_pairs_hook=_distinct)


class _Pairs(list[tuple[str, Any]]):
    """An object with all its fields, in order."""


def _located(value: Any, path: str) -> list[str]:
    if isinstance(value, _Pairs):
        found: list[str] = []
        seen: set[str] = set()
        for key, inner in value:
            where = f"{path}.{key}" if path else key
            if key in seen:
                found.append(f'duplicate field "{where}"')
            seen.add(key)
            found += _located(inner, where)
        return found
    items = as_list(value) or []
    return [one for at, inner in enumerate(items) for one in _located(inner, f"{path}[{at}]")]
