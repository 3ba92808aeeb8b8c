"""What the server does to the metadata of an object: which fields are its own, and in which order they are written."""

from __future__ import annotations

from lease_aio.server.resources import ResourceType
from lease_aio.server.status import Json, bad_request

_SUFFIX_PLACE = 58
"""How many characters of generateName are kept before the five random ones."""


def check_identity(resource: ResourceType, meta: Json, namespace: str, name: str | None) -> None:
    """Fill in the namespace, and refuse a body that names another object than the URL does.

    Args:
        resource: what kind of object it is.
        meta: decoded metadata; its namespace is set.
        namespace: from the URL.
        name: from the URL; None on create, where only the body names the object.

    Raises:
        StatusError: 400.
    """
    if resource.namespaced and meta.setdefault("namespace", namespace) != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if not resource.namespaced:
        meta.pop("namespace", None)
    if name is None:
        return
    given = meta.get("name")
    if not given:
        raise bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if given != name:
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")


def for_create(meta: Json, *, uid: str, created: str) -> Json:
    """Metadata of a new object: what a client says about the server's fields is wiped."""
    return _ordered(meta, uid=uid, resource_version="", created=created, generation=meta.get("generation"))


def for_update(meta: Json, old: Json) -> Json:
    """Metadata of a changed object: the server's fields are those of the stored one.

    Unchanged parts are taken from the stored object, so that a history of renewals shares them.
    """
    new = _ordered(
        meta,
        uid=meta.get("uid") or old["uid"],
        resource_version=old["resourceVersion"],
        created=old["creationTimestamp"],
        generation=old.get("generation"),
    )
    for key in ("labels", "annotations", "ownerReferences", "finalizers"):
        if key in new and new[key] == old.get(key):
            new[key] = old[key]
    deleted = old.get("deletionTimestamp") or meta.get("deletionTimestamp")
    if deleted:
        new["deletionTimestamp"] = deleted
    grace = meta.get("deletionGracePeriodSeconds", old.get("deletionGracePeriodSeconds"))
    if grace is not None:
        new["deletionGracePeriodSeconds"] = grace
    return new


def with_deletion(meta: Json, *, deleted: str, finalizers: list[str]) -> Json:
    """Metadata of an object that is asked to go and has to wait for finalizers."""
    return {**meta, "deletionTimestamp": deleted, "deletionGracePeriodSeconds": 0, "finalizers": finalizers}


def generated_name(prefix: str, suffix: str) -> str:
    """A name made from generateName."""
    return prefix[:_SUFFIX_PLACE] + suffix


def _ordered(meta: Json, *, uid: str, resource_version: str, created: str, generation: int | None) -> Json:
    new: Json = {}
    for key in ("name", "generateName", "namespace"):
        if key in meta:
            new[key] = meta[key]
    new["uid"] = uid
    new["resourceVersion"] = resource_version
    if generation:
        new["generation"] = generation
    new["creationTimestamp"] = created
    for key in ("labels", "annotations", "ownerReferences", "finalizers"):
        if key in meta:
            new[key] = meta[key]
    return new
