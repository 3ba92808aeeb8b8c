"""Tables: the columns that `kubectl get` prints, made by the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lease_aio.server.resources import (
    EVENTS,
    LEASE_CANDIDATES,
    LEASE_CANDIDATES_V1ALPHA2,
    LEASES,
    NAMESPACES,
    NODES,
    ResourceType,
)
from lease_aio.server.status import Json, bad_request
from lease_aio.server.times import epoch_seconds

INCLUDES = ("", "Metadata", "Object", "None")
_ROLE = "node-role.kubernetes.io/"
_DAY_S = 86_400
_YEAR_S = 365 * _DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its heading, where its cell comes from, and whether only `-o wide` shows it.

    With `ago`, the cell is a time, shown as how long ago that was.
    """

    name: str
    cell: Callable[[Json], Any]
    ago: bool = False
    wide: bool = False
    about: str = ""

    def show(self, obj: Json, now: int) -> Any:
        """The cell as it is printed."""
        return age(self.cell(obj), now) if self.ago else self.cell(obj)

    def definition(self) -> Json:
        """The entry of `columnDefinitions`."""
        return {
            "name": self.name,
            "type": "string",
            "format": "name" if self.name == "Name" else "",
            "description": self.about,
            "priority": int(self.wide),
        }


def duration(seconds: int) -> str:
    """A duration as people read it (the rule of `k8s.io/apimachinery/pkg/util/duration`)."""
    if seconds < 0:
        return "0s" if seconds == -1 else "<invalid>"
    return next(show(seconds) for below, show in _SCALES if seconds < below)


def _pair(big: int, big_unit: str, small: int, small_unit: str) -> str:
    return f"{big}{big_unit}{small}{small_unit}" if small else f"{big}{big_unit}"


_SCALES: tuple[tuple[float, Callable[[int], str]], ...] = (
    (120, lambda s: f"{s}s"),
    (600, lambda s: _pair(s // 60, "m", s % 60, "s")),
    (3 * 3600, lambda s: f"{s // 60}m"),
    (8 * 3600, lambda s: _pair(s // 3600, "h", s // 60 % 60, "m")),
    (48 * 3600, lambda s: f"{s // 3600}h"),
    (8 * _DAY_S, lambda s: _pair(s // _DAY_S, "d", s // 3600 % 24, "h")),
    (2 * _YEAR_S, lambda s: f"{s // _DAY_S}d"),
    (8 * _YEAR_S, lambda s: _pair(s // _YEAR_S, "y", s // _DAY_S % 365, "d")),
    (float("inf"), lambda s: f"{s // _YEAR_S}y"),
)


def age(created: str | None, now: int) -> str:
    """How long ago a time was, from a creationTimestamp or the like and epoch microseconds."""
    return duration(int((now - epoch_seconds(created) * 1_000_000) / 1_000_000)) if created else "<unknown>"


def render(
    resource: ResourceType,
    objects: Iterable[Json],
    *,
    now: int,
    include: str,
    version: str,
    list_metadata: Json,
    with_columns: bool = True,
) -> Json:
    """A Table of objects.

    Args:
        resource: what the objects are.
        objects: one row each.
        now: epoch microseconds, for AGE.
        include: `Metadata` (default), `Object` or `None`: what each row carries of its object.
        version: version of `meta.k8s.io`.
        list_metadata: metadata of the list, or of nothing but a resourceVersion.
        with_columns: whether the columns are described; a watch does so only once.

    Raises:
        StatusError: 400 for another value of `include`.
    """
    check_include(include)
    columns = _COLUMNS.get(resource, _DEFAULT)
    group_version = f"meta.k8s.io/{version}"
    return {
        "kind": "Table",
        "apiVersion": group_version,
        "metadata": list_metadata,
        "columnDefinitions": [column.definition() for column in columns] if with_columns else None,
        "rows": [
            {
                "cells": [column.show(obj, now) for column in columns],
                "object": _included(obj, include, group_version),
            }
            for obj in objects
        ],
    }


def check_include(include: str) -> None:
    """Refuse an `includeObject` that is none of the known ones.

    Raises:
        StatusError: 400.
    """
    if include not in INCLUDES:
        why = f"includeObject: Invalid value: \"{include}\": must be 'Metadata', 'Object', 'None', or empty"
        raise bad_request(f"Unable to convert to Table as requested: {why}")


def partial(obj: Json, version: str = "v1") -> Json:
    """An object reduced to its metadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": obj["metadata"]}


def _included(obj: Json, include: str, group_version: str) -> Json | None:
    if include == "None":
        return None
    return obj if include == "Object" else partial(obj, group_version.rpartition("/")[2])


# --- what each resource shows -------------------------------------------------------------------------------


def _at(*path: str) -> Callable[[Json], Any]:
    def cell(obj: Json) -> Any:
        found: Any = obj
        for part in path:
            found = found.get(part, {})
        return found or ""

    return cell


def _node_status(node: Json) -> str:
    ready = next((one for one in node["status"].get("conditions", ()) if one["type"] == "Ready"), None)
    shown = "Unknown" if ready is None else "Ready" if ready["status"] == "True" else "NotReady"
    return f"{shown},SchedulingDisabled" if node["spec"].get("unschedulable") else shown


def _node_roles(node: Json) -> str:
    labels: dict[str, str] = node["metadata"].get("labels", {})
    roles = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE) and key != _ROLE}
    if labels.get("kubernetes.io/role"):
        roles.add(labels["kubernetes.io/role"])
    return ",".join(sorted(roles)) or "<none>"


def _node_address(kind: str) -> Callable[[Json], str]:
    def cell(node: Json) -> str:
        found = (one["address"] for one in node["status"].get("addresses", ()) if one["type"] == kind)
        return next(found, "<none>")

    return cell


def _node_version(node: Json) -> str:
    return str(node["status"].get("nodeInfo", {}).get("kubeletVersion", ""))


def _node_info(field: str) -> Callable[[Json], str]:
    return lambda node: node["status"].get("nodeInfo", {}).get(field) or "<unknown>"


def _event_object(event: Json) -> str:
    about = event["involvedObject"]
    kind = str(about.get("kind", "")).lower()
    return f"{kind}/{about['name']}" if about.get("name") else kind


def _event_source(event: Json) -> str:
    source = event["source"]
    parts = (source.get("component") or event["reportingComponent"], source.get("host") or event["reportingInstance"])
    return ", ".join(part for part in parts if part)


_AGE = Column(name="Age", cell=_at("metadata", "creationTimestamp"), ago=True, about="Time since it was created.")
_NAME = Column(name="Name", cell=_at("metadata", "name"), about="Name of the object.")
_CANDIDATE_COLUMNS = (
    _NAME,
    Column(name="LeaseName", cell=_at("spec", "leaseName"), about="The lease that is contended for."),
    Column(name="BinaryVersion", cell=_at("spec", "binaryVersion"), about="Version of the binary."),
    Column(name="EmulationVersion", cell=_at("spec", "emulationVersion"), about="Version it emulates."),
    _AGE,
)
_COLUMNS: dict[ResourceType, tuple[Column, ...]] = {
    LEASES: (_NAME, Column(name="Holder", cell=_at("spec", "holderIdentity"), about="Who holds the lease."), _AGE),
    LEASE_CANDIDATES: _CANDIDATE_COLUMNS,
    LEASE_CANDIDATES_V1ALPHA2: _CANDIDATE_COLUMNS,
    NAMESPACES: (_NAME, Column(name="Status", cell=_at("status", "phase"), about="Active or Terminating."), _AGE),
    NODES: (
        _NAME,
        Column(name="Status", cell=_node_status, about="Whether the node is ready."),
        Column(name="Roles", cell=_node_roles, about="Roles, from labels."),
        _AGE,
        Column(name="Version", cell=_node_version, about="Version of the kubelet."),
        Column(name="Internal-IP", cell=_node_address("InternalIP"), wide=True, about="Address in the cluster."),
        Column(name="External-IP", cell=_node_address("ExternalIP"), wide=True, about="Address outside."),
        Column(name="OS-Image", cell=_node_info("osImage"), wide=True, about="Operating system."),
        Column(name="Kernel-Version", cell=_node_info("kernelVersion"), wide=True, about="Kernel."),
        Column(name="Container-Runtime", cell=_node_info("containerRuntimeVersion"), wide=True, about="Runtime."),
    ),
    EVENTS: (
        Column(
            name="Last Seen",
            cell=lambda e: e["lastTimestamp"] or e["firstTimestamp"] or e["eventTime"],
            ago=True,
            about="When it last happened.",
        ),
        Column(name="Type", cell=_at("type"), about="Normal or Warning."),
        Column(name="Reason", cell=_at("reason"), about="Why, in one word."),
        Column(name="Object", cell=_event_object, about="What it is about."),
        Column(name="Subobject", cell=_at("involvedObject", "fieldPath"), wide=True, about="Which part of it."),
        Column(name="Source", cell=_event_source, wide=True, about="Who reports it."),
        Column(name="Message", cell=lambda e: str(e.get("message", "")).strip(), about="What happened."),
        Column(
            name="First Seen",
            cell=lambda e: e["firstTimestamp"] or e["eventTime"],
            ago=True,
            wide=True,
            about="When it first happened.",
        ),
        Column(name="Count", cell=lambda e: e.get("count", 1), wide=True, about="How often it happened."),
        Column(name="Name", cell=_at("metadata", "name"), wide=True, about="Name of the event."),
    ),
}
_DEFAULT = (_NAME, _AGE)
