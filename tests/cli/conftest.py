"""Fixtures of the command line's tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator

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


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The kubeconfig of `lease-aio serve`, which runs meanwhile."""
    path = tmp_path_factory.mktemp("served") / "kubeconfig"
    with Command("serve", "--json", "--kubeconfig-out", str(path)) as server:
        server.event("serving")
        yield str(path)
