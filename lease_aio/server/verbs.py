"""The verbs on objects: each understands its options, asks the store once, and says what the answer is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from lease_aio.server import options, status
from lease_aio.server.answers import Answer
from lease_aio.server.calls import Call, allow, form_of, patch_kind, read_object, read_options, read_patch
from lease_aio.server.negotiation import Shape
from lease_aio.server.showing import shown, shown_page

if TYPE_CHECKING:
    from lease_aio.server.store import Store

    Verb: TypeAlias = Callable[[Store, Call], Awaitable[Answer]]

_ONE = frozenset({Shape.OBJECT, Shape.TABLE, Shape.PARTIAL})
_MANY = frozenset({Shape.OBJECT, Shape.TABLE, Shape.PARTIAL_LIST})


def verb_of(call: Call) -> Verb:
    """What a request asks for, but a watch.

    Raises:
        StatusError: 405.
    """
    route = call.route
    namespaced = route.resource.namespaced
    if route.name:
        verbs = {"GET": _get, "PUT": _replace, "PATCH": _patch, "DELETE": _delete}
        if route.subresource:
            del verbs["DELETE"]
    elif namespaced and not route.namespace:
        verbs = {"GET": _list}
    else:
        verbs = {"GET": _list, "POST": _create, "DELETE": _delete_collection}
        if "deletecollection" not in route.resource.verbs:
            del verbs["DELETE"]
    if call.request.method not in verbs:
        raise status.method_not_allowed()
    return verbs[call.request.method]


async def _get(store: Store, call: Call) -> Answer:
    allow(call, "get")
    form = form_of(call, _ONE)
    route = call.route
    version = call.query.get("resourceVersion", "")
    obj = store.get(route.resource, route.namespace, route.name, resource_version=version)
    return Answer(body=shown(call, obj, form), content_type=form.media_type)


async def _list(store: Store, call: Call) -> Answer:
    allow(call, "list")
    form = form_of(call, _MANY)
    query = call.query
    options.check_numbers(query)
    options.forbid_initial_events(query)
    page = store.list(
        call.route.resource,
        call.route.namespace,
        label_selector=query.get("labelSelector", ""),
        field_selector=query.get("fieldSelector", ""),
        limit=options.whole_number(query, "limit"),
        continue_token=query.get("continue", ""),
        resource_version=query.get("resourceVersion", ""),
        match=query.get("resourceVersionMatch", ""),
    )
    return Answer(body=shown_page(call, page, form), content_type=form.media_type)


async def _create(store: Store, call: Call) -> Answer:
    allow(call, "create")
    form = form_of(call, _ONE)
    chosen = options.write_options(call.query, "CreateOptions")
    body, on_unknown = await read_object(call, chosen)
    obj = store.create(
        call.route.resource,
        call.route.namespace,
        body,
        now=call.now(),
        dry_run=chosen.dry_run,
        on_unknown=on_unknown,
    )
    return Answer(code=201, body=shown(call, obj, form), warnings=call.warnings, content_type=form.media_type)


async def _replace(store: Store, call: Call) -> Answer:
    allow(call, "update")
    form = form_of(call, _ONE)
    chosen = options.write_options(call.query, "UpdateOptions")
    body, on_unknown = await read_object(call, chosen)
    route = call.route
    known = store.find(route.resource, route.namespace, route.name) is not None
    obj = store.replace(
        route.resource,
        route.namespace,
        route.name,
        body,
        now=call.now(),
        subresource=route.subresource,
        dry_run=chosen.dry_run,
        on_unknown=on_unknown,
    )
    return Answer(
        code=200 if known else 201,
        body=shown(call, obj, form),
        warnings=call.warnings,
        content_type=form.media_type,
    )


async def _patch(store: Store, call: Call) -> Answer:
    allow(call, "patch")
    form = form_of(call, _ONE)
    kind = patch_kind(call)
    chosen = options.write_options(call.query, "PatchOptions")
    patch, on_unknown = await read_patch(call, kind, chosen)
    route = call.route
    obj = store.patch(
        route.resource,
        route.namespace,
        route.name,
        patch,
        now=call.now(),
        subresource=route.subresource,
        dry_run=chosen.dry_run,
        on_unknown=on_unknown,
    )
    return Answer(body=shown(call, obj, form), warnings=call.warnings, content_type=form.media_type)


async def _delete(store: Store, call: Call) -> Answer:
    allow(call, "delete")
    form = form_of(call, _ONE)
    chosen = options.delete_options(call.query, await read_options(call))
    route = call.route
    obj = store.delete(
        route.resource,
        route.namespace,
        route.name,
        now=call.now(),
        uid=chosen.uid,
        resource_version=chosen.resource_version,
        propagation_policy=chosen.propagation_policy,
        dry_run=chosen.dry_run,
    )
    if "deletionTimestamp" in obj["metadata"]:
        return Answer(body=shown(call, obj, form), content_type=form.media_type)
    named = {**status.details(route.resource, route.name), "uid": obj["metadata"]["uid"]}
    return Answer(body={"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": named})


async def _delete_collection(store: Store, call: Call) -> Answer:
    allow(call, "deletecollection")
    form = form_of(call, _MANY)
    query = call.query
    chosen = options.delete_options(query, await read_options(call))
    page = store.delete_collection(
        call.route.resource,
        call.route.namespace,
        now=call.now(),
        label_selector=query.get("labelSelector", ""),
        field_selector=query.get("fieldSelector", ""),
        limit=options.whole_number(query, "limit"),
        continue_token=query.get("continue", ""),
        propagation_policy=chosen.propagation_policy,
        dry_run=chosen.dry_run,
    )
    return Answer(body=shown_page(call, page, form), content_type=form.media_type)
