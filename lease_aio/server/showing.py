"""How stored objects are shown: as themselves, as rows of a Table, or with their metadata alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lease_aio.server import bodies, table
from lease_aio.server.calls import Call
from lease_aio.server.listing import Page
from lease_aio.server.negotiation import Form, Shape
from lease_aio.server.status import Json

if TYPE_CHECKING:
    from lease_aio.server.history import WatchEvent


def shown(call: Call, obj: Json, form: Form) -> Json:
    """One object in the form that was asked for."""
    if form.shape is Shape.OBJECT:
        return obj
    if form.shape is Shape.PARTIAL:
        return table.partial(obj, form.version)
    return _as_table(call, [obj], form, {"resourceVersion": obj["metadata"].get("resourceVersion", "")})


def shown_page(call: Call, page: Page, form: Form) -> Json:
    """One page of objects in the form that was asked for."""
    metadata: Json = {"resourceVersion": str(page.resource_version)}
    if page.continue_token:
        metadata["continue"] = page.continue_token
    if page.remaining:
        metadata["remainingItemCount"] = page.remaining
    resource = call.route.resource
    if form.shape is Shape.TABLE:
        return _as_table(call, page.items, form, metadata)
    if form.shape is Shape.PARTIAL_LIST:
        kind, group_version = "PartialObjectMetadataList", f"meta.k8s.io/{form.version}"
        items: list[Json] = [table.partial(obj, form.version) for obj in page.items]
    else:
        kind, group_version = f"{resource.kind}List", resource.group_version
        items = [{key: obj[key] for key in obj if key not in {"kind", "apiVersion"}} for obj in page.items]
    return {"kind": kind, "apiVersion": group_version, "metadata": metadata, "items": items}


class EventRenderer:
    """Writes events as lines in the form that the client asked for. A Table describes its columns only once."""

    def __init__(self, call: Call, form: Form) -> None:
        self._call = call
        self._form = form
        self._described = False

    def __call__(self, event: WatchEvent) -> bytes:
        """One line."""
        return bodies.write({"type": event.type, "object": self._shown(event)})

    def _shown(self, event: WatchEvent) -> Json:
        if event.type == "ERROR" or self._form.shape is Shape.OBJECT:
            return event.object
        if self._form.shape is not Shape.TABLE:
            return table.partial(event.object, self._form.version)
        metadata = {"resourceVersion": event.object["metadata"]["resourceVersion"]}
        described, self._described = self._described, True
        return _as_table(self._call, [event.object], self._form, metadata, with_columns=not described)


def _as_table(call: Call, objects: Sequence[Json], form: Form, metadata: Json, *, with_columns: bool = True) -> Json:
    """The Table of some objects, as this request wants it."""
    return table.render(
        call.route.resource,
        objects,
        now=call.now(),
        include=call.query.get("includeObject", ""),
        version=form.version,
        list_metadata=metadata,
        with_columns=with_columns,
    )
