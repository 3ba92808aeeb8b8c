"""Discovery: which groups, versions and resources there are, in the plain and in the aggregated form."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from lease_aio.server.resources import ResourceType
from lease_aio.server.status import Json

GIT_VERSION = "v1.37.2+lease-aio"
"""The Kubernetes release whose answers this server gives."""

_VERBS_STATUS = ("get", "patch", "update")


def version() -> Json:
    """The document at `/version`."""
    return {
        "major": "1",
        "minor": "37",
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "",
    }


def core_versions(address: str) -> Json:
    """The document at `/api`; `address` is host:port."""
    reach = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": reach}


def groups(resources: Sequence[ResourceType]) -> Json:
    """The document at `/apis`."""
    named = dict.fromkeys(resource.group for resource in resources if resource.group)
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(resources, name) for name in named]}


def group(resources: Sequence[ResourceType], name: str) -> Json:
    """The document at `/apis/{group}`."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(resources, name)}


def _group(resources: Sequence[ResourceType], name: str) -> Json:
    served = dict.fromkeys(resource.version for resource in resources if resource.group == name)
    versions = [{"groupVersion": f"{name}/{one}", "version": one} for one in served]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resource_list(resources: Sequence[ResourceType], group_version: str) -> Json:
    """The document at `/apis/{group}/{version}` and at `/api/v1`."""
    listed: list[Json] = []
    for resource in resources:
        if resource.group_version == group_version:
            listed.append(_entry(resource))
            if resource.has_status:
                listed.append(_status_entry(resource))
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": sorted(listed, key=lambda entry: str(entry["name"])),
    }


def _entry(resource: ResourceType) -> Json:
    entry: Json = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    return {**entry, "storageVersionHash": storage_version_hash(resource)}


def _status_entry(resource: ResourceType) -> Json:
    return {
        "name": f"{resource.plural}/status",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(_VERBS_STATUS),
    }


def storage_version_hash(resource: ResourceType) -> str:
    """The hash by which clients notice that a resource is stored in another version."""
    stored = resource.mirror_of or resource
    text = f"{stored.group}/{stored.version}/{stored.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def aggregated(resources: Sequence[ResourceType], *, core: bool) -> Json:
    """The aggregated document at `/api` (core) or `/apis` (all named groups)."""
    served = [resource for resource in resources if (not resource.group) is core]
    items: list[Json] = []
    for name in dict.fromkeys(resource.group for resource in served):
        members = [resource for resource in served if resource.group == name]
        versions = dict.fromkeys(resource.version for resource in members)
        items.append(
            {
                "metadata": {"name": name} if name else {},
                "versions": [_aggregated_version(members, one) for one in versions],
            }
        )
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _aggregated_version(members: Sequence[ResourceType], served: str) -> Json:
    resources = [_aggregated_entry(resource) for resource in members if resource.version == served]
    return {"version": served, "resources": resources, "freshness": "Current"}


def _aggregated_entry(resource: ResourceType) -> Json:
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    entry: Json = {
        "resource": resource.plural,
        "responseKind": kind,
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.has_status:
        entry["subresources"] = [{"subresource": "status", "responseKind": kind, "verbs": list(_VERBS_STATUS)}]
    return entry
