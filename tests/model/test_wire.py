import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lease_aio.errors import MalformedObject
from lease_aio.model import Lease, LeaseSpec, MicroTime, Node, decode, encode, from_dict, new_lease, parse, to_dict

STORED: dict[str, Any] = {
    "kind": "Lease",
    "apiVersion": "coordination.k8s.io/v1",
    "metadata": {
        "name": "a",
        "namespace": "b",
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-31T12:00:00Z",
        "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}],
        "managedFields": [{"manager": "m", "time": "2026-01-31T12:00:00Z", "fieldsV1": {"f:spec": {".": {}}}}],
    },
    "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15, "renewTime": "2026-01-31T12:00:00.000000Z"},
}


def with_spec(**fields: Any) -> dict[str, Any]:
    return {**STORED, "spec": {**STORED["spec"], **fields}}


DEEP = b"[" * 5_000


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"<html>", b"[]", b"null", b'"Lease"', b"{}", b'{"metadata":', b"\xff\xfe{}"),
        *(b'{"newer":1, <html>', b'{"metadata":{"name":"\xff"}}', b'{"newer":"\xff","metadata":{}}'),
        *(DEEP, b'{"newer":' + DEEP, b'{"metadata":{"generation":' + b"9" * 5000 + b"}}"),
    ],
    ids=lambda data: repr(data[:20]),
)
def test_what_is_no_lease_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedObject):
        decode(data, Lease)


def test_a_field_of_another_type_is_named() -> None:
    with pytest.raises(MalformedObject, match=r"not a Lease: .*leaseDurationSeconds"):
        decode(json.dumps(with_spec(leaseDurationSeconds="15")).encode(), Lease)


def test_a_wrong_time_is_named() -> None:
    with pytest.raises(MalformedObject, match="yesterday"):
        decode(json.dumps(with_spec(renewTime="yesterday")).encode(), Lease)


@pytest.mark.parametrize("data", [b"<html>", b'"\xff"', DEEP], ids=["html", "not UTF-8", "too deep"])
def test_bytes_that_are_not_json_are_no_object(data: bytes) -> None:
    with pytest.raises(MalformedObject, match="not a object"):
        parse(data)


def test_a_null_counts_as_absent() -> None:
    lease = decode(
        json.dumps({**with_spec(acquireTime=None), "metadata": {"name": "a", "labels": None}}).encode(), Lease
    )
    assert lease.spec.acquire_time is None
    assert lease.metadata.labels == {}


def test_what_is_unknown_survives_a_change_of_what_is_known() -> None:
    stored = with_spec(quorum={"votes": [1, None]})
    stored["metadata"] = {**STORED["metadata"], "zone": "z"}
    stored["metadata"]["ownerReferences"] = [{**STORED["metadata"]["ownerReferences"][0], "since": 3}]
    stored["status"] = {"phase": "new"}
    changed = decode(json.dumps(stored).encode(), Lease).with_spec(holder_identity="you")
    stored["spec"]["holderIdentity"] = "you"
    assert to_dict(changed) == stored


def test_a_known_object_is_written_as_it_was_read() -> None:
    assert to_dict(decode(json.dumps(STORED).encode(), Lease)) == STORED


def test_an_object_of_a_list_without_kind_is_written_with_it() -> None:
    bare = {name: value for name, value in STORED.items() if name not in {"kind", "apiVersion"}}
    assert to_dict(from_dict(bare, Lease)) == STORED


def test_what_is_empty_is_not_written() -> None:
    assert encode(new_lease("a", "b", LeaseSpec(holder_identity="x"))) == (
        b'{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"a","namespace":"b"},'
        b'"spec":{"holderIdentity":"x"}}'
    )


def test_a_released_holder_is_written_though_it_is_empty() -> None:
    assert to_dict(new_lease("a", "b", LeaseSpec(holder_identity="")))["spec"] == {"holderIdentity": ""}


def test_a_plain_copy_is_nobody_elses() -> None:
    lease = new_lease("a", "b", LeaseSpec(), labels={"x": "y"})
    to_dict(lease)["metadata"]["labels"]["x"] = "z"
    assert lease.metadata.labels == {"x": "y"}


def test_objects_cannot_be_changed_in_place() -> None:
    with pytest.raises(AttributeError):
        new_lease("a", "b", LeaseSpec()).spec.holder_identity = "x"  # type: ignore[misc]


def test_only_what_is_named_changes() -> None:
    lease = from_dict(STORED, Lease)
    renewed = lease.with_spec(renew_time=MicroTime(1)).with_metadata(labels={"x": "y"})
    assert renewed.holder == "me"
    assert renewed.metadata.managed_fields == STORED["metadata"]["managedFields"]
    assert lease.metadata.labels == {}


def test_a_node_keeps_the_parts_that_heartbeats_do_not_need() -> None:
    node = {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": "n"},
        "spec": {"podCIDR": "10.0.0.0/24", "taints": [{"key": "k", "effect": "NoSchedule", "timeAdded": None}]},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "images": [{"names": ["i"], "sizeBytes": 1}],
            "nodeInfo": {"kubeletVersion": "v1.37.0"},
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        },
    }
    read = from_dict(node, Node)
    condition = read.status.condition("Ready")
    assert condition is not None
    assert condition.status == "True"
    assert read.status.condition("DiskPressure") is None
    node["spec"]["taints"][0].pop("timeAdded")  # type: ignore[index]
    assert to_dict(read) == node


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
UNKNOWN = st.dictionaries(st.text(min_size=1, max_size=8).map(lambda name: f"x-{name}"), JSON, max_size=3)


@given(UNKNOWN, UNKNOWN, UNKNOWN)
def test_any_unknown_fields_survive(top: dict[str, Any], meta: dict[str, Any], spec: dict[str, Any]) -> None:
    stored = {**with_spec(**spec), **top, "metadata": {**STORED["metadata"], **meta}}
    data = msgspec.json.encode(stored)
    assert msgspec.json.decode(encode(decode(data, Lease))) == stored


def test_a_providers_identity_has_the_one_name_that_is_not_in_camel_case():
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": {"providerID": "sim:///n"}}
    read = from_dict(node, Node)
    assert read.spec.provider_id == "sim:///n"
    assert to_dict(read)["spec"] == {"providerID": "sim:///n"}
