"""Which API server is found, and what is said when none is, or when what is found cannot work."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from lease_aio.api.certificates import not_after
from lease_aio.api.config import Loaded, load_configuration
from lease_aio.errors import ConfigurationError, NoCluster


def content(**changes: Any) -> dict[str, Any]:
    return {
        "current-context": "c",
        "contexts": [
            {"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "ns"}},
            {"name": "other", "context": {"cluster": "k"}},
        ],
        "clusters": [{"name": "k", "cluster": {"server": "https://10.0.0.1:6443/"}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        **changes,
    }


def written(path: Path, what: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(what if isinstance(what, str) else yaml.safe_dump(what))
    return path


def service_account(folder: Path) -> Path:
    written(folder / "token", "pod-token\n")
    written(folder / "namespace", "pod-ns")
    (folder / "ca.crt").write_bytes(trustme.CA().cert_pem.bytes())
    return folder


POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


async def found(tmp_path: Path, environ: dict[str, str], **named: Any) -> Loaded:
    return await load_configuration(
        environ={"HOME": str(tmp_path), **environ}, service_account=tmp_path / "sa", **named
    )


async def test_without_any_cluster_all_that_was_tried_is_listed_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(NoCluster) as caught:
        await found(tmp_path, {})
    assert str(caught.value) == (
        "no Kubernetes API server to talk to. Tried:\n"
        "- in-cluster: KUBERNETES_SERVICE_HOST is not set, so this is no pod\n"
        f"- the default kubeconfig: no such file: {tmp_path}/.kube/config\n"
        "Without a cluster, use the embedded server: connect('embedded'), or --embedded on the command line."
    )


async def test_a_kubeconfig_variable_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoCluster, match=r"- KUBECONFIG: no such file: /no/where"):
        await found(tmp_path, {"KUBECONFIG": "/no/where"})


async def test_a_pod_without_a_token_says_so_and_goes_on(tmp_path: Path) -> None:
    with pytest.raises(NoCluster, match=r"in-cluster: .*token.*automountServiceAccountToken"):
        await found(tmp_path, POD)
    written(tmp_path / ".kube" / "config", content())
    assert (await found(tmp_path, POD)).configuration.host == "https://10.0.0.1:6443"


async def test_a_pod_with_an_empty_token_says_so(tmp_path: Path) -> None:
    written(service_account(tmp_path / "sa") / "token", " \n")
    with pytest.raises(NoCluster, match="token file .* is empty"):
        await found(tmp_path, POD)


async def test_in_a_pod_the_service_account_comes_first(tmp_path: Path) -> None:
    service_account(tmp_path / "sa")
    written(tmp_path / ".kube" / "config", content())
    loaded = await found(tmp_path, POD)
    assert loaded.configuration.host == "https://10.96.0.1:443"
    assert loaded.configuration.api_key == {"BearerToken": "Bearer pod-token"}
    assert (loaded.namespace, loaded.source) == ("pod-ns", "the pod's service account")


async def test_in_a_pod_an_ipv6_address_is_bracketed_and_the_token_may_rotate(tmp_path: Path) -> None:
    service_account(tmp_path / "sa")
    loaded = await found(tmp_path, {**POD, "KUBERNETES_SERVICE_HOST": "fd00::1"})
    assert loaded.configuration.host == "https://[fd00::1]:443"
    written(tmp_path / "sa" / "token", "next")
    await loaded.configuration.refresh_api_key_hook.renew(loaded.configuration)
    assert loaded.configuration.api_key == {"BearerToken": "Bearer next"}


async def test_a_context_that_is_named_means_a_kubeconfig_even_in_a_pod(tmp_path: Path) -> None:
    service_account(tmp_path / "sa")
    written(tmp_path / ".kube" / "config", content())
    loaded = await found(tmp_path, POD, context="other")
    assert (loaded.namespace, loaded.configuration.api_key) == ("default", {})


async def test_a_kubeconfig_gives_server_token_and_namespace(tmp_path: Path) -> None:
    path = written(tmp_path / "k", content())
    loaded = await found(tmp_path, POD, kubeconfig=path)
    assert loaded.configuration.host == "https://10.0.0.1:6443"
    assert loaded.configuration.api_key == {"BearerToken": "Bearer secret"}
    assert (loaded.namespace, loaded.source) == ("ns", f"context 'c' of the given kubeconfig '{path}'")


async def test_several_kubeconfigs_are_merged_and_the_first_mention_counts(tmp_path: Path) -> None:
    one = written(tmp_path / "one", {"users": [{"name": "u", "user": {"token": "first"}}], "current-context": "c"})
    two = written(tmp_path / "two", content())
    paths = os.pathsep.join([str(one), str(tmp_path / "missing"), str(two)])
    loaded = await found(tmp_path, {"KUBECONFIG": paths})
    assert loaded.configuration.api_key == {"BearerToken": "Bearer first"}


async def test_files_are_found_from_the_kubeconfig_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "ca.crt").write_bytes(trustme.CA().cert_pem.bytes())
    cluster = {
        "server": "https://x",
        "certificate-authority": "ca.crt",
        "tls-server-name": "y",
        "proxy-url": "http://p",
    }
    path = written(tmp_path / "deep" / "k", content(clusters=[{"name": "k", "cluster": cluster}]))
    configuration = (await found(tmp_path, {}, kubeconfig=path)).configuration
    assert configuration.ssl_ca_cert == str(tmp_path / "deep" / "ca.crt")
    assert (configuration.tls_server_name, configuration.proxy) == ("y", "http://p")


async def test_an_anonymous_user_over_https_is_no_crash(tmp_path: Path) -> None:
    path = written(tmp_path / "k", content(users=None))
    assert (await found(tmp_path, {}, kubeconfig=path, context="other")).configuration.api_key == {}


async def test_an_impersonation_is_sent(tmp_path: Path) -> None:
    user = {"token": "t", "as": "jane", "as-uid": "7", "as-groups": ["devs"]}
    path = written(tmp_path / "k", content(users=[{"name": "u", "user": user}]))
    assert (await found(tmp_path, {}, kubeconfig=path)).headers == {
        "Impersonate-User": "jane",
        "Impersonate-Uid": "7",
        "Impersonate-Group": "devs",
    }


@pytest.mark.parametrize("user", [{"as": "j", "as-groups": ["a", "b"]}, {"as": "j", "as-user-extra": {"a": ["b"]}}])
async def test_an_impersonation_that_cannot_be_sent_whole_is_refused(tmp_path: Path, user: dict[str, Any]) -> None:
    path = written(tmp_path / "k", content(users=[{"name": "u", "user": user}]))
    with pytest.raises(ConfigurationError, match="as-groups"):
        await found(tmp_path, {}, kubeconfig=path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"current-context": "gone"}, r"has no context 'gone'; it has \['c', 'other'\]"),
        ({"current-context": ""}, r"has no current-context: set it or name one of \['c', 'other'\]"),
        ({"contexts": None}, r"has no context 'c'; it has \[\]"),
        ({"clusters": []}, "cluster 'k' is missing or names no server"),
        ({"clusters": [{"name": "k", "cluster": {}}]}, "cluster 'k' is missing or names no server"),
        ({"users": []}, "has no user 'u'"),
        ({"users": [{"name": "u", "user": {"exec": {"command": "x"}}}]}, "required field `apiVersion`"),
        ({"users": [{"name": "u", "user": {"exec": "x"}}]}, "exec section.*Expected `object`"),
        ({"users": [{"name": "u", "user": {"auth-provider": {"name": "azure"}}}]}, "'azure' is not spoken: log in by"),
        ({"clusters": [{"name": "k", "cluster": {"server": 6443}}]}, "cluster 'k' is missing or names no server"),
        (
            {"users": [{"name": "u", "user": {"exec": {"apiVersion": "v1", "command": "no-such-plugin"}}}]},
            "exec plugin 'no-such-plugin' cannot be run",
        ),
        ({"users": [{"name": "u", "user": {"client-certificate": "gone.crt"}}]}, r"gone\.crt"),
        ({"users": [{"name": "u", "user": {"tokenFile": "gone"}}]}, "gone"),
        ({"users": [{"name": "u", "user": {"auth-provider": {"name": "oidc"}}}]}, "oidc: missing configuration"),
    ],
)
async def test_a_kubeconfig_that_cannot_work_names_what_is_wrong(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    path = written(tmp_path / "k", content(**changes))
    with pytest.raises(ConfigurationError, match=words) as caught:
        await found(tmp_path, {}, kubeconfig=path)
    assert str(path) in str(caught.value) or "exec" in words or "apiVersion" in words or "gone" in words


@pytest.mark.parametrize("text", ["", "[]", "a: [", "just words", "contexts: {a: b}", "\x00", "[" * 5_000])
async def test_a_file_that_is_no_kubeconfig_is_named(tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "k", text)
    with pytest.raises(ConfigurationError, match=str(path)):
        await found(tmp_path, {}, kubeconfig=path)


async def test_a_kubeconfig_that_is_missing_or_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing.*no such file"):
        await found(tmp_path, {}, kubeconfig=tmp_path / "missing")
    with pytest.raises(ConfigurationError, match="is a directory"):
        await found(tmp_path, {}, kubeconfig=tmp_path)


async def test_a_client_certificate_that_has_ended_is_said_with_its_day(tmp_path: Path) -> None:
    ca = trustme.CA()
    mine = ca.issue_cert("me@example.com", not_after=datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC))
    (tmp_path / "me.crt").write_bytes(mine.cert_chain_pems[0].bytes())
    (tmp_path / "me.key").write_bytes(mine.private_key_pem.bytes())
    user = {"client-certificate": "me.crt", "client-key": "me.key"}
    path = written(tmp_path / "k", content(users=[{"name": "u", "user": user}]))
    with pytest.raises(ConfigurationError, match="expired on 2020-02-03 04:05:06 UTC: get a new kubeconfig"):
        await found(tmp_path, {}, kubeconfig=path)


@pytest.mark.parametrize("year", [2030, 2049, 2050, 2999])
def test_the_end_of_a_certificate_is_read_in_both_forms(year: int) -> None:
    end = datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC)
    issued = trustme.CA().issue_cert("x.example", not_after=end)
    assert not_after(issued.cert_chain_pems[0].bytes().decode()) == end


@pytest.mark.parametrize(
    "text", ["", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "-----END CERTIFICATE-----"]
)
def test_what_is_no_certificate_has_no_end(text: str) -> None:
    assert not_after(text) is None


def test_a_certificate_that_is_cut_has_no_end() -> None:
    pem = trustme.CA().issue_cert("x.example").cert_chain_pems[0].bytes().decode().splitlines()
    assert not_after("\n".join([pem[0], pem[1], pem[-1]])) is None
