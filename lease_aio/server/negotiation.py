"""Content negotiation: what a client accepts, and what this server can make of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lease_aio.server import bodies
from lease_aio.server.status import not_acceptable

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_STREAMED = tuple(f"{one};stream=watch" for one in (bodies.SERVED[0], bodies.SERVED[2]))
_MATCHES_JSON = frozenset({bodies.JSON, "*/*", ""})
_MEDIA_TYPES = {bodies.JSON: bodies.JSON, "*/*": bodies.JSON, bodies.YAML: bodies.YAML}
_BROWSERS = ("curl", "Wget", "Mozilla/5.0")


class Shape(Enum):
    """The forms in which objects can be shown; the values are those of the Accept parameter `as`."""

    OBJECT = ""
    TABLE = "Table"
    PARTIAL = "PartialObjectMetadata"
    PARTIAL_LIST = "PartialObjectMetadataList"


@dataclass(frozen=True, slots=True)
class Clause:
    """One media type of an Accept header with its parameters; `q` is its weight."""

    media_type: str
    parameters: dict[str, str]
    weight: float


@dataclass(frozen=True, slots=True)
class Form:
    """What the answer looks like: a shape, the version of `meta.k8s.io` that it is of, and how it is written."""

    shape: Shape = Shape.OBJECT
    version: str = "v1"
    media_type: str = bodies.JSON


PLAIN = Form()


def clauses(accept: str) -> list[Clause]:
    """The clauses of an Accept header, heaviest first, otherwise in the order given."""
    found = [_clause(part) for part in accept.split(",") if part.strip()]
    return sorted(found, key=lambda clause: -clause.weight)


def _clause(text: str) -> Clause:
    media_type, *rest = (part.strip() for part in text.split(";"))
    parameters: dict[str, str] = {}
    for one in rest:
        name, _, value = one.partition("=")
        parameters[name] = value
    try:
        weight = float(parameters.pop("q", "1"))
    except ValueError:
        weight = 0.0
    return Clause(media_type.lower(), parameters, weight)


def choose(accept: str, *, allowed: frozenset[Shape], stream: bool = False) -> Form:
    """The first form that the client accepts and that is allowed here.

    Args:
        accept: the header; empty for anything.
        allowed: the shapes that this request can be answered in.
        stream: whether the answer is a watch.

    Raises:
        StatusError: 406, when there is none.
    """
    if accept in _MATCHES_JSON:
        return PLAIN
    for clause in clauses(accept):
        form = _form(clause)
        if form is not None and form.shape in allowed and not (stream and form.media_type != bodies.JSON):
            return form
    raise not_acceptable(_STREAMED if stream else bodies.SERVED)


def _form(clause: Clause) -> Form | None:
    media_type = _MEDIA_TYPES.get(clause.media_type)
    if media_type is None or clause.weight <= 0:
        return None
    wanted = clause.parameters
    if wanted.get("as", "") == "":
        return Form(media_type=media_type)
    if wanted.get("g") != "meta.k8s.io" or wanted.get("v") not in {"v1", "v1beta1"}:
        return None
    known = {shape.value: shape for shape in Shape}
    return Form(known[wanted["as"]], wanted["v"], media_type) if wanted["as"] in known else None


def wants_aggregated(accept: str) -> bool:
    """Whether the client prefers the aggregated discovery document over the plain one."""
    for clause in clauses(accept):
        if clause.media_type != bodies.JSON:
            continue
        wanted = clause.parameters
        if (wanted.get("g"), wanted.get("as")) != ("apidiscovery.k8s.io", "APIGroupDiscoveryList"):
            return False
        if wanted.get("v") == "v2":
            return True
    return False


def wants_indented(pretty: str | None, user_agent: str) -> bool:
    """Whether a person seems to be reading: `?pretty`, or a browser or a command line tool."""
    if pretty is not None:
        return is_true(pretty)
    return user_agent.startswith(_BROWSERS)


def is_true(value: str | None) -> bool:
    """A boolean query parameter: only absence, `0` and `false` are false."""
    return value is not None and value.lower() not in {"0", "false"}
