"""What a command says on standard output: lines for people, or one JSON object a line for programs."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

import msgspec
from rich.console import Console, RenderableType

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What steers a terminal. Whoever may write a Lease chooses the holder's name; it must not move a reader's cursor."""

NARROWEST_PICTURE = 60
"""Columns of a terminal below which a command speaks in lines: a picture would have to leave its numbers out."""


class Output:
    """The one way in which commands speak.

    Args:
        json: One JSON object a line, each with at least `event` and `time` (epoch seconds), and nothing else.
        stream: Standard output by default.
        errors: Standard error by default.
        wall: Epoch seconds.
    """

    def __init__(
        self,
        *,
        json: bool,
        stream: TextIO | None = None,
        errors: TextIO | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.json = json
        self._stream = sys.stdout if stream is None else stream
        self._errors = sys.stderr if errors is None else errors
        self._wall = wall
        self.console = Console(file=self._stream, highlight=False)
        self._has_room = self.console.width >= NARROWEST_PICTURE  # it is not asked again: a command speaks in one way

    @property
    def live(self) -> bool:
        """Whether a display that redraws itself makes sense: on a terminal, not where colours alone are asked for."""
        return not self.json and self._has_room and self._stream.isatty() and not self.console.is_dumb_terminal

    def event(self, event: str, text: str = "", **fields: Any) -> None:
        """Say one thing: `fields` to a program, `text` to people (nothing, if it is empty)."""
        if self.json:
            record = {"event": event, "time": round(self._wall(), 6), **fields}
            self._write(self._stream, msgspec.json.encode(record).decode())
        elif text:
            self._write(self._stream, text)

    def show(self, renderable: RenderableType) -> None:
        """Say something to people alone, with colours where there is a terminal."""
        if not self.json:
            self.console.print(renderable, soft_wrap=not self.console.is_terminal)

    def note(self, text: str) -> None:
        """Say on standard error what is no result."""
        self._write(self._errors, text)

    def error(self, text: str, code: int) -> None:
        """Say why the command fails: one line on standard error, and an event `error` for programs."""
        self._write(self._errors, f"lease-aio: error: {text}")
        if self.json:
            self.event("error", message=text, exit_code=code)

    @staticmethod
    def _write(stream: TextIO, line: str) -> None:
        stream.write(f"{_CONTROL.sub(_escaped, line)}\n")
        stream.flush()


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
