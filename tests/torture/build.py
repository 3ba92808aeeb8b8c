"""The client-go candidate, built once from Go modules into a cache outside the tree.

``clientgo()`` returns the binary. It is built aside and renamed, under a lock, in a folder keyed by the program, its
pins and the version of Go. ``python -m tests.torture.build`` does it ahead of a run and prints the path.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.assets import _locked, _say

SOURCE = Path(__file__).parent / "clientgo"
_REMEDY = (
    "Install Go (the version that tests/torture/clientgo/go.mod asks for, or newer) with access to a Go module proxy."
)


class BuildError(RuntimeError):
    """There is no client-go candidate; the message says what to do."""


def clientgo(*, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the binary of the client-go candidate, built if need be (minutes when nothing is cached).

    Raises ``BuildError`` when there is no Go, or when the build fails.
    """
    folder = _cache_folder(environ, go_version=_go_version(environ))
    binary = folder / "clientgo"
    if not binary.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / ".lock"):
            if not binary.exists():
                _build(binary, environ)
    return binary


def _go_version(environ: Mapping[str, str]) -> str:
    if not shutil.which("go", path=environ.get("PATH")):
        raise BuildError(f"the client-go candidate needs `go`, which is not on PATH. {_REMEDY}")
    asked = subprocess.run(
        ["go", "env", "GOVERSION"], cwd=SOURCE, env=dict(environ), capture_output=True, text=True, check=False
    )
    if asked.returncode:
        raise BuildError(f"`go env GOVERSION` failed: {asked.stderr.strip()}. {_REMEDY}")
    return asked.stdout.strip()


def _cache_folder(environ: Mapping[str, str], *, go_version: str) -> Path:
    key = hashlib.sha256()
    for name in ("go.mod", "go.sum", "main.go"):
        key.update(name.encode() + b"\0" + (SOURCE / name).read_bytes())
    home = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "lease-aio" / "torture" / f"{go_version}-{key.hexdigest()[:12]}"


def _build(binary: Path, environ: Mapping[str, str]) -> None:
    for left_over in binary.parent.glob(".clientgo.*"):  # of a build that was killed: the lock is ours
        left_over.unlink()
    aside = binary.with_name(f".clientgo.{os.getpid()}")
    command = ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", str(aside), "."]
    _say(f"building the client-go candidate into {binary.parent} (minutes when nothing is cached)")
    built = subprocess.run(command, cwd=SOURCE, env={**environ, "CGO_ENABLED": "0", "GOWORK": "off"}, check=False)
    if built.returncode:
        raise BuildError(f"`{' '.join(command)}` exited {built.returncode}. {_REMEDY}")
    aside.rename(binary)


if __name__ == "__main__":
    try:
        print(clientgo())  # noqa: T201 - the path is the result
    except BuildError as error:
        sys.exit(str(error))
