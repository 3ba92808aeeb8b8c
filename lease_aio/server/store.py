"""The state of an API server: objects, one global resourceVersion, and a bounded history for watches.

Pure and synchronous: no clock (`now` is an argument, in epoch microseconds), no I/O, no task; uids and
random names come from injected callables. Each method is one atomic request: it either raises `StatusError`
and changes nothing, or has committed when it returns.

Objects are plain dicts in their JSON shape and are *values*: the store hands out its own dicts and takes
over the bodies it is given. Neither side may change them afterwards; a write replaces an object whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from lease_aio.server import (
    creation,
    deletion,
    listing,
    metadata,
    namespaces,
    preconditions,
    reading,
    status,
    validation,
)
from lease_aio.server.deletion import Deletion
from lease_aio.server.history import Watch
from lease_aio.server.ledger import Ledger
from lease_aio.server.listing import Page, Place
from lease_aio.server.patch import Patch
from lease_aio.server.resources import NAMESPACES, RESOURCES, STANDARD_NAMESPACES, ResourceType
from lease_aio.server.selectors import parse_selector
from lease_aio.server.status import Json, StatusError
from lease_aio.server.times import format_time

OnUnknown: TypeAlias = Callable[[Sequence[str]], None]
"""Told, before anything is stored, which fields of a body are unknown (maybe none); may raise to refuse the write."""


class Store:
    """An API server without its network.

    Args:
        now: epoch microseconds; when the standard namespaces are created.
        resources: the resources that are served.
        history_limit: changes kept per resource for watches and exact lists.
        coordinated: the feature gate CoordinatedLeaderElection: off, as by default in Kubernetes, the fields
            `spec.strategy` and `spec.preferredHolder` of Leases vanish. No coordinator comes with it.
        watch_capacity: undelivered events that one watch may pile up before it loses its place.
        new_uid: gives a fresh uid.
        new_suffix: gives the five random characters of a generated name.
    """

    def __init__(
        self,
        *,
        now: int,
        resources: Iterable[ResourceType] = RESOURCES,
        coordinated: bool = False,
        history_limit: int = 20_000,
        watch_capacity: int = 20_000,
        new_uid: Callable[[], str] = creation.new_uid,
        new_suffix: Callable[[], str] = creation.random_suffix,
    ) -> None:
        self.resources = tuple(resources)
        self._ledger = Ledger(self.resources, history_limit)
        self._coordinated = coordinated
        self._watch_capacity = watch_capacity
        self._new_uid = new_uid
        self._new_suffix = new_suffix
        if NAMESPACES in self._ledger.shelves:
            for name in STANDARD_NAMESPACES:
                self.create(NAMESPACES, "", {"metadata": {"name": name}}, now=now)

    @property
    def resource_version(self) -> int:
        """The revision of the last write, over all resources. It only grows."""
        return self._ledger.revision

    @property
    def open_watches(self) -> int:
        """How many watches are followed and not closed."""
        return sum(shelf.followers for shelf in self._ledger.shelves.values())

    # --- reading --------------------------------------------------------------------------------------------

    def find(self, resource: ResourceType, namespace: str, name: str) -> Json | None:
        """The stored object, or None."""
        return self._ledger.find(resource, namespace, name)

    def get(self, resource: ResourceType, namespace: str, name: str, *, resource_version: str = "") -> Json:
        """The stored object.

        Args:
            resource: which resource.
            namespace: empty for cluster-scoped resources.
            name: name of the object.
            resource_version: the state must be at least this new.

        Raises:
            StatusError: 404; 504 for a version of the future.
        """
        reading.check_reached(self._ledger, listing.read_revision(resource_version))
        obj = self.find(resource, namespace, name)
        if obj is None:
            raise status.not_found(resource, name)
        return obj

    def list(
        self,
        resource: ResourceType,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_token: str = "",
        resource_version: str = "",
        match: str = "",
    ) -> Page:
        """One page of objects, in key order.

        Args:
            resource: which resource.
            namespace: empty for all.
            label_selector: as in the query string.
            field_selector: as in the query string.
            limit: largest page; 0 for all.
            continue_token: from the previous page.
            resource_version: see `match`.
            match: `Exact`, `NotOlderThan` or empty, as `resourceVersionMatch`.

        Raises:
            StatusError: 400 and 422 for bad options, 410 for a state that is no longer known, 504 for one of
                the future.
        """
        selector = parse_selector(resource, label_selector, field_selector)
        listing.check_list_options(resource_version=resource_version, match=match, continue_token=continue_token)
        wanted = listing.read_revision(resource_version, listing=True)
        shelf = self._ledger.shelves[resource]
        if continue_token:
            place = reading.resume(self._ledger, shelf, listing.read_token(continue_token))
            return shelf.page(namespace, selector, limit, place)
        reading.check_reached(self._ledger, wanted)
        exact = match == "Exact" or (wanted > 0 and limit > 0 and not match)
        revision = wanted if exact else self._ledger.revision
        shelf.check_known(revision)
        return shelf.page(namespace, selector, limit, Place(revision, ""))

    def watch(
        self,
        resource: ResourceType,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        send_initial_events: bool | None = None,
        bookmarks: bool = False,
    ) -> Watch:
        """Follow a resource. Pull the watch for events and close it when done.

        Args:
            resource: which resource.
            namespace: empty for all.
            label_selector: as in the query string.
            field_selector: as in the query string.
            resource_version: empty or `0`: first the current state as ADDED; N: the events after N.
            send_initial_events: True: the current state, then (with bookmarks) one marked as its end; False:
                only what comes.
            bookmarks: whether the end of the initial events is marked.

        Raises:
            StatusError: 400 for bad selectors, 410 when events after N are no longer known, 500 for a
                malformed version.
        """
        selector = parse_selector(resource, label_selector, field_selector)
        wanted = listing.read_revision(resource_version)
        ledger = self._ledger
        shelf = ledger.shelves[resource]
        initial = send_initial_events if send_initial_events is not None else wanted == 0
        after = ledger.revision if initial or wanted == 0 else wanted
        scope = shelf.scope(namespace, selector)
        watch = Watch(
            scope=scope,
            selector=selector,
            after=after,
            initial=shelf.selected(scope, selector) if initial else (),
            backlog=shelf.changes_since(after, scope),
            initial_end=reading.initial_end(resource, ledger.revision) if send_initial_events and bookmarks else None,
            bookmark=lambda revision: reading.bookmark(resource, revision),
            release=shelf.release,
            capacity=self._watch_capacity,
        )
        shelf.follow(watch)
        return watch

    # --- writing --------------------------------------------------------------------------------------------

    def create(
        self,
        resource: ResourceType,
        namespace: str,
        body: object,
        *,
        now: int,
        dry_run: bool = False,
        on_unknown: OnUnknown | None = None,
    ) -> Json:
        """Store a new object.

        Args:
            resource: which resource.
            namespace: from the URL; empty for cluster-scoped resources.
            body: the JSON body; the store takes it over.
            now: epoch microseconds.
            dry_run: check everything, store nothing.
            on_unknown: told of unknown fields.

        Raises:
            StatusError: 400, 403 (namespace ends), 404 (no namespace), 409 (name taken), 422 (invalid), 500
                (version given).
        """
        obj = _decode(resource, body, on_unknown)
        metadata.check_identity(resource, obj["metadata"], namespace, None)
        return self._insert(resource, obj, now=now, dry_run=dry_run)

    def replace(
        self,
        resource: ResourceType,
        namespace: str,
        name: str,
        body: object,
        *,
        now: int,
        subresource: str = "",
        dry_run: bool = False,
        on_unknown: OnUnknown | None = None,
    ) -> Json:
        """Compare-and-swap: store `body` if its resourceVersion is the current one.

        A missing object is created if the resource allows it and the body carries no uid. A body that
        changes nothing writes nothing and returns the stored object under its old version.

        Args:
            resource: which resource.
            namespace: from the URL; empty for cluster-scoped resources.
            name: from the URL.
            body: the JSON body; the store takes it over.
            now: epoch microseconds.
            subresource: `status`, or empty.
            dry_run: check everything, store nothing.
            on_unknown: told of unknown fields.

        Raises:
            StatusError: 400, 404, 409 (lost, or another uid), 422 (invalid, or no version where one is
                needed).
        """
        new = _decode(resource, body, on_unknown)
        meta = new["metadata"]
        metadata.check_identity(resource, meta, namespace, name)
        current = self._ledger.find(resource, namespace, name)
        if current is None:
            return self._create_on_update(resource, namespace, name, new, now=now, dry_run=dry_run)
        uid = meta.get("uid")
        if uid and uid != current["metadata"]["uid"]:
            raise preconditions.uid_conflict(resource, namespace, name, uid, current["metadata"]["uid"])
        return self._update(resource, current, new, subresource=subresource, dry_run=dry_run)

    def patch(
        self,
        resource: ResourceType,
        namespace: str,
        name: str,
        patch: Patch,
        *,
        now: int,  # noqa: ARG002  # every write takes it, so that the way time gets in is one
        subresource: str = "",
        dry_run: bool = False,
        on_unknown: OnUnknown | None = None,
    ) -> Json:
        """Apply a patch to the current object. Without a resourceVersion in the patch it cannot lose a race.

        Args:
            resource: which resource.
            namespace: from the URL; empty for cluster-scoped resources.
            name: from the URL.
            patch: what to change.
            now: epoch microseconds.
            subresource: `status`, or empty.
            dry_run: check everything, store nothing.
            on_unknown: told of unknown fields.

        Raises:
            StatusError: 400, 404, 409 (the patch carries another version), 422 (invalid, or an operation
                failed).
        """
        current = self.get(resource, namespace, name)
        patched = patch.apply(current, resource.schema)
        try:
            new = _decode(resource, patched, on_unknown)
        except StatusError as error:
            wrong = validation.wrong("patch", patch.shown(patched), error.message)
            raise status.invalid("", "", {}, [wrong]) from None
        metadata.check_identity(resource, new["metadata"], namespace, name)
        return self._update(resource, current, new, subresource=subresource, dry_run=dry_run)

    def delete(
        self,
        resource: ResourceType,
        namespace: str,
        name: str,
        *,
        now: int,
        uid: str = "",
        resource_version: str = "",
        propagation_policy: str = "",
        dry_run: bool = False,
    ) -> Json:
        """Delete an object, or mark it as being deleted if finalizers hold it.

        The garbage collector and the namespace controller of a real cluster are part of the store:
        `Foreground` and `Orphan` deletions complete at once, and so does that of a namespace, with all that
        is in it.

        Args:
            resource: which resource.
            namespace: empty for cluster-scoped resources.
            name: name of the object.
            now: epoch microseconds.
            uid: precondition, if not empty.
            resource_version: precondition, if not empty.
            propagation_policy: `Background`, `Foreground`, `Orphan` or empty.
            dry_run: check everything, delete nothing.

        Returns:
            The last state of the object. It has a deletionTimestamp if the deletion had to wait for
            something.

        Raises:
            StatusError: 404, 403 (protected namespace), 409 (a precondition does not hold).
        """
        current = self.get(resource, namespace, name)
        how = Deletion(
            now=now,
            uid=uid,
            resource_version=resource_version,
            propagation_policy=propagation_policy,
            dry_run=dry_run,
        )
        return deletion.delete(self._ledger, resource, current, how)

    def delete_collection(
        self,
        resource: ResourceType,
        namespace: str = "",
        *,
        now: int,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_token: str = "",
        propagation_policy: str = "",
        dry_run: bool = False,
    ) -> Page:
        """Delete all selected objects, one after the other.

        Returns:
            The page of the objects that were deleted.

        Raises:
            StatusError: as `list` and `delete`.
        """
        page = self.list(
            resource,
            namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            limit=limit,
            continue_token=continue_token,
        )
        how = Deletion(now=now, propagation_policy=propagation_policy, dry_run=dry_run)
        for obj in page.items:
            meta = obj["metadata"]
            current = self.find(resource, meta.get("namespace", ""), meta["name"])
            if current is not None:  # a continued list shows what was there when it began
                deletion.delete(self._ledger, resource, current, how)
        return page

    def compact(self) -> None:
        """Forget the whole history, as etcd's compaction does: older versions are answered with 410."""
        self._ledger.compact()

    # --- inside: writes -------------------------------------------------------------------------------------

    def _insert(self, resource: ResourceType, obj: Json, *, now: int, dry_run: bool, versioned: bool = False) -> Json:
        meta = obj["metadata"]
        if resource.namespaced:
            namespaces.check_open(self._ledger, resource, meta["namespace"], meta.get("name", ""))
        version = meta.get("resourceVersion", "")
        creation.generate_name(self._ledger, resource, meta, self._new_suffix)
        obj["metadata"] = metadata.for_create(meta, uid=self._new_uid(), created=format_time(now))
        self._prepare(resource, obj, None)
        creation.check_valid(resource, obj)
        if version.isascii() and version.isdigit() and version.strip("0") and not versioned:
            raise status.internal("resourceVersion should not be set on objects to be created")
        creation.check_free(self._ledger, resource, obj["metadata"])
        if dry_run:
            del obj["metadata"]["resourceVersion"]
            return obj
        self._ledger.commit(resource, obj, None)
        return obj

    def _prepare(self, resource: ResourceType, new: Json, old: Json | None) -> None:
        if not self._coordinated:
            resource.drop_gated(new, old)
        resource.prepare(new, old)

    def _create_on_update(
        self, resource: ResourceType, namespace: str, name: str, new: Json, *, now: int, dry_run: bool
    ) -> Json:
        uid = new["metadata"].get("uid")
        if uid:
            raise preconditions.uid_conflict(resource, namespace, name, uid, "")
        if not resource.create_on_update:
            raise status.not_found(resource, name)
        return self._insert(resource, new, now=now, dry_run=dry_run, versioned=True)

    def _update(self, resource: ResourceType, current: Json, new: Json, *, subresource: str, dry_run: bool) -> Json:
        meta, old = new["metadata"], current["metadata"]
        preconditions.check_version(resource, meta, old)
        new["metadata"] = metadata.for_update(meta, old)
        if subresource == "status":
            resource.prepare_status(new, current)
        else:
            self._prepare(resource, new, current)
        causes = validation.metadata_on_update(new["metadata"], old) + resource.validate(new, current)
        if causes:
            raise status.invalid_object(resource, old["name"], causes)
        if new == current:
            return current
        if dry_run:
            return new
        if old.get("deletionTimestamp") and not new["metadata"].get("finalizers") and resource is not NAMESPACES:
            # What was last stored is what followers are told; `new` never was.
            deletion.remove(self._ledger, resource, current)
            return new
        self._ledger.commit(resource, new, current)
        if resource is NAMESPACES:
            namespaces.finish(self._ledger, old["name"])
        return new


def _decode(resource: ResourceType, body: object, on_unknown: OnUnknown | None) -> Json:
    unknown: list[str] = []
    obj = resource.decode(body, unknown)
    if on_unknown is not None:
        on_unknown(unknown)
    return obj
