"""What the API server itself says happened: its watch, and its audit log.

The watch gives each write to a Lease, in order, with the time at which the driver saw it; the audit log, in which the
proxies are told apart by the address that they connect from, says who wrote it, and counts all requests of each.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import anyio

from lease_aio.testing.envtest import ControlPlane

_RETRY_S = 0.1


def _policy(level: str) -> dict[str, Any]:
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": level, "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
            {"level": "Metadata"},
        ],
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Write:
    """One state of a Lease that was stored.

    Attributes:
        lease: Its name.
        version: The resourceVersion: the order of all writes.
        holder: Empty where it is null, empty, or where the Lease was deleted.
        duration_s: `leaseDurationSeconds`.
        seen: When the driver saw it, on CLOCK_BOOTTIME: not before it was stored.
    """

    lease: str
    version: int
    holder: str
    duration_s: float
    seen: float


@dataclass
class Recorder:
    """Watches the Leases of a namespace, directly at the API server, over its restarts.

    Attributes:
        writes: All that was seen, in order.
        gaps: How often the watch had to begin anew, with writes that may be missing; see `complete`.
    """

    plane: ControlPlane
    namespace: str = "default"
    name: str = ""
    writes: list[Write] = field(default_factory=list)
    gaps: int = 0
    _known: set[int] = field(default_factory=set)

    async def run(self) -> None:
        """Record until cancelled."""
        trust = ssl.create_default_context(cafile=self.plane.ca_file)
        headers = {"Authorization": f"Bearer {self.plane.admin_token}"}
        connector = aiohttp.TCPConnector(ssl=trust)
        async with aiohttp.ClientSession(self.plane.url, headers=headers, connector=connector) as session:
            version = await self._list(session)
            while True:
                try:
                    version = await self._watch(session, version)
                except (aiohttp.ClientError, TimeoutError):
                    await anyio.sleep(_RETRY_S)

    def holder(self) -> str:
        """Who holds it now, as far as was seen."""
        return self.writes[-1].holder if self.writes else ""

    def _query(self, **more: str) -> tuple[str, dict[str, str]]:
        selector = {"fieldSelector": f"metadata.name={self.name}"} if self.name else {}
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases", {**selector, **more}

    async def _list(self, session: aiohttp.ClientSession) -> int:
        path, query = self._query()
        async with session.get(path, params=query) as answer:
            return int((await answer.json())["metadata"]["resourceVersion"])

    async def _watch(self, session: aiohttp.ClientSession, version: int) -> int:
        path, query = self._query(watch="1", resourceVersion=str(version), allowWatchBookmarks="true")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with session.get(path, params=query, timeout=timeout, read_bufsize=2**20) as answer:
            answer.raise_for_status()
            try:
                async for line in answer.content:
                    version = self.saw(json.loads(line), version)
            except aiohttp.ClientError:
                await anyio.sleep(_RETRY_S)
        return version

    def saw(self, event: Mapping[str, Any], version: int) -> int:
        """Take one event of the watch; returns the version to go on from."""
        thing = event["object"]
        if event["type"] == "ERROR":
            self.gaps += 1
            return 0
        version = int(thing["metadata"]["resourceVersion"])
        if event["type"] != "BOOKMARK" and version not in self._known:
            self._known.add(version)
            spec = thing.get("spec", {})
            self.writes.append(
                Write(
                    lease=thing["metadata"]["name"],
                    version=version,
                    holder="" if event["type"] == "DELETED" else spec.get("holderIdentity") or "",
                    duration_s=spec.get("leaseDurationSeconds") or 0,
                    seen=time.clock_gettime(time.CLOCK_BOOTTIME),
                )
            )
        return version


@asynccontextmanager
async def recorded(plane: ControlPlane, name: str = "") -> AsyncGenerator[Recorder]:
    """Record one Lease, or all in the namespace, for the body."""
    recorder = Recorder(plane, name=name)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(recorder.run)
        yield recorder
        tasks.cancel_scope.cancel()


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request of the audit log.

    Attributes:
        verb: get, list, watch, create, update.
        path: Of what.
        source: The address it came from.
        agent: The program that it came from, as that says.
        name: Of the one object that it was about; empty if there was none.
        code: The HTTP status of the answer.
        version: The resourceVersion that it stored; 0 if none.
        lease: The Lease that it wrote; empty if none.
        holder: What it wrote there.
        duration_s: What it wrote there.
        received: When, in seconds since the epoch.
        answered: When, likewise.
    """

    verb: str
    path: str
    source: str
    agent: str
    name: str
    code: int
    version: int
    lease: str
    holder: str
    duration_s: float
    received: float
    answered: float


class Audit:
    """The audit log of a control plane; give `flags` to it before it starts.

    Args:
        folder: For the policy and the log.
        level: How much is kept of requests for Leases; less than RequestResponse costs less, and leaves `lease` empty.
    """

    def __init__(self, folder: Path, *, level: str = "RequestResponse") -> None:
        self._policy, self._log = folder / "audit-policy.json", folder / "audit.log"
        self._policy.write_text(json.dumps(_policy(level)))

    @property
    def flags(self) -> Sequence[str]:
        """What the API server is to be started with."""
        return (f"--audit-policy-file={self._policy}", f"--audit-log-path={self._log}", "--audit-log-maxsize=2000")

    def requests(self) -> Iterator[Request]:
        """All that was asked so far, each once; a watch counts when it began."""
        with self._log.open() as lines:
            for line in lines:
                if line.endswith("}\n"):  # else the API server was killed in mid-line
                    event = json.loads(line)
                    if event["verb"] != "watch" or event["stage"] == "ResponseStarted":
                        yield _request(event)


def _request(event: Mapping[str, Any]) -> Request:
    stored = (event.get("responseObject") or {}) if event["verb"] in {"create", "update", "patch"} else {}
    wrote = stored.get("kind") == "Lease"
    spec, meta = stored.get("spec") or {}, stored.get("metadata") or {}
    return Request(
        verb=event["verb"],
        path=event["requestURI"],
        source=(event.get("sourceIPs") or [""])[0],
        agent=event.get("userAgent", ""),
        name=(event.get("objectRef") or {}).get("name", ""),
        code=(event.get("responseStatus") or {}).get("code", 0),
        version=int(meta["resourceVersion"]) if wrote else 0,
        lease=meta["name"] if wrote else "",
        holder=spec.get("holderIdentity") or "",
        duration_s=spec.get("leaseDurationSeconds") or 0,
        received=datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp(),
        answered=datetime.fromisoformat(event["stageTimestamp"]).timestamp(),
    )


def complete(seen: Sequence[Write], requests: Sequence[Request], *, lease: str) -> list[Write]:
    """The watch's history of one Lease, with what only the audit log knows: a watch that a restarted API server
    refuses to resume has gaps."""
    known = {write.version for write in seen}
    wall_to_boot = time.clock_gettime(time.CLOCK_BOOTTIME) - time.time()
    missed = [
        Write(
            lease=lease,
            version=request.version,
            holder=request.holder,
            duration_s=request.duration_s,
            seen=request.answered + wall_to_boot,
        )
        for request in requests
        if request.lease == lease and request.version not in known
    ]
    return sorted((*seen, *missed), key=lambda write: write.version)
