"""Server processes for tests: started by a thread that stays, ended in order, gone when their owner is."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
_POLL_INTERVAL_S = 0.05
_LOG_TAIL_LINES = 20

# Run by a Python that becomes the server. A parent-death signal outlives exec, and the parent may have died before
# it was armed. Python's ignored SIGPIPE would outlive exec too.
DIE_WITH_PARENT = """
import ctypes, os, signal, sys
parent, *argv = sys.argv[1:]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(parent):
    sys.exit("the process that wanted this server is gone")
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
os.execv(argv[0], argv)
"""

# Removes the directory when its standard input ends: closed by us, or by our death.
_REMOVE_AT_END = 'cat >/dev/null; for _ in 1 2 3 4 5; do rm -rf -- "$1" && exit; sleep 0.2; done'


class ControlPlaneError(RuntimeError):
    """The control plane could not be started; the message has the end of the server's log."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """One process, and the file that its output goes to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_until(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Return once it is ready.

        Raises:
            ControlPlaneError: It ended, or was not ready in time and has been killed.
        """
        deadline = time.monotonic() + timeout_s
        while not ready():
            if (code := self.process.poll()) is not None:
                raise ControlPlaneError(f"{self.name} ended with {code}{self._log_tail()}")
            if time.monotonic() > deadline:
                self.stop(0.0)
                raise ControlPlaneError(f"{self.name} was not ready after {timeout_s:g} s{self._log_tail()}")
            time.sleep(_POLL_INTERVAL_S)

    def stop(self, timeout_s: float) -> None:
        """End it with SIGTERM, and with SIGKILL after so many seconds; 0 for SIGKILL at once."""
        if timeout_s > 0:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout_s)
        self.process.kill()
        self.process.wait()

    def _log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return f"; the end of its log {self.log}:\n" + "\n".join(lines)


def launch(name: str, argv: Sequence[str], log: Path, environ: Mapping[str, str] | None = None) -> Server:
    """Start a server that dies with the calling thread (on Linux) and that no terminal's Ctrl-C reaches."""
    wrapper = [sys.executable, "-I", "-S", "-c", DIE_WITH_PARENT, str(os.getpid())]
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - the binaries that the caller named
            [*wrapper, *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environ,
        )
    return Server(name=name, process=process, log=log)


@contextlib.contextmanager
def temporary_directory() -> Generator[Path]:
    """One that is removed even if this process is killed, by a process that does nothing else."""
    directory = tempfile.mkdtemp(prefix="lease-aio-envtest-")
    argv = ["/bin/sh", "-c", _REMOVE_AT_END, "sh", directory]
    remover = subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603 - constant
    try:
        yield Path(directory)
    finally:
        remover.communicate()


def free_ports(count: int) -> list[int]:
    """So many loopback ports that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in sockets]
