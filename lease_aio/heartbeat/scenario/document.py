"""YAML with places: whatever is wrong in a file is refused with its line, its column and the remedy. Pure.

Reads the graph of nodes that PyYAML composes, not Python values: so each value knows where it stands, a key that stands
twice is seen, and `at: 1:30` is not silently the number 90, as YAML 1.1 would have it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.scenario.units import parse_duration, parse_share

_LARGEST = 1_000_000  # characters
_NULL = "tag:yaml.org,2002:null"
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'silence'?`, or nothing where no known word is near."""
    found = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f"; did you mean {found[0]!r}?" if found else ""


class Item:
    """One value of a file, and where it stands.

    Every method raises `ConfigurationError` where the value is not what is asked for. The message starts with
    `source:line:column`, names the key and the value, and says what to write instead.

    Attributes:
        key: What it is the value of; empty for the whole file.
        line: Counted from 1.
    """

    __slots__ = ("_column", "_node", "_source", "key", "line")

    def __init__(self, node: Any, source: str, key: str) -> None:
        self._node, self._source, self.key = node, source, key
        self.line = node.start_mark.line + 1 if node is not None else 1
        self._column = node.start_mark.column + 1 if node is not None else 1

    @property
    def place(self) -> str:
        """`source:line:column`."""
        return f"{self._source}:{self.line}:{self._column}"

    def refuse(self, why: str) -> NoReturn:
        """Say that this value cannot be; `why` names it and the remedy."""
        raise ConfigurationError(f"{self.place}: {why}")

    @property
    def raw(self) -> str:
        """What is written there; empty where it is no single word or line."""
        return str(self._node.value) if self._kind() == "scalar" else ""

    @property
    def is_text(self) -> bool:
        """Whether it is a single word or line, and not empty."""
        return self._kind() == "scalar" and self._node.tag != _NULL and bool(self.raw)

    def fields(self, what: str, known: Sequence[str], needed: Mapping[str, str] | None = None) -> dict[str, Item]:
        """The values by key.

        Args:
            what: What this is, with its article: `a step`.
            known: The keys that may stand here.
            needed: The keys that must, and an example of each.
        """
        found = self.entries(what)
        for key, value in found.items():
            if key not in known:
                known_text = ", ".join(known)
                value.refuse(f"unknown key {key!r} in {what}{nearest(key, known)} (known: {known_text})")
        for key, example in (needed or {}).items():
            if key not in found:
                self.refuse(f"{what} needs {key!r}: write for example {key}: {example}")
        return {key: value.value() for key, value in found.items()}

    def entries(self, what: str) -> dict[str, _Entry]:
        """The entries by key, whatever the keys are."""
        if self._kind() != "mapping":
            self.refuse(f"{self._named()}{self._shown()} must be {what}: keys and values, one a line")
        found: dict[str, _Entry] = {}
        for key, value in self._node.value:
            at = Item(key, self._source, self.key)
            if at._kind() != "scalar":
                at.refuse(f"a key in {what} must be one word, not {at._shown()}")
            if key.value in found:
                at.refuse(f"{key.value!r} stands twice in {what}, first on line {found[key.value].line}; keep one")
            found[key.value] = _Entry(key, value, self._source)
        return found

    def items(self, what: str) -> list[Item]:
        """The values of a list."""
        if self._kind() != "sequence":
            self.refuse(f"{self._named()}{self._shown()} must be a list of {what}, each on lines that start with '-'")
        return [Item(node, self._source, self.key) for node in self._node.value]

    def text(self, example: str) -> str:
        """What is written there, without a look at its type; `example` of what may be."""
        if not self.is_text:
            self.refuse(f"{self._named()}{self._shown()} must be a word: write for example {example}")
        return self.raw

    def word(self, known: Sequence[str]) -> str:
        """One of these words."""
        word = self.text(known[0])
        if word not in known:
            self.refuse(f"{self._named()}{word!r} is not known{nearest(word, known)} (known: {', '.join(known)})")
        return word

    def flag(self) -> bool:
        """`true` or `false`."""
        return self.word(("true", "false")) == "true"

    def whole(self, least: int, most: int = 999_999_999) -> int:
        """A whole number."""
        text = self.text(str(least))
        if _WHOLE.fullmatch(text) is None or not least <= int(text) <= most:
            self.refuse(f"{self._named()}{text!r} must be a whole number from {least} to {most}")
        return int(text)

    def duration(self, example: str, *, least_s: float = 0.0, above_s: float | None = None) -> float:
        """Seconds.

        Args:
            example: What may be written.
            least_s: The smallest there may be.
            above_s: It must be larger than this.
        """
        text = self.text(example)
        seconds = parse_duration(text)
        if seconds is None:
            bare = f"has no unit: write {text}s" if _is_number(text) else f"is no duration: write for example {example}"
            self.refuse(f"{self._named()}{text!r} {bare} (units: h, m, s, ms, as in 1m30s)")
        if seconds < least_s or (above_s is not None and seconds <= above_s):
            bound = f"more than {above_s:g}s" if above_s is not None else f"{least_s:g}s or more"
            self.refuse(f"{self._named()}{text!r} must be {bound}: write for example {example}")
        return seconds

    def share(self, example: str, *, least: float = 0.0, most: float = 1.0) -> float:
        """A share of one, written in per cent."""
        text = self.text(example)
        share = parse_share(text)
        if share is None or not least <= share <= most:
            bounds = f"from {least:.0%} to {most:.0%}"
            self.refuse(f"{self._named()}{text!r} must be a share {bounds}: write for example {example}")
        return share

    def _kind(self) -> str:
        return self._node.id if self._node is not None else "nothing"

    def _named(self) -> str:
        return f"{self.key}: " if self.key else ""

    def _shown(self) -> str:
        """What stands there, in a few words."""
        match self._kind():
            case "scalar":
                return repr(self.raw) if self.is_text else "nothing"
            case "nothing":
                return "an empty file"
            case "mapping":
                return "keys and values"
            case _:
                return "a list"


class _Entry(Item):
    """The place of a key, and its value."""

    __slots__ = ("_value",)

    def __init__(self, key: Any, value: Any, source: str) -> None:
        super().__init__(key, source, key.value)
        self._value = value

    def value(self) -> Item:
        """What stands behind the key."""
        return Item(self._value, self._source, self.key)


def read_document(text: str, source: str) -> Item:
    """The one document of a file.

    Args:
        text: Its text.
        source: Its name in messages.

    Raises:
        ConfigurationError: it is no YAML, and where it ceases to be.
    """
    import yaml  # noqa: PLC0415 - slow to import, and needed by who reads files alone

    if len(text) > _LARGEST:
        raise ConfigurationError(f"{source}: {len(text)} characters are more than the {_LARGEST} that are read")
    try:
        return Item(yaml.compose(text, Loader=yaml.SafeLoader), source, "")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"{mark.line + 1}:{mark.column + 1}" if mark is not None else "1:1"
        raise ConfigurationError(f"{source}:{at}: this is no YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{source}: this is no YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ConfigurationError(f"{source}: it is nested too deeply; a scenario needs four levels") from None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text, re.ASCII) is not None
