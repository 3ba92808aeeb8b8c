"""Never run: how users write it, checked by the type checkers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import assert_type

from kubernetes_asyncio.client import ApiClient

import lease_aio
from lease_aio import EndReason, Guard, Lease, LeaseClient, Term, Timing
from lease_aio.heartbeat import (
    Fleet,
    FleetReport,
    Heartbeat,
    Monitor,
    MonitorSettings,
    NodeGroup,
    NodeState,
    NodeView,
    Selection,
    Verdict,
)
from lease_aio.identity import ApiServerIdentity, Collection, Identity, IdentityChange
from lease_aio.recipes import Member, MemberChange, Membership


async def elections(api_client: ApiClient) -> None:
    async with LeaseClient(api_client, namespace="prod") as leases:
        async with leases.lead("a", timing=Timing(lease_duration_s=30)) as term:
            assert_type(term, Term)
            assert_type(term.token, int)
            assert_type(term.valid_for(), float)
            assert_type(await term.lost(), EndReason)
        async for term in leases.terms("a"):
            async with term as entered:
                assert_type(entered, Term)
        async with leases.lock("a") as held:
            assert_type(held.token, int)


async def heartbeats() -> None:
    async with lease_aio.connect("embedded", identity="me", guard=Guard(), max_in_flight=64) as leases:
        assert_type(leases, LeaseClient)
        async with leases.heartbeat("n1", register=True) as beat:
            assert_type(beat, Heartbeat)
        async with leases.fleet(nodes=10) as fleet:
            assert_type(fleet, Fleet)
            assert_type(fleet.nodes["node-7"].silence(), tuple[str, ...])
            assert_type(fleet.nodes["node-7"].state, NodeState)
            assert_type(fleet.select("zone=b").sample(fraction=0.2), Selection)
            assert_type(await fleet.grow([NodeGroup(count=3, prefix="gpu-")]), tuple[str, ...])
            assert_type(fleet.report(), FleetReport)


async def availability() -> None:
    async with lease_aio.connect("embedded") as leases, leases.monitor(MonitorSettings(grace_s=40)) as monitor:
        assert_type(monitor, Monitor)
        assert_type(monitor.nodes["n1"], NodeView)
        async for verdict in monitor:
            assert_type(verdict, Verdict)


async def identities() -> None:
    async with lease_aio.connect("embedded") as leases:
        async with leases.apiserver_identity(hostname="vm") as me:
            assert_type(me, ApiServerIdentity)
            assert_type(await me.taken_over(), str)
        assert_type(await leases.apiserver_identities(), Sequence[Identity])
        async with leases.observe_identities() as changes:
            assert_type(changes.identities, Mapping[str, Identity])
            async for change in changes:
                assert_type(change, IdentityChange)
        assert_type(await leases.collect_identities(), Collection)
        async with leases.collect_identities() as collector:
            assert_type(collector.last, Collection | None)


async def groups() -> None:
    async with lease_aio.connect("embedded") as leases, leases.member_of("workers", "w-0", lease_duration_s=30) as me:
        assert_type(me, Membership)
        assert_type(await me.taken_over(), str)
        async with leases.members("workers") as changes:
            assert_type(changes.alive, tuple[Member, ...])
            assert_type(changes.members, Mapping[str, Member])
            async for change in changes:
                assert_type(change, MemberChange)


async def plain() -> None:
    async with lease_aio.connect(kubeconfig=Path("kc"), context="c") as leases:
        lease = await leases.get("a")
        assert_type(lease, Lease)
        assert_type(lease.spec.holder_identity, str | None)
        page = await leases.list(label_selector="a=b")
        assert_type(page.items, tuple[Lease, ...])
        async with leases.watch() as changes:
            async for change in changes:
                assert_type(change.object, Lease | None)
