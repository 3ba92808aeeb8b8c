"""What a person does with kubectl, done against the embedded server with the real one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import pytest

from lease_aio.server import LEASES, NODES, EmbeddedServer, StatusError

NOW = 1_800_000_000_000_000
LEASE = """
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: NAME, namespace: default}
spec: {holderIdentity: HOLDER, leaseDurationSeconds: 15, renewTime: "2026-01-01T00:00:00.000000Z"}
"""
Kubectl = Callable[..., Coroutine[Any, Any, subprocess.CompletedProcess[str]]]


pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture
def environment(server: EmbeddedServer, tmp_path: Path) -> dict[str, str]:
    config = tmp_path / "config"
    config.write_text(server.kubeconfig())
    return {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "KUBECONFIG": str(config)}


@pytest.fixture
def kubectl(kubectl_binary: str, environment: dict[str, str]) -> Kubectl:
    async def run(*arguments: str, stdin: str = "", **extra: str) -> subprocess.CompletedProcess[str]:
        command = [kubectl_binary, *arguments]
        done = await anyio.run_process(command, input=stdin.encode(), check=False, env=environment | extra)
        return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def manifest(name: str, holder: str = "me") -> str:
    return LEASE.replace("NAME", name).replace("HOLDER", holder)


def words(result: subprocess.CompletedProcess[str]) -> list[list[str]]:
    assert result.returncode == 0, result.stderr
    return [line.split() for line in result.stdout.splitlines()]


async def test_what_is_missing_protected_or_impossible_is_said(kubectl: Kubectl) -> None:
    missing = await kubectl("get", "lease", "nothing")
    assert missing.stderr == 'Error from server (NotFound): leases.coordination.k8s.io "nothing" not found\n'
    protected = await kubectl("delete", "ns", "default")
    assert "this namespace may not be deleted" in protected.stderr
    impossible = await kubectl("create", "-f", "-", stdin=manifest("x").replace("Seconds: 15", "Seconds: 0"))
    assert "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0" in impossible.stderr
    unknown = await kubectl("create", "-f", "-", stdin=manifest("x").replace("holderIdentity", "holder"))
    assert 'unknown field "spec.holder"' in unknown.stderr


async def test_a_lease_is_created_once(kubectl: Kubectl) -> None:
    assert (await kubectl("create", "-f", "-", stdin=manifest("a"))).stdout == "lease.coordination.k8s.io/a created\n"
    again = await kubectl("create", "-f", "-", stdin=manifest("a"))
    assert 'leases.coordination.k8s.io "a" already exists' in again.stderr


async def test_apply_creates_changes_and_then_leaves_alone(kubectl: Kubectl) -> None:
    said = [
        (await kubectl("apply", "-f", "-", stdin=manifest("a", holder))).stdout.split()[-1]
        for holder in ("me", "you", "you")
    ]
    assert said == ["created", "configured", "unchanged"]


async def test_leases_are_listed_with_holder_and_age(kubectl: Kubectl, server: EmbeddedServer) -> None:
    await kubectl("create", "-f", "-", stdin=manifest("a"))
    body = {"metadata": {"name": "b", "labels": {"x": "y"}}}
    server.store.create(LEASES, "kube-system", body, now=NOW)
    assert words(await kubectl("get", "leases", "-A")) == [
        ["NAMESPACE", "NAME", "HOLDER", "AGE"],
        ["default", "a", "me", "0s"],
        ["kube-system", "b", "0s"],
    ]
    assert words(await kubectl("get", "lease", "-A", "-l", "x=y", "--no-headers", "--show-labels")) == [
        ["kube-system", "b", "0s", "x=y"]
    ]
    assert (await kubectl("get", "lease", "a", "-o", "jsonpath={.spec.holderIdentity}")).stdout == "me"


async def test_a_lease_is_labelled_annotated_patched_and_edited(kubectl: Kubectl, server: EmbeddedServer) -> None:
    await kubectl("create", "-f", "-", stdin=manifest("a"))
    for arguments in (
        ("label", "lease", "a", "team=red"),
        ("annotate", "lease", "a", "why=because"),
        ("patch", "lease", "a", "-p", '{"spec":{"leaseTransitions":1}}'),
        ("patch", "lease", "a", "--type=merge", "-p", '{"spec":{"renewTime":null}}'),
        ("patch", "lease", "a", "--type=json", "-p", '[{"op":"remove","path":"/spec/leaseDurationSeconds"}]'),
    ):
        assert (await kubectl(*arguments)).returncode == 0
    edited = await kubectl("edit", "lease", "a", EDITOR="sed -i s/holderIdentity:.me/holderIdentity:\\ ed/")
    assert edited.stdout == "lease.coordination.k8s.io/a edited\n", edited.stderr
    stored = server.store.get(LEASES, "default", "a")
    assert (stored["metadata"]["labels"], stored["metadata"]["annotations"]) == ({"team": "red"}, {"why": "because"})
    assert stored["spec"] == {"holderIdentity": "ed", "leaseTransitions": 1}


async def test_a_lease_is_replaced_and_deleted(kubectl: Kubectl, server: EmbeddedServer) -> None:
    await kubectl("create", "-f", "-", stdin=manifest("a"))
    written = await kubectl("get", "lease", "a", "-o", "yaml")
    changed = written.stdout.replace("holderIdentity: me", "holderIdentity: new")
    assert (await kubectl("replace", "-f", "-", stdin=changed)).returncode == 0
    assert server.store.get(LEASES, "default", "a")["spec"]["holderIdentity"] == "new"
    assert 'lease.coordination.k8s.io "a" deleted' in (await kubectl("delete", "lease", "a")).stdout
    with pytest.raises(StatusError, match="not found"):
        server.store.get(LEASES, "default", "a")


async def test_changes_are_waited_for(kubectl: Kubectl, server: EmbeddedServer) -> None:
    await kubectl("create", "-f", "-", stdin=manifest("a"))
    codes: list[int] = []

    async def wait(condition: str) -> None:
        codes.append((await kubectl("wait", f"--for={condition}", "lease/a", "--timeout=20s")).returncode)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, "jsonpath={.spec.holderIdentity}=you")
            tasks.start_soon(wait, "delete")
            while server.store.open_watches < 2:  # noqa: ASYNC110
                await anyio.sleep(0.02)
            await kubectl("patch", "lease", "a", "-p", '{"spec":{"holderIdentity":"you"}}')
            while not codes:  # noqa: ASYNC110 - kubectl calls a Lease that goes before it has looked "not found"
                await anyio.sleep(0.02)
            await kubectl("delete", "lease", "a")
    assert codes == [0, 0]


async def test_changes_are_watched(
    kubectl: Kubectl, server: EmbeddedServer, kubectl_binary: str, environment: dict[str, str]
) -> None:
    await kubectl("create", "-f", "-", stdin=manifest("a"))
    command = [kubectl_binary, "get", "lease", "-w", "--no-headers"]
    with anyio.fail_after(30):
        async with await anyio.open_process(command, env=environment) as watching:
            while server.store.open_watches < 1:  # noqa: ASYNC110
                await anyio.sleep(0.02)
            await kubectl("patch", "lease", "a", "-p", '{"spec":{"holderIdentity":"you"}}')
            await kubectl("delete", "lease", "a")
            assert watching.stdout is not None
            printed = b""
            while printed.count(b"\n") < 3:
                printed += await watching.stdout.receive()
            watching.terminate()
    assert [line.split() for line in printed.decode().splitlines()] == [
        ["a", "me", "0s"],
        ["a", "you", "0s"],
        ["a", "you", "0s"],
    ]


async def test_namespaces_are_made_and_taken_away(kubectl: Kubectl) -> None:
    assert (await kubectl("create", "ns", "team")).stdout == "namespace/team created\n"
    assert ["team", "Active", "0s"] in words(await kubectl("get", "ns"))
    assert (await kubectl("delete", "ns", "team")).returncode == 0
    assert (await kubectl("get", "ns", "team")).returncode == 1


async def test_nodes_are_shown_wide(kubectl: Kubectl, server: EmbeddedServer) -> None:
    status = {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": "v1.37.2"}}
    server.store.create(NODES, "", {"metadata": {"name": "n1"}, "status": status}, now=NOW)
    header, row = words(await kubectl("get", "nodes", "-o", "wide"))
    assert header[:5] == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert row[:6] == ["n1", "Ready", "<none>", "0s", "v1.37.2", "<none>"]


async def test_the_api_explains_itself(kubectl: Kubectl) -> None:
    resources = words(await kubectl("api-resources", "--no-headers"))
    assert ["leases", "coordination.k8s.io/v1", "true", "Lease"] in resources
    assert "Server Version: v1.37.2" in (await kubectl("version")).stdout
    explained = (await kubectl("explain", "lease.spec")).stdout
    assert "leaseDurationSeconds\t<integer>" in explained
    described = (await kubectl("describe", "ns", "default")).stdout
    assert "Status:       Active" in described
