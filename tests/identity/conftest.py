from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

import pytest
import structlog


@pytest.fixture
def logs() -> Iterator[Sequence[MutableMapping[str, Any]]]:
    """All lines of the test, as an application that has configured structlog gets them."""
    with structlog.testing.capture_logs() as lines:
        structlog.configure(processors=structlog.get_config()["processors"])
        yield lines
    structlog.reset_defaults()
