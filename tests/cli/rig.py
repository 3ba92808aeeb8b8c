"""What the tests of the command line share: commands in this process, commands of their own, servers that say no."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from typer.testing import CliRunner, Result

from lease_aio.cli.app import app

PATIENCE_S = 60
HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks servers on this machine, past any proxy that the environment names."""


def invoke(*args: str, env: dict[str, str] | None = None) -> Result:
    """Run a command in this process, to its end; nothing of this machine's own configuration is found."""
    nowhere = {"KUBECONFIG": "", "HOME": "/nonexistent", "KUBERNETES_SERVICE_HOST": ""}
    return CliRunner().invoke(app, list(args), env={**nowhere, **(env or {})}, catch_exceptions=False)


def events(text: str) -> list[dict[str, Any]]:
    """Standard output of `--json`: each line must be an object with `event` and `time`."""
    found = [json.loads(line) for line in text.splitlines()]
    assert all(isinstance(one["event"], str) and isinstance(one["time"], float) for one in found)
    return found


def status(code: int, reason: str, message: str) -> str:
    return json.dumps(
        {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}
    )


@contextlib.contextmanager
def answering(code: int, body: str, content_type: str = "application/json") -> Iterator[str]:
    """A server that gives one answer to all requests; its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            data = body.encode()
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def kubeconfig(path: Path, url: str) -> str:
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        f"clusters: [{{name: c, cluster: {{server: '{url}'}}}}]\n"
        "users: [{name: u, user: {}}]\n"
        "contexts: [{name: c, context: {cluster: c, user: u, namespace: default}}]\n"
    )
    return str(path)


def served_port(kubeconfig: str) -> int:
    """The port in what `lease-aio serve` wrote."""
    return int(Path(kubeconfig).read_text().split("http://127.0.0.1:")[1].split("'")[0])


class Command:
    """`python -m lease_aio.cli …` as a process of its own."""

    def __init__(self, *args: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lease_aio.cli", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "KUBECONFIG": "", "PYTHONUNBUFFERED": "1"},
        )
        self.seen: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def event(self, name: str) -> dict[str, Any]:
        """Wait for an event of `--json`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.seen += events(line)
            if self.seen[-1]["event"] == name:
                return self.seen[-1]
        raise AssertionError(f"no event {name}; seen: {self.seen}; {self.errors()}")

    def errors(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, list[dict[str, Any]], str]:
        """Wait for the end: exit code, all events, standard error."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        self.seen += events(out)
        return self.process.returncode, self.seen, err
