"""Writes reports to disk, each in one step: who reads the file sees the old one or the new one, whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat.record.tally import FleetReport
from lease_aio.heartbeat.report.document import to_json
from lease_aio.heartbeat.report.page import report_page
from lease_aio.heartbeat.report.summary import GRACE_S


def write_report(
    report: FleetReport, path: str | os.PathLike[str], *, title: str = "", grace_s: float = GRACE_S
) -> None:
    """Write the page of `report_page` to a file. Blocks for as long as that takes: some 100 ms.

    Raises:
        ConfigurationError: the file cannot be written (says which, and why), or plotly is not installed.
    """
    _write(Path(path), report_page(report, title=title, grace_s=grace_s).encode())


def write_json(report: FleetReport, path: str | os.PathLike[str]) -> None:
    """Write the document of `to_json` to a file.

    Raises:
        ConfigurationError: the file cannot be written: says which, and why.
    """
    _write(Path(path), to_json(report) + b"\n")


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise already now what writing there would raise at the end of a long run.

    Raises:
        ConfigurationError: there is no such folder, nothing may be written in it, or the path is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise ConfigurationError(f"cannot write the report to {path}: it is a folder")
    if not path.parent.is_dir():
        raise ConfigurationError(f"cannot write the report to {path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise ConfigurationError(f"cannot write the report to {path}: nothing may be written in {path.parent}")


def _write(path: Path, content: bytes) -> None:
    check_writable(path)
    try:
        descriptor, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            Path(part).chmod(0o666 & ~_umask())
            Path(part).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(part).unlink()
            raise
    except OSError as error:
        raise ConfigurationError(f"cannot write the report to {path}: {error.strerror or error}") from error


def _umask() -> int:
    """The process's; it can only be read by setting it."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
