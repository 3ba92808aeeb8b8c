"""Identities on real kube-apiservers, beside their own and against their collector."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import pytest

import lease_aio
from lease_aio import Lease, LeaseClient, MicroTime, naming
from lease_aio.identity import Freshness, Identity
from lease_aio.testing.envtest import ControlPlane
from tests.cluster.assets import assets
from tests.cluster.fixtures import Kubectl

pytestmark = pytest.mark.cluster

NAMESPACE = "kube-system"
SELECTOR = "apiserver.kubernetes.io/identity=kube-apiserver"
HERE = socket.gethostname()
NAME = naming.apiserver_identity_name(HERE)
GATES = "--feature-gates=APIServerIdentity={0},UnknownVersionInteroperabilityProxy={0}"
HOURS_2_US = 2 * 3600 * 1_000_000
RENEWED_WITHIN_S = 10.4 + 2
PATIENCE_S = 60


def client(kubeconfig: object):
    return lease_aio.connect(kubeconfig=str(kubeconfig), namespace=NAMESPACE)


async def found(leases: LeaseClient) -> dict[str, Identity]:
    return {one.name: one for one in await leases.apiserver_identities()}


async def backdate(leases: LeaseClient, name: str) -> None:
    """As if nobody had renewed it for two hours."""
    lease = await leases.get(name)
    await leases.replace(lease.with_spec(renew_time=MicroTime(time.time_ns() // 1000 - HOURS_2_US)))


async def leave_behind(leases: LeaseClient, hostname: str) -> str:
    async with leases.apiserver_identity(hostname=hostname, keep_on_exit=True) as me:
        pass
    return me.name


async def until_gone(leases: LeaseClient, name: str) -> None:
    async with leases.observe_identities() as changes:
        while name in changes.identities:
            await anext(changes)


def age_s(lease: Lease) -> float:
    assert lease.spec.renew_time is not None
    return time.time() - lease.spec.renew_time.epoch_us / 1e6


@asynccontextmanager
async def another(plane: ControlPlane, *flags: str, kill: bool = False) -> AsyncIterator[None]:
    """One more kube-apiserver of this host, ready but perhaps not yet published."""
    server = plane.another_apiserver(*flags, kill=kill)
    await anyio.to_thread.run_sync(server.__enter__)
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(server.__exit__, None, None, None)


async def published(leases: LeaseClient, *, than: str = "") -> Identity:
    """Wait until a server of this host, another one `than` that, has published itself.

    It does so a moment after it is ready. One that ends takes away the Lease that it shares with the others of its
    host, and it is not there until their next renewal.
    """
    with anyio.fail_after(PATIENCE_S):
        while (one := (await found(leases)).get(NAME)) is None or one.holder == than:  # noqa: ASYNC110
            await anyio.sleep(0.1)
    return one


async def test_ours_stands_beside_the_servers_own_whose_name_we_compute_to_the_byte(
    control_plane: ControlPlane, kubectl_beside: Kubectl
) -> None:
    kubeconfig = str(control_plane.kubeconfig)
    async with client(kubeconfig) as leases:
        await published(leases)
        async with leases.apiserver_identity(hostname="ours") as me:
            names = ["get", "lease", "-n", NAMESPACE, "-l", SELECTOR, "-o", "name"]
            printed = await kubectl_beside(kubeconfig, *names)
            assert sorted(printed.split()) == sorted(f"lease.coordination.k8s.io/{one}" for one in (NAME, me.name))
            theirs, ours = (await found(leases))[NAME], (await found(leases))[me.name]
        assert set(await found(leases)) == {NAME}
    assert theirs.hostname == HERE
    assert theirs.holder.startswith(f"{NAME}_")
    assert theirs.freshness is ours.freshness is Freshness.FRESH
    assert theirs.style is naming.IdentityStyle.HOST_AND_SERVER
    assert theirs.peer_address == control_plane.url.removeprefix("https://")
    assert ours.holder == me.holder


async def test_what_we_write_differs_from_what_the_server_writes_of_itself_in_who_only(
    control_plane: ControlPlane,
) -> None:
    async with client(control_plane.kubeconfig) as leases:
        await published(leases)
        peer = control_plane.url.removeprefix("https://")
        async with leases.apiserver_identity(hostname="ours", peer_address=peer) as me:
            ours, theirs = await leases.get(me.name), await leases.get(NAME)
    assert ours.metadata.annotations == theirs.metadata.annotations
    assert {**ours.metadata.labels, "kubernetes.io/hostname": HERE} == theirs.metadata.labels
    same = {"holder_identity": "x", "renew_time": None}
    assert ours.with_spec(**same).spec == theirs.with_spec(**same).spec


async def test_a_second_publisher_takes_the_lease_over_and_the_first_is_told(control_plane: ControlPlane) -> None:
    async with client(control_plane.kubeconfig) as leases, leases.apiserver_identity(hostname="twice") as first:
        with anyio.fail_after(PATIENCE_S):
            async with leases.apiserver_identity(hostname="twice") as second:
                assert await first.taken_over() == second.holder
                of_it = [one for one in (await found(leases)).values() if one.hostname == "twice"]
                assert [one.holder for one in of_it] == [second.holder]


async def test_a_real_server_that_starts_takes_the_lease_of_its_host_over_and_ours_is_told(
    control_plane: ControlPlane,
) -> None:
    async with client(control_plane.kubeconfig) as leases, leases.apiserver_identity() as ours:
        assert (await found(leases))[NAME].holder == ours.holder
        async with another(control_plane):
            with anyio.fail_after(PATIENCE_S):
                by = await ours.taken_over()
            assert by == (await found(leases))[NAME].holder != ours.holder


async def test_two_real_servers_of_one_host_and_ours_do_not_fight(control_plane: ControlPlane) -> None:
    """All three renew one Lease, which nobody takes away from anybody; each is read and written anew when it moved.

    When ours ends, the Lease that named it goes with it, and one of the servers publishes itself.
    """
    async with client(control_plane.kubeconfig) as leases:
        first = await published(leases)
        async with another(control_plane):
            await published(leases, than=first.holder)
            async with leases.apiserver_identity() as ours:
                before = await leases.get(NAME)
                seen = set()
                for _ in range(25):
                    await anyio.sleep(1)
                    lease = await leases.get(NAME)
                    seen.add((lease.metadata.uid, lease.holder))
                    assert age_s(lease) < RENEWED_WITHIN_S
                assert seen == {(before.metadata.uid, ours.holder)}
                assert ours.renewals >= 3
                assert ours.shared
                assert not ours.superseded
            await published(leases, than=ours.holder)


async def test_a_real_server_collects_what_of_ours_has_expired_when_it_starts_and_nothing_else(
    control_plane: ControlPlane,
) -> None:
    """With its start and then every hour: a server that starts is the way to see its collector at work."""
    async with client(control_plane.kubeconfig) as leases:
        dead, other = await leave_behind(leases, "dead"), await leave_behind(leases, "other")
        await backdate(leases, dead)
        await backdate(leases, other)
        unlabelled = (await leases.get(other)).with_metadata(labels={})
        await leases.replace(unlabelled)
        async with leases.apiserver_identity(hostname="alive") as alive, another(control_plane):
            with anyio.fail_after(PATIENCE_S):
                await until_gone(leases, dead)
            assert alive.name in await found(leases)
            await leases.get(other)
        await leases.delete(other)


async def test_with_the_gate_off_there_are_none_and_what_a_killed_server_left_is_collected_by_ours() -> None:
    plane = await anyio.to_thread.run_sync(lambda: ControlPlane(assets(), apiserver_flags=[GATES.format("false")]))
    await anyio.to_thread.run_sync(plane.__enter__)
    try:
        async with client(plane.kubeconfig) as leases:
            assert await found(leases) == {}
            async with leases.collect_identities() as collector, leases.observe_identities() as changes:
                assert collector.last is not None
                assert (collector.last.found, collector.last.collected) == ((), ())
                assert changes.identities == {}

                async with another(plane, GATES.format("true"), kill=True):
                    appeared = (await anext(changes)).identity
                assert (appeared.name, appeared.hostname) == (NAME, HERE)
                async with leases.apiserver_identity(hostname="alive") as alive:
                    assert (await leases.collect_identities()).collected == ()
                    await backdate(leases, NAME)
                    done = await leases.collect_identities()
                    assert [one.holder for one in done.collected] == [appeared.holder]
                    assert done.skew is not None
                    assert abs(done.skew.least_s) < 1
                    assert set(await found(leases)) == {alive.name}
    finally:
        await anyio.to_thread.run_sync(plane.__exit__, None, None, None)
