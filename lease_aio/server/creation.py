"""New objects: their uids and names, and what refuses them."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable

from lease_aio.server import metadata, status, validation
from lease_aio.server.ledger import Ledger
from lease_aio.server.resources import ResourceType
from lease_aio.server.status import Json

_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_NAME_TRIES = 8


def random_suffix() -> str:
    """Five characters that make no words."""
    return "".join(random.choices(_SUFFIX_LETTERS, k=5))


def new_uid() -> str:
    """A fresh uid."""
    return str(uuid.uuid4())


def generate_name(ledger: Ledger, resource: ResourceType, meta: Json, new_suffix: Callable[[], str]) -> None:
    """Name an object that came with `generateName` alone.

    Raises:
        StatusError: 409, when all names that were tried are taken.
    """
    prefix = meta.get("generateName", "")
    if meta.get("name") or not prefix:
        return
    for _ in range(_NAME_TRIES):
        meta["name"] = metadata.generated_name(prefix, new_suffix())
        if ledger.find(resource, meta.get("namespace", ""), meta["name"]) is None:
            return
    suffix = ", the server was not able to generate a unique name for the object"
    taken = status.already_exists(resource, meta["name"], suffix=suffix)
    taken.retry_after_s = 1
    raise taken


def check_valid(resource: ResourceType, obj: Json) -> None:
    """Refuse an object that breaks the rules of its resource.

    Raises:
        StatusError: 422.
    """
    meta = obj["metadata"]
    causes = validation.metadata_on_create(meta, resource.name_rule)
    causes += resource.validate(obj, None)
    if causes:
        raise status.invalid_object(resource, meta.get("name", ""), causes)


def check_free(ledger: Ledger, resource: ResourceType, meta: Json) -> None:
    """Refuse a name that is taken.

    Raises:
        StatusError: 409.
    """
    existing = ledger.find(resource, meta.get("namespace", ""), meta["name"])
    if existing is not None:
        ending = "object is being deleted: " if existing["metadata"].get("deletionTimestamp") else ""
        raise status.already_exists(resource, meta["name"], prefix=ending)
