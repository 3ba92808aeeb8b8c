"""Bodies on the wire: reading JSON as strictly as the API asks for, and writing it."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from lease_aio.server.schema import as_list, as_object
from lease_aio.server.status import bad_request

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def write(value: Any, *, indented: bool = False) -> bytes:
    """JSON with one trailing newline."""
    text = _encode(value)
    return (msgspec.json.format(text, indent=2) if indented else text) + b"\n"


def read(data: bytes) -> Any:
    """The value of a JSON body.

    Raises:
        StatusError: 400, when it is not JSON.
    """
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from None


def duplicates(data: bytes) -> list[str]:
    """Complaints about fields that occur twice in one object of a JSON body; the last one has won."""
    found = False

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        result = dict(items)
        found = found or len(result) != len(items)
        return result

    json.loads(data, object_pairs_hook=pairs)
    # Where they are is only worked out when there are some, which is next to never.
    return _located(json.loads(data, object_pairs_hook=_Pairs), "") if found else []


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


def read_object(data: bytes) -> Any:
    """The value of a JSON body that must be an object; an empty body is None.

    Raises:
        StatusError: 400.
    """
    if not data.strip():
        return None
    value = read(data)
    if as_object(value) is None:
        raise bad_request("couldn't get version/kind; json parse error: the body is not a JSON object")
    return value
