"""Who of a group is alive, and how that changes. Pure.

Unlike with API servers' identities no two clocks are ever compared: a member is alive for one duration from the last
renewal that the observer saw, by the observer's own clock, and its time begins with the first sight of it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from lease_aio.identity.record import Freshness
from lease_aio.identity.sightings import Sighting, Sightings
from lease_aio.model import Lease, MicroTime, Time
from lease_aio.naming import member_lease_name

MEMBER_LABEL = "lease-aio/member-of"
"""Its value is the group."""

MEMBER_ANNOTATION = "lease-aio/member"
"""Its value is the member's name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One member, as its Lease says.

    Attributes:
        name: The Lease's name.
        group: The group.
        member: The member's name; the holder where the Lease does not say.
        holder: Which process.
        alive: It was seen to renew within its duration.
        created: When its Lease was created, by the wall clock of the server that stored it.
        renew_time: When it said last that it is alive, by its own wall clock. Nothing is judged by that.
    """

    name: str
    group: str
    member: str
    holder: str
    alive: bool
    created: Time | None
    renew_time: MicroTime | None


def read_member(lease: Lease, *, alive: bool) -> Member:
    """What the Lease says."""
    return Member(
        name=lease.name,
        group=lease.metadata.labels.get(MEMBER_LABEL, ""),
        member=lease.metadata.annotations.get(MEMBER_ANNOTATION) or lease.holder,
        holder=lease.holder,
        alive=alive,
        created=lease.metadata.creation_timestamp,
        renew_time=lease.spec.renew_time,
    )


def is_ours(lease: Lease, group: str) -> bool:
    """Whether a member of that group has written it, by label, annotation and name; what has not is left alone."""
    member = lease.metadata.annotations.get(MEMBER_ANNOTATION)
    labelled = lease.metadata.labels.get(MEMBER_LABEL) == group
    return labelled and bool(member) and lease.name == member_lease_name(group, str(member))


class MemberChangeType(enum.Enum):
    """What became of a member."""

    JOINED = "joined"
    """It was not there before. Also told of each that is there when the observation begins."""
    REPLACED = "replaced"
    """Another process has become this member."""
    LOST = "lost"
    """It did not renew for its whole duration."""
    RETURNED = "returned"
    """It was lost, and renews again."""
    LEFT = "left"
    """Its Lease is gone: it has ended in order or, if it was lost before, another has cleared it away."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberChange:
    """One change. `member` is as it is now, for LEFT as it was last."""

    type: MemberChangeType
    member: Member


class Group(Sightings[Member, MemberChange]):
    """Folds what is seen of a group's Leases into changes."""

    @property
    def members(self) -> Mapping[str, Member]:
        """All whose Leases are there, the lost ones too, by the names of their Leases."""
        return self.views

    def _view(self, seen: Sighting) -> Member:
        return read_member(seen.lease, alive=seen.freshness is Freshness.FRESH)

    def _change(self, told: Member | None, now: Member | None) -> MemberChange | None:
        if now is None:
            return None if told is None else MemberChange(type=MemberChangeType.LEFT, member=told)
        if told is None:
            kind = MemberChangeType.JOINED
        elif told.holder != now.holder:
            kind = MemberChangeType.REPLACED
        elif told.alive is not now.alive:
            kind = MemberChangeType.RETURNED if now.alive else MemberChangeType.LOST
        else:
            return None
        return MemberChange(type=kind, member=now)
