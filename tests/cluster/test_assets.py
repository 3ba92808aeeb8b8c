"""Where the binaries of the control plane come from."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from tests.cluster import assets as module
from tests.cluster.assets import REQUIRED, AssetsError, assets, kwok, kwok_stages


def _folder(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).write_text("#!/bin/sh\n")
        (path / name).chmod(0o755)
    return path


def _go(path: Path, script: str) -> dict[str, str]:
    """An environment whose only `go` is the given script; GOVERSION is answered by itself."""
    path.mkdir()
    go = path / "go"
    answer = '[ "$1 $2" = "env GOVERSION" ] && echo go1.99 && exit\n'
    go.write_text("#!/bin/sh\n" + answer + script)
    go.chmod(0o755)
    return {"PATH": f"{path}:/usr/bin:/bin", "XDG_CACHE_HOME": str(path / "cache")}


WRITES_ITS_OUTPUT = """
while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done
echo "$out" >>"$(dirname "$0")/built"
printf '#!/bin/sh\\n' >"$out"; chmod +x "$out"
"""


def test_a_named_folder_that_lacks_a_binary_is_refused_by_its_name(tmp_path: Path) -> None:
    _folder(tmp_path, "etcd")
    with pytest.raises(AssetsError, match=r"no executable kube-apiserver, kubectl.*setup-envtest.*install Go"):
        assets(environ={"KUBEBUILDER_ASSETS": str(tmp_path)})


def test_a_binary_that_may_not_be_executed_is_refused(tmp_path: Path) -> None:
    _folder(tmp_path, *REQUIRED)
    (tmp_path / "etcd").chmod(0o644)
    with pytest.raises(AssetsError, match="no executable etcd:"):
        assets(environ={"KUBEBUILDER_ASSETS": str(tmp_path)})


def test_a_binary_beyond_the_usual_ones_must_be_in_a_named_folder_too(tmp_path: Path) -> None:
    _folder(tmp_path, *REQUIRED)
    with pytest.raises(AssetsError, match="no executable kube-controller-manager:"):
        assets("kube-controller-manager", environ={"KUBEBUILDER_ASSETS": str(tmp_path)})


def test_a_binary_of_unknown_name_is_refused() -> None:
    with pytest.raises(AssetsError, match="'kubelet' is not one of etcd, kube-apiserver"):
        assets("kubelet", environ={"PATH": ""})


def test_without_a_folder_and_without_go_both_ways_are_named(tmp_path: Path) -> None:
    with pytest.raises(AssetsError, match=r"no `go` on PATH.*KUBEBUILDER_ASSETS.*setup-envtest.*install Go"):
        assets(environ={"PATH": str(tmp_path)})


def test_a_build_that_fails_names_both_ways(tmp_path: Path) -> None:
    environ = _go(tmp_path / "go", "exit 3")
    with pytest.raises(AssetsError, match=r"building etcd failed.*exited 3.*KUBEBUILDER_ASSETS"):
        assets(environ=environ)


def test_a_named_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    _folder(tmp_path, *REQUIRED)
    assert assets(environ={"KUBEBUILDER_ASSETS": str(tmp_path)}) == tmp_path


def test_what_is_missing_is_built_once(tmp_path: Path) -> None:
    environ = _go(tmp_path / "go", WRITES_ITS_OUTPUT)
    folder = assets(environ=environ)
    assert folder.parent == tmp_path / "go" / "cache" / "lease-aio" / "envtest"
    assert folder.name.startswith("v1.37.2-go1.99-")
    assert assets(environ=environ) == folder
    built = (tmp_path / "go" / "built").read_text().splitlines()
    assert [Path(line).name.split(".")[1] for line in built] == list(REQUIRED)
    assert sorted(file.name for file in folder.iterdir()) == [".lock", *sorted(REQUIRED)]


def test_a_build_that_another_run_finished_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = _go(tmp_path / "go", "exit 3")
    taken = fcntl.flock

    def while_another_builds(file: object, operation: int) -> None:
        (folder,) = (tmp_path / "go" / "cache" / "lease-aio" / "envtest").iterdir()
        _folder(folder, *REQUIRED)
        taken(file, operation)

    monkeypatch.setattr(module.fcntl, "flock", while_another_builds)
    assert assets(environ=environ).name.startswith("v1.37.2-go1.99-")


def test_kwok_is_built_into_a_folder_of_its_own_whatever_folder_is_named(tmp_path: Path) -> None:
    environ = {**_go(tmp_path / "go", WRITES_ITS_OUTPUT), "KUBEBUILDER_ASSETS": str(tmp_path)}
    binary = kwok(environ=environ)
    assert binary.parent.parent == tmp_path / "go" / "cache" / "lease-aio" / "kwok"
    assert binary.parent.name.startswith("v0.8.0-go1.99-")
    assert kwok(environ=environ) == binary
    assert len((tmp_path / "go" / "built").read_text().splitlines()) == 1


def test_without_go_there_is_no_kwok_and_the_remedy_is_go_alone(tmp_path: Path) -> None:
    with pytest.raises(AssetsError, match=r"no `go` on PATH\. kwok is built from Go modules: install Go[^(]*$"):
        kwok(environ={"PATH": str(tmp_path)})


def test_a_kwok_that_does_not_build_names_go(tmp_path: Path) -> None:
    with pytest.raises(AssetsError, match=r"building kwok failed.*exited 3\. kwok is built from Go modules"):
        kwok(environ=_go(tmp_path / "go", "exit 3"))


def test_the_stages_of_kwok_are_read_from_its_module(tmp_path: Path) -> None:
    module = tmp_path / "kwok@v0.8.0"
    for name in ("node/fast/node-initialize", "node/heartbeat-with-lease/node-heartbeat-with-lease"):
        file = module / "kustomize" / "stage" / f"{name}.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(f"name: {file.stem}\n")
    environ = _go(tmp_path / "go", f"""echo '{{"Dir": "{module}"}}'""")
    assert kwok_stages(environ=environ) == "name: node-initialize\n\n---\nname: node-heartbeat-with-lease\n"


def test_a_module_of_kwok_that_cannot_be_had_names_go(tmp_path: Path) -> None:
    with pytest.raises(AssetsError, match=r"go mod download.*failed: no such proxy\. kwok is built from Go modules"):
        kwok_stages(environ=_go(tmp_path / "go", "echo no such proxy >&2; exit 1"))
