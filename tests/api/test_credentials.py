"""Credentials that end: plugins run again, files read again, one refresh for many, and never a loop of them."""

import json
import ssl
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
import trustme
import yaml
from aiohttp import web
from kubernetes_asyncio.client import Configuration

from lease_aio.api import LEASES, RestApi
from lease_aio.api.config import load_configuration
from lease_aio.api.credentials import Credentials
from lease_aio.api.plugins import ExecPlugin
from lease_aio.api.sources import ProviderSource, TokenFile
from lease_aio.api.transport import Fault, TransportError
from lease_aio.errors import ConfigurationError, Refused, Unavailable
from tests.api import servers
from tests.api.servers import LEASE, lease_text, rest, serving, status_text

WAYS = pytest.mark.usefixtures("each_transport")

PLUGIN = """\
import json, os, pathlib, sys
folder = pathlib.Path(sys.argv[1])
runs = folder / "runs"
count = int(runs.read_text()) + 1 if runs.exists() else 1
runs.write_text(str(count))
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
assert info["spec"]["interactive"] is False and sys.stdin.read() == ""
status = json.loads((folder / "status.json").read_text())
if "exit" in status:
    sys.exit(status["exit"])
if "token" in status:
    status["token"] = status["token"].format(count)
print(json.dumps({"apiVersion": info["apiVersion"], "kind": "ExecCredential", "status": status}))
"""


class Guarded:
    """An API server that knows one token at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = trustme.CA()
        self.trusted = folder / "ca.crt"
        self.trusted.write_bytes(self.ca.cert_pem.bytes())
        self.wanted = "one"
        self.seen: list[str | None] = []
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Guarded"]:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert("localhost").configure_cert(tls)
        async with serving(self._handle, tls=tls) as url:
            self.url = url
            yield self

    async def _handle(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization")
        self.seen.append(token)
        if token != f"Bearer {self.wanted}":
            return web.Response(status=401, text=status_text(401, "Unauthorized", "Unauthorized"))
        return web.Response(text=lease_text(), content_type="application/json")

    def kubeconfig(self, user: dict[str, Any]) -> Path:
        path = self.folder / "kubeconfig"
        content = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": self.url, "certificate-authority": "ca.crt"}}],
            "users": [{"name": "u", "user": user}],
        }
        path.write_text(yaml.safe_dump(content))
        return path

    def plugin(self, **status: Any) -> dict[str, Any]:
        (self.folder / "plugin.py").write_text(PLUGIN)
        self.plugin_answers(**status)
        args = [str(self.folder / "plugin.py"), str(self.folder)]
        return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": args}}

    def plugin_answers(self, **status: Any) -> None:
        (self.folder / "status.json").write_text(json.dumps(status))

    @property
    def plugin_runs(self) -> int:
        return int((self.folder / "runs").read_text())

    async def api(self, user: dict[str, Any]) -> RestApi:
        loaded = await load_configuration(self.kubeconfig(user))
        return RestApi(servers.TRANSPORT(loaded.configuration, environ={}), timeout_s=10)


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    async with Guarded(tmp_path).running() as server:
        yield server


@WAYS
async def test_a_401runs_the_plugin_again_and_asks_once_more(guarded: Guarded) -> None:
    async with await guarded.api(guarded.plugin(token="run-{}")) as api:
        guarded.wanted = "run-1"
        await api.replace(LEASES, LEASE)
        guarded.wanted = "run-2"
        assert await api.replace(LEASES, LEASE) == LEASE
    assert guarded.seen == ["Bearer run-1", "Bearer run-1", "Bearer run-2"]


@WAYS
async def test_many_requests_that_are_refused_at_once_run_the_plugin_once(guarded: Guarded) -> None:
    async with await guarded.api(guarded.plugin(token="run-{}")) as api:
        guarded.wanted = "run-2"
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(api.get, LEASES, "a", "b")
    assert guarded.plugin_runs == 2


@WAYS
async def test_credentials_that_stay_refused_are_a_refusal_and_not_a_loop(guarded: Guarded) -> None:
    async with await guarded.api(guarded.plugin(token="run-{}")) as api:
        for _ in range(5):
            with pytest.raises(Refused, match="401 Unauthorized"):
                await api.get(LEASES, "a", "b")
    assert guarded.plugin_runs == 2


@WAYS
async def test_a_plugin_that_fails_when_it_is_needed_is_told_in_its_own_words(guarded: Guarded) -> None:
    async with await guarded.api(guarded.plugin(token="run-{}")) as api:
        guarded.plugin_answers(exit="login first")
        with pytest.raises(Refused, match=r"no credentials could be had.*exit code 1: login first"):
            await api.get(LEASES, "a", "b")


async def test_a_token_near_its_end_is_renewed_before_it_is_refused(tmp_path: Path) -> None:
    wall_s = 1_000_000_000.0
    expires = datetime.fromtimestamp(wall_s + 600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    count = f"open({str(tmp_path / 'runs')!r}, 'a').write('x')"
    script = f"{count}; print({credential(token='t', expirationTimestamp=expires)!r})"
    spec = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": ["-c", script]}
    source, configuration = ExecPlugin(spec, folder=tmp_path, wall_s=lambda: wall_s), Configuration()
    await source(configuration)
    wall_s += 569
    await source(configuration)
    assert await anyio.Path(tmp_path / "runs").read_text() == "x"
    wall_s += 2
    await source(configuration)
    assert await anyio.Path(tmp_path / "runs").read_text() == "xx"


@WAYS
async def test_a_client_certificate_of_a_plugin_is_shown(guarded: Guarded) -> None:
    mine = guarded.ca.issue_cert("me@example.com")
    answer = {
        "clientCertificateData": mine.cert_chain_pems[0].bytes().decode(),
        "clientKeyData": mine.private_key_pem.bytes().decode(),
    }
    loaded = await load_configuration(guarded.kubeconfig(guarded.plugin(**answer)))
    assert await anyio.Path(loaded.configuration.cert_file).read_text() == answer["clientCertificateData"]
    assert servers.TRANSPORT(loaded.configuration).origin == guarded.url


@WAYS
async def test_a_renewed_client_certificate_is_shown_on_new_connections(tmp_path: Path) -> None:
    ca = trustme.CA()
    names = ("one@example.com", "two@example.com")
    files = [
        (_save(tmp_path / f"{n}.crt", c.cert_chain_pems[0]), _save(tmp_path / f"{n}.key", c.private_key_pem))
        for n, c in ((name, ca.issue_cert(name)) for name in names)
    ]
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(tls)
    ca.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED

    async def handle(request: web.Request) -> web.Response:
        assert request.transport is not None
        shown = request.transport.get_extra_info("peercert")["subjectAltName"][0][1]
        return web.Response(
            status=200 if shown == names[1] else 401, text=lease_text(), content_type="application/json"
        )

    async def hook(configuration: Configuration) -> None:
        configuration.cert_file, configuration.key_file = next(certificates)

    certificates = iter([files[0], files[1]])
    settings = {"ssl_ca_cert": _save(tmp_path / "ca.crt", ca.cert_pem), "refresh_api_key_hook": hook}
    async with serving(handle, tls=tls) as url, rest(url, **settings) as api:
        assert await api.get(LEASES, "a", "b") == LEASE


def _save(path: Path, data: trustme.Blob) -> str:
    path.write_bytes(data.bytes())
    return str(path)


async def test_a_rotated_token_file_is_read_again(tmp_path: Path) -> None:
    now = 0.0
    token = tmp_path / "token"
    token.write_text("one\n")
    source, configuration = TokenFile(token, now=lambda: now), Configuration()
    await source(configuration)
    token.write_text("two\n")
    now = 59.0
    await source(configuration)
    assert configuration.api_key == {"BearerToken": "Bearer one"}
    now = 60.0
    await source(configuration)
    assert configuration.api_key == {"BearerToken": "Bearer two"}


@WAYS
async def test_a_token_file_rotated_early_is_read_at_the_first_401(guarded: Guarded) -> None:
    token = guarded.folder / "token"
    token.write_text("one")
    async with await guarded.api({"tokenFile": "token"}) as api:
        await api.get(LEASES, "a", "b")
        guarded.wanted = "two"
        token.write_text("two")
        assert await api.get(LEASES, "a", "b") == LEASE


async def test_a_token_file_that_vanishes_leaves_the_token_that_is_held(guarded: Guarded) -> None:
    token = guarded.folder / "token"
    token.write_text("one")
    async with await guarded.api({"tokenFile": "token"}) as api:
        token.unlink()
        assert await api.get(LEASES, "a", "b") == LEASE


async def test_a_hook_of_others_is_asked_as_kubernetes_asyncio_asks_it(guarded: Guarded) -> None:
    def hook(configuration: Configuration) -> None:
        configuration.api_key["BearerToken"] = "Bearer one"

    settings = {"ssl_ca_cert": str(guarded.trusted), "refresh_api_key_hook": hook}
    async with rest(guarded.url, **settings) as api:
        assert await api.get(LEASES, "a", "b") == LEASE
    assert guarded.seen == ["Bearer one"]


@WAYS
async def test_a_token_that_others_change_in_the_configuration_is_sent(guarded: Guarded) -> None:
    configuration = Configuration(host=guarded.url, api_key={"BearerToken": "old"}, ssl_ca_cert=str(guarded.trusted))
    configuration.api_key_prefix["BearerToken"] = "Bearer"
    async with RestApi(servers.TRANSPORT(configuration, environ={})) as api:
        configuration.api_key["BearerToken"] = "one"
        assert await api.get(LEASES, "a", "b") == LEASE


@pytest.mark.parametrize(
    ("host", "sent"),
    [("http://10.0.0.1", None), ("http://api.example", None), ("http://[::1]:1", "x"), ("https://10.0.0.1", "x")],
)
async def test_no_credentials_are_sent_in_clear_over_a_wire(host: str, sent: str | None) -> None:
    async with Credentials(Configuration(host=host, api_key={"BearerToken": "x"})) as credentials:
        assert await credentials.header() == sent


async def test_a_slow_plugin_delays_no_request_that_has_something_to_send() -> None:
    now = 0.0
    asked = anyio.Event()

    async def hook(_configuration: Configuration) -> None:
        asked.set()
        await anyio.sleep_forever()

    configuration = Configuration(host="https://x", api_key={"BearerToken": "Bearer held"})
    configuration.refresh_api_key_hook = hook
    async with Credentials(configuration, now=lambda: now) as credentials:
        with anyio.fail_after(30):
            assert await credentials.header() == "Bearer held"
            await asked.wait()
            assert await credentials.header() == "Bearer held"


async def test_a_hook_that_fails_with_nothing_held_is_an_error() -> None:
    def hook(_configuration: Configuration) -> None:
        raise OSError("disk gone")

    configuration = Configuration(host="https://x")
    configuration.refresh_api_key_hook = hook
    async with Credentials(configuration) as credentials:
        with pytest.raises(TransportError, match="disk gone") as caught:
            await credentials.header()
    assert caught.value.fault is Fault.CREDENTIALS


async def test_a_hook_that_raises_anything_ends_nothing_but_its_own_request() -> None:
    def hook(_configuration: Configuration) -> None:
        raise RuntimeError

    configuration = Configuration(host="https://x", api_key={"BearerToken": "held"})
    configuration.refresh_api_key_hook = hook
    async with Credentials(configuration) as credentials:
        with pytest.raises(TransportError, match="RuntimeError"):
            await credentials.renew(credentials.generation)
        assert await credentials.header() == "held"


async def test_credentials_that_are_left_stop_a_hook_that_still_works() -> None:
    stopped = False

    async def hook(_configuration: Configuration) -> None:
        nonlocal stopped
        try:
            await anyio.sleep_forever()
        finally:
            stopped = True

    configuration = Configuration(host="https://x", api_key={"BearerToken": "held"})
    configuration.refresh_api_key_hook = hook
    async with Credentials(configuration) as credentials:
        await credentials.header()
        await anyio.sleep(0.01)
    assert stopped


@WAYS
async def test_a_time_out_while_credentials_are_renewed_leaves_no_doubt_about_a_write(guarded: Guarded) -> None:
    class Slow:
        async def __call__(self, configuration: Configuration) -> None: ...

        async def renew(self, _configuration: Configuration) -> None:
            await anyio.sleep_forever()

    settings = {"ssl_ca_cert": str(guarded.trusted), "refresh_api_key_hook": Slow(), "api_key": {"BearerToken": "old"}}
    async with rest(guarded.url, **settings) as api:
        with pytest.raises(Unavailable, match="no answer in time") as caught:
            await api.replace(LEASES, LEASE, timeout_s=0.5)
    assert not caught.value.outcome_unknown


async def test_a_provider_of_kubernetes_asyncio_is_asked_every_minute() -> None:
    now, asked = 0.0, 0

    class Loader:
        async def load_and_set(self, _configuration: Configuration) -> None:
            nonlocal asked
            asked += 1
            if asked == 2:
                raise ValueError("oidc: bad answer")

    source, configuration = ProviderSource(Loader(), now=lambda: now), Configuration()  # type: ignore[arg-type]
    await source(configuration)
    assert asked == 0
    now = 60.0
    await source(configuration)
    assert asked == 1
    with pytest.raises(ConfigurationError, match="oidc: bad answer"):
        await source.renew(configuration)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (aiohttp.ServerDisconnectedError(), "brought no token: Server disconnected"),
        (None, r"brought no token: no answer within 0\.01 s"),
    ],
)
async def test_a_provider_that_hangs_or_hangs_up_is_told_as_that(
    trouble: Exception | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lease_aio.api.sources._LOADER_TIMEOUT_S", 0.01)

    class Loader:
        async def load_and_set(self, _configuration: Configuration) -> None:
            if trouble is not None:
                raise trouble
            await anyio.sleep_forever()

    with pytest.raises(ConfigurationError, match=words):
        await ProviderSource(Loader()).renew(Configuration())  # type: ignore[arg-type]


# --- what a plugin can do wrong ------------------------------------------------------------------------------------


def plugin(command: str, *args: str, folder: Path = Path("/"), **more: Any) -> ExecPlugin:
    spec = {"apiVersion": "client.authentication.k8s.io/v1", "command": command, "args": list(args), **more}
    return ExecPlugin(spec, folder=folder)


def printing(text: str) -> ExecPlugin:
    return plugin(sys.executable, "-c", f"print({text!r})")


def credential(version: str = "v1", **status: Any) -> str:
    return json.dumps(
        {"kind": "ExecCredential", "apiVersion": f"client.authentication.k8s.io/{version}", "status": status}
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (lambda: plugin("no-such-plugin"), r"'no-such-plugin' cannot be run \(No such file.*install it"),
        (lambda: plugin("no-such-plugin", installHint="Ask IT."), r"Ask IT\."),
        (lambda: plugin("/etc/passwd"), "Permission denied"),
        (lambda: plugin(sys.executable, "-c", "import sys; sys.exit('log in')"), "exit code 1: log in"),
        (lambda: plugin(sys.executable, "a\x00b"), "embedded null byte.*mend it"),
        (lambda: printing("hello"), "printed no ExecCredential"),
        (lambda: plugin("printf", r"\\351"), "printed no ExecCredential"),
        (lambda: printing(credential("v1beta1", token="t")), "speaks 'client.authentication.k8s.io/v1beta1'"),
        (lambda: printing(credential()), "neither a token nor"),
        (lambda: printing(credential(clientCertificateData="c")), "neither a token nor"),
        (lambda: printing(credential(token="t", expirationTimestamp="soon")), "wrong expirationTimestamp"),
    ],
)
async def test_a_plugin_that_does_not_work_is_named_with_the_remedy(source: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        await source().renew(Configuration())


@pytest.mark.parametrize("missing", ["command", "apiVersion"])
def test_an_exec_section_that_lacks_something_is_refused(missing: str) -> None:
    spec = {"apiVersion": "v1", "command": "x"}
    del spec[missing]
    with pytest.raises(ConfigurationError, match=f"exec section.*missing required field `{missing}`"):
        ExecPlugin(spec, folder=Path("/"))


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"env": ["x"]}, r"Expected `object`, got `str` - at `\$\.env\[0\]`"),
        ({"args": "x"}, r"at `\$\.args`"),
        ({"interactiveMode": "Always"}, "wants a terminal"),
    ],
)
def test_an_exec_section_that_cannot_work_is_refused(section: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ExecPlugin({"apiVersion": "v1", "command": "x", **section}, folder=Path("/"))


async def test_a_plugin_that_asks_for_it_is_told_of_the_cluster(tmp_path: Path) -> None:
    told = tmp_path / "told"
    (tmp_path / "ca.crt").write_text("PEM")
    script = f"printf '%s' \"$KUBERNETES_EXEC_INFO\" > {told}; printf '%s' '{credential(token='t')}'"
    user = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script]}
    cluster = {
        "server": "https://k:1",
        "certificate-authority": "ca.crt",
        "tls-server-name": "k8s",
        "extensions": [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "me"}}],
    }
    seen: list[Any] = []
    for asked in (True, False):
        kubeconfig = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": cluster}],
            "users": [{"name": "u", "user": {"exec": {**user, "provideClusterInfo": asked}}}],
        }
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
        await load_configuration(tmp_path / "kubeconfig")
        seen.append(json.loads(told.read_text())["spec"].get("cluster"))
    assert seen == [
        {
            "server": "https://k:1",
            "tls-server-name": "k8s",
            "certificate-authority-data": "UEVN",
            "config": {"audience": "me"},
        },
        None,
    ]


async def test_of_a_plugins_certificates_the_last_two_are_kept_in_files_of_ones_own(tmp_path: Path) -> None:
    printed = tmp_path / "printed"
    source, configuration, files = plugin("cat", str(printed)), Configuration(), []
    for number in (1, 2, 2, 3):
        printed.write_text(credential(clientCertificateData=f"certificate {number}", clientKeyData=f"key {number}"))
        await source.renew(configuration)
        files.append(Path(configuration.key_file))
    assert files[1] == files[2]  # nothing new is no reason for new connections
    assert [path.exists() for path in files] == [False, True, True, True]
    assert files[3].read_text() == "key 3"
    assert stat.S_IMODE(files[3].parent.stat().st_mode) == 0o700
    assert len(list(files[3].parent.iterdir())) == 4


async def test_a_relative_command_is_found_from_the_kubeconfig(tmp_path: Path) -> None:
    script = tmp_path / "bin" / "login"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\nprintf '%s' '{credential(token='t')}'\n")
    script.chmod(0o700)
    configuration = Configuration()
    await plugin("./bin/login", folder=tmp_path).renew(configuration)
    assert configuration.api_key == {"BearerToken": "Bearer t"}


async def test_a_plugin_without_an_expiry_is_run_once() -> None:
    source, configuration = printing(credential(token="t")), Configuration()
    await source(configuration)
    configuration.api_key.clear()
    await source(configuration)
    assert configuration.api_key == {}
