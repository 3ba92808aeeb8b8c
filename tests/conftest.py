"""What all tests share: asyncio as the only backend, and virtual time for the modules that ask for it."""

import os
import random

import hypothesis
import pytest

from lease_aio.testing import VIRTUAL_TIME

pytest_plugins = ["tests.cluster.fixtures"]

# The gate asks the same questions each time, and meets the same chances; everywhere else, new ones are tried.
# No example has a deadline: how long it takes says how busy the machine is, not whether it is right.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("gate", derandomize=True, database=None, deadline=None)
GATE = bool(os.environ.get("CI"))
hypothesis.settings.load_profile("gate" if GATE else "local")


@pytest.fixture(scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """asyncio; in a module with `pytestmark = pytest.mark.virtual_time`, on a loop that jumps from timer to timer."""
    return VIRTUAL_TIME if request.node.get_closest_marker("virtual_time") else "asyncio"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if GATE:
        random.seed(item.nodeid)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "virtual_time: (on a module) run its async tests in virtual time")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("virtual_time") and not _module(item).get_closest_marker("virtual_time"):
            raise pytest.UsageError(
                f"{item.nodeid}: virtual_time marks whole modules: say `pytestmark = pytest.mark.virtual_time`"
            )


def _module(item: pytest.Item) -> pytest.Item | pytest.Collector:
    return item.getparent(pytest.Module) or item
