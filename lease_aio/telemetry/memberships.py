"""Memberships of groups as Prometheus metrics, counted as they happen.

| metric | type | labels | what |
|---|---|---|---|
| `lease_aio_memberships` | gauge | group | how many members of the group this process is now |
| `lease_aio_memberships_superseded_total` | counter | group | how often another process became one of them |
| `lease_aio_memberships_shared_total` | counter | group | how often another process was found to renew one of them |
| `lease_aio_member_leftovers_deleted_total` | counter | group | Leases of crashed members that this process deleted |
| `lease_aio_members` | gauge | group | members alive, as an observation saw them last |
| `lease_aio_member_changes_total` | counter | group, change | `joined`, `replaced`, `lost`, `returned`, `left` |

The last two need an observation: `metrics.saw(changes, change)` for each change.
"""

from __future__ import annotations

import prometheus_client

from lease_aio.recipes import (
    Joined,
    Left,
    LeftoverDeleted,
    MemberChange,
    MembershipEvent,
    MembersObservation,
    Shared,
    Superseded,
)


class MembershipMetrics:
    """An observer for memberships: `leases.member_of("workers", observer=metrics)`.

    Args:
        registry: Where they are registered. One of these a registry; it serves any number of memberships.
    """

    def __init__(self, *, registry: prometheus_client.CollectorRegistry = prometheus_client.REGISTRY) -> None:
        def gauge(name: str, about: str) -> prometheus_client.Gauge:
            return prometheus_client.Gauge(f"lease_aio_{name}", about, ["group"], registry=registry)

        def counter(name: str, about: str, *labels: str) -> prometheus_client.Counter:
            return prometheus_client.Counter(f"lease_aio_{name}", about, ["group", *labels], registry=registry)

        self._own = gauge("memberships", "Members of the group that this process is.")
        self._superseded = counter("memberships_superseded", "Memberships that another process took over.")
        self._shared = counter("memberships_shared", "Memberships that another process was found to renew.")
        self._leftovers = counter("member_leftovers_deleted", "Leases of crashed members that were deleted.")
        self._alive = gauge("members", "Members alive, as an observation saw them last.")
        self._changes = counter("member_changes", "What became of members.", "change")

    def __call__(self, event: MembershipEvent) -> None:
        """Take an event of a membership."""
        match event:
            case Joined():
                self._own.labels(event.group).inc()
            case Left():
                self._own.labels(event.group).dec()
            case Superseded():
                self._superseded.labels(event.group).inc()
            case Shared():
                self._shared.labels(event.group).inc()
            case LeftoverDeleted():
                self._leftovers.labels(event.group).inc()

    def saw(self, changes: MembersObservation, change: MemberChange) -> None:
        """Take a change that the observation has just told."""
        group = change.member.group
        self._changes.labels(group, change.type.value).inc()
        self._alive.labels(group).set(len(changes.alive))
