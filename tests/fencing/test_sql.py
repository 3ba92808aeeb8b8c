"""A table that refuses what an ended term still writes, on a real SQLite file."""

import contextlib
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lease_aio import LeaseAioError
from lease_aio.errors import ConfigurationError
from lease_aio.fencing import CREATE_TABLE, StaleToken, fenced

# One write of the work: read, compute, write, as a transaction that holds a fence. `work` keeps what was accepted.
WORKER = """
import random, sqlite3, sys, time
from lease_aio.fencing import StaleToken, fenced

path, seed = sys.argv[1], int(sys.argv[2])
dice, accepted, refused = random.Random(seed), 0, 0
connection = sqlite3.connect(path, timeout=30, isolation_level=None)
for _ in range(60):
    token = dice.randrange(1, 100)
    connection.execute("BEGIN IMMEDIATE" if dice.random() < 0.5 else "BEGIN")
    try:
        fenced(connection, "work", token)
        (last,) = connection.execute("SELECT coalesce(max(at), 0) FROM work").fetchone()
        time.sleep(dice.uniform(0, 0.001))
        connection.execute("INSERT INTO work (at, token) VALUES (?, ?)", (last + 1, token))
        connection.execute("COMMIT")
        accepted += 1
    except StaleToken:
        connection.execute("ROLLBACK")
        refused += 1
connection.close()
print(accepted, refused)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "store.db"
    with opened(file) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(CREATE_TABLE)
        connection.execute("CREATE TABLE work (at INTEGER PRIMARY KEY, token INTEGER NOT NULL)")
    return file


@contextlib.contextmanager
def opened(path: Path, **options: object) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, timeout=30, **options)) as connection, connection:
        yield connection


def tokens(path: Path) -> list[int]:
    with opened(path) as connection:
        return [token for (token,) in connection.execute("SELECT token FROM work ORDER BY at")]


def test_a_smaller_token_is_refused_and_told_what_was_seen(path):
    with opened(path) as connection:
        fenced(connection, "orders", 812)
    with (
        opened(path) as connection,
        pytest.raises(StaleToken, match="token 811 is stale, orders has seen token 812: ") as it,
    ):
        fenced(connection, "orders", 811)
    assert (it.value.resource, it.value.token, it.value.seen) == ("orders", 811, 812)
    assert isinstance(it.value, LeaseAioError)


def test_the_same_term_may_write_again(path):
    for _ in range(3):
        with opened(path) as connection:
            fenced(connection, "orders", 7)


def test_resources_do_not_know_each_other(path):
    with opened(path) as connection:
        fenced(connection, "orders", 9)
        fenced(connection, "invoices", 3)
        with pytest.raises(StaleToken):
            fenced(connection, "orders", 3)


def test_a_transaction_that_is_rolled_back_was_not_seen(path):
    with opened(path) as connection:
        fenced(connection, "orders", 9)
        connection.rollback()
        fenced(connection, "orders", 3)


def test_a_refused_write_leaves_nothing_once_rolled_back(path):
    with opened(path) as connection:
        fenced(connection, "work", 9)
    with contextlib.suppress(StaleToken), opened(path) as connection:
        connection.execute("INSERT INTO work VALUES (1, 3)")
        fenced(connection, "work", 3)
    assert tokens(path) == []


def test_a_token_of_etcds_full_width_is_kept(path):
    with opened(path) as connection:
        fenced(connection, "orders", 2**63 - 1)
    with opened(path) as connection, pytest.raises(StaleToken):
        fenced(connection, "orders", 2**63 - 2)


def test_autocommit_is_refused_since_the_work_would_be_another_step(path):
    with opened(path, isolation_level=None) as connection:
        with pytest.raises(ConfigurationError, match="autocommit mode: BEGIN a transaction"):
            fenced(connection, "orders", 1)
        connection.execute("BEGIN")
        fenced(connection, "orders", 1)


def test_the_older_term_waits_for_the_newer_and_is_refused(path):
    """It asks while the newer one's transaction is open, and hears nothing before that ends."""
    outcome: list[str] = []
    asked = threading.Event()

    def old_term() -> None:
        with opened(path) as connection:
            asked.set()
            try:
                fenced(connection, "work", 1)
            except StaleToken:
                outcome.append("refused")

    with opened(path) as connection:
        fenced(connection, "work", 2)
        thread = threading.Thread(target=old_term)
        thread.start()
        assert asked.wait(10)
        thread.join(0.1)
        assert thread.is_alive()
        assert outcome == []
    thread.join(30)
    assert outcome == ["refused"]


def test_a_transaction_that_has_read_before_is_refused_rather_than_let_in(path):
    with opened(path) as old, opened(path) as new:
        old.execute("BEGIN")
        old.execute("SELECT * FROM work").fetchall()
        fenced(new, "work", 2)
        new.commit()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            fenced(old, "work", 3)


@pytest.mark.parametrize("seed", range(3))
def test_of_many_threads_no_write_follows_a_newer_terms(path, seed):
    refused = []

    def term(token: int) -> None:
        dice = random.Random(seed * 1000 + token)
        for _ in range(dice.randrange(1, 5)):
            try:
                with opened(path) as connection:
                    fenced(connection, "work", token)
                    (last,) = connection.execute("SELECT coalesce(max(at), 0) FROM work").fetchone()
                    connection.execute("INSERT INTO work VALUES (?, ?)", (last + 1, token))
            except StaleToken:
                refused.append(token)

    order = random.Random(seed).sample(range(1, 25), 24)
    threads = [threading.Thread(target=term, args=(token,)) for token in order]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    accepted = tokens(path)
    assert accepted == sorted(accepted)
    assert accepted[-1] == 24
    assert refused


def test_of_many_processes_no_write_follows_a_newer_terms(path):
    command = [sys.executable, "-W", "error", "-c", WORKER, str(path)]
    workers = [
        subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for seed in range(3)
    ]
    results = [worker.communicate(timeout=250) for worker in workers]
    assert [errors for _, errors in results] == ["", "", ""]
    counts = [tuple(map(int, out.split())) for out, _ in results]
    accepted = tokens(path)
    assert accepted == sorted(accepted)
    assert len(accepted) == sum(done for done, _ in counts)
    assert sum(refused for _, refused in counts) == 180 - len(accepted) > 0
