"""The pytest plugin behind the mark ``cluster``: one real control plane for the whole run."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from lease_aio.testing.envtest import ControlPlane
from tests.cluster.assets import AssetsError, assets

CONTROLLER_MANAGER = "kube-controller-manager"

Kubectl = Callable[..., Coroutine[Any, Any, str]]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the binaries before the first test, whose timeout the minutes of a build would exceed."""
    wanted = [item for item in session.items if item.get_closest_marker("cluster")]
    if wanted and not session.config.option.collectonly:
        try:
            assets()
        except AssetsError as error:
            raise pytest.UsageError(str(error)) from error
        if any("with_controllers" in getattr(item, "fixturenames", ()) for item in wanted):
            with contextlib.suppress(AssetsError):  # the tests that need it tell
                assets(CONTROLLER_MANAGER)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A real etcd and kube-apiserver; every test that uses it is marked ``cluster``."""
    with ControlPlane(assets()) as plane:
        yield plane


@pytest.fixture(scope="session")
def with_controllers() -> Path:
    """The folder of binaries, kube-controller-manager among them; skipped where `KUBEBUILDER_ASSETS` has none."""
    try:
        return assets(CONTROLLER_MANAGER)
    except AssetsError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def kubectl_binary() -> str:
    """The real kubectl, for what a person does with it; every test that uses it is marked ``cluster``."""
    return os.environ.get("KUBECTL") or str(assets() / "kubectl")


@pytest.fixture(scope="session")
def kubectl_output(kubectl_binary: str) -> Callable[..., str]:
    """Run kubectl with a kubeconfig and arguments; what it prints. It must succeed. Not from a coroutine."""

    def run(kubeconfig: str, *arguments: str) -> str:
        command = [kubectl_binary, "--kubeconfig", kubeconfig, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    return run


@pytest.fixture(scope="session")
def kubectl_beside(kubectl_binary: str) -> Kubectl:
    """The same from a coroutine: what runs on the loop goes on meanwhile."""

    async def run(kubeconfig: str, *arguments: str, stdin: str = "") -> str:
        command = [kubectl_binary, "--kubeconfig", kubeconfig, *arguments]
        done = await anyio.run_process(command, input=stdin.encode(), check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    return run
