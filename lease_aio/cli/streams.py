"""The standard streams as a command needs them, whatever it was started with."""

from __future__ import annotations

import io
import os
import sys


def mend_streams() -> None:
    """Open what is closed (`>&-`) on nothing, and let no character that the locale lacks end a command.

    A descriptor of 0 to 2 that stays closed would be given to the next file or socket that is opened, and written to.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free, which is this one
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace" if number == 2 else "replace")
