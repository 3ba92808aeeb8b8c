"""Which proxy leads to a server, by the rules that Go programs such as kubectl follow. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from lease_aio.errors import ConfigurationError

_PORTS = {"http": 80, "https": 443}


def choose_proxy(url: str, *, explicit: str | None, environ: Mapping[str, str]) -> str | None:
    """The proxy for `url`, or None to connect directly.

    An explicit one (a kubeconfig's `proxy-url`) wins and is not subject to NO_PROXY. Otherwise HTTPS_PROXY or
    HTTP_PROXY, by the scheme of `url`, unless NO_PROXY names the host; loopback is never proxied.

    Raises:
        ConfigurationError: the proxy is not an http or https URL.
    """
    if explicit:
        return _checked(explicit, "the proxy-url of the configuration")
    target = urlsplit(url)
    name = f"{target.scheme}_proxy"
    found = environ.get(name) or environ.get(name.upper())
    if not found or _bypassed(target.hostname or "", target.port or _PORTS[target.scheme], environ):
        return None
    return _checked(found if "://" in found else f"http://{found}", name.upper())


def is_http_url(url: str) -> bool:
    """Whether it is an http or https URL that names a host, and a port only as there are."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")  # as a resolver will have it
        return parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0 and parts.path.isascii()
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, by its name or address alone."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _checked(proxy: str, where: str) -> str:
    if not is_http_url(proxy):
        raise ConfigurationError(f"{where} is {proxy!r}: give an http:// or https:// URL; other proxies are not spoken")
    return proxy


def _bypassed(host: str, port: int, environ: Mapping[str, str]) -> bool:
    if is_loopback(host):
        return True
    address = _address(host)
    entries = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    return any(_names(entry.strip().lower(), host, port, address) for entry in entries.split(",") if entry.strip())


def _names(entry: str, host: str, port: int, address: _Address | None) -> bool:
    if entry == "*":
        return True
    if address is not None and "/" in entry:
        return _in_network(address, entry)
    name, _, entry_port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
    if entry_port and entry_port != str(port):
        return False
    if address is not None:
        return _address(name.strip("[]")) == address
    suffix = name.removeprefix("*")
    return host.endswith(suffix) if suffix.startswith(".") else host == suffix or host.endswith(f".{suffix}")


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _in_network(address: _Address, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
