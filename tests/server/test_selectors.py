"""Selectors: what they refuse and what they match."""

from __future__ import annotations

import pytest

from lease_aio.server import LEASES, NAMESPACES, NODES, StatusError
from lease_aio.server.selectors import parse_fields, parse_labels, parse_selector


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "found '', expected: ',' or ')'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b,", "found '', expected: identifier after ','"),
        ("=b", "found '=', expected: !, identifier, or 'end of string'"),
        ("a>b", "the value must be an integer"),
        ("a=-b", "a valid label must be an empty string"),
        ("-a", "name part must consist of alphanumeric characters"),
        ("!", "found '', expected: identifier"),
    ],
)
def test_a_label_selector_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        parse_labels(text)
    assert caught.value.code == 400
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a=b", {"a": "c"}, False),
        ("a=b", {}, False),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a in (b, c)", {"a": "c"}, True),
        ("a notin (b)", {}, True),
        ("a in (b,)", {"a": ""}, True),
        ("a=", {"a": ""}, True),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("a>3", {"a": "10"}, True),
        ("a<3", {"a": "10"}, False),
        ("a>3", {"a": "x"}, False),
        ("a>3", {}, False),
        ("x/y=z,!b", {"x/y": "z"}, True),
        ("x/y=z,!b", {"x/y": "z", "b": ""}, False),
    ],
)
def test_labels_match(text: str, labels: dict[str, str], *, expected: bool) -> None:
    assert all(requirement.holds(labels) for requirement in parse_labels(text)) is expected


def test_fields_that_are_not_served_are_named() -> None:
    with pytest.raises(StatusError, match='"spec.holderIdentity" is not a known field selector: only "metadata.name"'):
        parse_fields(LEASES, "spec.holderIdentity=a")
    with pytest.raises(StatusError, match="field label not supported: metadata.namespace"):
        parse_fields(NODES, "metadata.namespace=a")
    with pytest.raises(StatusError, match="invalid selector: 'x'; can't understand 'x'"):
        parse_fields(LEASES, "x")


def test_fields_match_and_pin_a_name() -> None:
    selector = parse_selector(LEASES, "", "metadata.name==a,metadata.namespace!=b")
    assert (selector.exact("metadata.name"), selector.exact("metadata.namespace")) == ("a", "")
    assert selector.matches({"metadata": {"name": "a", "namespace": "c"}})
    assert not selector.matches({"metadata": {"name": "a", "namespace": "b"}})


def test_a_comma_in_a_value_is_escaped() -> None:
    (term,) = parse_fields(LEASES, r"metadata.name=a\,b")
    assert term.value == "a,b"


def test_fields_outside_the_metadata_match_too() -> None:
    active = parse_selector(NAMESPACES, "", "status.phase=Active")
    assert active.matches({"metadata": {}, "status": {"phase": "Active"}})
    cordoned = parse_selector(NODES, "", "spec.unschedulable=true")
    assert cordoned.matches({"metadata": {}, "spec": {"unschedulable": True}})
