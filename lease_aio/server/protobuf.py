"""Protobuf request bodies: client-go's typed clients and some kubectl commands send nothing else.

Bodies are decoded into the JSON shape of the same object; answers are always JSON, which those clients
accept as well. Field numbers are those of the `.proto` files of `k8s.io/api` and `k8s.io/apimachinery`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from lease_aio.server.status import Json, StatusError, bad_request
from lease_aio.server.times import format_micro_time, format_time

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"

Reader: TypeAlias = Callable[[Any], Any]
Message: TypeAlias = dict[int, tuple[str, Reader, bool]]
"""Field number -> name, reader of the raw value, whether the field is repeated."""


class _WireError(ValueError):
    """The bytes are not a protobuf message."""


def decode(data: bytes) -> Json:
    """Decode an enveloped object.

    Raises:
        StatusError: 400, when the bytes are not an enveloped message of a known kind.
    """
    if not data.startswith(_MAGIC):
        raise bad_request("provided data does not appear to be a protobuf message, expected prefix 6b 38 73 00")
    try:
        envelope = _read(memoryview(data)[len(_MAGIC) :], _ENVELOPE)
        named: Json = envelope.get("typeMeta", {})
        message = _KINDS.get(named.get("kind", ""))
        if message is None:
            raise _unknown_kind(named)
        return {**_read(envelope.get("raw", b""), message), **named}
    except ValueError as error:  # also for what is no UTF-8, and for a time that cannot be written
        raise bad_request(f"unable to decode the protobuf message: {error}") from None


def _unknown_kind(named: Json) -> StatusError:
    known = ", ".join(_KINDS)
    return bad_request(
        f"protobuf bodies are understood for {known}, not for {named.get('kind') or 'no kind'}: send JSON"
    )


# --- the wire -----------------------------------------------------------------------------------------------


def _read(data: Any, message: Message) -> Json:
    """Read one message; unknown fields are skipped."""
    result: Json = {}
    for number, raw in _fields(memoryview(data)):
        field = message.get(number)
        if field is None:
            continue
        name, reader, repeated = field
        value = reader(raw)
        if isinstance(value, _Entry):
            result.setdefault(name, {})[value.key] = value.value
        elif repeated:
            result.setdefault(name, []).append(value)
        else:
            result[name] = value
    return result


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        size, at = (8, at) if kind == 1 else (4, at) if kind == 5 else _size(data, at, kind)
        if at + size > len(data):
            raise _WireError("unexpected EOF")
        yield tag >> 3, data[at : at + size]
        at += size


def _size(data: memoryview, at: int, kind: int) -> tuple[int, int]:
    if kind != 2:
        raise _WireError(f"illegal wire type {kind}")
    return _varint(data, at)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        if at >= len(data):
            raise _WireError("unexpected EOF")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _WireError("integer overflow")


class _Entry:
    """One entry of a map."""

    def __init__(self, raw: Any) -> None:
        pair = _read(raw, {1: ("key", _text, False), 2: ("value", _text, False)})
        self.key = str(pair.get("key", ""))
        self.value = str(pair.get("value", ""))


# --- values -------------------------------------------------------------------------------------------------


def _text(raw: Any) -> str:
    return _bytes(raw).decode()


def _bytes(raw: Any) -> bytes:
    if isinstance(raw, int):
        raise _WireError("a number stands where bytes are expected")
    return bytes(raw)


def _integer(raw: Any) -> int:
    if not isinstance(raw, int):
        raise _WireError("bytes stand where a number is expected")
    return raw - 2**64 if raw >= 2**63 else raw


def _flag(raw: Any) -> bool:
    return bool(_integer(raw))


def _instant(write: Callable[[int], str]) -> Reader:
    def reader(raw: Any) -> str | None:
        found = _read(_bytes(raw), {1: ("seconds", _integer, False), 2: ("nanos", _integer, False)})
        if not found:
            return None  # an empty message is an unset time
        return write(found.get("seconds", 0) * 1_000_000 + found.get("nanos", 0) // 1_000)

    return reader


def _message(message: Message) -> Reader:
    return lambda raw: _read(_bytes(raw), message)


_TIME = _instant(format_time)
_MICRO_TIME = _instant(format_micro_time)


def _one(name: str, reader: Reader = _text) -> tuple[str, Reader, bool]:
    return name, reader, False


def _many(name: str, reader: Reader = _text) -> tuple[str, Reader, bool]:
    return name, reader, True


_ENVELOPE: Message = {
    1: _one("typeMeta", _message({1: _one("apiVersion"), 2: _one("kind")})),
    2: _one("raw", _bytes),
}
_OWNER: Message = {
    1: _one("kind"),
    3: _one("name"),
    4: _one("uid"),
    5: _one("apiVersion"),
    6: _one("controller", _flag),
    7: _one("blockOwnerDeletion", _flag),
}
_META: Message = {
    1: _one("name"),
    2: _one("generateName"),
    3: _one("namespace"),
    5: _one("uid"),
    6: _one("resourceVersion"),
    7: _one("generation", _integer),
    8: _one("creationTimestamp", _TIME),
    9: _one("deletionTimestamp", _TIME),
    10: _one("deletionGracePeriodSeconds", _integer),
    11: _one("labels", _Entry),
    12: _one("annotations", _Entry),
    13: _many("ownerReferences", _message(_OWNER)),
    14: _many("finalizers"),
}
_LEASE_SPEC: Message = {
    1: _one("holderIdentity"),
    2: _one("leaseDurationSeconds", _integer),
    3: _one("acquireTime", _MICRO_TIME),
    4: _one("renewTime", _MICRO_TIME),
    5: _one("leaseTransitions", _integer),
    6: _one("strategy"),
    7: _one("preferredHolder"),
}
_CANDIDATE_SPEC: Message = {
    1: _one("leaseName"),
    2: _one("pingTime", _MICRO_TIME),
    3: _one("renewTime", _MICRO_TIME),
    4: _one("binaryVersion"),
    5: _one("emulationVersion"),
    6: _one("strategy"),
}
_METADATA = _one("metadata", _message(_META))
_KINDS: dict[str, Message] = {
    "Lease": {1: _METADATA, 2: _one("spec", _message(_LEASE_SPEC))},
    "LeaseCandidate": {1: _METADATA, 2: _one("spec", _message(_CANDIDATE_SPEC))},
    "Namespace": {
        1: _METADATA,
        2: _one("spec", _message({1: _many("finalizers")})),
        3: _one("status", _message({1: _one("phase")})),
    },
    "DeleteOptions": {
        1: _one("gracePeriodSeconds", _integer),
        2: _one("preconditions", _message({1: _one("uid"), 2: _one("resourceVersion")})),
        3: _one("orphanDependents", _flag),
        4: _one("propagationPolicy"),
        5: _many("dryRun"),
    },
}
