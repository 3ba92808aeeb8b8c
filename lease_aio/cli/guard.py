"""Kills a process group when its keeper dies or freezes. Run as a script of its own, with the standard library alone.

It reads lines `<group> <until>` from its standard input: which process group to guard, and until when on the
suspend-aware clock it may live without another line. It kills the group (SIGKILL) when that time passes, or when the
input ends while a group is guarded: then the keeper was killed. A group of 0 means that there is none to guard.
"""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import time

_LOOK_EVERY_S = 1.0  # select() does not count a suspend of the machine
_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def main() -> None:
    """Guard until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    group, until, rest = 0, math.inf, b""
    while True:
        remaining = until - _now()
        if remaining <= 0:
            _kill(group)
            group, until = 0, math.inf
            continue
        if not select.select([0], [], [], min(remaining, _LOOK_EVERY_S))[0]:
            continue
        data = os.read(0, 4096)
        if not data:
            _kill(group)
            return
        *lines, rest = (rest + data).split(b"\n")
        if lines:
            first, second = lines[-1].split()
            group, until = int(first), float(second)


def _now() -> float:
    """The same as `lease_aio.clock.SystemClock.now`, which cannot be imported here."""
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


def _kill(group: int) -> None:
    if group > 0:
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError) as error:
            sys.stderr.write(f"lease-aio guard: group {group}: {error}\n")


if __name__ == "__main__":
    main()
