"""From a path to what it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from lease_aio.server.resources import ResourceType
from lease_aio.server.status import unknown_route


@dataclass(frozen=True, slots=True)
class Route:
    """A resource path: a collection (no name), an object, or a subresource of it."""

    resource: ResourceType
    namespace: str = ""
    name: str = ""
    subresource: str = ""


class Router:
    """Knows the paths of a set of resources.

    Args:
        resources: those that are served, in the order in which discovery tells them.
    """

    def __init__(self, resources: Sequence[ResourceType]) -> None:
        self.resources = resources
        self._groups = {resource.group for resource in resources if resource.group}
        self._served = {resource.group_version for resource in resources}
        self._by_plural = {(resource.group_version, resource.plural): resource for resource in resources}

    def group_exists(self, group: str) -> bool:
        """Whether any version of this named group is served."""
        return group in self._groups

    def serves(self, group_version: str) -> bool:
        """Whether this group-version is served."""
        return group_version in self._served

    def resolve(self, raw_path: str) -> Route | None:
        """The route of a path that is still percent-encoded; None outside the served group-versions.

        Raises:
            StatusError: 404, when the group-version is served but has no such resource.
        """
        parts = raw_path.strip("/").split("/")
        if parts[0] == "apis" and len(parts) > 2 and parts[1] in self._groups:
            group_version, rest = f"{parts[1]}/{parts[2]}", parts[3:]
        elif parts[0] == "api" and len(parts) > 1:
            group_version, rest = parts[1], parts[2:]
        else:
            return None
        if group_version not in self._served:
            raise unknown_route()
        if not rest:
            return None
        return self._route(group_version, [unquote(part) for part in rest] if "%" in raw_path else rest)

    def _route(self, group_version: str, parts: list[str]) -> Route:
        if parts[0] == "namespaces" and len(parts) > 2:
            resource = self._by_plural.get((group_version, parts[2]))
            if resource is not None and resource.namespaced:
                return self._within(resource, parts[1], parts[3:])
        resource = self._by_plural.get((group_version, parts[0]))
        if resource is None or (resource.namespaced and len(parts) > 1):
            raise unknown_route()
        return self._within(resource, "", parts[1:])

    def _within(self, resource: ResourceType, namespace: str, rest: list[str]) -> Route:
        name, subresource = [*rest, "", ""][:2]
        known = {"", "status"} if resource.has_status else {""}
        if len(rest) > 2 or subresource not in known or (rest and not name):
            raise unknown_route()
        return Route(resource, namespace, name, subresource)
