"""The command `lease-aio` put together: its commands, in the order of its help. They stand in `commands`, by area."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from lease_aio.cli.commands.candidates import candidates_app
from lease_aio.cli.commands.elections import lead_command
from lease_aio.cli.commands.fleets import fleet_command
from lease_aio.cli.commands.identities import identity_app
from lease_aio.cli.commands.members import members_app
from lease_aio.cli.commands.monitoring import monitor_command
from lease_aio.cli.commands.serving import demo_command, serve_command
from lease_aio.cli.exits import exit_codes_text

app = typer.Typer(
    name="lease-aio",
    epilog=exit_codes_text(),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - a callback's signature is typer's
    if asked:
        typer.echo(f"lease-aio {version('lease-aio')}")
        raise typer.Exit


@app.callback()
def common(
    *,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Coordination through Kubernetes Leases: leader election, node heartbeats, API server identity."""


app.command("demo")(demo_command)
app.command("serve")(serve_command)
app.command("lead")(lead_command)
app.command("fleet")(fleet_command)
app.command("monitor")(monitor_command)
app.add_typer(identity_app, name="identity")
app.add_typer(candidates_app, name="candidates")
app.add_typer(members_app, name="members")
