"""What happened, in order; readable, and the same to the last byte whenever a seed is run again."""

from __future__ import annotations

import hashlib

from lease_aio.election.events import Ended, Started, Stopping, Waiting
from lease_aio.election.requests import Request


class Timeline:
    """Notes in order of time. They are put into words only when somebody wants to read them."""

    __slots__ = ("_notes",)

    def __init__(self) -> None:
        self._notes: list[tuple[float, str, object]] = []

    def note(self, at: float, who: str, what: object) -> None:
        """Remember it."""
        self._notes.append((at, who, what))

    def text(self, last: int | None = None) -> str:
        """One line a note.

        Args:
            last: Only so many of the last lines.
        """
        notes = self._notes if last is None else self._notes[-last:]
        return "\n".join(f"{at:9.3f}  {who:<3} {_words(what)}" for at, who, what in notes)

    @property
    def digest(self) -> str:
        """SHA-256 of the whole text."""
        return hashlib.sha256(self.text().encode()).hexdigest()


def _words(what: object) -> str:
    match what:
        case Request():
            base = f" on version {what.lease.resource_version or 'none'}" if what.lease is not None else ""
            return f"sends {what.kind.value}{base}"
        case Waiting():
            return f"waits for {what.holder or 'nobody'}"
        case Started():
            return f"LEADS: token {what.term.token}, transitions {what.term.transitions}"
        case Stopping():
            return f"stops: {what.reason.value}"
        case Ended():
            return f"ended: {what.reason.value}{', released' if what.released else ''}"
        case _:
            return str(what)
