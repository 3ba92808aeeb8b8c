"""Becomes a command that dies with its parent. Run as a script: `launch.py <parent's pid> COMMAND …`.

Asking the kernel for that between fork and exec would run Python in a forked child of a process with threads; a script
that execs the command does without. The request survives the exec (but not the exec of a set-uid program), on Linux;
elsewhere the guard alone sees to it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Exec the command; exits as a shell does where that is impossible."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it died before the request was made
        sys.exit(128 + signal.SIGKILL)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and exec would keep that
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command is what the user asked for
    except OSError as error:
        sys.stderr.write(f"lease-aio: cannot run {command[0]!r}: {error.strerror}\n")
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    main()
