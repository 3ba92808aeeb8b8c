"""`lease-aio members`: be a member of a group, list who is there, and tell who comes and goes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lease_aio.cli.connection import probe, reach
from lease_aio.cli.exits import CommandFailed
from lease_aio.cli.output import Output
from lease_aio.cli.tables import age, ago, columns
from lease_aio.client import LeaseClient
from lease_aio.recipes import (
    LeftoverDeleted,
    Member,
    MemberChange,
    Membership,
    MembershipEvent,
    MembersObservation,
    Shared,
    Superseded,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class JoinOptions:
    """What to be; see `Membership` for what each means."""

    group: str
    member: str | None
    lease_duration_s: int


async def join(leases: LeaseClient, options: JoinOptions, output: Output) -> int:
    """Be a member until cancelled.

    Raises:
        ApiError: the server refuses, or cannot be reached at the start.
        CommandFailed: another process has become this member.
    """

    def hear(event: MembershipEvent) -> None:
        match event:
            case Superseded(by=by):
                output.event("superseded", f"superseded: {by} is {membership.member} now", by=by, **fields)
            case Shared():
                output.event("shared", "shared: another process renews the Lease, too", **fields)
            case LeftoverDeleted(member=member, name=name):
                output.event("cleared", f"cleared away the Lease of {member}, which crashed", of=member, name=name)
            case _:
                pass

    membership = leases.member_of(
        options.group, options.member, lease_duration_s=options.lease_duration_s, observer=hear
    )
    fields: dict[str, Any] = {
        "group": membership.group,
        "member": membership.member,
        "holder": membership.holder,
        "lease": f"{leases.namespace}/{membership.name}",
    }
    await probe(leases, name=membership.name)
    async with membership as me:
        await _hold(me, output, fields)
    raise CommandFailed(f"another process has become {membership.member}: give this one another --member")


async def _hold(me: Membership, output: Output, fields: dict[str, Any]) -> None:
    """Until another has become this member."""
    try:
        output.event("joined", f"joined {me.group} as {me.member} ({fields['lease']})", **fields)
        await me.taken_over()
    finally:
        output.event("leaving", f"leaving {me.group} after {me.renewals} renewals", **fields)


async def list_members(leases: LeaseClient, output: Output, *, group: str, watch: bool) -> int:
    """Print whose Leases are there; with `watch`, then each change until stopped.

    Raises:
        ApiError: the server refuses, or cannot be reached at the start.
    """
    members = leases.members(group)
    await reach(leases)
    async with members as changes:
        known = set(changes.members)
        _show(output, changes, group)
        if watch:
            output.event("watching", group=group)
            async for change in changes:
                if change.member.name in known:  # told already, as part of the table
                    known.discard(change.member.name)
                    continue
                _tell(output, changes, change)
    return 0


def _show(output: Output, changes: MembersObservation, group: str) -> None:
    wall_us = time.time_ns() // 1000
    found = sorted(changes.members.values(), key=lambda one: (one.member, one.name))
    for one in found:
        output.event("member", **fields_of(one, wall_us))
    if not output.json:
        output.event("members", table(found, wall_us) if found else f"No members of {group} found.")


def _tell(output: Output, changes: MembersObservation, change: MemberChange) -> None:
    alive = len(changes.alive)
    text = f"{change.type.value}: {change.member.member} ({change.member.name}), {alive} alive"
    fields = fields_of(change.member, time.time_ns() // 1000)
    output.event("change", text, type=change.type.value, alive=alive, **fields)


def table(members: Iterable[Member], wall_us: int) -> str:
    """The list in kubectl's layout. What was renewed when is as the clocks say: nothing is judged by it."""
    return columns(("MEMBER", "LEASE", "HOLDER", "AGE", "RENEWED"), (_cells(one, wall_us) for one in members))


def _cells(member: Member, wall_us: int) -> tuple[str, ...]:
    age_s, renewed_s = _ages_s(member, wall_us)
    return member.member or "<none>", member.name, member.holder or "<none>", age(age_s), ago(renewed_s)


def fields_of(member: Member, wall_us: int) -> dict[str, Any]:
    """A member for programs."""
    age_s, renewed_s = _ages_s(member, wall_us)
    return {
        "group": member.group,
        "member": member.member,
        "name": member.name,
        "holder": member.holder,
        "age_s": age_s,
        "renewed_s": renewed_s,
    }


def _ages_s(member: Member, wall_us: int) -> tuple[float | None, float | None]:
    created, renewed = member.created, member.renew_time
    return (
        None if created is None else (wall_us - created.epoch_us) / 1e6,
        None if renewed is None else (wall_us - renewed.epoch_us) / 1e6,
    )
