"""How every command runs: on one event loop, stopped in order by a signal, its errors told in one line."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NoReturn

import anyio
import anyio.abc
import typer

from lease_aio.cli.exits import error_line, exit_code, is_full, leaf
from lease_aio.cli.logs import configure_logs
from lease_aio.cli.output import Output

Work = Callable[[], Awaitable[int]]


def execute(work: Work, output: Output, *, verbose: bool) -> NoReturn:
    """Run `work` to its end and exit with its code.

    SIGINT and SIGTERM cancel it, so that what it holds steps down in order; then the code is 128 and the signal's
    number. A second one ends the process on the spot: Leases then run out by themselves.

    Raises:
        typer.Exit: always.
    """
    configure_logs(verbose=verbose, json=output.json)
    backend = {"use_uvloop": importlib.util.find_spec("uvloop") is not None}
    try:
        code = anyio.run(partial(until_signalled, work), backend_options=backend)
        sys.stdout.flush()  # what cannot be written is told here, not by Python at its exit
    except BaseException as error:  # noqa: BLE001 - the one place where every error becomes a line and a code
        cause = leaf(error)
        if verbose:
            traceback.print_exception(error)
        code = _tell(output, cause)
    raise typer.Exit(code)


def _tell(output: Output, error: BaseException) -> int:
    """Say it, and return the code; a reader that has gone away is no error worth a word."""
    code = int(exit_code(error))
    if isinstance(error, BrokenPipeError):
        return _told_nobody()
    try:
        output.error(error_line(error), code)
        sys.stdout.flush()
    except BrokenPipeError:
        return _told_nobody()
    except OSError as again:
        if not is_full(again):
            raise
        _drop_output()  # it was told on standard error: only the event for programs is lost
    return code


def _told_nobody() -> int:
    _drop_output()
    return 128 + signal.SIGPIPE


def _drop_output() -> None:
    """What is still buffered goes nowhere, or else Python complains at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def until_signalled(work: Work) -> int:
    """Run `work` until it ends or a signal arrives.

    Returns:
        What `work` returned, or 128 and the number of the signal that stopped it.
    """
    stopped_by: list[int] = []

    async def listen(scope: anyio.CancelScope, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
            task_status.started()
            async for number in received:
                if stopped_by:
                    os._exit(128 + number)
                stopped_by.append(number)
                scope.cancel(f"stopped by {signal.Signals(number).name}")

    code = 0
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            await tasks.start(partial(listen, scope))
            code = await work()
        tasks.cancel_scope.cancel()
    return 128 + stopped_by[0] if stopped_by else code
