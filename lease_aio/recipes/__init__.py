"""What applications build on plain Leases of their own: who of a group is alive."""

from lease_aio.recipes.events import (
    Joined,
    Left,
    LeftoverDeleted,
    MembershipEvent,
    MembershipObserver,
    Shared,
    Superseded,
)
from lease_aio.recipes.group import MEMBER_LABEL, Member, MemberChange, MemberChangeType
from lease_aio.recipes.members import MembersObservation
from lease_aio.recipes.membership import Membership

__all__ = [
    "MEMBER_LABEL",
    "Joined",
    "Left",
    "LeftoverDeleted",
    "Member",
    "MemberChange",
    "MemberChangeType",
    "MembersObservation",
    "Membership",
    "MembershipEvent",
    "MembershipObserver",
    "Shared",
    "Superseded",
]
