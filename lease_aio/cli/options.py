"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_WHERE = "Which API server"

Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        help="A kubeconfig file; else the pod's service account, then $KUBECONFIG, then ~/.kube/config.",
        rich_help_panel=_WHERE,
    ),
]
Context = Annotated[
    str | None,
    typer.Option("--context", help="A context of the kubeconfig; else its current one.", rich_help_panel=_WHERE),
]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="The namespace; else the context's.", rich_help_panel=_WHERE),
]
Embedded = Annotated[
    bool,
    typer.Option(
        "--embedded", help="An API server in this process, on loopback: needs no cluster.", rich_help_panel=_WHERE
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="One JSON object a line on standard output, each with `event` and `time`; a failure is an event `error`.",
    ),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Logs from INFO up, and tracebacks, on standard error."),
]
