"""Being a member of a group: a Lease of one's own that says that this process is alive."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable
from types import TracebackType
from typing import Self

import anyio.abc

from lease_aio.api.protocol import Api
from lease_aio.clock import Clock
from lease_aio.heartbeat.renewal.rules import RenewalRules
from lease_aio.identity.listeners import tell
from lease_aio.identity.own import News, OwnLease, Publisher
from lease_aio.identity.succession import IdentityRenewer
from lease_aio.log import get_logger
from lease_aio.model import Lease
from lease_aio.naming import candidate_identity, member_lease_name
from lease_aio.observers import check_observer
from lease_aio.recipes.events import (
    Joined,
    Left,
    LeftoverDeleted,
    MembershipEvent,
    MembershipObserver,
    Shared,
    Superseded,
)
from lease_aio.recipes.group import MEMBER_ANNOTATION, MEMBER_LABEL, read_member
from lease_aio.recipes.leftovers import Leftovers
from lease_aio.recipes.sweeper import Sweeper
from lease_aio.scheduler import Scheduler
from lease_aio.timing import check_duration

_LONGEST_BACKOFF_S = 7.0


class Membership(Publisher):
    """Says that a process is alive, and a member of a group, while its `async with` block runs.

    Entering writes the Lease and waits for that; it is renewed every quarter of its duration. Leaving waits until no
    renewal is under way and deletes the Lease, if it names this process. What renewals meet in between is not
    raised; see `last_error`.

    Two processes of one member's name do not share it: the newer one writes itself over the older, which learns of it
    with its next renewal (see `superseded`), renews no more, and leaves the Lease alone. It is up to it to end.

    While it is there it also deletes what members that crashed have left behind, after ten of their durations; see
    `leftovers`.

    Args:
        api: The API server.
        scheduler: Drives the renewals; its `run()` must be running when the block is entered.
        clock: The scheduler's.
        tasks: Runs what looks for leftovers; nothing of it outlives the block.
        group: The group; a DNS label of at most 36 characters.
        member: The member's name, any text, such as a pod's in a StatefulSet: whoever comes after it takes its Lease
            over. Left out, it is unique for each call: the pod's name (`POD_NAME`) or the host's, and a UUID.
        namespace: Where the group's Leases are.
        lease_duration_s: For how long others believe in a silent member; whole seconds.
        ready_timeout_s: Longest wait for the first renewal, in seconds; None enters without waiting.
        observer: Told when it joined, was superseded, is shared, has left, and what it cleared away.
        random: Uniform in [0, 1), for jitter.

    Raises:
        ConfigurationError: at construction, a name or duration that cannot work; entered twice.
        Refused: on entering.
        Invalid: on entering.
        ApiError: on entering, whatever the last request met, if there was no renewal within `ready_timeout_s`.
    """

    def __init__(
        self,
        api: Api,
        scheduler: Scheduler,
        clock: Clock,
        tasks: anyio.abc.TaskGroup,
        *,
        group: str,
        member: str | None = None,
        namespace: str,
        lease_duration_s: int = 15,
        ready_timeout_s: float | None = 30.0,
        observer: MembershipObserver | None = None,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._group = group
        holder = candidate_identity(member)
        self._member = holder if member is None else member
        name = member_lease_name(group, self._member)
        rules = _rules(lease_duration_s, namespace, group, self._member, random)
        renewer = IdentityRenewer(rules, name, holder, claims=True)
        super().__init__(OwnLease(api, scheduler, clock, renewer, ready_timeout_s=ready_timeout_s, on_news=self._hear))
        self._log = get_logger("membership").bind(
            group=group, member=self._member, lease=f"{namespace}/{name}", holder=holder
        )
        check_observer(observer)
        self._observer = observer
        self._sweeper = Sweeper(
            api,
            clock,
            tasks,
            group=group,
            namespace=namespace,
            leftovers=Leftovers(group=group, own=name, duration_s=lease_duration_s),
            on_deleted=self._swept,
            log=self._log,
            random=random,
        )

    @property
    def group(self) -> str:
        """As given."""
        return self._group

    @property
    def member(self) -> str:
        """The member's name, as given or made up."""
        return self._member

    async def __aenter__(self) -> Self:
        self._enter()
        await self._own.start()
        self._sweeper.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._sweeper.stop()
        await self._own.end()

    # ------------------------------------------------------------------ what is told

    def _hear(self, news: News) -> None:
        match news:
            case News.PUBLISHED:
                self._log.info("membership.joined")
                self._tell(Joined(group=self._group, member=self._member, holder=self.holder))
            case News.SUPERSEDED:
                self._own.cease()
                by = self._own.superseded_by
                self._log.warning("membership.superseded", by=by, remedy="two processes have this member's name")
                self._tell(Superseded(group=self._group, member=self._member, by=by))
            case News.SHARED:
                self._log.warning("membership.shared", remedy="a copy of this process runs: end one")
                self._tell(Shared(group=self._group, member=self._member))
            case News.WITHDRAWN:
                self._tell_left(deleted=self._own.deleted, error=str(self._own.delete_error or ""))

    def _tell_left(self, *, deleted: bool, error: str) -> None:
        log = self._log.warning if error else self._log.info
        log("membership.left", deleted=deleted, error=error or None)
        self._tell(Left(group=self._group, member=self._member, deleted=deleted, error=error))

    def _swept(self, lease: Lease) -> None:
        member = read_member(lease, alive=False).member
        self._log.info("membership.leftover_deleted", leftover=lease.name, of=member)
        self._tell(LeftoverDeleted(group=self._group, member=member, name=lease.name))

    def _tell(self, event: MembershipEvent) -> None:
        tell(self._observer, event, self._log, failure="membership.observer_raised")


def _rules(lease_duration_s: int, namespace: str, group: str, member: str, random: Callable[[], float]) -> RenewalRules:
    """Renewed every quarter; after an outage, however long, tried again within a quarter."""
    check_duration(lease_duration_s)
    quarter_s = lease_duration_s / 4
    return RenewalRules(
        namespace=namespace,
        lease_duration_s=lease_duration_s,
        renew_interval_s=quarter_s,
        request_timeout_s=min(10.0, max(1.0, quarter_s)),
        longest_backoff_s=min(_LONGEST_BACKOFF_S, quarter_s),
        labels={MEMBER_LABEL: group},
        annotations={MEMBER_ANNOTATION: member},
        random=random,
    )
