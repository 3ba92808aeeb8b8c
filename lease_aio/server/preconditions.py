"""Compare-and-swap: when a write may replace or remove what is stored, and the conflicts if it may not."""

from __future__ import annotations

from lease_aio.server import status, validation
from lease_aio.server.resources import ResourceType
from lease_aio.server.status import Json, StatusError


def check_version(resource: ResourceType, meta: Json, old: Json) -> None:
    """Refuse an update that was not made from the stored version.

    Args:
        resource: which resource.
        meta: metadata of the body.
        old: metadata of the stored object.

    Raises:
        StatusError: 409, 422 where a version is needed and missing, 500 if it is no number.
    """
    version = meta.get("resourceVersion", "")
    if version == old["resourceVersion"]:
        return
    if version in {"", "0"}:
        if resource.unconditional_update:
            return
        why = validation.wrong("metadata.resourceVersion", 0, "must be specified for an update")
        named = status.details(resource, old["name"])
        raise status.invalid(resource.qualified, old["name"], named, [why])
    if not (version.isascii() and version.isdigit()):
        raise status.internal(f'strconv.ParseUint: parsing "{version}": invalid syntax')
    raise status.conflict(resource, old["name"])


def uid_conflict(resource: ResourceType, namespace: str, name: str, wanted: str, found: str) -> StatusError:
    """The 409 for a body with the uid of another object; `found` is empty where there is none.

    This is what a leader sees whose lease was deleted, because clients send the whole object back.
    """
    path = f"{namespace}/{name}" if resource.namespaced else name
    why = (
        f"StorageError: invalid object, Code: 4, Key: /registry/{resource.plural}/{path}, ResourceVersion: 0, "
        f"AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
    )
    return status.conflict(resource, name, why)


def check_delete(resource: ResourceType, current: Json, *, uid: str, resource_version: str) -> None:
    """Refuse a delete whose preconditions do not hold; empty ones always do.

    Raises:
        StatusError: 409.
    """
    meta = current["metadata"]
    if uid and uid != meta["uid"]:
        why = (
            f"the UID in the precondition ({uid}) does not match the UID in record ({meta['uid']}). "
            "The object might have been deleted and then recreated"
        )
        raise status.conflict(resource, meta["name"], why, by_kind=True)
    if resource_version and resource_version != meta["resourceVersion"]:
        why = (
            f"the ResourceVersion in the precondition ({resource_version}) does not match the ResourceVersion in "
            f"record ({meta['resourceVersion']}). The object might have been modified"
        )
        raise status.conflict(resource, meta["name"], why, by_kind=True)
