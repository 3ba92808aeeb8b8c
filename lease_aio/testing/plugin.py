"""The pytest plugin that `lease-aio` registers: fixtures for tests of lease code.

Every pytest run of an environment that has the package loads it, and the core with it: no extra, and not
`kubernetes_asyncio`.
"""

import pytest

from lease_aio.testing.virtual import VirtualClock


@pytest.fixture
def virtual_clock() -> VirtualClock:
    """A true clock on virtual time, for a test that runs on a virtual loop (see `lease_aio.testing.VIRTUAL_TIME`)."""
    return VirtualClock()
