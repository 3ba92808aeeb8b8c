"""Query options and DeleteOptions: what they may be, and the refusals for what they may not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from lease_aio.server.negotiation import is_true
from lease_aio.server.schema import DecodeError, compile_struct
from lease_aio.server.shapes import DELETE_OPTIONS
from lease_aio.server.status import Json, bad_request, cause, invalid_options
from lease_aio.server.validation import forbidden_field, not_supported, wrong

_NOTHING: Mapping[str, str] = {}
_MAX_MANAGER_BYTES = 128
_POLICIES = ("Foreground", "Background", "Orphan", "nil")
_FIELD_VALIDATION = ("", "Ignore", "Strict", "Warn")


def read_query(query: str) -> Mapping[str, str]:
    """The parameters of a query string; of a repeated one only the first counts, save for the list `dryRun`."""
    if not query:
        return _NOTHING
    found: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key == "dryRun" and key in found:
            found[key] += f",{value}"
        found.setdefault(key, value)
    return found


def _dry_run(query: Mapping[str, str]) -> list[str]:
    return query["dryRun"].split(",") if "dryRun" in query else []


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """Options of create, update and patch.

    Attributes:
        dry_run: check everything, store nothing.
        field_validation: `Ignore`, `Warn` or `Strict`.
    """

    dry_run: bool = False
    field_validation: str = "Warn"


_USUAL = WriteOptions()


def write_options(query: Mapping[str, str], kind: str) -> WriteOptions:
    """Read the options of a write; `kind` is `CreateOptions`, `UpdateOptions` or `PatchOptions`.

    Raises:
        StatusError: 422.
    """
    if not query:
        return _USUAL
    causes = _dry_run_causes(_dry_run(query)) + _manager_causes(query)
    validation = query.get("fieldValidation") or "Warn"
    if validation not in _FIELD_VALIDATION:
        causes.append(not_supported("fieldValidation", validation, _FIELD_VALIDATION))
    if kind == "PatchOptions" and "force" in query:
        causes.append(forbidden_field("force", "may not be specified for non-apply patch"))
    if causes:
        raise invalid_options(kind, *causes)
    return WriteOptions(dry_run="dryRun" in query, field_validation=validation)


def _dry_run_causes(given: list[str]) -> list[Json]:
    if all(value == "All" for value in given):
        return []
    return [not_supported("dryRun", given, ("All",))]


def _manager_causes(query: Mapping[str, str]) -> list[Json]:
    manager = query.get("fieldManager", "")
    causes: list[Json] = []
    if len(manager.encode()) > _MAX_MANAGER_BYTES:
        text = f"Too long: may not be more than {_MAX_MANAGER_BYTES} bytes"
        causes.append(cause("FieldValueTooLong", text, "fieldManager"))
    at, sign = next(((at, sign) for at, sign in enumerate(manager) if not sign.isprintable()), (0, ""))
    if sign:
        text = f'Invalid value: "\\x{ord(sign):02x}": invalid character U+{ord(sign):04X} (at position {at})'
        causes.append(cause("FieldValueInvalid", text, "fieldManager"))
    return causes


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOptions:
    """Options of a delete, from its body or its query string."""

    uid: str = ""
    resource_version: str = ""
    propagation_policy: str = ""
    dry_run: bool = False


def delete_options(query: Mapping[str, str], body: object) -> DeleteOptions:
    """Read DeleteOptions: from the body if there is one, else from the query string.

    Raises:
        StatusError: 400 for a body of another kind, 422 for options that contradict each other.
    """
    if body is None:
        return _delete_options(query.get("propagationPolicy"), query.get("orphanDependents"), _dry_run(query), {})
    try:
        options: Json = _decode_delete(body, [])
    except DecodeError as error:
        raise bad_request(str(error)) from None
    if options.get("kind", "DeleteOptions") != "DeleteOptions":
        raise bad_request(f'no kind "{options["kind"]}" is understood as the body of a delete: send DeleteOptions')
    orphan = options.get("orphanDependents")
    return _delete_options(
        options.get("propagationPolicy"),
        None if orphan is None else str(orphan),
        options.get("dryRun", []),
        options.get("preconditions", {}),
    )


_decode_delete = compile_struct(DELETE_OPTIONS)


def _delete_options(policy: str | None, orphan: str | None, dry_run: list[str], preconditions: Json) -> DeleteOptions:
    causes = _dry_run_causes(dry_run)
    if orphan is not None and policy is not None:
        causes.append(wrong("propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set"))
    if policy is not None and policy not in _POLICIES[:3]:
        causes.append(not_supported("propagationPolicy", policy, _POLICIES))
    if causes:
        raise invalid_options("DeleteOptions", *causes)
    return DeleteOptions(
        uid=preconditions.get("uid") or "",
        resource_version=preconditions.get("resourceVersion") or "",
        propagation_policy=policy or ("Orphan" if is_true(orphan) else ""),
        dry_run=bool(dry_run),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """Options of a watch; `timeout_s` is None where the client leaves it to the server."""

    send_initial_events: bool | None
    bookmarks: bool
    timeout_s: int | None


def watch_options(query: Mapping[str, str]) -> WatchOptions:
    """Read what only a watch takes.

    Raises:
        StatusError: 422 for combinations that contradict each other.
    """
    initial = query.get("sendInitialEvents")
    match = query.get("resourceVersionMatch", "")
    where = "resourceVersionMatch"
    causes: list[Json] = []
    if initial is None and match:
        causes.append(forbidden_field(where, f"{where} is forbidden for watch unless sendInitialEvents is provided"))
    if initial is not None and match != "NotOlderThan":
        why = f"sendInitialEvents requires setting {where} to NotOlderThan"
        causes.append(forbidden_field(where, why))
        causes += [not_supported(where, match, ("NotOlderThan",))] if match else []
    if query.get("continue"):
        causes.append(forbidden_field(where, f"{where} is forbidden when continue is provided"))
    if causes:
        raise invalid_options("ListOptions", *causes)
    return WatchOptions(
        send_initial_events=None if initial is None else is_true(initial),
        bookmarks=is_true(query.get("allowWatchBookmarks")),
        timeout_s=whole_number(query, "timeoutSeconds") or None,
    )


def forbid_initial_events(query: Mapping[str, str]) -> None:
    """Refuse on a list what only a watch can do.

    Raises:
        StatusError: 422.
    """
    if "sendInitialEvents" in query:
        why = forbidden_field("sendInitialEvents", "sendInitialEvents is forbidden for list")
        raise invalid_options("ListOptions", why)


def check_numbers(query: Mapping[str, str]) -> None:
    """Refuse numeric parameters that are none, whether this request uses them or not.

    Raises:
        StatusError: 400.
    """
    for name in ("limit", "timeoutSeconds"):
        whole_number(query, name)


def whole_number(query: Mapping[str, str], name: str) -> int:
    """A numeric query parameter; 0 if it is absent.

    Raises:
        StatusError: 400, when it is not a number.
    """
    text = query.get(name, "")
    try:
        return int(text) if text else 0
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
