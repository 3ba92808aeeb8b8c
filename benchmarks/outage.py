"""What a server sees when it is back: a fleet whose nodes catch up at a bounded pace, beside one whose nodes do not.

    python benchmarks/outage.py [--nodes 2000] [--seconds 60] [--json]

In virtual time, so the figures depend on no machine, and 10,000 nodes take minutes. The server answers in 5 ms. For
`--seconds` it refuses connections, hangs, answers 500, or asks for 30 s of rest (429, Retry-After) and nothing else;
then it is back. Counted is what is sent from then on, in each second, as a multiple of the steady rate of one renewal
in 10.2 s a node; and how long it takes until every node is renewed. The peer is the same fleet with the pacing taken
out: then only the connections bound it.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from unittest import mock

import anyio

from lease_aio.api.memory import MemoryApi, Moment
from lease_aio.api.transport import Fault, TransportError
from lease_aio.client import LeaseClient
from lease_aio.errors import Call, Throttled, Unavailable
from lease_aio.scheduler import lane
from lease_aio.server.store import Store
from lease_aio.testing import VirtualClock, run

LATENCY_S, SETTLED_S, WATCHED_S, REST_S = 0.005, 25.0, 60.0, 30.0


class Server:
    """Is away in its way until it is back; then it notes what is sent, and when each node is renewed first."""

    def __init__(self, clock: VirtualClock, away: Callable[[Server, Call], Awaitable[None]] | None = None) -> None:
        self.away = away
        self.back = anyio.Event()
        self.sent: Counter[int] = Counter()
        self.renewed: dict[str, float] = {}
        self._clock = clock
        self._back_at = 0.0

    def come_back(self) -> None:
        self._back_at = self._clock.now()
        self.away = None
        self.back.set()

    async def __call__(self, moment: Moment, call: Call) -> None:
        since = self._clock.now() - self._back_at
        if moment is Moment.AFTER:
            if self.back.is_set() and call.verb in {"create", "update"}:
                self.renewed.setdefault(call.name, since)
            return
        if self.back.is_set():
            self.sent[int(since)] += 1
        if self.away is not None:
            await self.away(self, call)
        await anyio.sleep(LATENCY_S)


async def refuses(_server: Server, _call: Call) -> None:
    raise TransportError(Fault.REFUSED, "nobody listens", sent=False)


async def hangs(server: Server, _call: Call) -> None:
    await server.back.wait()


async def fails(_server: Server, call: Call) -> None:
    raise Unavailable(call, "etcdserver: request timed out", status=500)


async def wants_rest(_server: Server, call: Call) -> None:
    raise Throttled(call, "slow down", status=429, retry_after_s=REST_S)


KINDS = {"refuses": refuses, "hangs": hangs, "answers 500": fails, "asks for rest": wants_rest}


@dataclass(frozen=True, kw_only=True)
class Return:
    """What came after the outage."""

    kind: str
    paced: bool
    most_per_second: float
    all_renewed_s: float
    renewed: int


async def outage(kind: str, nodes: int, seconds: float, *, paced: bool) -> Return:
    clock = VirtualClock()
    server = Server(clock)
    store = Store(now=clock.wall_us())
    api = MemoryApi(store, wall_us=clock.wall_us, faults=server)
    seeded = random.Random(1).random
    async with LeaseClient(api, clock=clock, random=seeded) as leases, leases.fleet(nodes=nodes):
        await anyio.sleep(SETTLED_S)
        server.away = KINDS[kind]
        await anyio.sleep(REST_S - 1 if kind == "asks for rest" else seconds)
        server.come_back()
        await anyio.sleep(WATCHED_S)
    return Return(
        kind=kind,
        paced=paced,
        most_per_second=max(server.sent.values()) / (nodes / 10.2),
        all_renewed_s=max(server.renewed.values()),
        renewed=len(server.renewed),
    )


@contextmanager
def pacing(*, on: bool) -> Iterator[None]:
    with mock.patch.object(lane, "is_behind", lane.is_behind if on else lambda _renewal, _now: False):
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the outage")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.nodes < 1 or given.seconds <= 0:
        parser.error("--nodes must be 1 or more, --seconds positive")
    found: list[Return] = []
    for kind in KINDS:
        for paced in (True, False):
            with pacing(on=paced):
                found.append(run(lambda k=kind, p=paced: outage(k, given.nodes, given.seconds, paced=p)))  # type: ignore[misc]
    if given.json:
        print(json.dumps([asdict(each) for each in found]))
        return
    print(
        f"{given.nodes:,} nodes, back after {given.seconds:g} s; in multiples of the steady rate, of all requests sent"
    )
    print(
        f"{'the server':<16}{'most in a second':>18}{'unpaced':>10}{'all renewed after':>20}{'unpaced':>10}{'lost':>6}"
    )
    for ours, peer in zip(found[::2], found[1::2], strict=True):
        print(
            f"{ours.kind:<16}{ours.most_per_second:>17.2f}×{peer.most_per_second:>9.2f}×"
            f"{ours.all_renewed_s:>18.2f} s{peer.all_renewed_s:>8.2f} s{given.nodes - ours.renewed:>6}"
        )


if __name__ == "__main__":
    main()
