"""Versions in reads: what has been reached, where a list goes on, what a bookmark looks like."""

from __future__ import annotations

from lease_aio.server import listing, status
from lease_aio.server.history import INITIAL_EVENTS_END
from lease_aio.server.ledger import Ledger
from lease_aio.server.listing import Place
from lease_aio.server.resources import ResourceType
from lease_aio.server.shelf import Shelf
from lease_aio.server.status import Json


def check_reached(ledger: Ledger, wanted: int) -> None:
    """Refuse a version of the future.

    Raises:
        StatusError: 504.
    """
    if wanted > ledger.revision:
        raise status.version_too_large(wanted, ledger.revision)


def resume(ledger: Ledger, shelf: Shelf, place: Place) -> Place:
    """Where a list goes on; an inconsistent one in the current state.

    Raises:
        StatusError: 400 for a version that never was, 410 for one that is no longer known.
    """
    if not place.consistent:
        return Place(ledger.revision, place.after)
    if place.revision > ledger.revision:
        raise status.bad_request("invalid continue token: it names a version that was never reached")
    if not shelf.knows(place.revision):
        raise status.expired(listing.CONTINUE_TOO_OLD, continue_token=place.inconsistent().token())
    return place


def bookmark(resource: ResourceType, revision: int) -> Json:
    """An object that carries nothing but a version."""
    shown: Json = {"kind": resource.kind, "apiVersion": resource.group_version}
    shown["metadata"] = {"resourceVersion": str(revision)}
    return {**shown, "spec": {}}


def initial_end(resource: ResourceType, revision: int) -> Json:
    """The bookmark behind the initial events of a watch."""
    marked = bookmark(resource, revision)
    marked["metadata"]["annotations"] = {INITIAL_EVENTS_END: "true"}
    return marked
