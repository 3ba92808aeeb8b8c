"""Group membership on a real kube-apiserver."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import anyio
import pytest

import lease_aio
from lease_aio.recipes import MemberChange, MembersObservation
from lease_aio.testing.envtest import ControlPlane
from tests.cluster.fixtures import Kubectl

pytestmark = pytest.mark.cluster

DURATION_S = 6
"""Renewed every quarter of that: on a busy machine a process may not run for a second or two and is not lost for it."""


@contextlib.contextmanager
def process(
    kubeconfig: str, group: str, member: str, *, duration_s: int = DURATION_S
) -> Iterator[subprocess.Popen[str]]:
    """A member in a process of its own, through the command line."""
    command = [sys.executable, "-m", "lease_aio.cli", "members", "join", group, "--member", member, "--json"]
    duration = ["--lease-duration", str(duration_s), "--kubeconfig", kubeconfig]
    with subprocess.Popen([*command, *duration], stdout=subprocess.PIPE, text=True, env=os.environ) as started:
        try:
            yield started
        finally:
            started.kill()


async def told(changes: MembersObservation, *, within_s: float = 60) -> tuple[str, str]:
    with anyio.fail_after(within_s):
        change: MemberChange = await anext(changes)
    return change.type.value, change.member.member


async def test_members_of_a_real_server_come_and_go(control_plane: ControlPlane, kubectl_beside: Kubectl) -> None:
    """One ends in order, one is killed, and one takes the killed one's place."""
    kubeconfig = str(control_plane.kubeconfig)
    async with lease_aio.connect(kubeconfig=kubeconfig) as leases, leases.members("workers") as changes:
        with process(kubeconfig, "workers", "a") as a, process(kubeconfig, "workers", "b") as b:
            assert {await told(changes), await told(changes)} == {("joined", "a"), ("joined", "b")}
            arguments = ["get", "lease", "-l", "lease-aio/member-of=workers", "-o", "name"]
            printed = await kubectl_beside(kubeconfig, *arguments)
            assert sorted(printed.split()) == [f"lease.coordination.k8s.io/{name}" for name in sorted(changes.members)]
            a.send_signal(signal.SIGTERM)
            assert await told(changes) == ("left", "a")
            b.kill()
            assert await told(changes) == ("lost", "b")
        async with leases.member_of("workers", "b", lease_duration_s=DURATION_S) as successor:
            assert await told(changes) == ("replaced", "b")
            assert [one.holder for one in changes.alive] == [successor.holder]
        assert await told(changes) == ("left", "b")
        assert (await leases.list(label_selector="lease-aio/member-of=workers")).items == ()


async def test_what_a_killed_member_left_is_cleared_away_by_another(control_plane: ControlPlane) -> None:
    kubeconfig = str(control_plane.kubeconfig)
    async with (
        lease_aio.connect(kubeconfig=kubeconfig) as leases,
        leases.members("survivors") as changes,
        leases.member_of("survivors", "lives", lease_duration_s=DURATION_S) as me,
    ):
        assert await told(changes) == ("joined", "lives")
        with process(kubeconfig, "survivors", "dies", duration_s=3) as killed:
            assert await told(changes) == ("joined", "dies")
            killed.kill()
        assert await told(changes) == ("lost", "dies")
        assert await told(changes, within_s=150) == ("left", "dies")
        there = (await leases.list(label_selector="lease-aio/member-of=survivors")).items
        assert [lease.name for lease in there] == [me.name]


async def test_two_processes_of_one_name_end_as_one(control_plane: ControlPlane) -> None:
    kubeconfig = str(control_plane.kubeconfig)
    async with lease_aio.connect(kubeconfig=kubeconfig) as leases:
        async with (
            leases.member_of("pair", "a", lease_duration_s=DURATION_S) as old,
            leases.member_of("pair", "a", lease_duration_s=DURATION_S) as new,
        ):
            with anyio.fail_after(30):
                assert await old.taken_over() == new.holder
            renewals = old.renewals
            await anyio.sleep(2 * DURATION_S)
            assert (old.renewals, new.superseded) == (renewals, False)
            assert (await leases.get(new.name)).holder == new.holder
        assert (await leases.list(label_selector="lease-aio/member-of=pair")).items == ()
