"""`metav1` parts that every Kubernetes object carries."""

from __future__ import annotations

from typing import Any

from lease_aio.model.times import Time
from lease_aio.model.wire import Wire


class OwnerReference(Wire, frozen=True, kw_only=True):
    """An object that owns this one: the garbage collector removes the owned when the owner's uid is gone."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Wire, frozen=True, kw_only=True):
    """Name, versions and labels of an object.

    `resource_version` is what compare-and-swap compares. `managed_fields` is kept as the server sent it.
    """

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int | None = None
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()
    managed_fields: list[Any] | None = None
    self_link: str = ""


class KubeObject(Wire, frozen=True, kw_only=True):
    """What all objects share: apiVersion, kind and metadata."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """`metadata.namespace`; empty for an object of the cluster."""
        return self.metadata.namespace

    @property
    def resource_version(self) -> str:
        """`metadata.resourceVersion`; empty where the server has not seen the object yet."""
        return self.metadata.resource_version
