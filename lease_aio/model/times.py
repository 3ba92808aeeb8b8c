"""Instants as Kubernetes writes them: `MicroTime` with six digits, `Time` with none."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Self, final

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - only written, and with a Z behind it
_FIRST_US = (datetime.min - _NAIVE_EPOCH) // timedelta(microseconds=1)  # noqa: DTZ901 - of UTC
_LAST_US = (datetime.max - _NAIVE_EPOCH) // timedelta(microseconds=1)  # noqa: DTZ901 - of UTC
_SERVED_LENGTHS = frozenset({len("2026-01-31T12:00:00Z"), len("2026-01-31T12:00:00.000000Z")})
_RFC3339 = re.compile(
    r"(-?\d{4,6})(-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)


@lru_cache(maxsize=4096)
def _to_the_second(epoch_s: int) -> str:
    return (_NAIVE_EPOCH + timedelta(seconds=epoch_s)).isoformat()


def _as_served(text: str) -> bool:
    """Whether it looks like what API servers write, which `fromisoformat` reads faster than an expression does."""
    if len(text) not in _SERVED_LENGTHS:
        return False
    return text[4] == text[7] == "-" and text[10] == "T" and text[19] in ".Z" and text[-1] == "Z"


class _Instant:
    """An instant counted in whole microseconds since the Unix epoch, ordered and hashable."""

    __slots__ = ("epoch_us",)
    epoch_us: int

    def __init__(self, epoch_us: int) -> None:
        self.epoch_us = epoch_us

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read any RFC 3339 instant: any offset, any number of fraction digits (cut to microseconds).

        A kube-apiserver also serves years that Python has not, 0000 and 10000: then it is the nearest instant that
        Python has, so that one odd object hides no others.

        Raises:
            ValueError: not RFC 3339; an instant without an offset is refused, it could be any zone's.
        """
        if _as_served(text):
            try:
                return cls._counted(datetime.fromisoformat(text))
            except ValueError:
                pass
        match = _RFC3339.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not an RFC 3339 time with an offset, such as 2026-01-31T12:00:00.000000Z")
        year, day, clock, fraction, offset = match.groups()
        if not 0 < int(year) < 10_000:
            return cls(_FIRST_US if int(year) < 1 else _LAST_US)
        micros = (fraction or "")[:6].ljust(6, "0")
        zone = "+00:00" if offset in "Zz" else offset
        return cls.from_datetime(datetime.fromisoformat(f"{year}{day}T{clock}.{micros}{zone}"))

    @classmethod
    def from_datetime(cls, moment: datetime) -> Self:
        """Take an aware datetime; a naive one is refused, since it names no instant."""
        if moment.tzinfo is None:
            raise ValueError(f"{moment!r} has no time zone; give an aware datetime, e.g. datetime.now(UTC)")
        return cls._counted(moment)

    @classmethod
    def _counted(cls, moment: datetime) -> Self:
        since = moment - _EPOCH
        epoch_us = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        return cls(min(max(epoch_us, _FIRST_US), _LAST_US))  # an offset leads beyond the years of Python

    def datetime(self) -> datetime:
        """The same instant as an aware datetime in UTC."""
        return _EPOCH + timedelta(microseconds=self.epoch_us)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Instant) and self.epoch_us == other.epoch_us

    def __lt__(self, other: _Instant) -> bool:
        return self.epoch_us < other.epoch_us

    def __le__(self, other: _Instant) -> bool:
        return self.epoch_us <= other.epoch_us

    def __hash__(self) -> int:
        return hash(self.epoch_us)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


@final
class MicroTime(_Instant):
    """`metav1.MicroTime`: written in UTC with exactly six fraction digits and `Z`.

    A kube-apiserver answers 400 to anything else (kubernetes/kubernetes#89156), which is what
    `datetime.isoformat()` produces at a whole second.
    """

    __slots__ = ()

    def __str__(self) -> str:
        seconds, micros = divmod(self.epoch_us, 1_000_000)
        return f"{_to_the_second(seconds)}.{micros:06d}Z"


@final
class Time(_Instant):
    """`metav1.Time`: written in UTC with whole seconds and `Z`; the fraction is dropped."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{_to_the_second(self.epoch_us // 1_000_000)}Z"
