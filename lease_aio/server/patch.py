"""Patches: JSON patch (RFC 6902), merge patch (RFC 7386) and Kubernetes' strategic merge patch.

A patch is applied to a value and gives a new value; the input is never changed. What the result means for
the object (compare-and-swap, immutable fields, validation) is decided by the store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from lease_aio.server.schema import Many, Struct, as_list, as_object, json_type
from lease_aio.server.status import Json, StatusError, bad_request, rejected_patch

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
            StatusError: 400 for a malformed patch, 413 for too many operations, 422 for an operation that
                fails.
        """
        if self.kind is PatchKind.JSON:
            return _json_patch(target, self.body)
        if as_object(self.body) is None:
            raise _undecodable(self.body, "map[string]interface {}")
        if self.kind is PatchKind.MERGE:
            return merge(target, self.body)
        return strategic_merge(target, self.body, schema)


def _undecodable(body: Any, wanted: str) -> StatusError:
    return bad_request(f"error decoding patch: json: cannot unmarshal {json_type(body)} into Go value of type {wanted}")


def _json_patch(target: Json, body: Any) -> Any:
    operations = as_list(body)
    if operations is None:
        raise _undecodable(body, "jsonpatch.Patch")
    if len(operations) > _MAX_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(operations)}"
        raise StatusError(413, "RequestEntityTooLarge", message)
    return _json_patcher()(target, operations)


def _json_patcher() -> Callable[[Json, list[Any]], Any]:
    try:
        import jsonpatch  # noqa: PLC0415  # an extra: only who sends JSON patches needs it
        import jsonpointer  # noqa: PLC0415
    except ImportError as error:
        message = "JSON patch needs the package jsonpatch: install lease-aio[server]"
        raise StatusError(501, "NotImplemented", message) from error

    def apply(target: Json, operations: list[Any]) -> Any:
        try:
            return jsonpatch.apply_patch(target, operations)
        except (jsonpatch.InvalidJsonPatch, TypeError, AttributeError) as error:
            raise bad_request(str(error)) from None
        except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
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
        raise bad_request(f"Unknown patch type found: {directive}")
    result = dict(as_object(target) or {})
    retained = as_list(changes.pop(_RETAIN, None))
    if retained is not None:
        result = {key: value for key, value in result.items() if key in retained}
    fields = {field.name: field.type for field in schema.fields}
    for key, value in changes.items():
        _merge_key(result, key, value, fields)
    for key, value in changes.items():
        if key.startswith(_ORDER):
            _reorder(result, key.removeprefix(_ORDER), value, fields)
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
        return list(dict.fromkeys([*current, *changes]))
    if any(_directive(item) == "replace" for item in changes):
        return [item for item in changes if _directive(item) != "replace"]
    return _merge_by_key(current, changes, kind)


def _merge_by_key(current: list[Any], changes: list[Any], kind: Many) -> list[Any]:
    item_schema = kind.item if isinstance(kind.item, Struct) else _UNKNOWN
    merged: dict[Any, Any] = {item.get(kind.merge_key): item for item in current}
    for change in changes:
        entry = as_object(change)
        if entry is None or kind.merge_key not in entry:
            raise bad_request(f"map: {change} does not contain declared merge key: {kind.merge_key}")
        key = entry[kind.merge_key]
        if _directive(entry) == "delete":
            merged.pop(key, None)
        else:
            merged[key] = strategic_merge(merged.get(key), entry, item_schema)
    return list(merged.values())


def _directive(item: object) -> str:
    entry = as_object(item)
    return str(entry.get(_DIRECTIVE, "")) if entry is not None else ""


def _reorder(result: Json, name: str, order: Any, fields: dict[str, Any]) -> None:
    kind, items, wanted = fields.get(name), as_list(result.get(name)), as_list(order)
    if items is None or wanted is None or not isinstance(kind, Many):
        return

    def identity(item: Any) -> Any:
        entry = as_object(item)
        return entry.get(kind.merge_key) if kind.merge_key and entry is not None else item

    places = {identity(item): at for at, item in enumerate(wanted)}
    # Stable: entries that the order does not name stay behind those that it names.
    result[name] = sorted(items, key=lambda item: places.get(identity(item), len(places)))
