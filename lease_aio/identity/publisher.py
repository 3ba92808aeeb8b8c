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

import anyio

from lease_aio.api.protocol import LEASES, Api
from lease_aio.clock import Clock
from lease_aio.errors import ApiError, Call, ConfigurationError, Conflict, NotFound, Unavailable
from lease_aio.heartbeat.beat import Beat
from lease_aio.heartbeat.renewer import Next, Renewer
from lease_aio.heartbeat.rules import RenewalRules
from lease_aio.heartbeat.solo import Solo
from lease_aio.identity.record import HOSTNAME_LABEL, IDENTITY_LABEL, IDENTITY_NAMESPACE, PEER_ANNOTATION
from lease_aio.model import Lease
from lease_aio.naming import KUBE_APISERVER, apiserver_identity_name, check_label_value
from lease_aio.scheduler import Scheduler

_DELETE_TIMEOUT_S = 10.0
_PEER = re.compile(r"\S+:\d{1,5}", re.ASCII)


class ApiServerIdentity:
    """Says that an API server is alive while its `async with` block runs.

    Entering deletes a Lease of the same name (a former process's), writes a new one and waits for that. Leaving first
    waits until no renewal is under way, so that none can bring the Lease back, and then deletes it, unless another
    process has taken it over. What renewals meet in between is not raised; see `last_error`.

    Args:
        api: The API server to publish on.
        scheduler: Drives the renewals; its `run()` must be running when the block is entered.
        clock: The scheduler's.
        hostname: The host's name, as the operating system gives it; read from there if left out.
        server: What kind of server. Two kinds on one host have two identities.
        peer_address: `host:port` at which other API servers reach it, written as an annotation.
        delete_first: Delete a former process's Lease on entering, as since 1.35. Without it, it is renewed, under the
            holder that stands in it, as until 1.34.
        keep_on_exit: Leave the Lease to expire and to be collected, as until 1.34.
        lease_duration_s: Whole seconds.
        renew_interval_s: From one renewal to the next, plus up to 4 %.
        namespace: Where to publish; servers look for identities in `kube-system` only.
        ready_timeout_s: Longest wait for the first renewal, in seconds; None enters without waiting.
        random: Uniform in [0, 1), for jitter.

    Raises:
        ConfigurationError: at construction, a host name or server name that cannot be a label, an address without a
            port, or durations that cannot work.
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
        peer_address: str | None = None,
        delete_first: bool = True,
        keep_on_exit: bool = False,
        lease_duration_s: int = 3600,
        renew_interval_s: float = 10.0,
        namespace: str = IDENTITY_NAMESPACE,
        ready_timeout_s: float | None = 30.0,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._hostname = check_label_value("hostname", socket.gethostname() if hostname is None else hostname)
        self._name = apiserver_identity_name(self._hostname, check_label_value("server", server))
        self._holder = f"{self._name}_{uuid.uuid4()}"
        rules = RenewalRules(
            namespace=namespace,
            lease_duration_s=lease_duration_s,
            renew_interval_s=renew_interval_s,
            labels={IDENTITY_LABEL: server, HOSTNAME_LABEL: self._hostname},
            random=random,
            annotations={} if peer_address is None else {PEER_ANNOTATION: _check_peer(peer_address)},
        )
        self._api = api
        self._clock = clock
        self._namespace = namespace
        self._delete_first = delete_first
        self._keep_on_exit = keep_on_exit
        renewer = Renewer(rules, self._name, self._holder)
        self._solo = Solo(api, scheduler, clock, renewer, ready_timeout_s=ready_timeout_s, observer=self._observe)
        self._heard_us = 0  # the wall clock at the last answer: none of our writes carries a later renewTime
        self._delete_error: ApiError | None = None

    @property
    def name(self) -> str:
        """The Lease's name, the same for every process of this server on this host."""
        return self._name

    @property
    def holder(self) -> str:
        """This process: the name, and a part of its own."""
        return self._holder

    @property
    def hostname(self) -> str:
        """The host's name."""
        return self._hostname

    @property
    def superseded(self) -> bool:
        """The Lease names another holder: a newer process of this name runs, or an older one's Lease was kept."""
        lease = self._solo.lease
        return lease is not None and lease.holder != self._holder

    @property
    def renewals(self) -> int:
        """Confirmed writes so far."""
        return self._solo.renewals

    @property
    def last_error(self) -> ApiError | None:
        """What the last request met, if it failed; after the block, what kept the Lease from being deleted."""
        return self._delete_error or self._solo.last_error

    async def __aenter__(self) -> Self:
        if self._delete_first:
            await self._delete_former()
        try:
            await self._solo.start()
        except BaseException:
            await self._leave()  # a create may have been on its way
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    async def _leave(self) -> None:
        await self._solo.stop()
        if not self._keep_on_exit:
            with anyio.move_on_after(_DELETE_TIMEOUT_S, shield=True) as scope:
                await self._withdraw()
            if scope.cancelled_caught:
                call = Call(verb="delete", resource=LEASES.label, namespace=self._namespace, name=self._name)
                self._delete_error = Unavailable(call, f"not done within {_DELETE_TIMEOUT_S:g} s", outcome_unknown=True)

    def _observe(self, beat: Beat, step: Next, error: ApiError | None) -> None:
        del beat, step, error
        self._heard_us = self._clock.wall_us()

    async def _delete_former(self) -> None:
        """Where that fails the former Lease is renewed instead, as kube-apiserver does."""
        with contextlib.suppress(ApiError):
            await self._api.delete(LEASES, self._name, self._namespace, timeout_s=_DELETE_TIMEOUT_S)

    async def _withdraw(self) -> None:
        """Delete the Lease if it is still ours: just the version that was looked at; if that has moved, look again."""
        try:
            while True:
                lease = await self._api.get(LEASES, self._name, self._namespace)
                if not self._is_ours(lease):
                    return
                with contextlib.suppress(Conflict):
                    await self._api.delete(
                        LEASES,
                        self._name,
                        self._namespace,
                        uid=lease.metadata.uid,
                        resource_version=lease.resource_version,
                    )
                    return
        except NotFound:
            return
        except ApiError as error:
            self._delete_error = error

    def _is_ours(self, lease: Lease) -> bool:
        """It names us, and nobody has renewed it after us (a process before 1.35 takes over without a word)."""
        renewed = lease.spec.renew_time
        return lease.holder == self._holder and renewed is not None and renewed.epoch_us <= self._heard_us


def _check_peer(address: str) -> str:
    if not _PEER.fullmatch(address):
        raise ConfigurationError(f"peer_address={address!r} must be host:port, e.g. 10.0.0.7:6443")
    return address
