from pathlib import Path

import pytest

from tests.torture.build import BuildError, clientgo

GO = '#!/bin/sh\nif [ "$1" = env ]; then echo go1.99; exit; fi\n'
WRITES_ITS_OUTPUT = """
while [ "$1" != -o ]; do shift; done
echo "$2" >>"$(dirname "$0")/built"
printf built >"$2"
"""


def go(folder: Path, script: str) -> dict[str, str]:
    folder.mkdir()
    (folder / "go").write_text(GO + script)
    (folder / "go").chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "XDG_CACHE_HOME": str(folder / "cache")}


def test_without_go_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"needs `go`, which is not on PATH\. Install Go"):
        clientgo(environ={"PATH": str(tmp_path)})


def test_a_build_that_fails_leaves_nothing_that_looks_built(tmp_path: Path) -> None:
    environ = go(tmp_path / "go", "exit 3")
    with pytest.raises(BuildError, match=r"exited 3\. Install Go"):
        clientgo(environ=environ)
    assert list(tmp_path.glob("go/cache/**/clientgo")) == []


def test_it_is_built_once(tmp_path: Path) -> None:
    environ = go(tmp_path / "go", WRITES_ITS_OUTPUT)
    binary = clientgo(environ=environ)
    assert binary.read_text() == "built"
    assert binary.parent.parent == tmp_path / "go/cache/lease-aio/torture"
    assert clientgo(environ=environ) == binary
    assert len((tmp_path / "go/built").read_text().splitlines()) == 1
