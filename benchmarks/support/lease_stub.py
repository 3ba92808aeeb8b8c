"""An API server that knows Leases only, cheap enough that whoever renews them is the slow part. For benchmarks.

    python benchmarks/support/lease_stub.py --certificate server.pem [--delay-ms 0]

Answers GET, PUT and POST of Leases over TLS with HTTP/1.1 as a kube-apiserver does: compare-and-swap by
resourceVersion and uid, 404, 409, create on update; a list of anything is empty, all else is a 404. It validates
nothing, keeps no history and serves no watch. One process, one loop, a hand-written parser. Prints its URL; ends with
its standard input. `GET /stub/writes` tells how many writes it has confirmed: an independent count.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import itertools
import ssl
import sys
import uuid
from typing import Any

import msgspec

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_REASONS = {200: "OK", 201: "Created", 404: "Not Found", 409: "Conflict"}
_CREATED = "2026-01-01T00:00:00Z"


class Meta(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """The metadata that is looked at, and what is given back unread."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str = ""
    labels: msgspec.Raw = msgspec.Raw()
    annotations: msgspec.Raw = msgspec.Raw()
    owner_references: msgspec.Raw = msgspec.Raw()


class StoredLease(msgspec.Struct, rename="camel", gc=False):
    """A Lease; its spec is passed on as bytes."""

    metadata: Meta
    spec: msgspec.Raw
    api_version: str = "coordination.k8s.io/v1"
    kind: str = "Lease"


_decoder = msgspec.json.Decoder(StoredLease)
_encoder = msgspec.json.Encoder()


class Leases:
    """All Leases: by path, their uid, version and bytes."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, str, bytes]] = {}
        self._revisions = itertools.count(2)
        self.writes = 0

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body."""
        path, _, query = path.partition("?")
        if "/leases/" in path:
            return self._get(path) if method == "GET" else self._put(path, body)
        if method == "POST" and path.endswith("/leases"):
            return self._post(path, body)
        if path == "/stub/writes":
            return 200, b"%d" % self.writes
        if method == "GET" and "watch=" not in query and "/" in path.strip("/"):
            return 200, b'{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}'
        return status(404, "NotFound", f"{path} is not served here")

    def _get(self, path: str) -> tuple[int, bytes]:
        found = self._kept.get(path)
        if found is None:
            return status(404, "NotFound", f'leases "{path}" not found')
        return 200, found[2]

    def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        lease = _decoder.decode(body)
        path = f"{path}/{lease.metadata.name}"
        if path in self._kept:
            return status(409, "AlreadyExists", f'leases "{lease.metadata.name}" already exists')
        return 201, self._store(path, lease, str(uuid.uuid4()))

    def _put(self, path: str, body: bytes) -> tuple[int, bytes]:
        lease = _decoder.decode(body)
        found, meta = self._kept.get(path), lease.metadata
        if found is None:
            if meta.uid:
                return status(409, "Conflict", "Precondition failed: UID in precondition")
            return 201, self._store(path, lease, str(uuid.uuid4()))
        if meta.resource_version != found[1] or meta.uid not in {"", found[0]}:
            return status(409, "Conflict", "the object has been modified")
        return 200, self._store(path, lease, found[0])

    def _store(self, path: str, lease: StoredLease, uid: str) -> bytes:
        meta = lease.metadata
        meta.uid, meta.resource_version, meta.creation_timestamp = uid, str(next(self._revisions)), _CREATED
        data = _encoder.encode(lease)
        self._kept[path] = (uid, meta.resource_version, data)
        self.writes += 1
        return data


def status(code: int, reason: str, message: str) -> tuple[int, bytes]:
    """A failure as Kubernetes writes it."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message}
    return code, msgspec.json.encode({**body, "code": code})


class Connection(asyncio.Protocol):
    """One connection: requests one after another, each answered when it is whole (and `delay_s` has passed)."""

    def __init__(self, leases: Leases, delay_s: float) -> None:
        self._leases = leases
        self._delay_s = delay_s
        self._data = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data = self._data + data if self._data else data
        while (end := self._data.find(_END)) >= 0:
            head = self._data[:end]
            at = head.lower().find(_LENGTH)
            length = int(head[at + len(_LENGTH) :].split(b"\r", 1)[0]) if at >= 0 else 0
            start = end + len(_END)
            if len(self._data) < start + length:
                return
            body, self._data = self._data[start : start + length], self._data[start + length :]
            method, path, _ = head.split(b"\r", 1)[0].decode().split(" ", 2)
            self._reply(*self._leases.answer(method, path, body))

    def _reply(self, code: int, body: bytes) -> None:
        head = (
            f"HTTP/1.1 {code} {_REASONS[code]}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        if self._delay_s:
            asyncio.get_running_loop().call_later(self._delay_s, self._transport.write, head.encode() + body)
        else:
            self._transport.write(head.encode() + body)


async def serve(certificate: str, delay_s: float) -> None:
    """Until standard input ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    leases, loop = Leases(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(leases, delay_s), "127.0.0.1", 0, ssl=context, backlog=1024)
    print(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--certificate", required=True, help="PEM file with the chain and the key")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="before each answer is sent")
    given = parser.parse_args()
    if importlib.util.find_spec("uvloop"):
        import uvloop  # noqa: PLC0415 - an extra

        factory = uvloop.new_event_loop
    else:
        factory = None
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(given.certificate, given.delay_ms / 1e3))


if __name__ == "__main__":
    main()
