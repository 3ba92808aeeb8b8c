"""The entry point: looks whether the extra is there, sets logging up, and hands over to the commands."""

from __future__ import annotations

import importlib.util
import sys
from typing import NoReturn

from lease_aio.cli.exits import Exit
from lease_aio.cli.logs import configure_logs

_NEEDED = ("typer", "rich")


def run() -> NoReturn:
    """Run the command that `sys.argv` names, and exit with a code of `lease_aio.cli.exits.Exit`."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f'lease-aio: error: the command line needs {" and ".join(missing)}: pip install "lease-aio[cli]"\n'
        )
        sys.exit(Exit.USAGE)
    configure_logs(verbose=False)  # before the first logger is made
    try:
        from lease_aio.cli.app import app  # noqa: PLC0415 - only now is it known that it can be imported

        app(prog_name="lease-aio")
    except KeyboardInterrupt:  # before the command listens to signals
        sys.exit(Exit.INTERRUPTED)
    sys.exit(Exit.OK)
