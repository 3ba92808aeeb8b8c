"""Protobuf bodies: read into the same shape as JSON, and nothing in them brings the server down."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lease_aio.server import StatusError
from lease_aio.server.protobuf import decode


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def envelope(version: str, kind: str, *raw: bytes) -> bytes:
    return (
        b"k8s\0" + field(1, field(1, version) + field(2, kind)) + field(2, b"".join(raw)) + field(3, "") + field(4, "")
    )


def lease(*raw: bytes) -> Any:
    return decode(envelope("coordination.k8s.io/v1", "Lease", *raw))


@pytest.mark.parametrize("data", [b"", b"{}", b"k8s", b"k8s\0", b"k8s\0\x0a\xff", b"k8s\0\xff\xff", b"k8s\0\x0b"])
def test_bytes_that_are_no_envelope_are_refused(data: bytes) -> None:
    with pytest.raises(StatusError) as caught:
        decode(data)
    assert caught.value.code == 400


def test_a_kind_that_is_not_understood_says_so() -> None:
    with pytest.raises(StatusError, match="not for Pod: send JSON"):
        decode(envelope("v1", "Pod"))


def test_a_lease_is_read_whole() -> None:
    entry = field(1, "a") + field(2, "b")
    owner = field(5, "v1") + field(1, "Node") + field(3, "n") + field(4, "u")
    meta = (
        field(1, "l")
        + field(3, "ns")
        + field(6, "7")
        + field(8, b"")
        + field(11, entry)
        + field(13, owner)
        + field(14, "a/b")
    )
    moment = field(1, 1_800_000_000) + field(2, 123_456_789)
    spec = field(1, "h") + field(2, 15) + field(4, moment) + field(5, 0)
    assert lease(field(1, meta), field(2, spec)) == {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": "l",
            "namespace": "ns",
            "resourceVersion": "7",
            "creationTimestamp": None,
            "labels": {"a": "b"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}],
            "finalizers": ["a/b"],
        },
        "spec": {
            "holderIdentity": "h",
            "leaseDurationSeconds": 15,
            "renewTime": "2027-01-15T08:00:00.123456Z",
            "leaseTransitions": 0,
        },
    }


def test_an_empty_holder_is_kept_and_a_negative_number_is_negative() -> None:
    assert lease(field(2, field(1, "") + field(2, -5)))["spec"] == {"holderIdentity": "", "leaseDurationSeconds": -5}


def test_fields_of_a_newer_version_are_skipped() -> None:
    assert lease(field(2, field(99, "x") + field(98, 5) + field(1, "h")))["spec"] == {"holderIdentity": "h"}


def test_a_value_of_the_wrong_wire_type_is_refused() -> None:
    with pytest.raises(StatusError, match="a number stands where bytes are expected"):
        lease(field(2, field(1, 5)))


def test_a_time_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(StatusError, match="year outside of range"):
        lease(field(2, field(4, field(1, 2**62))))


def test_delete_options_are_read() -> None:
    body = decode(envelope("v1", "DeleteOptions", field(2, field(1, "u")), field(4, "Background"), field(5, "All")))
    assert body["preconditions"] == {"uid": "u"}
    assert (body["propagationPolicy"], body["dryRun"]) == ("Background", ["All"])


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    with contextlib.suppress(StatusError):
        decode(envelope("coordination.k8s.io/v1", "Lease", data))
    with contextlib.suppress(StatusError):
        decode(b"k8s\0" + data)
