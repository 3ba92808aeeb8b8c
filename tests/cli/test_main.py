"""The entry point."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from importlib.machinery import ModuleSpec

import pytest

from lease_aio.cli import main
from lease_aio.cli.exits import EXIT_CODES, Exit
from tests.cli.rig import Command, invoke


def test_without_the_extra_it_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec

    def without_rich(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "rich" else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_rich)

    with pytest.raises(SystemExit) as ended:
        main.run()

    assert ended.value.code == Exit.USAGE
    assert capsys.readouterr().err == ('lease-aio: error: the command line needs rich: pip install "lease-aio[cli]"\n')


def test_looking_for_the_extra_does_not_need_the_extra() -> None:
    blocked = "import sys; sys.modules['typer'] = sys.modules['rich'] = None; import lease_aio.cli.main"

    assert subprocess.run([sys.executable, "-c", blocked], check=False, timeout=250).returncode == 0


@pytest.mark.parametrize(
    ("streams", "code"), [(">&-", 0), ("2>&-", 0), (">&- 2>&- <&-", 0), (">/dev/full", 1), ("--json >/dev/full", 1)]
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_command_goes_on_with_closed_streams_and_says_when_one_is_full(
    streams: str, code: int, unbuffered: str
) -> None:
    line = f"{sys.executable} -m lease_aio.cli fleet --embedded --nodes 1 --seconds 1 {streams}"
    environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False, env=environ)

    assert done.returncode == code, done.stderr
    assert not re.search("Traceback|Exception ignored", done.stderr)
    assert ("error: no space is left" in done.stderr) == streams.endswith("full")


def test_a_locale_that_lacks_a_character_gets_a_question_mark() -> None:
    command = [sys.executable, "-m", "lease_aio.cli", "fleet", "--embedded", "--nodes", "1", "--seconds", "1"]
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ)

    assert done.returncode == 0, done.stderr
    assert "pending ? " in done.stdout


def test_the_version_is_told() -> None:
    result = invoke("--version")

    assert result.exit_code == 0
    assert re.fullmatch(r"lease-aio \d+\.\d+\.\d+\S*\n", result.stdout)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lead", "--json"], "Missing argument"),
        (["lead", "x", "--json", "--lease-duration", "long"], "'--lease-duration'"),
        (["leed", "--json"], "'leed'"),
    ],
)
def test_programs_are_told_of_wrong_usage_too(words: list[str], said: str) -> None:
    with Command(*words) as command:
        code, (error,), errors = command.end()

    assert code == error["exit_code"] == Exit.USAGE
    assert error["event"] == "error"
    assert said in error["message"]
    assert len(errors.splitlines()) == 1


def test_the_json_of_the_command_that_is_run_is_its_own() -> None:
    with Command("lead", "x", "--no-such-option", "--", "kubectl", "--json") as command:
        code, told, errors = command.end()

    assert (code, told) == (Exit.USAGE, [])
    assert "--no-such-option" in errors


def test_the_help_documents_every_exit_code() -> None:
    result = invoke("--help")

    assert result.exit_code == 0
    assert all(f"{code.value}: {meaning[:20]}" in result.stdout for code, meaning in EXIT_CODES.items())


@pytest.mark.parametrize("command", ["demo", "serve", "lead", "fleet", "monitor", "identity"])
def test_every_command_has_help(command: str) -> None:
    result = invoke(command, "--help")

    assert result.exit_code == 0
    assert "Usage: " in result.stdout


def test_a_reader_that_goes_away_ends_the_command_without_a_word() -> None:
    command = [sys.executable, "-m", "lease_aio.cli", "fleet", "--embedded", "--nodes", "1", "--seconds", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()

    assert process.returncode == 128 + signal.SIGPIPE
    assert errors.startswith("embedded API server: ")
    assert len(errors.splitlines()) == 1
