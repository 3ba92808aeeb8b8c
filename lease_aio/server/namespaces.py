"""Namespaces: whether something may be created in them, and when one that is being deleted goes."""

from __future__ import annotations

from lease_aio.server import status
from lease_aio.server.ledger import Ledger
from lease_aio.server.resources import NAMESPACES, ResourceType


def check_open(ledger: Ledger, resource: ResourceType, namespace: str, name: str) -> None:
    """Refuse an object for a namespace that is not there, or ends.

    Raises:
        StatusError: 404, 403.
    """
    if NAMESPACES not in ledger.shelves:
        return
    found = ledger.shelves[NAMESPACES].objects.get(namespace)
    if found is None:
        raise status.not_found(NAMESPACES, namespace)
    if found["status"].get("phase") == "Terminating":
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        ending = status.cause(
            "NamespaceTerminating", f"namespace {namespace} is being terminated", "metadata.namespace"
        )
        raise status.forbidden(resource, name, why, ending)


def finish(ledger: Ledger, namespace: str) -> None:
    """Remove a namespace that is being deleted as soon as nothing is left in it."""
    if NAMESPACES not in ledger.shelves:
        return
    found = ledger.shelves[NAMESPACES].objects.get(namespace)
    if found is None or found["status"].get("phase") != "Terminating":
        return
    contents = (ledger.shelves[resource] for resource in ledger.resources if resource.namespaced)
    if not all(shelf.is_empty(namespace) for shelf in contents):
        return
    if not found["metadata"].get("finalizers"):
        ledger.remove(NAMESPACES, found)
