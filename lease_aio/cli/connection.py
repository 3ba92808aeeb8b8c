"""From the common options to an open `LeaseClient`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from kubernetes_asyncio.client import Configuration

from lease_aio.api import RestApi, open_transport
from lease_aio.client import DEFAULT_NAMESPACE, LeaseClient, connect
from lease_aio.election import Guard
from lease_aio.errors import ConfigurationError, NotFound, Refused
from lease_aio.naming import check_namespace
from lease_aio.server import EmbeddedServer, serve

PROBE = "lease-aio-probe"
"""The name of a Lease that is only ever asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """Which API server to talk to.

    Attributes:
        kubeconfig: A file; None for the usual search.
        context: Of the kubeconfig; None for its current one.
        namespace: None for the one that the configuration names.
        embedded: An API server in this process instead of a cluster.

    Raises:
        ConfigurationError: the values exclude each other, or the namespace is no name.
    """

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    embedded: bool = False

    def __post_init__(self) -> None:
        if self.embedded and (self.kubeconfig or self.context):
            raise ConfigurationError("--embedded needs no cluster: leave out --kubeconfig and --context")
        if self.namespace is not None:
            check_namespace(self.namespace)


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """An open client; `server` is the embedded one, if there is one."""

    leases: LeaseClient
    server: EmbeddedServer | None


@asynccontextmanager
async def opened(connection: Connection, *, guard: Guard | None = None) -> AsyncGenerator[Opened]:
    """The client for a command. An embedded server is spoken to over HTTP, as any other.

    Args:
        connection: Which API server.
        guard: Watches the client's terms.

    Raises:
        NoCluster: nothing was found to talk to.
        ConfigurationError: what was found cannot be used.
    """
    async with AsyncExitStack() as stack:
        if connection.embedded:
            server = await stack.enter_async_context(serve())
            api = await stack.enter_async_context(RestApi(open_transport(_configuration(server.url))))
            client = LeaseClient(api, namespace=connection.namespace or DEFAULT_NAMESPACE, guard=guard)
            yield Opened(leases=await stack.enter_async_context(client), server=server)
        else:
            found = connect(
                kubeconfig=connection.kubeconfig,
                context=connection.context,
                namespace=connection.namespace,
                guard=guard,
            )
            yield Opened(leases=await stack.enter_async_context(found), server=None)


async def probe(leases: LeaseClient, *, name: str = PROBE, namespace: str | None = None) -> None:
    """Ask the server one thing, so that what waiting would not mend is said at once.

    Raises:
        ApiError: it cannot be reached, it is none, or it refuses.
    """
    try:
        await leases.get(name, namespace=namespace)
    except NotFound as error:
        if error.namespace_missing:
            raise


async def reach(leases: LeaseClient, *, namespace: str | None = None) -> None:
    """As `probe`, for what needs neither the right to read one Lease nor the namespace yet.

    Raises:
        ApiError: it cannot be reached, it is none, or it refuses the credentials.
    """
    try:
        await probe(leases, namespace=namespace)
    except NotFound:
        pass
    except Refused as error:
        if error.status == 401:
            raise


def _configuration(url: str) -> Any:
    configuration: Any = Configuration()
    configuration.host = url
    return configuration
