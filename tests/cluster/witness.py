"""What the API server tells anybody who watches: who judges a fleet by it trusts nothing that the fleet says of itself.

`Witness` watches the Leases in `kube-node-lease` and, if asked to, the Nodes, on connections of its own, and notes when
it saw what, on CLOCK_MONOTONIC, which all processes of a machine share. `python -m tests.cluster.witness URL CA_FILE
TOKEN FILE` does so for Leases alone in a process of its own, until its standard input ends, and leaves what it saw in
the file, for `renewals_in`.
"""

from __future__ import annotations

import json
import ssl
import sys
import time
from array import array
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import aiohttp
import anyio
import anyio.abc
import anyio.to_thread
import msgspec

from lease_aio.testing.envtest import ControlPlane

NODE_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
NODES = "/api/v1/nodes"
UNREACHABLE = "node.kubernetes.io/unreachable"
NOT_READY = "node.kubernetes.io/not-ready"
_RETRY_S = 0.1
_READ_BUFFER = 2**20


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    resource_version: str = ""


class _Named(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)


class _Condition(msgspec.Struct):
    type: str
    status: str


class _Taint(msgspec.Struct):
    key: str
    effect: str


class _Spec(msgspec.Struct):
    taints: tuple[_Taint, ...] = ()


class _Status(msgspec.Struct):
    conditions: tuple[_Condition, ...] = ()


class _Node(_Named):
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeState:
    """A Node as it was at one time.

    Attributes:
        seen: When the witness saw it so.
        ready: The status of its Ready condition; empty if it has none.
        taints: The effects by key.
    """

    seen: float
    ready: str
    taints: frozenset[tuple[str, str]]

    def tainted(self, key: str, effect: str = "NoSchedule") -> bool:
        """Whether this taint is on it."""
        return (key, effect) in self.taints


@dataclass(kw_only=True)
class Witness:
    """Sees each write that the API server stores, over its restarts.

    Attributes:
        renewals: When each node's Lease was seen written, in order.
        nodes: The states that each Node went through: only those that differ from the one before.
        gaps: How often a watch had to begin anew with what is there: writes between may have been missed.
    """

    url: str
    ca_file: Path
    token: str
    renewals: dict[str, array[float]] = field(default_factory=dict[str, "array[float]"])
    nodes: dict[str, list[NodeState]] = field(default_factory=dict[str, list[NodeState]])
    gaps: int = 0
    _versions: dict[str, int] = field(default_factory=dict[str, int])

    async def run(self, *, nodes: bool, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Watch until cancelled; started once the first lists are in."""
        trust = ssl.create_default_context(cafile=self.ca_file)
        headers = {"Authorization": f"Bearer {self.token}"}
        connector = aiohttp.TCPConnector(ssl=trust)
        async with (
            aiohttp.ClientSession(self.url, headers=headers, connector=connector, read_bufsize=_READ_BUFFER) as session,
            anyio.create_task_group() as tasks,
        ):
            await tasks.start(self._follow, session, NODE_LEASES, self._saw_lease)
            if nodes:
                await tasks.start(self._follow, session, NODES, self._saw_node)
            task_status.started()

    async def _follow(
        self,
        session: aiohttp.ClientSession,
        path: str,
        saw: Callable[[bytes], int],
        *,
        task_status: anyio.abc.TaskStatus[None],
    ) -> None:
        version = await self._list(session, path, saw)
        task_status.started()
        while True:
            try:
                version = version or await self._list(session, path, saw)
                version = await self._watch(session, path, version, saw)
            except (aiohttp.ClientError, OSError):
                await anyio.sleep(_RETRY_S)

    async def _list(self, session: aiohttp.ClientSession, path: str, saw: Callable[[bytes], int]) -> int:
        async with session.get(path) as answer:
            answer.raise_for_status()
            found = msgspec.json.decode(await answer.read(), type=_List)
        for item in found.items:
            saw(bytes(item))
        return int(found.metadata.resource_version)

    async def _watch(self, session: aiohttp.ClientSession, path: str, version: int, saw: Callable[[bytes], int]) -> int:
        """Follow one watch to its end; the version to go on from, 0 where the server no longer knows it."""
        query = {"watch": "1", "resourceVersion": str(version), "allowWatchBookmarks": "true"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with session.get(path, params=query, timeout=timeout) as answer:
            answer.raise_for_status()
            try:
                async for line in answer.content:
                    event = _decode_event(line)
                    if event.type == "ERROR":
                        self.gaps += 1
                        return 0
                    if event.type == "BOOKMARK":
                        version = int(_decode_named(event.object).metadata.resource_version)
                    elif event.type != "DELETED":
                        version = saw(event.object)
            except aiohttp.ClientError:
                await anyio.sleep(_RETRY_S)
        return version

    def _saw_lease(self, text: bytes | msgspec.Raw) -> int:
        meta = _decode_named(text).metadata
        version = int(meta.resource_version)
        if self._versions.get(meta.name, 0) < version:
            self._versions[meta.name] = version
            self.renewals.setdefault(meta.name, array("d")).append(time.monotonic())
        return version

    def _saw_node(self, text: bytes | msgspec.Raw) -> int:
        node = _decode_node(text)
        ready = next((one.status for one in node.status.conditions if one.type == "Ready"), "")
        taints = frozenset((one.key, one.effect) for one in node.spec.taints)
        states = self.nodes.setdefault(node.metadata.name, [])
        if not states or (states[-1].ready, states[-1].taints) != (ready, taints):
            states.append(NodeState(seen=time.monotonic(), ready=ready, taints=taints))
        return int(node.metadata.resource_version)


class _List(msgspec.Struct):
    metadata: _Meta
    items: list[msgspec.Raw] = []


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_named = msgspec.json.Decoder(_Named).decode
_decode_node = msgspec.json.Decoder(_Node).decode


@asynccontextmanager
async def witnessed(plane: ControlPlane, *, nodes: bool = False) -> AsyncGenerator[Witness]:
    """Watch Leases, and Nodes if asked to, for the body."""
    witness = Witness(url=plane.url, ca_file=plane.ca_file, token=plane.admin_token)
    async with anyio.create_task_group() as tasks:
        await tasks.start(partial(witness.run, nodes=nodes))
        yield witness
        tasks.cancel_scope.cancel()


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """What a witness in another process tells each second: how many Leases it knows, and how many were renewed."""

    leases: int
    renewed: int


def renewals_in(file: Path) -> tuple[Mapping[str, list[float]], int]:
    """What a witness in another process saw: when each node's Lease was written, and its gaps."""
    found = json.loads(file.read_text())
    return found["renewals"], found["gaps"]


async def _main(url: str, ca_file: str, token: str, out: str) -> None:
    witness = Witness(url=url, ca_file=Path(ca_file), token=token)
    async with anyio.create_task_group() as tasks:
        await tasks.start(partial(witness.run, nodes=False))
        tasks.start_soon(_tell_progress, witness)
        await anyio.to_thread.run_sync(sys.stdin.read)
        tasks.cancel_scope.cancel()
    renewals = {name: list(seen) for name, seen in witness.renewals.items()}
    await anyio.Path(out).write_text(json.dumps({"renewals": renewals, "gaps": witness.gaps}))


async def _tell_progress(witness: Witness) -> None:
    while True:
        renewed = sum(len(seen) > 1 for seen in witness.renewals.values())
        sys.stdout.write(json.dumps({"leases": len(witness.renewals), "renewed": renewed}) + "\n")
        sys.stdout.flush()
        await anyio.sleep(1)


if __name__ == "__main__":
    anyio.run(partial(_main, *sys.argv[1:5]))
