"""How a command ends: the exit code and the one line that each error becomes. Pure."""

from __future__ import annotations

import enum
import errno
from collections.abc import Mapping
from typing import cast

from lease_aio.errors import (
    ApiError,
    ConfigurationError,
    Invalid,
    LeaseAioError,
    MalformedObject,
    NoCluster,
    NotFound,
    Refused,
    TermLost,
    Throttled,
    Unavailable,
)


class Exit(enum.IntEnum):
    """The exit codes, the same for all commands."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    TERM_LOST = 5
    STUCK = 70  # what `lease_aio.election.guard` ends with
    INTERRUPTED = 130
    TERMINATED = 143


EXIT_CODES: Mapping[Exit, str] = {
    Exit.OK: "done",
    Exit.UNEXPECTED: "failed in a way that has no code of its own; demo: the report does not match the server; "
    "fleet: an expectation of the scenario did not hold; members join: another has become this member; "
    "identity collect --once: one could not be deleted",
    Exit.USAGE: "a value cannot work: option, name, timing, namespace, kubeconfig",
    Exit.UNREACHABLE: "no cluster is configured, or no API server answers there",
    Exit.REFUSED: "the API server refuses the credentials (401) or the permission (403)",
    Exit.TERM_LOST: "lead, candidates run: the term was lost, and the command stopped",
    Exit.STUCK: "lead, candidates run: this process was stuck or frozen when its term was over, and its guard ended it",
    Exit.INTERRUPTED: "stopped by Ctrl-C (SIGINT), after stepping down in order",
    Exit.TERMINATED: "stopped by SIGTERM, after stepping down in order",
}
"""What each code says; `lead -- COMMAND` exits with the command's own code where that ended by itself."""


_CODES: Mapping[type[BaseException], Exit] = {
    MalformedObject: Exit.UNREACHABLE,
    ConfigurationError: Exit.USAGE,
    Invalid: Exit.USAGE,
    NoCluster: Exit.UNREACHABLE,
    Unavailable: Exit.UNREACHABLE,
    Throttled: Exit.UNREACHABLE,
    Refused: Exit.REFUSED,
    TermLost: Exit.TERM_LOST,
    KeyboardInterrupt: Exit.INTERRUPTED,
}


class CommandFailed(LeaseAioError):
    """A command did its work and found something wrong, e.g. the demo's report: exit code 1, no advice."""


def exit_codes_text() -> str:
    """The table for `--help`, as a list in Markdown."""
    rows = [f"- {code.value}: {meaning}" for code, meaning in EXIT_CODES.items()]
    own = "lead -- COMMAND: the command's own code (128+N when signal N killed it)"
    return "\n\n".join(["Exit codes:", *rows, f"- {own}"])


def leaf(error: BaseException) -> BaseException:
    """The error itself, out of the groups that task groups wrap it in; of several the one that says the most."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [leaf(one) for one in cast("BaseExceptionGroup[BaseException]", error).exceptions]
    return max(leaves, key=lambda one: isinstance(one, LeaseAioError))


def exit_code(error: BaseException) -> Exit:
    """The code for an error that ended a command."""
    if isinstance(error, NotFound) and error.namespace_missing:
        return Exit.USAGE
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), Exit.UNEXPECTED)


def is_full(error: BaseException) -> bool:
    """What is written to takes no more."""
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}


def error_line(error: BaseException) -> str:
    """What went wrong and what to do, on one line."""
    if isinstance(error, LeaseAioError):
        words = str(error).replace("\n- ", "; ").replace("Tried:;", "Tried:").replace("\nWithout", ". Without")
    elif is_full(error):
        words = "no space is left where standard output, or a file, is written to"
    else:
        words = f"unexpected {type(error).__name__}: {error} (please report it, with the output of --verbose)"
    remedy = _remedy(error)
    line = " ".join(words.split())
    return f"{line}; {remedy}" if remedy else line


def _remedy(error: BaseException) -> str:
    match error:
        case NotFound() if error.namespace_missing:
            return _namespace_remedy(error)
        case Refused(status=401):
            return "renew these credentials (log in again), or choose others with --kubeconfig or --context"
        case Refused(status=403):
            return _permission_remedy(error)
        case Unavailable() if error.status == 0:
            return "or use --embedded, which needs no cluster"
        case _:
            return ""


def _namespace_remedy(error: ApiError) -> str:
    name = error.call.namespace
    return f"create it (kubectl create namespace {name}) or give another one with --namespace"


def _permission_remedy(error: ApiError) -> str:
    call = error.call
    place = f" -n {call.namespace}" if call.namespace else ""
    return f"have it granted by RBAC; to see: kubectl auth can-i {call.verb} {call.resource}{place}"
