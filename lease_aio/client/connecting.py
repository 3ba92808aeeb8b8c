"""From nothing to an open `LeaseClient`."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal, TypedDict, Unpack

from lease_aio.api import Api, RestApi, open_transport
from lease_aio.api.memory import MemoryApi
from lease_aio.client.base import DEFAULT_NAMESPACE
from lease_aio.client.door import LeaseClient
from lease_aio.clock import Clock, SystemClock
from lease_aio.election import Guard
from lease_aio.errors import ConfigurationError
from lease_aio.server.store import Store


class Options(TypedDict, total=False):
    """Parameters of `LeaseClient` that `connect` hands on."""

    identity: str | None
    random: Callable[[], float]
    max_in_flight: int
    reserved_for_elections: int
    guard: Guard | None


@asynccontextmanager
async def connect(
    target: Literal["embedded"] | None = None,
    *,
    kubeconfig: str | os.PathLike[str] | None = None,
    context: str | None = None,
    namespace: str | None = None,
    clock: Clock | None = None,
    **options: Unpack[Options],
) -> AsyncGenerator[LeaseClient, None]:
    """Open a LeaseClient on the cluster that this process belongs to, or on none at all.

    Args:
        target: `"embedded"` for an API server in this process's memory, which ends with the block; left
            out: the service account of a pod, else the kubeconfig. The embedded one has the feature gate
            CoordinatedLeaderElection on; who coordinates is `LeaseClient.coordinator`.
        kubeconfig: A kubeconfig file, in place of `KUBECONFIG` or `~/.kube/config`.
        context: A context of the kubeconfig, in place of its current one.
        namespace: In place of the pod's or the context's.
        clock: For tests and simulations.
        options: Further parameters of `LeaseClient`: `identity`, `guard` and others.

    Raises:
        NoCluster: nothing was found to talk to; says what was tried.
        ConfigurationError: what was found cannot be used; names the value and the remedy.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        if target == "embedded":
            if kubeconfig is not None or context is not None:
                raise ConfigurationError("connect('embedded') needs no cluster: leave out kubeconfig and context")
            api: Api = MemoryApi(Store(now=clock.wall_us(), coordinated=True), wall_us=clock.wall_us)
            found = DEFAULT_NAMESPACE
        elif target is None:
            from lease_aio.api.config import load_configuration  # noqa: PLC0415 - see the import of ApiClient

            loaded = await load_configuration(kubeconfig, context=context)
            api = await stack.enter_async_context(RestApi(open_transport(loaded.configuration, headers=loaded.headers)))
            found = loaded.namespace or DEFAULT_NAMESPACE
        else:
            raise ConfigurationError(f"target={target!r} is not known; leave it out, or give 'embedded'")
        client = LeaseClient(api, namespace=found if namespace is None else namespace, clock=clock, **options)
        yield await stack.enter_async_context(client)
