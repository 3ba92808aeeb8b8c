"""The folder of real control plane binaries that the cluster tests run against.

``assets()`` takes the folder named by ``KUBEBUILDER_ASSETS`` (the layout of envtest: ``etcd``,
``kube-apiserver``, ``kubectl``), else builds the versions pinned in ``build/`` from Go modules into a cache
outside the tree. A build takes minutes and is done once: each binary is built aside, then renamed, and a lock
keeps two runs from building the same thing. ``python -m tests.cluster.assets`` does it ahead of the tests and
prints the folder; given ``kube-controller-manager`` or ``kwok``, it builds that, too.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "KUBEBUILDER_ASSETS"
REQUIRED = ("etcd", "kube-apiserver", "kubectl")
OPTIONAL = ("kube-controller-manager",)
PROGRESS_INTERVAL_S = 30.0

_PINS = Path(__file__).parent / "build"
_KWOK = "sigs.k8s.io/kwok"
_STAGES = ("node/fast/node-initialize.yaml", "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml")
_BOTH_WAYS = (
    f"Either set {VARIABLE} to a folder that holds {', '.join(REQUIRED)} (as setup-envtest makes one), "
    "or install Go (the version that tests/cluster/build/kubernetes/go.mod asks for, or newer) "
    "with access to a Go module proxy, and they are built once into a cache."
)
_GO_ONLY = "kwok is built from Go modules: install Go with access to a Go module proxy, or leave kwok out."


class AssetsError(RuntimeError):
    """There are no usable control plane binaries; the message names both ways to get them."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One binary: the module folder that pins it, its package, the version it reports, and what to do without it."""

    name: str
    module: Path
    package: str
    version: str
    remedy: str = _BOTH_WAYS

    def ldflags(self) -> str:
        """The linker flags: stripped, and for Kubernetes the version, without which its own checks fail."""
        if self.name == "etcd":
            return "-s -w"
        if self.name == "kwok":
            return f"-s -w -X {_KWOK}/pkg/consts.Version={self.version}"
        major, minor, _ = self.version.removeprefix("v").split(".", 2)
        values = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor}
        return "-s -w " + " ".join(f"-X k8s.io/component-base/version.{k}={v}" for k, v in values.items())


def assets(*extra: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Return a folder with ``etcd``, ``kube-apiserver``, ``kubectl`` and the ``extra`` binaries asked for.

    Raises ``AssetsError`` when ``KUBEBUILDER_ASSETS`` names a folder that lacks one of them, when there is no
    Go to build them with, or when the build fails.
    """
    names = (*REQUIRED, *extra)
    if named := environ.get(VARIABLE):
        return _checked(Path(named), names)
    targets = [_target(name) for name in names]
    folder = _cache_folder(environ, "envtest", ("etcd", "kubernetes"), _go_version(environ))
    _build_missing(targets, folder, environ)
    return folder


def kwok(*, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the kwok binary, built if need be; it is a peer, so no `KUBEBUILDER_ASSETS` is asked for it.

    Raises ``AssetsError`` when there is no Go to build it with, or when the build fails.
    """
    target = Target(
        name="kwok",
        module=_PINS / "kwok",
        package=f"{_KWOK}/cmd/kwok",
        version=_pinned("kwok", _KWOK),
        remedy=_GO_ONLY,
    )
    folder = _cache_folder(environ, "kwok", ("kwok",), _go_version(environ, remedy=_GO_ONLY))
    _build_missing([target], folder, environ)
    return folder / "kwok"


def kwok_stages(*, environ: Mapping[str, str] = os.environ) -> str:
    """Return the Stage documents that make kwok keep Nodes alive by leases, out of its own module; they are not ours.

    Raises ``AssetsError`` when the module cannot be had.
    """
    command = ["go", "mod", "download", "-json", _KWOK]
    found = subprocess.run(command, cwd=_PINS / "kwok", env=dict(environ), capture_output=True, text=True, check=False)
    if found.returncode:
        raise AssetsError(f"`{' '.join(command)}` failed: {found.stderr.strip()}. {_GO_ONLY}")
    folder = Path(json.loads(found.stdout)["Dir"]) / "kustomize" / "stage"
    return "\n---\n".join((folder / stage).read_text() for stage in _STAGES)


def _build_missing(targets: Sequence[Target], folder: Path, environ: Mapping[str, str]) -> None:
    if _missing(folder, [target.name for target in targets]):
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / ".lock"):
            for target in targets:
                if _missing(folder, [target.name]):
                    _build(target, folder, environ)


def _checked(folder: Path, names: Sequence[str]) -> Path:
    missing = _missing(folder, names)
    if missing:
        raise AssetsError(
            f"{VARIABLE}={folder} has no executable {', '.join(missing)}: correct it, or unset it. " + _BOTH_WAYS
        )
    return folder.absolute()


def _missing(folder: Path, names: Sequence[str]) -> list[str]:
    return [n for n in names if not ((folder / n).is_file() and os.access(folder / n, os.X_OK))]


def _pinned(module: str, path: str) -> str:
    text = (_PINS / module / "go.mod").read_text()
    found = re.search(rf"^(?:require)?\s+{re.escape(path)} (v\S+)$", text, re.MULTILINE)
    assert found, f"{module}/go.mod does not require {path}"
    return found[1]


def _target(name: str) -> Target:
    if name == "etcd":
        path = "go.etcd.io/etcd/server/v3"
        return Target(name=name, module=_PINS / "etcd", package=path, version=_pinned("etcd", path))
    if name not in (*REQUIRED, *OPTIONAL):
        raise AssetsError(f"{name!r} is not one of {', '.join((*REQUIRED, *OPTIONAL))}")
    path = "k8s.io/kubernetes"
    version = _pinned("kubernetes", path)
    return Target(name=name, module=_PINS / "kubernetes", package=f"{path}/cmd/{name}", version=version)


def _go_version(environ: Mapping[str, str], *, remedy: str = f"{VARIABLE} is not set. {_BOTH_WAYS}") -> str:
    if not shutil.which("go", path=environ.get("PATH")):
        raise AssetsError(f"there is no `go` on PATH. {remedy}")
    result = subprocess.run(
        ["go", "env", "GOVERSION"],
        cwd=_PINS / "kubernetes",
        env=dict(environ),
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise AssetsError(f"`go` does not run: {result.stderr.strip()}. {remedy}")
    return result.stdout.strip()


def _cache_folder(environ: Mapping[str, str], kind: str, modules: Sequence[str], go_version: str) -> Path:
    """Keyed by all that the binaries depend on, so that a changed pin never meets an old binary."""
    pins = hashlib.sha256()
    for file in (file for module in modules for file in sorted((_PINS / module).glob("go.*"))):
        pins.update(file.relative_to(_PINS).as_posix().encode() + b"\0" + file.read_bytes())
    version = _pinned("kwok", _KWOK) if kind == "kwok" else _pinned("kubernetes", "k8s.io/kubernetes")
    home = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "lease-aio" / kind / f"{version}-{go_version}-{pins.hexdigest()[:12]}"


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"waiting for another build that holds {file}")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _build(target: Target, folder: Path, environ: Mapping[str, str]) -> None:
    for left_over in folder.glob(f".{target.name}.*"):  # of a build that was killed: the lock is ours
        left_over.unlink()
    aside = folder / f".{target.name}.{os.getpid()}"
    command = ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags", target.ldflags()]
    command += ["-o", str(aside), target.package]
    _say(f"building {target.name} {target.version} into {folder} (minutes when nothing is cached)")
    started = time.monotonic()
    env = {**environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    process = subprocess.Popen(command, cwd=target.module, env=env, stdin=subprocess.DEVNULL)
    try:
        code = _wait(process, target.name, started)
    finally:
        process.kill()  # nothing to do unless the wait was interrupted
    if code:
        raise AssetsError(f"building {target.name} failed: `{' '.join(command)}` exited {code}. {target.remedy}")
    aside.rename(folder / target.name)
    _say(f"built {target.name} in {time.monotonic() - started:.0f} s")


def _wait(process: subprocess.Popen[bytes], name: str, started: float) -> int:
    while True:
        try:
            return process.wait(PROGRESS_INTERVAL_S)
        except subprocess.TimeoutExpired:
            _say(f"still building {name} after {time.monotonic() - started:.0f} s")


def _say(line: str) -> None:
    print(f"assets: {line}", file=sys.stderr, flush=True)  # noqa: T201 - a build of minutes must show itself


if __name__ == "__main__":
    wanted = set(sys.argv[1:])
    try:
        print(assets(*sorted(wanted - {"kwok"})))  # noqa: T201 - the folder is the result
        if "kwok" in wanted:
            print(kwok())  # noqa: T201 - likewise
    except AssetsError as error:
        sys.exit(f"assets: {error}")
