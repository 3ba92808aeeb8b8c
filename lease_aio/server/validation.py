"""Validation rules: what a well-formed object must also obey. Each broken rule is one cause of a 422.

The rules and their words are those of `k8s.io/apimachinery/pkg/api/validation` and
`pkg/apis/coordination/validation`. Functions are pure and return the causes, in the order in which a
kube-apiserver lists them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TypeAlias

from lease_aio.server.status import Json, cause

NameRule: TypeAlias = Callable[[str], list[str]]
"""Gives the complaints about a name; none if it is good."""

_LABEL_FMT = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN_FMT = rf"{_LABEL_FMT}(\.{_LABEL_FMT})*"
_QUALIFIED_FMT = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE_FMT = f"({_QUALIFIED_FMT})?"
_CONFIG_MAP_KEY_FMT = "[-._a-zA-Z0-9]+"

_LABEL = re.compile(_LABEL_FMT)
_SUBDOMAIN = re.compile(_SUBDOMAIN_FMT)
_QUALIFIED = re.compile(_QUALIFIED_FMT)
_LABEL_VALUE = re.compile(_LABEL_VALUE_FMT)
_CONFIG_MAP_KEY = re.compile(_CONFIG_MAP_KEY_FMT)
_SEMVER_NUMBER = r"0|[1-9]\d{0,18}"  # what 64 bits hold
_SEMVER_WORD = rf"(?:{_SEMVER_NUMBER}|\d*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    rf"({_SEMVER_NUMBER})\.({_SEMVER_NUMBER})\.({_SEMVER_NUMBER})"
    rf"(?:-{_SEMVER_WORD}(?:\.{_SEMVER_WORD})*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)

_LABEL_MESSAGE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL_FMT}')"
)
_SUBDOMAIN_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    f"'{_SUBDOMAIN_FMT}')"
)
_QUALIFIED_MESSAGE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    f"'{_QUALIFIED_FMT}')"
)
_LABEL_VALUE_MESSAGE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{_LABEL_VALUE_FMT}')"
)
_MAX_ANNOTATIONS_BYTES = 262_144
_CHECKED = ("labels", "annotations", "ownerReferences", "finalizers")
_STRATEGIES = ("OldestEmulationVersion",)


def required(field: str, why: str = "") -> Json:
    """The cause for a missing value."""
    return cause("FieldValueRequired", f"Required value: {why}" if why else "Required value", field)


def wrong(field: str, value: object, why: str) -> Json:
    """The cause for a value that breaks a rule."""
    return cause("FieldValueInvalid", f"Invalid value: {as_json(value)}: {why}", field)


def forbidden_field(field: str, why: str) -> Json:
    """The cause for a value that may not be given here."""
    return cause("FieldValueForbidden", f"Forbidden: {why}", field)


def not_supported(field: str, value: object, supported: tuple[str, ...]) -> Json:
    """The cause for a value that is not one of a closed set."""
    listed = ", ".join(as_json(one) for one in supported)
    return cause("FieldValueNotSupported", f"Unsupported value: {as_json(value)}: supported values: {listed}", field)


def as_json(value: object) -> str:
    """A value as error messages show it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _too_long(limit: int, unit: str = "bytes") -> str:
    return f"must be no more than {limit} {unit}"


# --- names --------------------------------------------------------------------------------------------------


def subdomain(name: str) -> list[str]:
    """Rule for names of leases and nodes: an RFC 1123 subdomain of at most 253 bytes."""
    problems = [_too_long(253, "characters")] if len(name) > 253 else []
    return problems if _SUBDOMAIN.fullmatch(name) else [*problems, _SUBDOMAIN_MESSAGE]


def label_name(name: str) -> list[str]:
    """Rule for names of namespaces: an RFC 1123 label of at most 63 bytes."""
    problems = [_too_long(63, "characters")] if len(name) > 63 else []
    if "." in name and _SUBDOMAIN.fullmatch(name):
        return [*problems, "must not contain dots"]
    return problems if _LABEL.fullmatch(name) else [*problems, _LABEL_MESSAGE]


def config_map_key(name: str) -> list[str]:
    """Rule for names of lease candidates."""
    problems = [_too_long(253, "characters")] if len(name) > 253 else []
    if not _CONFIG_MAP_KEY.fullmatch(name):
        problems.append(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
            f"'KEY_NAME',  or 'key-name', regex used for validation is '{_CONFIG_MAP_KEY_FMT}')"
        )
    if name in {".", ".."}:
        problems.append(f"must not be '{name}'")
    elif name.startswith(".."):
        problems.append("must not start with '..'")
    return problems


def qualified_name(key: str) -> list[str]:
    """Rule for keys of labels and annotations: `[prefix/]name`."""
    prefix, slash, name = key.rpartition("/")
    problems: list[str] = []
    if slash:
        if "/" in prefix:
            whole = f"a valid label key {_QUALIFIED_MESSAGE} with an optional DNS subdomain prefix and '/' "
            return [whole + "(e.g. 'example.com/MyName')"]
        if not prefix:
            problems.append("prefix part must be non-empty")
        else:
            problems += [f"prefix part {why}" for why in subdomain(prefix)]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append(f"name part {_too_long(63)}")
    if not _QUALIFIED.fullmatch(name):
        problems.append(f"name part {_QUALIFIED_MESSAGE}")
    return problems


def label_value(value: str) -> list[str]:
    """Rule for values of labels."""
    problems = [_too_long(63)] if len(value.encode()) > 63 else []
    return problems if _LABEL_VALUE.fullmatch(value) else [*problems, _LABEL_VALUE_MESSAGE]


# --- metadata -----------------------------------------------------------------------------------------------


def metadata_on_create(meta: Json, rule: NameRule) -> list[Json]:
    """Causes for the metadata of a new object."""
    causes: list[Json] = []
    name, prefix = meta.get("name", ""), meta.get("generateName", "")
    if prefix and (not name or rule(name)):
        masked = f"{prefix[:-1]}a" if prefix.endswith("-") else prefix
        causes += [wrong("metadata.generateName", prefix, why) for why in rule(masked)]
    if not name:
        causes.append(required("metadata.name", "name or generateName is required"))
    else:
        causes += [wrong("metadata.name", name, why) for why in rule(name)]
    if meta.get("generation", 0) < 0:
        causes.append(wrong("metadata.generation", meta["generation"], "must be greater than or equal to 0"))
    return causes + _maps_and_owners(meta) + _finalizers(meta)


def metadata_on_update(meta: Json, old: Json) -> list[Json]:
    """Causes for changed metadata of an existing object."""
    causes: list[Json] = []
    if any([meta.get(key) is not old.get(key) for key in _CHECKED]):  # noqa: C419  # a generator is slower
        causes += _maps_and_owners(meta) + _finalizers(meta)
    for key in ("uid", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if meta.get(key) != old.get(key):
            causes.append(wrong(f"metadata.{key}", meta.get(key), "field is immutable"))
    if old.get("deletionTimestamp"):
        causes += _new_finalizers(meta, old)
    return causes


def _new_finalizers(meta: Json, old: Json) -> list[Json]:
    added = [one for one in meta.get("finalizers", ()) if one not in old.get("finalizers", ())]
    if not added:
        return []
    shown = ", ".join(f'"{one}"' for one in added)
    why = f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{shown}}}"
    return [forbidden_field("metadata.finalizers", why)]


def _maps_and_owners(meta: Json) -> list[Json]:
    return _labels(meta) + _annotations(meta) + _owner_references(meta)


def _labels(meta: Json) -> list[Json]:
    causes: list[Json] = []
    labels: dict[str, str] = meta.get("labels", {})
    for key, value in sorted(labels.items()):
        causes += [wrong("metadata.labels", key, why) for why in qualified_name(key)]
        causes += [wrong("metadata.labels", value, why) for why in label_value(value)]
    return causes


def _annotations(meta: Json) -> list[Json]:
    annotations: dict[str, str] = meta.get("annotations", {})
    causes = [
        wrong("metadata.annotations", key, why) for key in sorted(annotations) for why in qualified_name(key.lower())
    ]
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > _MAX_ANNOTATIONS_BYTES:
        text = f"Too long: may not be more than {_MAX_ANNOTATIONS_BYTES} bytes"
        causes.append(cause("FieldValueTooLong", text, "metadata.annotations"))
    return causes


def _owner_references(meta: Json) -> list[Json]:
    causes: list[Json] = []
    controller = ""
    for at, owner in enumerate(meta.get("ownerReferences", ())):
        where = f"metadata.ownerReferences[{at}]"
        keys = ("apiVersion", "kind", "name", "uid")
        causes += [required(f"{where}.{key}", "must not be empty") for key in keys if not owner[key]]
        causes += _owner_kind(owner, where)
        if owner.get("controller"):
            if controller:
                both = f"{controller} and {owner['kind']}/{owner['name']}"
                why = f'Only one reference can have Controller set to true. Found "true" in references for {both}'
                causes.append(wrong("metadata.ownerReferences", meta["ownerReferences"], why))
            controller = f"{owner['kind']}/{owner['name']}"
    return causes


def _owner_kind(owner: Json, where: str) -> list[Json]:
    if owner["apiVersion"].count("/") > 1:
        return [wrong(f"{where}.apiVersion", owner["apiVersion"], "must be <group>/<version> or <version>")]
    if (owner["apiVersion"], owner["kind"]) == ("v1", "Event"):
        return [wrong(where, owner, "/v1, Kind=Event is disallowed from being an owner")]
    return []


def _finalizers(meta: Json) -> list[Json]:
    names: list[str] = meta.get("finalizers", [])
    return [wrong("metadata.finalizers", name, why) for name in names for why in qualified_name(name)]


# --- specs --------------------------------------------------------------------------------------------------


def lease(new: Json, _old: Json | None) -> list[Json]:
    """Causes for the spec of a Lease."""
    spec = new["spec"]
    causes: list[Json] = []
    duration, transitions = spec.get("leaseDurationSeconds", 1), spec.get("leaseTransitions", 0)
    if duration <= 0:
        causes.append(wrong("spec.leaseDurationSeconds", duration, "must be greater than 0"))
    if transitions < 0:
        causes.append(wrong("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
    if "strategy" in spec:
        # The path is doubled on a kube-apiserver, too.
        causes += _strategy("spec.strategy.strategy", spec["strategy"])
    if spec.get("preferredHolder") and not spec.get("strategy"):
        causes.append(forbidden_field("spec.preferredHolder", "may only be specified if `strategy` is defined"))
    return causes


def _strategy(where: str, strategy: str) -> list[Json]:
    if "/" in strategy:
        return [wrong(where, strategy, why) for why in qualified_name(strategy)]
    return [] if strategy in _STRATEGIES else [not_supported(where, strategy, _STRATEGIES)]


def lease_candidate(new: Json, old: Json | None) -> list[Json]:
    """Causes for the spec of a LeaseCandidate."""
    spec = new["spec"]
    causes: list[Json] = []
    if not spec["leaseName"]:
        causes.append(required("spec.leaseName"))
    causes += _candidate_versions(spec["binaryVersion"], spec.get("emulationVersion", ""))
    causes += _candidate_strategy(spec.get("strategy", ""), spec.get("emulationVersion", ""))
    if old is not None and spec["leaseName"] != old["spec"]["leaseName"]:
        causes.append(wrong("spec.leaseName", spec["leaseName"], "field is immutable"))
    return causes


def _candidate_versions(binary: str, emulation: str) -> list[Json]:
    causes: list[Json] = []
    if emulation and not _SEMVER.fullmatch(emulation):
        causes.append(wrong("spec.emulationVersion", emulation, "must be a valid semantic version"))
    if not binary:
        return [*causes, required("spec.binaryVersion")]
    if not _SEMVER.fullmatch(binary):
        causes.append(wrong("spec.binaryVersion", binary, "must be a valid semantic version"))
    if emulation and _version(binary) < _version(emulation):
        causes.append(wrong("spec.binaryVersion", binary, "must be greater than or equal to `emulationVersion`"))
    return causes


def _candidate_strategy(strategy: str, emulation: str) -> list[Json]:
    if not strategy:
        return [required("spec.strategy")]
    causes: list[Json] = []
    if strategy == "OldestEmulationVersion" and _version(emulation) == _version(""):
        why = "must be specified when `strategy` is 'OldestEmulationVersion'"
        causes.append(required("spec.emulationVersion", why))
    return causes + _strategy("spec.strategy.strategy", strategy)  # doubled on a kube-apiserver, too


def _version(text: str) -> tuple[object, ...]:
    """What versions are compared by; one that cannot be read counts as 0.0.0."""
    found = _SEMVER.fullmatch(text)
    if found is None:
        return _version("0.0.0")
    numbers = tuple(int(part) for part in found.groups()[:3])
    words = text.partition("+")[0].partition("-")[2]
    parts = tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in words.split(".") if word)
    return numbers, not parts, parts


def namespace(new: Json, _old: Json | None) -> list[Json]:
    """Causes for the phase of a Namespace."""
    phase = new["status"].get("phase", "")
    if new["metadata"].get("deletionTimestamp"):
        if phase != "Terminating":
            why = "may only be 'Terminating' if `deletionTimestamp` is not empty"
            return [wrong("status.Phase", phase, why)]
    elif phase != "Active":
        return [wrong("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")]
    return []


def event(new: Json, _old: Json | None) -> list[Json]:
    """Causes for the object that an Event is about: it lives in the Event's namespace, or in none."""
    about: str = new["involvedObject"].get("namespace", "")
    place = new["metadata"].get("namespace", "")
    if about == place or (not about and place == "default"):
        return []
    return [wrong("involvedObject.namespace", about, "does not match event.namespace")]


def nothing(_new: Json, _old: Json | None) -> list[Json]:
    """No rules beyond those of the metadata."""
    return []
