"""How errors become codes and lines."""

from __future__ import annotations

import pytest

from lease_aio.cli.exits import EXIT_CODES, Exit, error_line, exit_code, exit_codes_text, leaf
from lease_aio.errors import (
    Call,
    ConfigurationError,
    Conflict,
    Invalid,
    MalformedObject,
    NoCluster,
    NotFound,
    Refused,
    TermLost,
    Throttled,
    Unavailable,
)

GET = Call(verb="get", resource="leases.coordination.k8s.io", namespace="ns", name="x")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("no"), Exit.USAGE),
        (Invalid(GET, "no", status=422), Exit.USAGE),
        (NotFound(GET, 'namespaces "ns" not found', status=404), Exit.USAGE),
        (NotFound(GET, 'leases "x" not found', status=404), Exit.UNEXPECTED),
        (Conflict(GET, "no", status=409), Exit.UNEXPECTED),
        (NoCluster("none"), Exit.UNREACHABLE),
        (Unavailable(GET, "no"), Exit.UNREACHABLE),
        (Throttled(GET, "no", status=429), Exit.UNREACHABLE),
        (MalformedObject("Lease", "no"), Exit.UNREACHABLE),
        (Refused(GET, "no", status=401), Exit.REFUSED),
        (Refused(GET, "no", status=403), Exit.REFUSED),
        (TermLost("ns/x", "taken"), Exit.TERM_LOST),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (RuntimeError("a bug"), Exit.UNEXPECTED),
    ],
)
def test_each_error_has_its_code(error: BaseException, code: Exit) -> None:
    assert exit_code(error) is code


def test_an_error_is_found_in_nested_groups_beside_lesser_ones() -> None:
    refused = Refused(GET, "no", status=403)
    group = BaseExceptionGroup("outer", [RuntimeError("noise"), ExceptionGroup("inner", [refused])])

    assert leaf(group) is refused


def test_a_line_is_one_line_whatever_the_server_said() -> None:
    assert "\n" not in error_line(Unavailable(GET, "first\nsecond", status=503))


def test_a_refusal_says_how_to_look_for_the_permission() -> None:
    line = error_line(Refused(GET, "forbidden", status=403))

    assert "kubectl auth can-i get leases.coordination.k8s.io -n ns" in line


def test_a_bug_is_called_unexpected_with_its_type() -> None:
    assert error_line(KeyError("x")).startswith("unexpected KeyError: 'x'")


def test_every_code_is_in_the_help() -> None:
    text = exit_codes_text()

    assert set(EXIT_CODES) == set(Exit)
    assert all(f"- {code.value}: " in text for code in Exit)
