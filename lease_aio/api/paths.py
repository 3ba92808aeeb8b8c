"""Where objects are served. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from lease_aio.api.protocol import Resource
from lease_aio.errors import ConfigurationError

_PLAIN = re.compile(r"[a-z0-9.-]+", re.ASCII)


def collection_path(resource: Resource[Any], namespace: str) -> str:
    """Where the collection is served; an empty namespace means all of them."""
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    if not namespace or not resource.namespaced:
        return f"{root}/{resource.plural}"
    return f"{root}/namespaces/{path_segment('namespace', namespace)}/{resource.plural}"


def object_path(resource: Resource[Any], namespace: str, name: str, subresource: str = "") -> str:
    """Where one object, or a subresource of it, is served.

    Raises:
        ConfigurationError: a name or namespace is missing or cannot be part of a path.
    """
    require_namespace(resource, namespace)
    place = f"{collection_path(resource, namespace)}/{path_segment('name', name)}"
    return f"{place}/{path_segment('subresource', subresource)}" if subresource else place


def require_namespace(resource: Resource[Any], namespace: str) -> None:
    """Refuse an empty namespace where one is needed.

    Raises:
        ConfigurationError: it is missing.
    """
    if resource.namespaced and not namespace:
        raise ConfigurationError(f"namespace={namespace!r}: {resource.label} live in a namespace; name it")


def path_segment(what: str, value: str) -> str:
    """The value, quoted, as one segment of a path; the server checks the rest of the name's rules."""
    if value in {"", ".", ".."} or "/" in value or "%" in value:
        raise ConfigurationError(
            f"{what}={value!r} is no name of a Kubernetes object: use lower-case letters, digits, '-' and '.'"
        )
    return value if _PLAIN.fullmatch(value) else quote(value, safe="")


def query_string(query: Mapping[str, str]) -> str:
    """`?a=b&…` of the values that are not empty."""
    given = {name: value for name, value in query.items() if value}
    return f"?{urlencode(given)}" if given else ""
