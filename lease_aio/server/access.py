"""Who is asking, and whether they may."""

from __future__ import annotations

from collections.abc import Mapping

from lease_aio.server.resources import ResourceType
from lease_aio.server.status import forbidden, unauthorized

ANONYMOUS = "system:anonymous"
ADMIN = "system:admin"


def identify(authorization: str, tokens: Mapping[str, str] | None) -> str:
    """The user behind an `Authorization` header.

    Args:
        authorization: the header, or empty.
        tokens: bearer token -> user; None where everybody is an administrator.

    Raises:
        StatusError: 401 for a token that is not known. A bad token is never taken for an anonymous request.
    """
    if tokens is None:
        return ADMIN
    scheme, _, token = authorization.partition(" ")
    if not authorization or scheme.lower() != "bearer":
        return ANONYMOUS
    user = tokens.get(token.strip())
    if user is None:
        raise unauthorized()
    return user


def authorize(user: str, verb: str, resource: ResourceType, namespace: str, name: str) -> None:
    """Refuse what a user may not do: known users may do all, others nothing.

    Raises:
        StatusError: 403.
    """
    if user != ANONYMOUS:
        return
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    what = f'cannot {verb} resource "{resource.plural}" in API group "{resource.group}"'
    raise forbidden(resource, name, f'User "{user}" {what} {where}')
