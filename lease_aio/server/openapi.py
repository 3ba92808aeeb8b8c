"""OpenAPI v3 documents: what `kubectl` reads to validate, patch and explain, made from the decoding schemas."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from lease_aio.server.patch import PatchKind
from lease_aio.server.resources import ResourceType
from lease_aio.server.schema import Field, Many, Scalar, Struct
from lease_aio.server.status import Json

_SCALARS: dict[Scalar, Json] = {
    Scalar.STRING: {"type": "string"},
    Scalar.INT32: {"type": "integer", "format": "int32"},
    Scalar.INT64: {"type": "integer", "format": "int64"},
    Scalar.BOOLEAN: {"type": "boolean"},
    Scalar.TIME: {"type": "string", "format": "date-time"},
    Scalar.MICRO_TIME: {"type": "string", "format": "date-time"},
    Scalar.STRING_MAP: {"type": "object", "additionalProperties": {"type": "string", "default": ""}},
    Scalar.ANY: {"x-kubernetes-preserve-unknown-fields": True},
}
_QUERY = ("dryRun", "fieldManager", "fieldValidation", "pretty")


def index(resources: Sequence[ResourceType]) -> Json:
    """The document at `/openapi/v3`: where the documents of the group-versions are."""
    paths: Json = {}
    for served in dict.fromkeys(resource.group_version for resource in resources):
        place = path_of(served)
        digest = hashlib.sha256(json.dumps(document(resources, served)).encode()).hexdigest()[:16].upper()
        paths[place] = {"serverRelativeURL": f"/openapi/v3/{place}?hash={digest}"}
    return {"paths": paths}


def path_of(group_version: str) -> str:
    """`api/v1` or `apis/{group}/{version}`."""
    return f"apis/{group_version}" if "/" in group_version else f"api/{group_version}"


def document(resources: Sequence[ResourceType], group_version: str) -> Json:
    """The document of one group-version."""
    served = [resource for resource in resources if resource.group_version == group_version]
    schemas: Json = {}
    paths: Json = {}
    for resource in served:
        _add_schema(schemas, resource.schema)
        schemas[resource.schema.name]["x-kubernetes-group-version-kind"] = [_kind(resource)]
        paths.update(_paths(resource))
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": group_version},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _kind(resource: ResourceType) -> Json:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _paths(resource: ResourceType) -> Json:
    base = f"/{path_of(resource.group_version)}"
    collection = (
        f"{base}/namespaces/{{namespace}}/{resource.plural}" if resource.namespaced else f"{base}/{resource.plural}"
    )
    body = {"schema": {"$ref": f"#/components/schemas/{resource.schema.name}"}}
    patched = {kind.value: {"schema": {"type": "object"}} for kind in PatchKind}
    return {
        collection: {
            "get": _operation(resource, "list"),
            "post": _operation(resource, "post", {"application/json": body}),
        },
        f"{collection}/{{name}}": {
            "get": _operation(resource, "get"),
            "put": _operation(resource, "put", {"application/json": body}),
            "patch": _operation(resource, "patch", patched),
            "delete": _operation(resource, "delete"),
        },
    }


def _operation(resource: ResourceType, action: str, content: Json | None = None) -> Json:
    operation: Json = {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _kind(resource),
        "responses": {"200": {"description": "OK"}},
    }
    if content is not None:
        operation["parameters"] = [{"name": one, "in": "query", "schema": {"type": "string"}} for one in _QUERY]
        operation["requestBody"] = {"content": content, "required": True}
    return operation


def _add_schema(schemas: Json, struct: Struct) -> None:
    if struct.name in schemas:
        return
    schemas[struct.name] = {}
    properties = {field.name: _described(schemas, field) for field in struct.fields}
    schemas[struct.name] = {"type": "object", "description": struct.about, "properties": properties}
    if struct.open:
        schemas[struct.name]["x-kubernetes-preserve-unknown-fields"] = True
        schemas[struct.name]["additionalProperties"] = True


def _described(schemas: Json, field: Field) -> Json:
    # What a field refers to describes itself; kubectl explain would print it twice.
    about = {} if isinstance(field.type, Struct) else {"description": field.about}
    return {**about, **_property(schemas, field)}


def _property(schemas: Json, field: Field) -> Json:
    kind = field.type
    if isinstance(kind, Many):
        return {"type": "array", "items": _value(schemas, kind.item), **_merging(kind)}
    return _value(schemas, kind)


def _value(schemas: Json, kind: Struct | Scalar) -> Json:
    if isinstance(kind, Struct):
        _add_schema(schemas, kind)
        return {"allOf": [{"$ref": f"#/components/schemas/{kind.name}"}], "default": {}}
    return _SCALARS[kind]


def _merging(kind: Many) -> Json:
    if kind.as_set:
        return {"x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge"}
    if kind.merge_key:
        return {
            "x-kubernetes-list-map-keys": [kind.merge_key],
            "x-kubernetes-list-type": "map",
            "x-kubernetes-patch-merge-key": kind.merge_key,
            "x-kubernetes-patch-strategy": "merge",
        }
    return {}
