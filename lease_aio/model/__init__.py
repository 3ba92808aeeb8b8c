"""Typed Kubernetes objects, read and written without losing what is unknown. Imports `errors` alone."""

from lease_aio.model.lease import (
    Lease,
    LeaseCandidate,
    LeaseCandidateSpec,
    LeaseCandidateV1Alpha2,
    LeaseSpec,
    new_lease,
)
from lease_aio.model.meta import KubeObject, ObjectMeta, OwnerReference
from lease_aio.model.node import Namespace, Node, NodeAddress, NodeCondition, NodeSpec, NodeStatus, Taint
from lease_aio.model.times import MicroTime, Time
from lease_aio.model.wire import Wire, decode, encode, from_dict, parse, to_dict

__all__ = [
    "KubeObject",
    "Lease",
    "LeaseCandidate",
    "LeaseCandidateSpec",
    "LeaseCandidateV1Alpha2",
    "LeaseSpec",
    "MicroTime",
    "Namespace",
    "Node",
    "NodeAddress",
    "NodeCondition",
    "NodeSpec",
    "NodeStatus",
    "ObjectMeta",
    "OwnerReference",
    "Taint",
    "Time",
    "Wire",
    "decode",
    "encode",
    "from_dict",
    "new_lease",
    "parse",
    "to_dict",
]
