import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture.resource import FencedFile, Outcome


@pytest.fixture
def file(tmp_path: Path) -> Iterator[FencedFile]:
    store = FencedFile(tmp_path / "fenced")
    store.create()
    yield store
    store.close()


def test_a_lower_token_is_refused_and_remembered(file: FencedFile) -> None:
    tokens = (5, 5, 9, 5, 9)
    outcomes = [file.write(holder="h", token=token, boot=0.0) for token in tokens]
    assert outcomes == [Outcome.ACCEPTED] * 3 + [Outcome.STALE, Outcome.ACCEPTED]
    assert [(offer.token, offer.accepted) for offer in file.offers()] == [
        (token, outcome is Outcome.ACCEPTED) for token, outcome in zip(tokens, outcomes, strict=True)
    ]


def test_a_second_door_sees_the_same_fence(file: FencedFile, tmp_path: Path) -> None:
    other = FencedFile(tmp_path / "fenced")
    assert other.write(holder="h", token=9, boot=0.0) is Outcome.ACCEPTED
    assert file.write(holder="h", token=5, boot=0.0) is Outcome.STALE
    other.close()


def test_a_writer_that_hangs_in_its_transaction_blocks_others_for_a_moment_only(
    file: FencedFile, tmp_path: Path
) -> None:
    hanging = sqlite3.connect(tmp_path / "fenced", isolation_level=None)
    hanging.execute("BEGIN IMMEDIATE")
    assert file.write(holder="h", token=1, boot=0.0) is Outcome.BUSY
    hanging.rollback()
    hanging.close()
    assert file.write(holder="h", token=1, boot=0.0) is Outcome.ACCEPTED
