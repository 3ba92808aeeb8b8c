"""The command that runs while its Lease is held: a process group that is gone before the Lease is released."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import anyio
import anyio.abc

from lease_aio.errors import ConfigurationError
from lease_aio.log import get_logger

KILL_ALLOWANCE_S = 0.5
"""How long after SIGKILL a process group is waited for."""

_LOOK_EVERY_S = 0.05
_log = get_logger("cli")


def check_command(command: Sequence[str]) -> None:
    """See early whether the command can be run at all.

    Raises:
        ConfigurationError: it is not found, or not executable.
    """
    if command and shutil.which(command[0]) is None:
        raise ConfigurationError(f"command {command[0]!r} is not an executable on PATH: check its name, or give a path")


class Guard:
    """The process that kills the group when this one is killed or frozen: see `lease_aio.cli.guard`."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self._process = process

    async def allow(self, group: int, until: float) -> None:
        """Let the group live until then, on the suspend-aware clock."""
        await self._tell(f"{group} {until!r}")

    async def release(self) -> None:
        """There is nothing to guard any more."""
        await self._tell("0 inf")

    async def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            await self._process.stdin.send(f"{line}\n".encode())
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            _log.warning("cli.guard_died", error=str(error), remedy="only this process guards the command now")


@asynccontextmanager
async def guarding() -> AsyncGenerator[Guard]:
    """A guard for the block; it ends with it."""
    argv = [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py"))]
    process = await anyio.open_process(
        argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=None, start_new_session=True
    )
    async with process:
        yield Guard(process)
        assert process.stdin is not None
        with anyio.CancelScope(shield=True):
            await process.stdin.aclose()
            with anyio.move_on_after(1):
                await process.wait()


class Group:
    """A command in a process group (and session) of its own.

    Guarantees, once `stop` has returned, that no process of the group runs. A process that left the group (by `setsid`
    of its own) is not in it.
    """

    def __init__(self, process: anyio.abc.Process) -> None:
        self._process = process
        self.id = process.pid

    async def wait(self) -> int:
        """Wait for the command itself; its exit code, 128 and the signal's number if a signal killed it."""
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def stop(self, grace_s: float) -> None:
        """SIGTERM to the group, SIGKILL after `grace_s`; returns when the group is gone.

        Takes at most `grace_s` and `KILL_ALLOWANCE_S`, also when cancelled.
        """
        with anyio.CancelScope(shield=True):
            if not self._signal(signal.SIGTERM):
                return
            if not await self._gone_within(grace_s):
                self._signal(signal.SIGKILL)
                if not await self._gone_within(KILL_ALLOWANCE_S):
                    _log.error("cli.group_survives", group=self.id, after_s=KILL_ALLOWANCE_S)

    async def _gone_within(self, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            await self._process.wait()
            while running(self.id):  # noqa: ASYNC110 - the kernel tells nobody when a group has emptied
                await anyio.sleep(_LOOK_EVERY_S)
            return True
        return False

    def _signal(self, number: int) -> bool:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if running(self.id):
                os.killpg(self.id, number)
                return True
        return False


async def start(command: Sequence[str], *, environ: Mapping[str, str], stdout: IO[Any] | None) -> Group:
    """Start a command that dies with this process.

    Args:
        command: Its words.
        environ: Its whole environment.
        stdout: Where its output goes; None for this process's own.
    """
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py")), str(os.getpid())]
    process: anyio.abc.Process | None = None
    with anyio.CancelScope(shield=True):  # or else it would run, and nobody would know it
        process = await anyio.open_process(
            [*launcher, *command], stdin=None, stdout=stdout, stderr=None, env=environ, start_new_session=True
        )
    assert process is not None
    return Group(process)


def running(group: int) -> bool:
    """Whether any process of the group still runs; on Linux, one that has ended but is not reaped does not count."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    proc = Path("/proc")
    if not (proc / "self" / "stat").exists():
        return True
    return any(_runs_in(group, entry) for entry in proc.iterdir() if entry.name.isdecimal())


def _runs_in(group: int, entry: Path) -> bool:
    try:
        # pid (comm) state ppid pgrp …: the name may hold anything, blanks and parentheses too
        state, _, pgrp = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:3]
    except OSError:
        return False
    return int(pgrp) == group and state not in {"Z", "X"}
