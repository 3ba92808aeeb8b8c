"""The guarded resource: a SQLite file that takes a write only with a token as high as any it has seen.

Every write is offered together with the token of the term it belongs to. In one transaction the token is compared
with the highest so far: a lower one is refused, and counted. SQLite's own lock makes the transactions of all
processes one after another, and the row numbers are their order, so that whoever reads the file afterwards can judge
without trusting this module.
"""

from __future__ import annotations

import contextlib
import enum
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BUSY_MS = 50
"""How long a write waits for another's transaction: whose process is frozen in it must not block all others."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS fence (one INTEGER PRIMARY KEY CHECK (one = 1), token INTEGER NOT NULL);
INSERT OR IGNORE INTO fence VALUES (1, 0);
CREATE TABLE IF NOT EXISTS offers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    holder TEXT NOT NULL, token INTEGER NOT NULL, boot REAL NOT NULL, accepted INTEGER NOT NULL
);
"""


class Outcome(enum.Enum):
    """What became of an offered write."""

    ACCEPTED = "accepted"
    STALE = "stale"
    BUSY = "busy"


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """One write that was offered, in the order of the file."""

    holder: str
    token: int
    boot: float
    accepted: bool


class FencedFile:
    """One process's door to the file. Synchronous: a write takes a fraction of a millisecond, or `BUSY_MS`."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000)
        self._database.execute("PRAGMA synchronous = OFF")  # a crash of the machine ends the test anyway

    def create(self) -> None:
        """Make the tables; once, before anybody writes."""
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.executescript(_SCHEMA)

    def write(self, *, holder: str, token: int, boot: float) -> Outcome:
        """Offer one write."""
        database = self._database
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return Outcome.BUSY
        with contextlib.ExitStack() as undo:
            undo.callback(database.rollback)
            raised = database.execute("UPDATE fence SET token = ? WHERE token <= ?", (token, token))
            accepted = raised.rowcount == 1
            database.execute(
                "INSERT INTO offers (holder, token, boot, accepted) VALUES (?, ?, ?, ?)",
                (holder, token, boot, accepted),
            )
            database.execute("COMMIT")
            undo.pop_all()
        return Outcome.ACCEPTED if accepted else Outcome.STALE

    def offers(self) -> Sequence[Offer]:
        """All that was offered, in the order in which it was decided."""
        rows = self._database.execute("SELECT holder, token, boot, accepted FROM offers ORDER BY number")
        return [Offer(holder=h, token=t, boot=b, accepted=bool(a)) for h, t, b, a in rows]

    def close(self) -> None:
        """Close this process's door."""
        self._database.close()
