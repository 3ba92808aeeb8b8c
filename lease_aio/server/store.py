"""The state of an API server: objects, one global resourceVersion, and a bounded history for watches.

Pure and synchronous: no clock (`now` is an argument, in epoch microseconds), no I/O, no task; uids and
random names come from injected callables. Each method is one atomic request: it either raises `StatusError`
and changes nothing, or has committed when it returns.

Objects are plain dicts in their JSON shape and are *values*: the store hands out its own dicts and takes
over the bodies it is given. Neither side may change them afterwards; a write replaces an object whole.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from lease_aio.server import listing, metadata, preconditions, status, validation
from lease_aio.server.history import INITIAL_EVENTS_END, Watch, at_revision
from lease_aio.server.listing import Page, Place
from lease_aio.server.patch import Patch
from lease_aio.server.resources import (
    NAMESPACES,
    PROTECTED_NAMESPACES,
    RESOURCES,
    STANDARD_NAMESPACES,
    ResourceType,
)
from lease_aio.server.selectors import parse_selector
from lease_aio.server.shelf import Shelf
from lease_aio.server.status import Json, StatusError
from lease_aio.server.times import format_time

OnUnknown: TypeAlias = Callable[[Sequence[str]], None]
"""Told, before anything is stored, which fields of a body are unknown (maybe none); may raise to refuse the write."""

_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_NAME_TRIES = 8
_COLLECTED = frozenset({"orphan", "foregroundDeletion"})


def _random_suffix() -> str:
    return "".join(random.choices(_SUFFIX_LETTERS, k=5))


def _new_uid() -> str:
    return str(uuid.uuid4())


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
        new_uid: Callable[[], str] = _new_uid,
        new_suffix: Callable[[], str] = _random_suffix,
    ) -> None:
        self.resources = tuple(resources)
        self._shelves = {resource: Shelf(resource, history_limit) for resource in self.resources}
        self._mirrors = _mirrors(self.resources)
        self._revision = 1
        self._coordinated = coordinated
        self._watch_capacity = watch_capacity
        self._new_uid = new_uid
        self._new_suffix = new_suffix
        if NAMESPACES in self._shelves:
            for name in STANDARD_NAMESPACES:
                self.create(NAMESPACES, "", {"metadata": {"name": name}}, now=now)

    @property
    def resource_version(self) -> int:
        """The revision of the last write, over all resources. It only grows."""
        return self._revision

    @property
    def open_watches(self) -> int:
        """How many watches are followed and not closed."""
        return sum(shelf.followers for shelf in self._shelves.values())

    # --- reading --------------------------------------------------------------------------------------------

    def find(self, resource: ResourceType, namespace: str, name: str) -> Json | None:
        """The stored object, or None."""
        shelf = self._shelves[resource]
        return shelf.objects.get(shelf.key(namespace, name))

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
        self._reached(listing.read_revision(resource_version))
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
        shelf = self._shelves[resource]
        if continue_token:
            place = self._resume(shelf, listing.read_token(continue_token))
            return shelf.page(namespace, selector, limit, place)
        self._reached(wanted)
        exact = match == "Exact" or (wanted > 0 and limit > 0 and not match)
        revision = wanted if exact else self._revision
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
        shelf = self._shelves[resource]
        initial = send_initial_events if send_initial_events is not None else wanted == 0
        after = self._revision if initial or wanted == 0 else wanted
        scope = shelf.scope(namespace, selector)
        watch = Watch(
            scope=scope,
            selector=selector,
            after=after,
            initial=shelf.selected(scope, selector) if initial else (),
            backlog=shelf.changes_since(after, scope),
            initial_end=self._initial_end(resource) if send_initial_events and bookmarks else None,
            bookmark=lambda revision: _bookmark(resource, revision),
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
        current = self.find(resource, namespace, name)
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
        if resource is NAMESPACES and name in PROTECTED_NAMESPACES:
            raise status.forbidden(resource, name, "this namespace may not be deleted")
        preconditions.check_delete(resource, current, uid=uid, resource_version=resource_version)
        finalizers = list(current["metadata"].get("finalizers", ()))
        collected = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(propagation_policy)
        if collected and collected not in finalizers:
            finalizers.append(collected)
        if not finalizers and resource is not NAMESPACES:
            return current if dry_run else self._remove(resource, current)
        marked = _marked(resource, current, deleted=format_time(now), finalizers=finalizers)
        return marked if dry_run else self._begin_deletion(resource, current, marked, now=now)

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
        for obj in page.items:
            meta = obj["metadata"]
            self.delete(
                resource,
                meta.get("namespace", ""),
                meta["name"],
                now=now,
                propagation_policy=propagation_policy,
                dry_run=dry_run,
            )
        return page

    def compact(self) -> None:
        """Forget the whole history, as etcd's compaction does: older versions are answered with 410."""
        for shelf in self._shelves.values():
            shelf.compact(self._revision)

    # --- inside: writes -------------------------------------------------------------------------------------

    def _insert(self, resource: ResourceType, obj: Json, *, now: int, dry_run: bool, versioned: bool = False) -> Json:
        meta = obj["metadata"]
        if resource.namespaced:
            self._check_namespace(resource, meta["namespace"], meta.get("name", ""))
        version = meta.get("resourceVersion", "")
        self._generate_name(resource, meta)
        obj["metadata"] = metadata.for_create(meta, uid=self._new_uid(), created=format_time(now))
        self._prepare(resource, obj, None)
        self._validate_new(resource, obj)
        if version.isascii() and version.isdigit() and int(version) and not versioned:
            raise status.internal("resourceVersion should not be set on objects to be created")
        self._check_free(resource, obj["metadata"])
        if dry_run:
            del obj["metadata"]["resourceVersion"]
            return obj
        self._commit(resource, obj, None)
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
            self._remove(resource, current)  # what was last stored is what followers are told; `new` never was
            return new
        self._commit(resource, new, current)
        if resource is NAMESPACES:
            self._finish_namespace(old["name"])
        return new

    def _begin_deletion(self, resource: ResourceType, current: Json, marked: Json, *, now: int) -> Json:
        if marked != current:
            self._commit(resource, marked, current)
        if resource is NAMESPACES:
            self._empty_namespace(marked["metadata"]["name"], now=now)
            return marked
        held = [one for one in marked["metadata"]["finalizers"] if one not in _COLLECTED]
        if not held:
            self._remove(resource, marked)
        elif len(held) < len(marked["metadata"]["finalizers"]):
            released = {**marked, "metadata": {**marked["metadata"], "finalizers": held}}
            self._commit(resource, released, marked)
        return marked

    def _remove(self, resource: ResourceType, obj: Json) -> Json:
        self._revision += 1
        shelf = self._shelves[resource]
        shelf.drop(self._revision, obj)
        for mirror in self._mirrors.get(resource, ()):
            shown = self._shelves[mirror]
            shown.drop(self._revision, shown.objects[shelf.key_of(obj["metadata"])])
        if resource.namespaced:
            self._finish_namespace(obj["metadata"]["namespace"])
        return at_revision(obj, self._revision)

    def _commit(self, resource: ResourceType, obj: Json, previous: Json | None) -> None:
        self._revision += 1
        obj["metadata"]["resourceVersion"] = str(self._revision)
        shelf = self._shelves[resource]
        shelf.put(self._revision, obj, previous)
        for mirror in self._mirrors.get(resource, ()):
            shown = self._shelves[mirror]
            before = shown.objects.get(shelf.key_of(obj["metadata"]))
            shown.put(self._revision, {**obj, "apiVersion": mirror.group_version}, before)

    # --- inside: namespaces ---------------------------------------------------------------------------------

    def _check_namespace(self, resource: ResourceType, namespace: str, name: str) -> None:
        if NAMESPACES not in self._shelves:
            return
        found = self._shelves[NAMESPACES].objects.get(namespace)
        if found is None:
            raise status.not_found(NAMESPACES, namespace)
        if found["status"].get("phase") == "Terminating":
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            ending = status.cause(
                "NamespaceTerminating", f"namespace {namespace} is being terminated", "metadata.namespace"
            )
            raise status.forbidden(resource, name, why, ending)

    def _empty_namespace(self, namespace: str, *, now: int) -> None:
        for resource in self.resources:
            if resource.namespaced:
                self.delete_collection(resource, namespace, now=now)
        self._finish_namespace(namespace)

    def _finish_namespace(self, namespace: str) -> None:
        """Remove a namespace that is being deleted as soon as nothing is left in it."""
        if NAMESPACES not in self._shelves:
            return
        found = self._shelves[NAMESPACES].objects.get(namespace)
        if found is None or found["status"].get("phase") != "Terminating":
            return
        contents = (self._shelves[resource] for resource in self.resources if resource.namespaced)
        if not all(shelf.is_empty(namespace) for shelf in contents):
            return
        if not found["metadata"].get("finalizers"):
            self._remove(NAMESPACES, found)

    # --- inside: new objects --------------------------------------------------------------------------------

    def _generate_name(self, resource: ResourceType, meta: Json) -> None:
        prefix = meta.get("generateName", "")
        if meta.get("name") or not prefix:
            return
        for _ in range(_NAME_TRIES):
            meta["name"] = metadata.generated_name(prefix, self._new_suffix())
            if self.find(resource, meta.get("namespace", ""), meta["name"]) is None:
                return
        suffix = ", the server was not able to generate a unique name for the object"
        taken = status.already_exists(resource, meta["name"], suffix=suffix)
        taken.retry_after_s = 1
        raise taken

    def _validate_new(self, resource: ResourceType, obj: Json) -> None:
        meta = obj["metadata"]
        causes = validation.metadata_on_create(meta, resource.name_rule)
        causes += resource.validate(obj, None)
        if causes:
            raise status.invalid_object(resource, meta.get("name", ""), causes)

    def _check_free(self, resource: ResourceType, meta: Json) -> None:
        existing = self.find(resource, meta.get("namespace", ""), meta["name"])
        if existing is not None:
            ending = "object is being deleted: " if existing["metadata"].get("deletionTimestamp") else ""
            raise status.already_exists(resource, meta["name"], prefix=ending)

    # --- inside: reads --------------------------------------------------------------------------------------

    def _reached(self, wanted: int) -> None:
        if wanted > self._revision:
            raise status.version_too_large(wanted, self._revision)

    def _resume(self, shelf: Shelf, place: Place) -> Place:
        if not place.consistent:
            return Place(self._revision, place.after)
        if place.revision > self._revision:
            raise status.bad_request("invalid continue token: it names a version that was never reached")
        if not shelf.knows(place.revision):
            raise status.expired(listing.CONTINUE_TOO_OLD, continue_token=place.inconsistent().token())
        return place

    def _initial_end(self, resource: ResourceType) -> Json:
        marked = _bookmark(resource, self._revision)
        marked["metadata"]["annotations"] = {INITIAL_EVENTS_END: "true"}
        return marked


def _mirrors(resources: Sequence[ResourceType]) -> dict[ResourceType, tuple[ResourceType, ...]]:
    """Under which other resources the objects of each one are served as well."""
    found: dict[ResourceType, tuple[ResourceType, ...]] = {}
    for one in resources:
        own = one.mirror_of or one
        others = tuple(each for each in resources if each is not one and (each.mirror_of or each) is own)
        if others:
            found[one] = others
    return found


def _decode(resource: ResourceType, body: object, on_unknown: OnUnknown | None) -> Json:
    unknown: list[str] = []
    obj = resource.decode(body, unknown)
    if on_unknown is not None:
        on_unknown(unknown)
    return obj


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


def _bookmark(resource: ResourceType, revision: int) -> Json:
    shown: Json = {"kind": resource.kind, "apiVersion": resource.group_version}
    shown["metadata"] = {"resourceVersion": str(revision)}
    return {**shown, "spec": {}}
