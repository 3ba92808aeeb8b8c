"""The guard and the launcher: the two scripts that see to it that no command outlives its Lease."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lease_aio.cli import guard, launch
from lease_aio.cli.process import running
from lease_aio.clock import SystemClock

PATIENCE_S = 60


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield process
        process.kill()


@pytest.fixture
def guarding() -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-I", "-S", str(guard.__file__)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True) as process:
        yield process
        process.kill()


def tell(process: subprocess.Popen[bytes], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line.encode())
    process.stdin.flush()


def close(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(PATIENCE_S) == 0


def test_the_group_is_killed_when_its_keeper_is_gone(
    guarding: subprocess.Popen[bytes], victim: subprocess.Popen[bytes]
) -> None:
    tell(guarding, f"{victim.pid} {SystemClock().now() + 60!r}\n")
    close(guarding)

    assert victim.wait(PATIENCE_S) == -signal.SIGKILL


def test_the_group_is_killed_when_its_time_passes_without_a_word(
    guarding: subprocess.Popen[bytes], victim: subprocess.Popen[bytes]
) -> None:
    until = SystemClock().now() + 0.3
    tell(guarding, f"{victim.pid} {until!r}\n")

    assert victim.wait(PATIENCE_S) == -signal.SIGKILL
    assert SystemClock().now() >= until
    close(guarding)


def test_the_last_of_several_words_counts(guarding: subprocess.Popen[bytes], victim: subprocess.Popen[bytes]) -> None:
    tell(guarding, f"{victim.pid} 0.0\n{victim.pid} {SystemClock().now() + 60!r}\n")
    time.sleep(0.3)
    assert victim.poll() is None
    tell(guarding, "0 in")  # a line that came in two pieces
    tell(guarding, "f\n")
    close(guarding)

    assert victim.poll() is None


def test_signals_for_the_keeper_do_not_reach_the_guard(
    guarding: subprocess.Popen[bytes], victim: subprocess.Popen[bytes]
) -> None:
    tell(guarding, f"{victim.pid} 0.0\n")
    assert victim.wait(PATIENCE_S) == -signal.SIGKILL  # so it is at work, and no mere Python that starts
    guarding.send_signal(signal.SIGINT)
    guarding.send_signal(signal.SIGTERM)

    close(guarding)


def launched(*command: str, parent: int | None = None) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-I", "-S", str(launch.__file__), str(parent or os.getpid()), *command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_the_launcher_becomes_the_command() -> None:
    done = launched("sh", "-c", "echo hello; exit 3")

    assert (done.returncode, done.stdout) == (3, "hello\n")


def test_a_command_that_cannot_be_run_gives_the_shells_codes(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")

    assert launched("/no/such/command").returncode == 127
    refused = launched(str(plain))
    assert refused.returncode == 126
    assert f"cannot run '{plain}'" in refused.stderr


def test_nothing_is_started_for_a_parent_that_is_gone(tmp_path: Path) -> None:
    done = launched("touch", str(tmp_path / "started"), parent=1)

    assert done.returncode == 128 + signal.SIGKILL
    assert not (tmp_path / "started").exists()


def test_the_command_dies_of_a_broken_pipe_as_it_does_under_a_shell() -> None:
    done = launched("sh", "-c", "grep -i sigign /proc/self/status")

    ignored = int(done.stdout.split()[1], 16)
    assert not ignored & 1 << signal.SIGPIPE - 1


def test_a_group_whose_members_have_all_ended_does_not_run(victim: subprocess.Popen[bytes]) -> None:
    assert running(victim.pid)
    victim.kill()
    until = time.monotonic() + PATIENCE_S
    while running(victim.pid) and time.monotonic() < until:
        time.sleep(0.01)

    assert not running(victim.pid)  # though nobody has reaped it
    assert victim.wait() == -signal.SIGKILL
