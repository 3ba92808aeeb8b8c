"""Fixtures of the command line's tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.cli.rig import Command


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Commands set up the logging of their process, which is this one."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The kubeconfig of `lease-aio serve`, which runs meanwhile."""
    path = tmp_path / "kubeconfig"
    with Command("serve", "--json", "--kubeconfig-out", str(path)) as server:
        server.event("serving")
        yield str(path)
