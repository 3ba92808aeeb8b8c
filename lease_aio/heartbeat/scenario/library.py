"""Scenarios and fleets from files, and those that are shipped with the package."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.scenario.document import nearest
from lease_aio.heartbeat.scenario.fleets import FleetSpec, parse_fleet
from lease_aio.heartbeat.scenario.scenario import Scenario

_SUFFIXES = (".yaml", ".yml")


def load_scenario(name: str | Path) -> Scenario:
    """A scenario by its file, or one of `shipped_scenarios` by its name.

    What ends in `.yaml` or `.yml`, or has a directory in it, is a file.

    Raises:
        ConfigurationError: there is none, or it cannot be; names the file, the line and the remedy.
    """
    path = Path(name)
    if path.suffix in _SUFFIXES or len(path.parts) > 1:
        return Scenario.parse(_read(path, "scenario"), source=str(path))
    texts = _shipped()
    if path.name not in texts:
        raise ConfigurationError(
            f"no scenario {path.name!r} is shipped{nearest(path.name, texts)} (shipped: {', '.join(texts)}); "
            "a file is named with its suffix: NAME.yaml"
        )
    return Scenario.parse(texts[path.name], source=f"{path.name}.yaml")


def load_fleet(path: str | Path) -> FleetSpec:
    """A fleet from its file.

    Raises:
        ConfigurationError: there is none, or it cannot be; names the file, the line and the remedy.
    """
    return parse_fleet(_read(Path(path), "fleet file"), source=str(path))


def shipped_scenarios() -> Mapping[str, Scenario]:
    """Those that come with the package, by name."""
    return {name: load_scenario(name) for name in _shipped()}


@cache
def _shipped() -> Mapping[str, str]:
    folder = resources.files("lease_aio.heartbeat.scenario").joinpath("shipped")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(_SUFFIXES)), key=lambda file: file.name)
    return {file.name.rpartition(".")[0]: file.read_text(encoding="utf-8") for file in files}


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{what} {path} is not UTF-8 text: save it so") from None
    except OSError as error:
        raise ConfigurationError(f"{what} {path} cannot be read: {error.strerror}; check the name") from None
