"""The public face: what `lease_aio` exports, and that all of it is documented."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import lease_aio

EXPORTED = {
    "AlreadyExists",
    "ApiError",
    "ConfigurationError",
    "Conflict",
    "EndReason",
    "Expired",
    "Guard",
    "Invalid",
    "Lease",
    "LeaseAioError",
    "LeaseClient",
    "LeaseSpec",
    "MicroTime",
    "NoCluster",
    "NotFound",
    "ObjectMeta",
    "Refused",
    "Term",
    "TermLost",
    "Throttled",
    "Timing",
    "Unavailable",
    "connect",
}


def test_the_door_exports_these_names_and_no_other() -> None:
    assert set(lease_aio.__all__) == EXPORTED


def test_every_exported_name_is_documented() -> None:
    for name in EXPORTED:
        assert inspect.getdoc(getattr(lease_aio, name)), name


def test_every_public_method_of_the_client_is_documented() -> None:
    methods = [m for n, m in inspect.getmembers(lease_aio.LeaseClient, callable) if not n.startswith("_")]
    assert methods
    for method in methods:
        assert inspect.getdoc(method), method


def test_every_error_is_one_of_ours() -> None:
    errors = [v for v in vars(lease_aio).values() if inspect.isclass(v) and issubclass(v, BaseException)]
    assert all(issubclass(error, lease_aio.LeaseAioError) for error in errors)


def test_every_module_says_what_it_is_for() -> None:
    for module in pkgutil.walk_packages(lease_aio.__path__, "lease_aio."):
        if not module.name.endswith("__main__"):
            assert importlib.import_module(module.name).__doc__, module.name


def test_the_package_is_marked_as_typed() -> None:
    assert Path(lease_aio.__file__).with_name("py.typed").exists()


def test_the_version_is_the_changelogs_next_or_latest() -> None:
    changelog = Path(__file__).parents[1].joinpath("CHANGELOG.md").read_text()
    assert re.search(r"^## \[Unreleased\]", changelog, re.MULTILINE)


def test_importing_the_package_does_not_import_the_generated_models() -> None:
    """Every pytest run of an environment that has the package imports it, for its fixtures."""
    found = "import sys, lease_aio.testing.plugin; sys.exit('kubernetes_asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", found], check=False).returncode == 0
