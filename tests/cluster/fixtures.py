"""The pytest plugin behind the mark ``cluster``: one real control plane for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lease_aio.testing.envtest import ControlPlane
from tests.cluster.assets import AssetsError, assets


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the binaries before the first test, whose timeout the minutes of a build would exceed."""
    wanted = any(item.get_closest_marker("cluster") for item in session.items)
    if wanted and not session.config.option.collectonly:
        try:
            assets()
        except AssetsError as error:
            raise pytest.UsageError(str(error)) from error


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A real etcd and kube-apiserver; every test that uses it is marked ``cluster``."""
    with ControlPlane(assets()) as plane:
        yield plane
