"""Deletions: at once, or in steps where finalizers hold an object.

What the garbage collector and the namespace controller of a real cluster would do follows at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from lease_aio.server import metadata, namespaces, preconditions, status
from lease_aio.server.ledger import Ledger
from lease_aio.server.resources import NAMESPACES, PROTECTED_NAMESPACES, ResourceType
from lease_aio.server.selectors import EVERYTHING
from lease_aio.server.status import Json
from lease_aio.server.times import format_time

_COLLECTED = frozenset({"orphan", "foregroundDeletion"})
_FINALIZER_OF = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """How something is to be deleted.

    Attributes:
        now: epoch microseconds.
        uid: precondition, if not empty.
        resource_version: precondition, if not empty.
        propagation_policy: `Background`, `Foreground`, `Orphan` or empty.
        dry_run: check everything, delete nothing.
    """

    now: int
    uid: str = ""
    resource_version: str = ""
    propagation_policy: str = ""
    dry_run: bool = False


def delete(ledger: Ledger, resource: ResourceType, current: Json, how: Deletion) -> Json:
    """Delete a stored object, or mark it as being deleted.

    Returns:
        The last state of the object.

    Raises:
        StatusError: 403 (protected namespace), 409 (a precondition does not hold).
    """
    name = current["metadata"]["name"]
    if resource is NAMESPACES and name in PROTECTED_NAMESPACES:
        raise status.forbidden(resource, name, "this namespace may not be deleted")
    preconditions.check_delete(resource, current, uid=how.uid, resource_version=how.resource_version)
    finalizers = list(current["metadata"].get("finalizers", ()))
    collected = _FINALIZER_OF.get(how.propagation_policy)
    if collected and collected not in finalizers:
        finalizers.append(collected)
    if not finalizers and resource is not NAMESPACES:
        return current if how.dry_run else remove(ledger, resource, current)
    marked = _marked(resource, current, deleted=format_time(how.now), finalizers=finalizers)
    return marked if how.dry_run else _begin(ledger, resource, current, marked, now=how.now)


def remove(ledger: Ledger, resource: ResourceType, obj: Json) -> Json:
    """Take an object off; if a namespace waited for nothing else, that goes too."""
    removed = ledger.remove(resource, obj)
    if resource.namespaced:
        namespaces.finish(ledger, obj["metadata"]["namespace"])
    return removed


def _begin(ledger: Ledger, resource: ResourceType, current: Json, marked: Json, *, now: int) -> Json:
    if marked != current:
        ledger.commit(resource, marked, current)
    if resource is NAMESPACES:
        _empty_namespace(ledger, marked["metadata"]["name"], now=now)
        return marked
    held = [one for one in marked["metadata"]["finalizers"] if one not in _COLLECTED]
    if not held:
        remove(ledger, resource, marked)
    elif len(held) < len(marked["metadata"]["finalizers"]):
        released = {**marked, "metadata": {**marked["metadata"], "finalizers": held}}
        ledger.commit(resource, released, marked)
    return marked


def _empty_namespace(ledger: Ledger, namespace: str, *, now: int) -> None:
    for resource in ledger.resources:
        if resource.namespaced:
            for obj in ledger.shelves[resource].selected((namespace, ""), EVERYTHING):
                delete(ledger, resource, obj, Deletion(now=now))
    namespaces.finish(ledger, namespace)


def _marked(resource: ResourceType, current: Json, *, deleted: str, finalizers: list[str]) -> Json:
    """The object as one that is being deleted; the time of the first request stays."""
    meta = current["metadata"]
    deleted = meta.get("deletionTimestamp", deleted)
    marked = {**current, "metadata": metadata.with_deletion(meta, deleted=deleted, finalizers=finalizers)}
    if resource is NAMESPACES:
        marked["status"] = {**current["status"], "phase": "Terminating"}
        for key in ("finalizers", "deletionGracePeriodSeconds"):
            if not marked["metadata"][key]:
                del marked["metadata"][key]
    return marked
