from datetime import UTC, datetime
from typing import Any

import pytest
from kubernetes_asyncio.client import V1Lease, V1LeaseSpec, V1ObjectMeta

from lease_aio.errors import ConfigurationError
from lease_aio.model import Lease, Node, from_dict, to_dict
from lease_aio.model.compat import lease_from_v1, lease_to_v1, node_from_v1, node_to_v1

LEASE: dict[str, Any] = {
    "kind": "Lease",
    "apiVersion": "coordination.k8s.io/v1",
    "metadata": {
        "name": "a",
        "namespace": "b",
        "uid": "u",
        "resourceVersion": "7",
        "generation": 2,
        "labels": {"x": "y"},
        "finalizers": ["f"],
        "creationTimestamp": "2026-01-31T12:00:00Z",
        "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u", "controller": False}],
        "managedFields": [
            {"manager": "m", "operation": "Update", "time": "2026-01-31T12:00:00Z", "fieldsV1": {"f:spec": {".": {}}}}
        ],
    },
    "spec": {
        "holderIdentity": "",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-31T12:00:00.000000Z",
        "renewTime": "2026-01-31T12:00:00.000001Z",
        "leaseTransitions": 0,
    },
}


def test_a_naive_datetime_is_refused() -> None:
    model = V1Lease(metadata=V1ObjectMeta(name="a"), spec=V1LeaseSpec(renew_time=datetime(2026, 1, 31)))  # noqa: DTZ001
    with pytest.raises(ConfigurationError, match="no time zone"):
        lease_from_v1(model)


def test_a_lease_survives_the_way_there_and_back() -> None:
    assert to_dict(lease_from_v1(lease_to_v1(from_dict(LEASE, Lease)))) == LEASE


def test_the_model_has_typed_parts_and_aware_times() -> None:
    model = lease_to_v1(from_dict(LEASE, Lease))
    assert isinstance(model, V1Lease)
    assert isinstance(model.spec, V1LeaseSpec)
    assert model.spec.renew_time == datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)
    assert model.metadata is not None
    assert model.metadata.owner_references is not None
    assert model.metadata.owner_references[0].controller is False


def test_a_lease_that_was_made_by_hand_gets_its_kind() -> None:
    model = V1Lease(metadata=V1ObjectMeta(name="a", namespace="b"), spec=V1LeaseSpec(holder_identity="x"))
    assert to_dict(lease_from_v1(model)) == {
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "metadata": {"name": "a", "namespace": "b"},
        "spec": {"holderIdentity": "x"},
    }


def test_a_node_survives_with_what_only_the_model_knows() -> None:
    node = {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": "n"},
        "spec": {"podCIDR": "10.0.0.0/24", "taints": [{"key": "k", "effect": "NoSchedule"}]},
        "status": {
            "capacity": {"cpu": "2"},
            "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-31T12:00:00Z"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "images": [{"names": ["i"], "sizeBytes": 1}],
        },
    }
    assert to_dict(node_from_v1(node_to_v1(from_dict(node, Node)))) == node
