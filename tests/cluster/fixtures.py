"""The pytest plugin behind the mark ``cluster``: one real control plane for the whole run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator

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


@pytest.fixture(scope="session")
def kubectl_binary() -> str:
    """The real kubectl, for what a person does with it; every test that uses it is marked ``cluster``."""
    return os.environ.get("KUBECTL") or str(assets() / "kubectl")


@pytest.fixture(scope="session")
def kubectl_output(kubectl_binary: str) -> Callable[..., str]:
    """Run kubectl with a kubeconfig and arguments; what it prints. It must succeed."""

    def run(kubeconfig: str, *arguments: str) -> str:
        command = [kubectl_binary, "--kubeconfig", kubeconfig, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    return run
