"""Lists: options, pages and the tokens that continue them."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from lease_aio.server.schema import as_object
from lease_aio.server.status import Json, bad_request, internal, invalid_options
from lease_aio.server.validation import forbidden_field, not_supported

CONTINUE_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
    "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)
LIST_TOO_OLD = "The resourceVersion for the provided list is too old."
_MATCHES = ("Exact", "NotOlderThan")
_INCONSISTENT = -1
_MOST_DIGITS = 20  # of an unsigned number of 64 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer to a list.

    Attributes:
        items: the stored objects, in key order (`namespace/name`, by bytes).
        resource_version: the version at which all pages of this list are read.
        continue_token: what to send for the next page; empty on the last one.
        remaining: how many objects follow; None where a selector makes it unknown.
    """

    items: tuple[Json, ...]
    resource_version: int
    continue_token: str = ""
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a continued list goes on: after which key, and at which revision (-1: whatever is current)."""

    revision: int
    after: str

    @property
    def consistent(self) -> bool:
        """Whether the page must show the state of an earlier revision."""
        return self.revision != _INCONSISTENT

    def token(self) -> str:
        """The opaque text for clients."""
        text = json.dumps(
            {"v": "meta.k8s.io/v1", "rv": self.revision, "start": f"{self.after}\0"}, separators=(",", ":")
        )
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def inconsistent(self) -> Place:
        """The same place, in whatever state is current."""
        return Place(_INCONSISTENT, self.after)


def read_token(token: str) -> Place:
    """Read a continue token.

    Raises:
        StatusError: 400, when it is not one of this server's.
    """
    try:
        content = as_object(json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))) or {}
        place = Place(int(content["rv"]), str(content["start"]).removesuffix("\0"))
    except binascii.Error:
        raise bad_request("invalid continue token: continue key is not valid: illegal base64 data") from None
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from None
    if not place.after:
        why = "encoded start key empty (version meta.k8s.io/v1)"
        raise bad_request(f"invalid continue token: continue key is not valid: {why}")
    return place


def check_list_options(*, resource_version: str, match: str, continue_token: str) -> None:
    """Refuse combinations of options that contradict each other.

    Raises:
        StatusError: 400 or 422, as a kube-apiserver.
    """
    causes = _match_causes(resource_version, match, continue_token) if match else []
    if causes:
        raise invalid_options("ListOptions", *causes)
    if continue_token and resource_version not in {"", "0"}:
        raise bad_request("specifying resource version is not allowed when using continue")


def _match_causes(resource_version: str, match: str, continue_token: str) -> list[Json]:
    where = "resourceVersionMatch"
    causes: list[Json] = []
    if not resource_version:
        causes.append(forbidden_field(where, f"{where} is forbidden unless resourceVersion is provided"))
    if continue_token:
        causes.append(forbidden_field(where, f"{where} is forbidden when continue is provided"))
    if match not in _MATCHES:
        causes.append(not_supported(where, match, (*_MATCHES, "")))
    if match == "Exact" and resource_version == "0":
        causes.append(forbidden_field(where, f'{where} "exact" is forbidden for resourceVersion "0"'))
    return causes


def read_revision(text: str, *, listing: bool = False) -> int:
    """Read a resourceVersion; empty means 0.

    Raises:
        StatusError: 400 for a list, 500 for anything else, when it is not an unsigned number.
    """
    if text == "":
        return 0
    digits = text.isascii() and text.isdigit()
    if digits and len(text) <= _MOST_DIGITS:
        return int(text)
    problem = "value out of range" if digits else "invalid syntax"
    why = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": {problem}'
    raise bad_request(f"invalid resource version: {why}") if listing else internal(why)
