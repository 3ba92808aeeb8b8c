"""API server identities: published, listed, observed, collected."""

from __future__ import annotations

from collections.abc import Sequence

from lease_aio.client.base import ClientBase
from lease_aio.identity import (
    ApiServerIdentity,
    Identity,
    IdentityCollector,
    IdentityObservation,
    IdentityObserver,
    identities,
)
from lease_aio.naming import KUBE_APISERVER


class Identities(ClientBase):
    """The API server identities of a client."""

    def apiserver_identity(
        self,
        hostname: str | None = None,
        *,
        server: str = KUBE_APISERVER,
        label_value: str | None = None,
        peer_address: str | None = None,
        enabled: bool = True,
        delete_first: bool = True,
        keep_on_exit: bool = False,
        ready_timeout_s: float | None = 30.0,
        observer: IdentityObserver | None = None,
    ) -> ApiServerIdentity:
        """Publish an API server's identity for the body. See `ApiServerIdentity` for what each parameter means."""
        return ApiServerIdentity(
            self.api,
            self._scheduler,
            self._clock,
            hostname=hostname,
            server=server,
            label_value=label_value,
            peer_address=peer_address,
            enabled=enabled,
            delete_first=delete_first,
            keep_on_exit=keep_on_exit,
            ready_timeout_s=ready_timeout_s,
            observer=observer,
            random=self._random,
        )

    async def apiserver_identities(
        self, *, server: str = KUBE_APISERVER, old_releases: bool = False
    ) -> Sequence[Identity]:
        """All identities that servers of that name have published, in order of their Leases' names.

        `expired` is judged by this machine's wall clock, as Kubernetes does with identities and with nothing else.
        With `old_releases`, those of 1.20 to 1.26 are found, too.
        """
        wall_us = self._clock.wall_us()
        return await identities(self.api, wall_us=wall_us, server=server, old_releases=old_releases)

    def observe_identities(self, *, server: str = KUBE_APISERVER) -> IdentityObservation:
        """Follow the API servers that are there: `async with` it, then `async for change in` it."""
        return IdentityObservation(self.api, self._clock, server=server, random=self._random)

    def collect_identities(
        self,
        *,
        server: str = KUBE_APISERVER,
        period_s: float = 3600.0,
        dry_run: bool = False,
        warn_skew_s: float = 5.0,
        max_skew_s: float = 60.0,
        observer: IdentityObserver | None = None,
    ) -> IdentityCollector:
        """Delete expired identities: `await` it for one pass, `async with` it for one each period.

        See `IdentityCollector` for what each parameter means, and for what is never deleted.
        """
        return IdentityCollector(
            self.api,
            self._clock,
            self.engine.tasks,
            server=server,
            period_s=period_s,
            dry_run=dry_run,
            warn_skew_s=warn_skew_s,
            max_skew_s=max_skew_s,
            observer=observer,
            random=self._random,
        )
