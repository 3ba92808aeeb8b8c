"""Label and field selectors: parsing with the refusals of a kube-apiserver, and matching."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lease_aio.server.schema import as_object
from lease_aio.server.status import Json, StatusError, bad_request
from lease_aio.server.validation import label_value, qualified_name

if TYPE_CHECKING:
    from lease_aio.server.resources import ResourceType

_TOKEN = re.compile(r"\s*(?:(?P<sign>==|!=|[=!<>,()])|(?P<word>[^\s=!<>,()]+))")
_FIELD_TERM = re.compile(r"(?:[^,\\]|\\.)+")
_OPERATORS = ("in", "notin", "=", "==", "!=", "gt", "lt")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on the labels: a key, an operator and the values that it speaks of."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels satisfy it. A key that is missing satisfies only `!=`, `notin` and `!key`."""
        value = labels.get(self.key)
        if self.operator == "exists":
            return value is not None
        if self.operator == "!":
            return value is None
        if self.operator == "notin":
            return value is None or value not in self.values
        if value is None:
            return False
        return value in self.values if self.operator == "in" else self._compares(value)

    def _compares(self, value: str) -> bool:
        try:
            left, right = int(value), int(next(iter(self.values)))
        except ValueError:
            return False
        return left > right if self.operator == "gt" else left < right


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One condition on a field: the path in the object, the value, and whether it must be equal or must differ."""

    label: str
    path: tuple[str, ...]
    value: str
    equal: bool

    def holds(self, obj: Json) -> bool:
        """Whether the object satisfies it; a missing field counts as empty."""
        found: object = obj
        for part in self.path:
            found = (as_object(found) or {}).get(part, "")
        text = str(found).lower() if isinstance(found, bool) else str(found)
        return (text == self.value) is self.equal


@dataclass(frozen=True, slots=True)
class Selector:
    """Label and field conditions that must all hold. `Selector()` selects everything."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[FieldTerm, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.labels or self.fields)

    def matches(self, obj: Json) -> bool:
        """Whether the object is selected."""
        labels = obj["metadata"].get("labels", {})
        return all(one.holds(labels) for one in self.labels) and all(one.holds(obj) for one in self.fields)

    def exact(self, label: str) -> str:
        """The value that a field must equal (`metadata.name`, `metadata.namespace`); empty if it is not pinned."""
        return next((term.value for term in self.fields if term.label == label and term.equal), "")


EVERYTHING = Selector()


def parse_selector(resource: ResourceType, label_selector: str, field_selector: str) -> Selector:
    """Parse the two query parameters.

    Raises:
        StatusError: 400, naming what was not understood.
    """
    if not label_selector and not field_selector:
        return EVERYTHING
    return Selector(parse_labels(label_selector), parse_fields(resource, field_selector))


# --- labels -------------------------------------------------------------------------------------------------


def parse_labels(text: str) -> tuple[Requirement, ...]:
    """Parse a label selector: equality (`a=b`), sets (`a in (b,c)`), existence (`a`, `!a`), comparison (`a>1`)."""
    return _LabelParser(text).parse()


class _LabelParser:
    """Reads the tokens of one selector from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens = [found["sign"] or found["word"] for found in _TOKEN.finditer(text)]
        self._at = 0

    def parse(self) -> tuple[Requirement, ...]:
        requirements: list[Requirement] = []
        while self._peek():
            if self._peek() in set("=<>,()") | {"==", "!="}:
                raise bad_request(f"found '{self._peek()}', expected: !, identifier, or 'end of string'")
            requirements.append(self._requirement())
            after = self._next()
            if after not in {"", ","}:
                raise bad_request(f"found '{after}', expected: ',' or 'end of string'")
            if after == "," and not _is_word(self._peek()) and self._peek() != "!":
                raise bad_request(f"found '{self._peek()}', expected: identifier after ','")
        return tuple(requirements)

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _requirement(self) -> Requirement:
        negated = self._peek() == "!"
        if negated:
            self._next()
        key = self._next()
        if not _is_word(key):
            raise _unparsable(f"found '{key}', expected: identifier")
        _check(key, qualified_name(key))
        if negated:
            return Requirement(key, "!")
        if self._peek() in {"", ","}:
            return Requirement(key, "exists")
        return self._operation(key)

    def _operation(self, key: str) -> Requirement:
        operator = self._next()
        if operator in {"in", "notin"}:
            return Requirement(key, operator, self._set(key))
        if operator in {"=", "==", "!="}:
            value = self._exact()
            _check(value, label_value(value), key=key)
            return Requirement(key, "notin" if operator == "!=" else "in", frozenset({value}))
        if operator in {">", "<"}:
            return Requirement(key, "gt" if operator == ">" else "lt", frozenset({self._number()}))
        raise _unparsable(f"found '{operator}', expected: {', '.join(_OPERATORS)}")

    def _exact(self) -> str:
        # `a=` means the empty value.
        return self._next() if _is_word(self._peek()) else ""

    def _number(self) -> str:
        text = self._exact()
        if not re.fullmatch(r"[+-]?\d+", text, re.ASCII):
            raise _unparsable(
                f"values[0]: Invalid value: \"{text}\": for 'Gt', 'Lt' operators, the value must be an integer"
            )
        return text

    def _set(self, key: str) -> frozenset[str]:
        if (opening := self._next()) != "(":
            raise _unparsable(f"found '{opening}' expected: '('")
        values: set[str] = set()
        expect_value = True
        while (token := self._next()) != ")":
            if token == ",":  # noqa: S105
                if expect_value:
                    values.add("")
                expect_value = True
            elif _is_word(token) and expect_value:
                _check(token, label_value(token), key=key)
                values.add(token)
                expect_value = False
            else:
                raise _unparsable(f"found '{token}', expected: ',' or ')'")
        return frozenset(values | {""}) if expect_value else frozenset(values)


def _is_word(token: str) -> bool:
    return bool(token) and token[0] not in "=!<>,()"


def _unparsable(why: str) -> StatusError:
    return bad_request(f"unable to parse requirement: {why}")


def _check(text: str, problems: list[str], *, key: str = "") -> None:
    if problems:
        where = f"values[0][{key}]" if key else "<nil>"
        raise _unparsable(f'{where}: Invalid value: "{text}": {"; ".join(problems)}')


# --- fields -------------------------------------------------------------------------------------------------


def parse_fields(resource: ResourceType, text: str) -> tuple[FieldTerm, ...]:
    """Parse a field selector: terms `k=v`, `k==v`, `k!=v`, joined by commas."""
    # A comma, an equals sign or a backslash in a value is escaped by a backslash.
    parts = (found for found in _FIELD_TERM.findall(text) if found not in {"", "="})
    return tuple(_field_term(resource, part, text) for part in parts)


def _field_term(resource: ResourceType, part: str, text: str) -> FieldTerm:
    found = re.fullmatch(r"([^=!]*)(!=|==|=)(.*)", part)
    if found is None:
        raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
    label, operator, value = found.groups()
    path = _paths(resource).get(label)
    if path is None:
        raise bad_request(_unknown_label(resource, label))
    return FieldTerm(label, path, re.sub(r"\\([\\,=])", r"\1", value), operator != "!=")


def _paths(resource: ResourceType) -> dict[str, tuple[str, ...]]:
    always = {"metadata.name": ("metadata", "name")}
    if resource.namespaced:
        always["metadata.namespace"] = ("metadata", "namespace")
    return {**always, **resource.field_labels}


def _unknown_label(resource: ResourceType, label: str) -> str:
    if not resource.namespaced or resource.field_labels:  # with labels of its own, it has a conversion of its own
        return f"field label not supported: {label}"
    return f'"{label}" is not a known field selector: only "metadata.name", "metadata.namespace"'
