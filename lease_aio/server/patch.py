"""Patches: JSON patch (RFC 6902), merge patch (RFC 7386) and Kubernetes' strategic merge patch.

A patch is applied to a value and gives a new value; the input is never changed. What the result means for
the object (compare-and-swap, immutable fields, validation) is decided by the store.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from lease_aio.server.schema import Many, Struct, as_list, as_object, json_type
from lease_aio.server.status import Json, StatusError, bad_request, internal, rejected_patch
from lease_aio.server.validation import as_json

_MAX_OPERATIONS = 10_000
_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


class PatchKind(Enum):
    """The patch formats that the server takes, by media type."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch as it arrived: its kind and its decoded JSON body."""

    kind: PatchKind
    body: Any

    def apply(self, target: Json, schema: Struct) -> Any:
        """The patched value.

        Raises:
            StatusError: 400 for a malformed patch, 413 for too many operations, 422 for an operation that fails.
        """
        if self.kind is PatchKind.JSON:
            return _json_patch(target, self.body)
        if self.kind is PatchKind.MERGE:
            if self.body is None:
                raise bad_request("Invalid JSON Patch")
            if as_object(self.body) is None:
                raise bad_request(f"error decoding patch: {_unmarshal(self.body, _OBJECT)}")
            return merge(target, self.body)
        if self.body is not None and as_object(self.body) is None:
            raise bad_request(_unmarshal(self.body, _OBJECT))
        # What a strategic merge says about kind and version is ignored.
        merged = strategic_merge(target, self.body, schema)
        return {**merged, "kind": target["kind"], "apiVersion": target["apiVersion"]}

    def shown(self, patched: Any) -> str:
        """What an error message shows of a patch whose result is bad: the patch if it is strategic, else the result."""
        return _go_text(self.body) if self.kind is PatchKind.STRATEGIC else as_json(patched)


_OBJECT = "map[string]interface {}"
_OPERATION = "handlers.jsonPatchOp"


def _unmarshal(body: Any, wanted: str) -> str:
    return f"json: cannot unmarshal {json_type(body)} into Go value of type {wanted}"


def _json_patch(target: Json, body: Any) -> Any:
    operations = as_list([] if body is None else body)
    if operations is None:
        raise bad_request(f"error decoding patch: {_unmarshal(body, f'[]{_OPERATION}')}")
    for operation in operations:
        if as_object(operation) is None:
            raise bad_request(f"error decoding patch: {_unmarshal(operation, _OPERATION)}")
    if len(operations) > _MAX_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(operations)}"
        raise StatusError(413, "RequestEntityTooLarge", message)
    return _json_patcher()(target, operations)


def _json_patcher() -> Callable[[Json, list[Json]], Any]:
    try:
        import jsonpatch  # noqa: PLC0415  # an extra: only who sends JSON patches needs it
        import jsonpointer  # noqa: PLC0415
    except ImportError as error:
        message = "JSON patch needs the package jsonpatch: install lease-aio[server]"
        raise StatusError(501, "NotImplemented", message) from error

    def one(value: Any, operation: Json) -> Any:
        try:
            return jsonpatch.apply_patch(value, [operation], in_place=True)
        except jsonpatch.JsonPatchConflict:
            if operation.get("op") != "replace":
                raise
            # A kube-apiserver replaces what is not there.
            return jsonpatch.apply_patch(value, [{**operation, "op": "add"}], in_place=True)

    def apply(target: Json, operations: list[Json]) -> Any:
        try:
            return functools.reduce(one, operations, copy.deepcopy(target))
        except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, AttributeError, KeyError):
            raise rejected_patch() from None

    return apply


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386: objects merge, `null` removes, everything else replaces."""
    changes = as_object(patch)
    if changes is None:
        return patch
    result = dict(as_object(target) or {})
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


# --- strategic merge ----------------------------------------------------------------------------------------


def strategic_merge(target: Any, patch: Any, schema: Struct) -> Json:
    """Kubernetes' strategic merge: as a merge patch, but lists merge by the key that the schema names.

    Knows the directives `$patch: replace|delete|merge`, `$retainKeys`, `$deleteFromPrimitiveList/f` and
    `$setElementOrder/f`. Lists that the schema does not know are replaced whole.
    """
    changes = dict(as_object(patch) or {})
    directive = changes.pop(_DIRECTIVE, "merge")
    if directive == "replace":
        return changes
    if directive == "delete":
        return {}
    if directive != "merge":
        raise internal(f"unknown patch type: {directive} in map: {_go_text(patch)}")
    result = dict(as_object(target) or {})
    retained = as_list(changes.pop(_RETAIN, None))
    if retained is not None:
        result = {key: value for key, value in result.items() if key in retained}
    fields = {field.name: field.type for field in schema.fields}
    for key, value in changes.items():
        _merge_key(result, key, value, fields)
    for key, value in changes.items():
        if key.startswith(_ORDER):
            name = key.removeprefix(_ORDER)
            _reorder(result, name, value, fields, as_list((as_object(target) or {}).get(name)) or [])
    return result


def _merge_key(result: Json, key: str, value: Any, fields: dict[str, Any]) -> None:
    if key.startswith(_ORDER):
        return
    if key.startswith(_DELETE_FROM):
        name = key.removeprefix(_DELETE_FROM)
        gone = as_list(value) or []
        result[name] = [item for item in as_list(result.get(name)) or [] if item not in gone]
    elif value is None:
        result.pop(key, None)
    elif as_object(value) is not None:
        kind = fields.get(key)
        nested = kind if isinstance(kind, Struct) else _UNKNOWN
        result[key] = strategic_merge(result.get(key), value, nested)
    elif (items := as_list(value)) is not None:
        result[key] = _merge_lists(as_list(result.get(key)) or [], items, fields.get(key))
    else:
        result[key] = value


_UNKNOWN = Struct(name="object", fields=(), about="", open=True)


def _merge_lists(current: list[Any], changes: list[Any], kind: object) -> list[Any]:
    if not isinstance(kind, Many) or not (kind.as_set or kind.merge_key):
        return changes
    if kind.as_set:
        return _interleaved([*current, *changes], changes, current, kind)
    if any(_directive(item) == "replace" for item in changes):
        return [item for item in changes if _directive(item) != "replace"]
    return _interleaved(_merge_by_key(current, changes, kind), changes, current, kind)


def _merge_by_key(current: list[Any], changes: list[Any], kind: Many) -> list[Any]:
    item_schema = kind.item if isinstance(kind.item, Struct) else _UNKNOWN
    merged: dict[Any, Any] = {_identity(item, kind): item for item in current}
    for change in changes:
        entry = as_object(change)
        if entry is None or kind.merge_key not in entry:
            raise internal(f"map: {_go_text(change)} does not contain declared merge key: {kind.merge_key}")
        key = entry[kind.merge_key]
        if _directive(entry) == "delete":
            merged.pop(key, None)
        else:
            merged[key] = strategic_merge(merged.get(key), entry, item_schema)
    return list(merged.values())


def _reorder(result: Json, name: str, order: Any, fields: dict[str, Any], current: list[Any]) -> None:
    kind, items, wanted = fields.get(name), as_list(result.get(name)), as_list(order)
    if items is not None and wanted is not None and isinstance(kind, Many):
        result[name] = _interleaved(items, wanted, current, kind)


def _interleaved(items: list[Any], order: Sequence[Any], server: Sequence[Any], kind: Many) -> list[Any]:
    """Items that an order names come in that order; the others keep their place before those that they preceded."""
    named = _places(order, kind)
    before = _places(server, kind)
    by_key = {_identity(item, kind): item for item in items}
    ordered = sorted((key for key in by_key if key in named), key=lambda key: named[key])
    others = [key for key in by_key if key not in named]
    result: list[Any] = []
    while ordered and others:
        known = ordered[0] in before and others[0] in before
        take = others if known and before[others[0]] < before[ordered[0]] else ordered
        result.append(by_key[take.pop(0)])
    return result + [by_key[key] for key in (*ordered, *others)]


def _places(items: Sequence[Any], kind: Many) -> dict[Any, int]:
    return {_identity(item, kind): at for at, item in enumerate(items)}


def _identity(item: Any, kind: Many) -> Any:
    entry = as_object(item)
    return entry.get(kind.merge_key) if kind.merge_key and entry is not None else item


def _directive(item: object) -> str:
    entry = as_object(item)
    return str(entry.get(_DIRECTIVE, "")) if entry is not None else ""


def _go_text(value: Any) -> str:
    """A value as Go prints it."""
    entry = as_object(value)
    if entry is not None:
        return f"map[{' '.join(f'{key}:{_go_text(entry[key])}' for key in sorted(entry))}]"
    items = as_list(value)
    return f"[{' '.join(_go_text(item) for item in items)}]" if items is not None else str(value)
