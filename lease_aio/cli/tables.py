"""Lists as kubectl prints them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lease_aio.server.table import duration


def columns(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells as lines, each column as wide as its widest cell; no space at the end of a line."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def age(seconds: float | None) -> str:
    """How old something is; what lies in the future, by the skew of two clocks, is now."""
    return "<unknown>" if seconds is None else duration(int(max(0.0, seconds)))


def ago(seconds: float | None) -> str:
    """How long ago something happened, if ever."""
    return "<never>" if seconds is None else f"{age(seconds)} ago"
