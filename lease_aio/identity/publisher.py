"""Publishes an API server's identity, as kube-apiserver 1.35 and later does."""

from __future__ import annotations

import contextlib
import random as random_module
import re
import socket
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Self

from lease_aio.api.protocol import LEASES, Api
from lease_aio.clock import Clock
from lease_aio.errors import ApiError, ConfigurationError, NotFound
from lease_aio.heartbeat.renewal.rules import RenewalRules
from lease_aio.identity.events import IdentityEvent, Published, Shared, Superseded, Withdrawn
from lease_aio.identity.listeners import IdentityObserver, tell
from lease_aio.identity.own import DELETE_TIMEOUT_S, News, OwnLease, Publisher
from lease_aio.identity.record import HOSTNAME_LABEL, IDENTITY_LABEL, IDENTITY_NAMESPACE, PEER_ANNOTATION
from lease_aio.identity.succession import IdentityRenewer
from lease_aio.log import get_logger
from lease_aio.naming import KUBE_APISERVER, apiserver_identity_name, check_label_value
from lease_aio.observers import check_observer
from lease_aio.scheduler import Scheduler

_PEER = re.compile(r"(\[[^\s\[\]]+\]|[^\s\[\]:]+):(\d{1,5})", re.ASCII)
_HIGHEST_PORT = 65535


class ApiServerIdentity(Publisher):
    """Says that an API server is alive while its `async with` block runs.

    Entering deletes a Lease of the same name (a former process's), writes a new one and waits for that. Leaving first
    waits until no renewal is under way, so that none can bring the Lease back, and then deletes it, unless it names
    another process. What renewals meet in between is not raised; see `last_error`.

    A newer process of the same server and host name does the same, so the Lease comes to name that one. This one learns
    of it with its next renewal, at most a renew interval later (see `superseded`), and goes on renewing what it finds,
    as a kube-apiserver does: the Lease says that the server runs on that host, and none of the two takes it from the
    other again. Whoever does not want that leaves the block.

    Args:
        api: The API server to publish on.
        scheduler: Drives the renewals; its `run()` must be running when the block is entered.
        clock: The scheduler's.
        hostname: The host's name, as the operating system gives it; read from there if left out.
        server: What kind of server. Two kinds on one host have two identities.
        label_value: Under which value of the identity label it is found and collected; the server's name if left out.
        peer_address: `host:port` at which other API servers reach it, written as an annotation.
        enabled: Without it nothing is published and nothing asked, as with the feature gate APIServerIdentity off.
            What a former process left runs out and is collected.
        delete_first: Delete a former process's Lease on entering, as since 1.35. Without it, it is renewed, under the
            holder that stands in it, as until 1.34.
        keep_on_exit: Leave the Lease to expire and to be collected, as until 1.34.
        lease_duration_s: Whole seconds.
        renew_interval_s: From one renewal to the next, plus up to 4 %.
        namespace: Where to publish; servers look for identities in `kube-system` only.
        ready_timeout_s: Longest wait for the first renewal, in seconds; None enters without waiting.
        observer: Told when it is published, superseded, shared and withdrawn, see `IdentityObserver`.
        random: Uniform in [0, 1), for jitter.

    Raises:
        ConfigurationError: at construction, a host name or server name that cannot be a label, an address without a
            port, or durations that cannot work; entered twice.
        Refused: on entering.
        Invalid: on entering.
        ApiError: on entering, whatever the last request met, if there was no renewal within `ready_timeout_s`.
    """

    def __init__(
        self,
        api: Api,
        scheduler: Scheduler,
        clock: Clock,
        *,
        hostname: str | None = None,
        server: str = KUBE_APISERVER,
        label_value: str | None = None,
        peer_address: str | None = None,
        enabled: bool = True,
        delete_first: bool = True,
        keep_on_exit: bool = False,
        lease_duration_s: int = 3600,
        renew_interval_s: float = 10.0,
        namespace: str = IDENTITY_NAMESPACE,
        ready_timeout_s: float | None = 30.0,
        observer: IdentityObserver | None = None,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._hostname = _check_hostname(socket.gethostname() if hostname is None else hostname)
        self._server = check_label_value("server", server)
        name = apiserver_identity_name(self._hostname, server)
        label = server if label_value is None else check_label_value("label_value", label_value)
        rules = RenewalRules(
            namespace=namespace,
            lease_duration_s=lease_duration_s,
            renew_interval_s=renew_interval_s,
            labels={IDENTITY_LABEL: label, HOSTNAME_LABEL: self._hostname},
            random=random,
            annotations={} if peer_address is None else {PEER_ANNOTATION: _check_peer(peer_address)},
        )
        self._api = api
        self._namespace = namespace
        self._enabled = enabled
        self._delete_first = delete_first
        self._keep_on_exit = keep_on_exit
        check_observer(observer)
        self._observer = observer
        renewer = IdentityRenewer(rules, name, f"{name}_{uuid.uuid4()}")
        super().__init__(OwnLease(api, scheduler, clock, renewer, ready_timeout_s=ready_timeout_s, on_news=self._hear))
        self._log = get_logger("identity").bind(lease=f"{namespace}/{name}", holder=self.holder)

    @property
    def hostname(self) -> str:
        """The host's name."""
        return self._hostname

    @property
    def server(self) -> str:
        """The server's name."""
        return self._server

    @property
    def adopted(self) -> bool:
        """The Lease is a former process's, renewed under its holder: `delete_first` was not wished, or failed."""
        return bool(self._own.adopted)

    async def __aenter__(self) -> Self:
        self._enter()
        if not self._enabled:
            return self
        if self._delete_first:
            await self._delete_former()
        await self._own.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._enabled:
            await self._own.end(keep=self._keep_on_exit)

    def _hear(self, news: News) -> None:
        match news:
            case News.PUBLISHED:
                named = self._own.adopted or self.holder
                self._log.info("identity.published", names=named)
                self._tell(Published(name=self.name, server=self._server, holder=named, adopted=self.adopted))
            case News.SUPERSEDED:
                by = self._own.superseded_by
                self._log.warning("identity.superseded", by=by)
                self._tell(Superseded(name=self.name, server=self._server, by=by))
            case News.SHARED:
                self._log.warning("identity.shared", remedy="another process has this host name: end one, or rename it")
                self._tell(Shared(name=self.name, server=self._server))
            case News.WITHDRAWN:
                self._tell_withdrawn(deleted=self._own.deleted, error=str(self._own.delete_error or ""))

    def _tell_withdrawn(self, *, deleted: bool, error: str) -> None:
        log = self._log.warning if error else self._log.info
        log("identity.withdrawn", deleted=deleted, error=error or None)
        self._tell(Withdrawn(name=self.name, server=self._server, deleted=deleted, error=error))

    def _tell(self, event: IdentityEvent) -> None:
        tell(self._observer, event, self._log)

    async def _delete_former(self) -> None:
        """Where that fails the former Lease is renewed instead, as kube-apiserver does."""
        try:
            with contextlib.suppress(NotFound):
                await self._api.delete(LEASES, self.name, self._namespace, timeout_s=DELETE_TIMEOUT_S)
        except ApiError as error:
            self._log.warning("identity.former_not_deleted", error=str(error))


def _check_hostname(hostname: str) -> str:
    try:
        return check_label_value("hostname", hostname)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}; give a name that can be one with hostname=") from error


def _check_peer(address: str) -> str:
    found = _PEER.fullmatch(address)
    if found is None or not 0 < int(found[2]) <= _HIGHEST_PORT:
        raise ConfigurationError(f"peer_address={address!r} must be host:port, e.g. 10.0.0.7:6443 or [fd00::7]:6443")
    return address
