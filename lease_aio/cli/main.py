"""The entry point: looks whether the extra is there, sets logging up, and hands over to the commands."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from lease_aio.cli.exits import Exit
from lease_aio.cli.logs import configure_logs
from lease_aio.cli.streams import mend_streams

_NEEDED = ("typer", "rich")
_NAME = "lease-aio"


def run() -> NoReturn:
    """Run the command that `sys.argv` names, and exit with a code of `lease_aio.cli.exits.Exit`."""
    mend_streams()
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f'lease-aio: error: the command line needs {" and ".join(missing)}: pip install "lease-aio[cli]"\n'
        )
        sys.exit(Exit.USAGE)
    configure_logs(verbose=False)  # before the first logger is made
    try:
        from lease_aio.cli.app import app  # noqa: PLC0415 - only now is it known that it can be imported

        if "--json" in " ".join(sys.argv).split(" -- ", maxsplit=1)[0].split():
            sys.exit(_for_programs(app))
        app(prog_name=_NAME)
    except KeyboardInterrupt:  # before the command listens to signals
        sys.exit(Exit.INTERRUPTED)
    sys.exit(Exit.OK)


def _for_programs(app: Callable[..., Any]) -> int:
    """As `app`, and of what typer refuses programs are told as of any other error."""
    from lease_aio.cli.output import Output  # noqa: PLC0415 - it needs rich

    try:
        return int(app(prog_name=_NAME, standalone_mode=False) or Exit.OK)
    except Exception as error:
        words: Callable[[], str] | None = getattr(error, "format_message", None)
        if words is None:  # what typer raises of its own has it, be it click's class or typer's
            raise
        Output(json=True).error(f"{words()} See: {_NAME} --help", Exit.USAGE)
        return Exit.USAGE
