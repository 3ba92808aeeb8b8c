"""Versions as coordinated election reads them: strictly where they are written, tolerantly where they are compared.

The rules are those of Semantic Versioning 2.0.0, and of the library that kube-apiserver reads them with.
"""

from __future__ import annotations

import re
from functools import total_ordering
from typing import Any

from lease_aio.errors import ConfigurationError

_NUMBER = r"(0|[1-9]\d{0,18})"  # what 64 bits hold
_WORD = r"(?:0|[1-9]\d{0,18}|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_STRICT = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_WORD}(?:\.{_WORD})*))?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?", re.ASCII
)


@total_ordering
class Version:
    """A version that can be compared: `1.2 < 1.19`, `1.2.0-rc.1 < 1.2.0`; what follows a `+` does not count.

    Args:
        major: The first number.
        minor: The second.
        patch: The third.
        pre_release: What follows the `-`, split at its dots.
    """

    __slots__ = ("_key", "numbers", "pre_release")

    def __init__(self, major: int = 0, minor: int = 0, patch: int = 0, pre_release: tuple[str, ...] = ()) -> None:
        self.numbers = (major, minor, patch)
        self.pre_release = pre_release
        words = tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in pre_release)
        self._key: tuple[Any, ...] = (self.numbers, not pre_release, words)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key == other._key

    def __lt__(self, other: Version) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        text = ".".join(str(number) for number in self.numbers)
        return f"{text}-{'.'.join(self.pre_release)}" if self.pre_release else text


ZERO = Version()


def check_version(what: str, text: str) -> Version:
    """The version, if an API server takes it in a LeaseCandidate.

    Args:
        what: The name of the setting, for the message.
        text: The value.

    Raises:
        ConfigurationError: it is not strict semver.
    """
    found = _match(text)
    if found is None:
        raise ConfigurationError(
            f"{what}={text!r} must be strict semver: three numbers without leading zeros and without a v, "
            f"such as {_suggestion(text)!r}; the API server refuses a LeaseCandidate with any other"
        )
    return _version(found)


def read_version(text: str) -> Version | None:
    """The version in that text, as a coordinator reads it; None where it cannot.

    Tolerated beyond strict semver: space around it, a leading `v`, leading zeros, a missing second or third number.
    """
    text = text.strip().removeprefix("v")
    numbers, mark, rest = _split(text)
    parts = [part.lstrip("0") or part[:1] for part in numbers.split(".")] if numbers else []
    if mark and len(parts) < 3:
        return None  # as there: with a pre-release, all three must be given
    parts += ["0"] * (3 - len(parts))
    found = _STRICT.fullmatch(".".join(parts) + mark + rest)
    return _version(found) if found is not None and numbers else None


def version_or_zero(text: str) -> Version:
    """The version in that text, or 0.0.0."""
    return read_version(text) or ZERO


def _match(text: object) -> re.Match[str] | None:
    return _STRICT.fullmatch(text) if isinstance(text, str) else None


def _split(text: str) -> tuple[str, str, str]:
    """The numbers, `-` or `+`, and what follows."""
    at = min((found for mark in "-+" if (found := text.find(mark)) >= 0), default=len(text))
    return text[:at], text[at : at + 1], text[at + 1 :]


def _version(found: re.Match[str]) -> Version:
    major, minor, patch, pre_release = found.groups()
    return Version(int(major), int(minor), int(patch), tuple(pre_release.split(".")) if pre_release else ())


def _suggestion(text: object) -> str:
    read = read_version(text) if isinstance(text, str) else None
    return repr(read) if read is not None else "1.31.0"
