"""The resources that the embedded server serves: one declarative record each.

A `ResourceType` says all that distinguishes one resource from another (paths, verbs, update rules, schema,
validation). Store, REST front, discovery and OpenAPI read this table and name no resource themselves, save
where the API does (namespaces contain).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from lease_aio.server import shapes, validation
from lease_aio.server.schema import DecodeError, Decoder, Struct, as_object, compile_struct, json_type
from lease_aio.server.status import Json, StatusError, bad_request

Prepare: TypeAlias = Callable[[Json, Json | None], None]
"""Adjusts a new object before validation, given the stored one (None on create): what is overruled without a word."""

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, kw_only=True, eq=False)
class ResourceType:
    """One served resource. Two records are the same only if they are the same object.

    Attributes:
        group: API group; empty for the core group.
        namespaced: whether objects live in a namespace.
        create_on_update: whether a PUT to a missing object creates it.
        unconditional_update: whether a PUT may come without a resourceVersion.
        has_status: whether `/status` is a subresource with its own update rule.
        field_labels: field selectors beyond `metadata.name` (and `metadata.namespace`), as paths into the
            object.
        mirror_of: the same objects are served under another version, too: the resource of that.
        drop_gated: drops what stands behind the feature gate CoordinatedLeaderElection, where that is off.
    """

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    schema: Struct
    short_names: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    create_on_update: bool = False
    unconditional_update: bool = False
    has_status: bool = False
    field_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    name_rule: validation.NameRule = validation.subdomain
    mirror_of: ResourceType | None = None
    drop_gated: Prepare = lambda _new, _old: None
    prepare: Prepare = lambda _new, _old: None
    prepare_status: Prepare = lambda _new, _old: None
    validate: Callable[[Json, Json | None], list[Json]] = validation.nothing

    def __post_init__(self) -> None:
        derived = {
            "group_version": f"{self.group}/{self.version}" if self.group else self.version,
            "qualified": f"{self.plural}.{self.group}" if self.group else self.plural,
            "qualified_kind": f"{self.kind}.{self.group}" if self.group else self.kind,
            "_decoder": compile_struct(self.schema),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    group_version: str = field(init=False)
    """`group/version`, or the bare version of the core group."""
    qualified: str = field(init=False)
    """`plural.group`, as most error messages name the resource."""
    qualified_kind: str = field(init=False)
    """`Kind.group`, as validation errors name it."""
    _decoder: Decoder = field(init=False, repr=False)

    def decode(self, body: object, unknown: list[str]) -> Json:
        """Bring a JSON body into the canonical form; the paths of unknown fields are added to `unknown`.

        Raises:
            StatusError: 400, when the body is of another kind or has values of the wrong type.
        """
        source = as_object({} if body is None else body)
        if source is None:
            unmarshal = f"json: cannot unmarshal {json_type(body)} into Go value of type struct"
            raise self.unrecognized(f"couldn't get version/kind; json parse error: {unmarshal}")
        self._check_kind(source)
        try:
            decoded = self._decoder(source, unknown)
        except DecodeError as error:
            raise self.cannot_be_handled(str(error)) from None
        decoded.pop("kind", None)
        decoded.pop("apiVersion", None)
        return {"kind": self.kind, "apiVersion": self.group_version, **decoded}

    def cannot_be_handled(self, why: str) -> StatusError:
        """The 400 for a body that does not decode."""
        return bad_request(f'{self.kind} in version "{self.version}" cannot be handled as a {self.kind}: {why}')

    def unrecognized(self, why: str) -> StatusError:
        """The 400 for a body that cannot even be read."""
        return bad_request(f"the object provided is unrecognized (must be of type {self.kind}): {why}")

    def _check_kind(self, source: Json) -> None:
        version, kind = source.get("apiVersion") or self.group_version, source.get("kind") or self.kind
        if version == self.group_version and kind == self.kind:
            return
        if not isinstance(version, str) or not isinstance(kind, str):
            raise self.unrecognized("couldn't get version/kind; json parse error: kind and apiVersion must be strings")
        if version.count("/") > 1:
            raise self.unrecognized(f"unexpected GroupVersion string: {version}")
        if (version, kind) not in _known_kinds():
            why = f'no kind "{kind}" is registered for version "{version}" in scheme "{_SCHEME}"'
        elif kind != self.kind:
            wanted = f"{self.group.partition('.')[0] or 'core'}.{self.kind}"
            why = f"converting ({version.rpartition('/')[2]}.{kind}) to ({wanted}): unknown conversion"
        else:
            expected = f"does not match the expected API version ({self.group_version})"
            raise bad_request(f"the API version in the data ({version}) {expected}")
        given = f'{kind} in version "{version.rpartition("/")[2]}"'
        raise bad_request(f"{given} cannot be handled as a {self.kind}: {why}")


_SCHEME = "pkg/runtime/scheme.go:111"


def _known_kinds() -> set[tuple[str, str]]:
    """Kinds that decode, if not as the resource asked for. A real scheme still knows Leases of v1beta1."""
    served = {(resource.group_version, resource.kind) for resource in RESOURCES}
    return served | {("coordination.k8s.io/v1beta1", "Lease")}


def _drop_election_fields(new: Json, old: Json | None) -> None:
    # The gate CoordinatedLeaderElection is off by default: both fields vanish unless the stored object
    # already has them.
    kept: Json = old["spec"] if old is not None else {}
    for name in ("strategy", "preferredHolder"):
        if name in new["spec"] and name not in kept:
            del new["spec"][name]


def _prepare_node(new: Json, old: Json | None) -> None:
    if old is not None:
        new["status"] = old["status"]


def _keep_spec(new: Json, old: Json | None) -> None:
    if old is not None:
        new["spec"] = old["spec"]


def _prepare_namespace(new: Json, old: Json | None) -> None:
    meta = new["metadata"]
    if meta.get("name"):
        meta["labels"] = {**meta.get("labels", {}), "kubernetes.io/metadata.name": meta["name"]}
    if old is not None:
        new["spec"], new["status"] = old["spec"], old["status"]
        return
    own = [one for one in new["spec"].get("finalizers", ()) if one != "kubernetes"]
    new["spec"] = {"finalizers": [*own, "kubernetes"]}
    new["status"] = {"phase": "Active"}


LEASES = ResourceType(
    group="coordination.k8s.io",
    version="v1",
    kind="Lease",
    plural="leases",
    singular="lease",
    namespaced=True,
    schema=shapes.LEASE,
    create_on_update=True,
    drop_gated=_drop_election_fields,
    validate=validation.lease,
)

LEASE_CANDIDATES = ResourceType(
    group="coordination.k8s.io",
    version="v1beta1",
    kind="LeaseCandidate",
    plural="leasecandidates",
    singular="leasecandidate",
    namespaced=True,
    schema=shapes.LEASE_CANDIDATE,
    create_on_update=True,
    name_rule=validation.config_map_key,
    validate=validation.lease_candidate,
)

LEASE_CANDIDATES_V1ALPHA2 = ResourceType(
    group="coordination.k8s.io",
    version="v1alpha2",
    kind="LeaseCandidate",
    plural="leasecandidates",
    singular="leasecandidate",
    namespaced=True,
    schema=shapes.LEASE_CANDIDATE,
    create_on_update=True,
    name_rule=validation.config_map_key,
    validate=validation.lease_candidate,
    mirror_of=LEASE_CANDIDATES,
)

NODES = ResourceType(
    group="",
    version="v1",
    kind="Node",
    plural="nodes",
    singular="node",
    namespaced=False,
    schema=shapes.NODE,
    short_names=("no",),
    unconditional_update=True,
    has_status=True,
    field_labels={"spec.unschedulable": ("spec", "unschedulable")},
    prepare=_prepare_node,
    prepare_status=_keep_spec,
)

NAMESPACES = ResourceType(
    group="",
    version="v1",
    kind="Namespace",
    plural="namespaces",
    singular="namespace",
    namespaced=False,
    schema=shapes.NAMESPACE,
    short_names=("ns",),
    verbs=tuple(verb for verb in ALL_VERBS if verb != "deletecollection"),
    unconditional_update=True,
    has_status=True,
    field_labels={"status.phase": ("status", "phase")},
    name_rule=validation.label_name,
    validate=validation.namespace,
    prepare=_prepare_namespace,
    prepare_status=_keep_spec,
)

EVENTS = ResourceType(
    group="",
    version="v1",
    kind="Event",
    plural="events",
    singular="event",
    namespaced=True,
    schema=shapes.EVENT,
    short_names=("ev",),
    create_on_update=True,
    unconditional_update=True,
    field_labels={
        "reason": ("reason",),
        "reportingComponent": ("reportingComponent",),
        "source": ("source", "component"),
        "type": ("type",),
    }
    | {
        f"involvedObject.{name}": ("involvedObject", name)
        for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
    },
    validate=validation.event,
)

RESOURCES: tuple[ResourceType, ...] = (
    *(LEASES, LEASE_CANDIDATES, LEASE_CANDIDATES_V1ALPHA2),
    *(NODES, NAMESPACES, EVENTS),
)
"""Everything that the embedded server serves."""

STANDARD_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
PROTECTED_NAMESPACES = frozenset(STANDARD_NAMESPACES[:3])
