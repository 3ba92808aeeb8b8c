"""Opening and closing the server."""

from __future__ import annotations

import contextlib
import socket

import aiohttp
import pytest
import yaml

from lease_aio.server import LEASES, Store, serve

NOW = 1_800_000_000_000_000


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as one:
        one.bind(("::1", 0))
        return True
    return False


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com"])
async def test_an_address_that_others_can_reach_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=rf"host '{host}' is not a loopback address.*allow_remote=True"):
        async with serve(host=host):
            pass


async def test_it_can_be_opened_to_others_on_purpose() -> None:
    async with serve(host="0.0.0.0", allow_remote=True) as server:
        assert server.port > 0


async def test_a_port_that_is_taken_is_an_error() -> None:
    async with serve() as first:
        with pytest.raises(OSError, match="address already in use"):
            async with serve(port=first.port):
                pass


async def test_nothing_listens_after_the_block() -> None:
    async with serve() as server:
        pass
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(server.url)


async def test_a_given_store_is_served_and_outlives_the_server() -> None:
    store = Store(now=NOW)
    async with serve(store=store) as server, aiohttp.ClientSession(server.url) as http:
        path = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
        await http.post(path, json={"metadata": {"name": "a"}})
        assert server.store is store
    assert store.get(LEASES, "default", "a")["metadata"]["name"] == "a"


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_ipv6_loopback_is_loopback() -> None:
    async with serve(host="::1") as server:
        assert server.url == f"http://[::1]:{server.port}"


async def test_the_kubeconfig_names_the_server() -> None:
    async with serve() as server:
        config = yaml.safe_load(server.kubeconfig(token="t", namespace="team"))
    assert config["clusters"][0]["cluster"] == {"server": server.url}
    assert config["users"][0]["user"] == {"token": "t"}
    assert config["contexts"][0]["context"]["namespace"] == "team"
