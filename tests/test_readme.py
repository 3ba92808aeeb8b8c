"""Every example of the README runs; every command in it exists."""

import re
import shlex
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

import lease_aio
from lease_aio.testing import VirtualClock, run

README = Path(__file__).parents[1].joinpath("README.md").read_text()
CI = Path(__file__).parents[1].joinpath(".ci", "run").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


PYTHON = _blocks("python")
COMMANDS = [line.split("#")[0].strip() for block in _blocks("console") for line in block.splitlines()]


def test_the_first_example_works_when_pasted(tmp_path: Path) -> None:
    script = tmp_path / "first.py"
    script.write_text(PYTHON[0])
    done = subprocess.run(
        [sys.executable, "-W", "error", script], capture_output=True, text=True, timeout=250, check=False, cwd=tmp_path
    )
    assert re.fullmatch(r"leading with token \d+, valid for \d+\.\d s\n", done.stdout), done.stderr
    assert done.stderr == ""


def _for_a_while(example: str, monkeypatch: pytest.MonkeyPatch, *, seconds: float) -> None:
    """Run an example as it is pasted, for so long in virtual time; nothing is defined for it."""
    monkeypatch.setattr(lease_aio, "connect", partial(lease_aio.connect, clock=VirtualClock()))
    names: dict[str, Any] = {}
    definitions = example.removesuffix("anyio.run(main)\n")
    assert definitions != example
    exec(compile(definitions, "README.md", "exec"), names)

    async def main() -> None:
        with anyio.move_on_after(seconds):
            await names["main"]()

    run(main)


def test_the_election_example_works_with_one_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _for_a_while(PYTHON[1], monkeypatch, seconds=60)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 59
    assert len(set(lines)) == 1
    assert re.fullmatch(r"at work with token \d+", lines[0])


def test_the_heartbeat_example_reports_a_fleet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _for_a_while(PYTHON[2], monkeypatch, seconds=120)
    assert re.fullmatch(r"450 fresh, 50 silent; gaps up to 10\.\d s\n", capsys.readouterr().out)


def test_the_identity_example_lists_itself(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _for_a_while(PYTHON[3], monkeypatch, seconds=60)
    out = capsys.readouterr().out
    assert "apiserver-" in out
    assert "cp-1 alive" in out


def test_the_example_of_a_test_runs_an_hour_at_once() -> None:
    names: dict[str, Any] = {}
    exec(compile(PYTHON[4], "README.md", "exec"), names)
    started = time.monotonic()
    names["test_an_hour"]()
    assert time.monotonic() - started < 60  # an hour, were it not for virtual time


def test_no_example_is_left_untested() -> None:
    assert len(PYTHON) == 5


def test_the_gate_runs_the_readmes_own_test_command() -> None:
    command = "python -m pip install nox && nox"
    assert command in COMMANDS
    assert command in CI


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("lease-aio ")])
def test_each_command_line_is_understood(command: str) -> None:
    words = shlex.split(command.split("--", maxsplit=1)[0] if " -- " in command else command)[1:]
    options = [word for word in shlex.split(command) if word.startswith("--") and word != "--"]
    verbs = [word for word in words if not word.startswith("-")]
    subcommand = verbs[:2] if verbs[0] in {"identity", "candidates", "members"} else verbs[:1]
    done = subprocess.run(
        [sys.executable, "-m", "lease_aio.cli", *subcommand, "--help"],
        capture_output=True, text=True, timeout=250, check=True, env={"COLUMNS": "200", "TERM": "dumb", "PATH": ""},
    )  # fmt: skip
    for option in options:
        assert option in done.stdout
