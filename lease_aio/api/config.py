"""Finding an API server: in the cluster, in a kubeconfig, or nowhere, with a list of what was tried."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio.to_thread
import yaml
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import ConfigException
from kubernetes_asyncio.config.incluster_config import InClusterConfigLoader
from kubernetes_asyncio.config.kube_config import ConfigNode, KubeConfigLoader, KubeConfigMerger

from lease_aio.api.certificates import not_after
from lease_aio.api.plugins import ExecPlugin, cluster_info
from lease_aio.api.sources import ProviderSource, TokenFile, load
from lease_aio.errors import ConfigurationError, NoCluster

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_PROVIDERS = {"gcp", "oidc"}  # those that kubernetes_asyncio has; of others it takes no notice
_REMEDY = "Without a cluster, use the embedded server: connect('embedded'), or --embedded on the command line."


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """How to reach one API server.

    Attributes:
        configuration: For `open_transport`, or for kubernetes_asyncio's ApiClient; keeps its credentials fresh.
        namespace: The default one of the context or the pod.
        source: Where this was found, in words.
        headers: To send with each request: the kubeconfig's impersonation.
    """

    configuration: Configuration
    namespace: str
    source: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


async def load_configuration(
    kubeconfig: str | os.PathLike[str] | None = None,
    context: str | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> Loaded:
    """Find the API server to talk to.

    A kubeconfig or context that is named is used, or an error. Otherwise: the service account of the pod, then the
    files in KUBECONFIG, then ~/.kube/config. An exec plugin is run once, so that its failure is seen here.

    Args:
        kubeconfig: A file, or several as in KUBECONFIG.
        context: Which context of it, else its current one.
        environ: Where variables are looked up.
        service_account: Where the pod's token, CA and namespace are mounted.

    Raises:
        NoCluster: nothing was found; the message lists what was tried.
        ConfigurationError: what was found cannot be used; the message names the value and the remedy.
    """
    if kubeconfig is not None:
        return await _from_kubeconfig(os.fspath(kubeconfig), context, "the given kubeconfig")
    tried: list[str] = []
    if context is None:
        found = await _in_cluster(environ, service_account, tried)
        if found is not None:
            return found
    paths, name = _default_paths(environ)
    if any(path.exists() for path in _files(paths)):
        return await _from_kubeconfig(paths, context, name)
    tried.append(f"{name}: no such file: {paths}")
    raise NoCluster("no Kubernetes API server to talk to. Tried:\n" + "".join(f"- {one}\n" for one in tried) + _REMEDY)


def _default_paths(environ: Mapping[str, str]) -> tuple[str, str]:
    if environ.get("KUBECONFIG"):
        return environ["KUBECONFIG"], "KUBECONFIG"
    return str(Path(environ.get("HOME") or Path.home()) / ".kube" / "config"), "the default kubeconfig"


def _files(paths: str) -> list[Path]:
    return [Path(path).expanduser() for path in paths.split(os.pathsep) if path]


async def _in_cluster(environ: Mapping[str, str], mounted: Path, tried: list[str]) -> Loaded | None:
    if not environ.get("KUBERNETES_SERVICE_HOST"):
        tried.append("in-cluster: KUBERNETES_SERVICE_HOST is not set, so this is no pod")
        return None
    configuration = Configuration()
    loader = InClusterConfigLoader(
        str(mounted / "token"), str(mounted / "ca.crt"), try_refresh_token=False, environ=dict(environ)
    )
    source = TokenFile(mounted / "token")
    try:
        loader.load_and_set(configuration)
        await source(configuration)
    except (ConfigException, ConfigurationError, OSError) as error:
        tried.append(f"in-cluster: {error} ({mounted}; is automountServiceAccountToken off?)")
        return None
    _set_hook(configuration, source)
    namespace = await _read_or(mounted / "namespace", "default")
    return Loaded(configuration=configuration, namespace=namespace, source="the pod's service account")


async def _read_or(path: Path, default: str) -> str:
    try:
        return (await anyio.Path(path).read_text()).strip() or default
    except OSError:
        return default


async def _from_kubeconfig(paths: str, context: str | None, what: str) -> Loaded:
    where = f"{what} {paths!r}"
    merged = await anyio.to_thread.run_sync(_merge, paths, where)
    try:
        chosen = _choose(merged, context, where)
    except (AttributeError, TypeError) as error:  # something is of another type than it is in a kubeconfig
        raise ConfigurationError(f"{where} is no kubeconfig: {error}") from error
    configuration = Configuration()
    loader: Any = KubeConfigLoader(config_dict=merged, active_context=chosen.context, config_base_path=None)
    try:
        await load(loader, configuration)
    except (ConfigException, ValueError, TypeError, AttributeError, OSError) as error:
        raise ConfigurationError(f"{where}, context {chosen.context!r}: {error}; mend it there") from error
    await _add_credentials(configuration, chosen, loader, where)
    return Loaded(
        configuration=configuration,
        namespace=chosen.namespace,
        source=f"context {chosen.context!r} of {where}",
        headers=_impersonation(chosen.user, where),
    )


def _merge(paths: str, where: str) -> ConfigNode:
    """Read the files as kubectl does: the first mention of a name counts."""
    given = _files(paths)
    if not any(path.exists() for path in given):
        raise ConfigurationError(f"{where}: no such file; give another path")
    try:
        merged = KubeConfigMerger(os.pathsep.join(str(path) for path in given)).config
    except IsADirectoryError as error:
        raise ConfigurationError(f"{where} is a directory; give the file in it") from error
    except OSError as error:
        raise ConfigurationError(f"{where} cannot be read ({error.strerror}): mend its permissions") from error
    except (TypeError, AttributeError) as error:  # empty, or no mapping
        raise ConfigurationError(f"{where} is no kubeconfig: it has no clusters, users and contexts") from error
    except (yaml.YAMLError, KeyError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{where} is no kubeconfig: {error}") from error
    assert merged is not None
    return merged


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """The parts of a kubeconfig that one context names."""

    context: str
    namespace: str
    user: dict[str, Any]
    exec_spec: dict[str, Any] | None
    folder: Path
    cluster: dict[str, Any]
    cluster_folder: Path


def _choose(merged: ConfigNode, context: str | None, where: str) -> _Chosen:
    contexts = _named(merged, "contexts")
    name = context or merged.value.get("current-context")
    if not name:
        raise ConfigurationError(f"{where} has no current-context: set it or name one of {sorted(contexts)}")
    if name not in contexts:
        raise ConfigurationError(f"{where} has no context {name!r}; it has {sorted(contexts)}: name one of these")
    parts: dict[str, Any] = contexts[name].value.get("context") or {}
    cluster = _named(merged, "clusters").get(parts.get("cluster", ""))
    address: dict[str, Any] = (cluster.value.get("cluster") or {}) if cluster is not None else {}
    if not isinstance(address.get("server"), str) or not address["server"]:
        raise ConfigurationError(
            f"{where}, context {name!r}: cluster {parts.get('cluster')!r} is missing or names no server: add it"
        )
    assert cluster is not None
    user = _user(merged, parts, where)
    section: dict[str, Any] = user.value["user"]
    return _Chosen(
        context=name,
        namespace=parts.get("namespace") or "default",
        user=section,
        # the plugin is run by ourselves: it may outlive no request, and gets no terminal
        exec_spec=section.pop("exec", None),
        folder=_folder(user),
        cluster=address,
        cluster_folder=_folder(cluster),
    )


def _folder(node: ConfigNode) -> Path:
    return Path(node.path or ".").absolute().parent


def _named(merged: ConfigNode, section: str) -> dict[str, ConfigNode]:
    nodes: list[ConfigNode] = merged.value.get(section) or []
    return {str(node.value.get("name")): node for node in nodes}


def _user(merged: ConfigNode, parts: dict[str, Any], where: str) -> ConfigNode:
    """The context's user; an anonymous one where it names none, which kubernetes_asyncio cannot do without."""
    name = parts.get("user")
    if not name:
        parts["user"] = name = "anonymous"
        merged.value["users"].append(ConfigNode("anonymous", {"name": name}, merged.path))
    user = _named(merged, "users").get(name)
    if user is None:
        raise ConfigurationError(f"{where} has no user {name!r}, which the context names: add it")
    user.value["user"] = user.value.get("user") or {}
    return user


async def _add_credentials(configuration: Configuration, chosen: _Chosen, loader: Any, where: str) -> None:
    if chosen.exec_spec is not None:
        try:
            told = cluster_info(chosen.cluster, chosen.cluster_folder)
        except (OSError, AttributeError, TypeError) as error:
            raise ConfigurationError(f"{where}, cluster of context {chosen.context!r}: {error}; mend it") from error
        plugin = ExecPlugin(chosen.exec_spec, folder=chosen.folder, cluster=told)
        await plugin.renew(configuration)
        _set_hook(configuration, plugin)
    elif chosen.user.get("tokenFile"):
        source = TokenFile(chosen.folder / str(chosen.user["tokenFile"]))
        await source.renew(configuration)
        _set_hook(configuration, source)
    elif provider := chosen.user.get("auth-provider"):
        if provider.get("name") not in _PROVIDERS:
            raise ConfigurationError(
                f"{where}: auth-provider {provider.get('name')!r} is not spoken: log in by an exec plugin, or a token"
            )
        _set_hook(configuration, ProviderSource(loader))
    elif configuration.cert_file:
        await _check_certificate(Path(configuration.cert_file), where)


async def _check_certificate(path: Path, where: str) -> None:
    end = not_after(await _read_or(path, ""))
    if end is not None and end <= datetime.now(UTC):
        raise ConfigurationError(
            f"the client certificate of {where} expired on {end:%Y-%m-%d %H:%M:%S} UTC: get a new kubeconfig"
        )


def _impersonation(user: Mapping[str, Any], where: str) -> dict[str, str]:
    groups: list[Any] = user.get("as-groups") or []
    if len(groups) > 1 or user.get("as-user-extra"):
        raise ConfigurationError(f"{where}: of an impersonation only as, as-uid and one of as-groups are sent")
    wanted = {
        "Impersonate-User": user.get("as"),
        "Impersonate-Uid": user.get("as-uid"),
        "Impersonate-Group": groups[0] if groups else None,
    }
    return {name: str(value) for name, value in wanted.items() if value}


def _set_hook(configuration: Configuration, source: TokenFile | ExecPlugin | ProviderSource) -> None:
    hooked: Any = configuration
    hooked.refresh_api_key_hook = source
