"""What a member of a group says of itself: frozen records, safe to log, count or send on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """The member's Lease is there, and fresh."""

    group: str
    member: str
    holder: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Superseded:
    """Another process has become this member: its Lease names `by` now. This one renews no more."""

    group: str
    member: str
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Shared:
    """Another process renews the member's Lease, too, under the very same holder: a copy of this process, or a tool."""

    group: str
    member: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """The membership has ended.

    Attributes:
        group: The group.
        member: The member.
        deleted: Its Lease is gone; else it is another process's, or could not be deleted (`error`) and runs out.
        error: What kept it from being deleted.
    """

    group: str
    member: str
    deleted: bool
    error: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftoverDeleted:
    """This member has deleted the Lease of one that ended without doing so.

    Attributes:
        group: The group.
        member: Whose Lease it was.
        name: The Lease's name.
    """

    group: str
    member: str
    name: str


MembershipEvent = Joined | Superseded | Shared | Left | LeftoverDeleted

MembershipObserver = Callable[[MembershipEvent], None]
"""Called with each event, from the event loop; it must not block. What it raises is logged, and changes nothing."""
