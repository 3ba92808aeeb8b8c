"""Runs the fleet under the nemesis, stops everything, and gathers the evidence."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread

from lease_aio import Timing
from lease_aio.testing.envtest import ControlPlane
from tests.torture.analysis import Evidence, LifeRecord, works_of
from tests.torture.candidate import boot
from tests.torture.history import Audit, Recorder, complete, recorded
from tests.torture.nemesis import ON_SERVER, Action, Fault, plan
from tests.torture.processes import Fleet, GoTiming, Member, fleet, until
from tests.torture.resource import FencedFile, Offer

LEASE = "torture"
TIMING = Timing(lease_duration_s=5, renew_interval_s=1, request_timeout_s=1, stop_grace_s=1, retry_interval_s=0.5)
GO_TIMING = GoTiming(lease_duration_s=5, renew_deadline_s=3.3, retry_period_s=0.66)
CALM_S = 30.0
"""How long after the last fault somebody has to lead again, at the latest."""
STOP_TIMEOUT_S = 2.0
"""For the control plane: with watches open an API server takes long to end on SIGTERM, and serves nobody then."""
_SLOW_S = 0.4


@dataclass(kw_only=True)
class Run:
    """What one run left behind.

    Attributes:
        faults: How often each was done; those that found nobody to do it to are not counted.
        calm_s: From the end of all faults until somebody led; None if nobody did.
        deaf: Who did not end on SIGTERM.
        wall_s: How long it took, from the first fault to the last.
        lost_answers: Those whose request had been forwarded.
        gaps: In the watch of the driver.
        server_away: When the API server was being ended, was gone, or was coming back.
    """

    seed: int
    evidence: Evidence
    offers: Sequence[Offer]
    faults: Counter[str]
    calm_s: float | None
    deaf: Sequence[str]
    wall_s: float
    lost_answers: int
    gaps: int
    server_away: Sequence[tuple[float, float]] = ()


@dataclass(kw_only=True)
class Nemesis:
    """Does to the fleet what the plan says; one fault at a time for each candidate, several at once for the fleet."""

    fleet: Fleet
    plane: ControlPlane
    done: Counter[str] = field(default_factory=Counter)
    server_away: list[tuple[float, float]] = field(default_factory=list)
    _busy: set[str] = field(default_factory=set)
    _server: anyio.Lock = field(default_factory=anyio.Lock)

    async def run(self, actions: Sequence[Action]) -> None:
        """Return when the last fault is over."""
        start = boot()
        async with anyio.create_task_group() as tasks:
            for action in actions:
                await anyio.sleep(start + action.at_s - boot())
                tasks.start_soon(self._do, action)

    async def _do(self, action: Action) -> None:
        if action.fault in ON_SERVER:
            async with self._server:
                self.done[action.fault.value] += 1
                await self._on_server(action)
            return
        free = [member for member in self.fleet.members if member.name not in self._busy]
        leader = self.fleet.leader()
        member = leader if action.at_leader and leader in free else free[int(action.aim * len(free))] if free else None
        if member is not None:
            work = self._on_network(action, member) if action.fault in _ON_NETWORK else self._on_process(action, member)
            await self._exclusively(member.name, action.fault, work)

    async def _exclusively(self, name: str, fault: Fault, work: Coroutine[None, None, None]) -> None:
        if name in self._busy:
            work.close()
            return
        self._busy.add(name)
        self.done[fault.value] += 1
        try:
            await work
        finally:
            self._busy.discard(name)

    async def _on_server(self, action: Action) -> None:
        kill, since = action.fault is Fault.SERVER_KILL, boot()
        await anyio.to_thread.run_sync(lambda: self.plane.stop_apiserver(kill=kill))
        await anyio.sleep(action.for_s)
        await anyio.to_thread.run_sync(self.plane.start_apiserver)
        self.server_away.append((since, boot()))

    async def _on_process(self, action: Action, member: Member) -> None:
        match action.fault:
            case Fault.FREEZE:
                member.life.freeze()
                await anyio.sleep(action.for_s)
                member.life.thaw()
            case Fault.KILL:
                member.life.kill()
                await anyio.sleep(action.for_s / 4)
                await member.start()
            case Fault.END:
                await member.end()
                await anyio.sleep(action.for_s / 4)
                await member.start()
            case _:
                member.life.signal(signal.SIGUSR1)
                await anyio.sleep(self.fleet.rest_s)

    async def _on_network(self, action: Action, member: Member) -> None:
        proxy = member.proxy
        match action.fault:
            case Fault.HOLD:
                proxy.hold()
            case Fault.HOLD_ANSWERS:
                proxy.hold("down")
            case Fault.SLOW:
                proxy.delay(_SLOW_S)
            case Fault.HOLE_UP:
                proxy.black_hole("up")
            case Fault.HOLE_DOWN:
                proxy.black_hole("down")
            case Fault.REFUSE:
                proxy.refuse()
            case Fault.LOSE_ANSWERS:
                proxy.lose_answers()
            case _:
                proxy.reset()
                return
        await anyio.sleep(action.for_s)
        proxy.heal()


_ON_NETWORK = frozenset(
    {
        Fault.HOLD,
        Fault.HOLD_ANSWERS,
        Fault.SLOW,
        Fault.HOLE_UP,
        Fault.HOLE_DOWN,
        Fault.REFUSE,
        Fault.LOSE_ANSWERS,
        Fault.RESET,
    }
)


async def torture(
    plane: ControlPlane, audit: Audit, folder: Path, *, seed: int, seconds: float, ours: int, client_go: int
) -> Run:
    """One run on a control plane that was started with the flags of `audit`."""
    async with (
        recorded(plane, LEASE) as recorder,
        fleet(plane, folder, LEASE, ours=ours, client_go=client_go, timing=TIMING, go_timing=GO_TIMING) as them,
    ):
        await until(lambda: them.leader() is not None, CALM_S)
        nemesis = Nemesis(fleet=them, plane=plane)
        start = boot()
        await nemesis.run(plan(seed=seed, seconds=seconds, lease_duration_s=TIMING.lease_duration_s))
        wall_s, calm = boot() - start, boot()
        led = await until(lambda: them.leader() is not None, CALM_S)
        calm_s = boot() - calm if led else None
        deaf = await them.end()
        await anyio.sleep(0.5)  # the last events are on their way
    store = FencedFile(them.resource)
    try:
        return Run(
            seed=seed,
            evidence=evidence(them, recorder, audit),
            offers=store.offers(),
            faults=nemesis.done,
            calm_s=calm_s,
            deaf=deaf,
            wall_s=wall_s,
            lost_answers=sum(member.proxy.lost_answers for member in them.members),
            gaps=recorder.gaps,
            server_away=nemesis.server_away,
        )
    finally:
        store.close()


def evidence(them: Fleet, recorder: Recorder, audit: Audit) -> Evidence:
    """What is known when all is over."""
    by_address = {member.address: member.name for member in them.members}
    requests = list(audit.requests())
    writers = {each.version: by_address.get(each.source, each.source) for each in requests if each.version}
    return Evidence(
        works=[work for life in life_records(them) for work in works_of(life)],
        writes=complete(recorder.writes, requests, lease=them.lease),
        writers=writers,
        lease_duration_s=them.timing.lease_duration_s,
        stop_grace_s=them.timing.stop_grace_s,
    )


def life_records(them: Fleet) -> list[LifeRecord]:
    """All lives of all candidates."""
    return [
        LifeRecord(
            candidate=member.name,
            ours=member.ours,
            identity=life.identity,
            events=life.events,
            freezes=life.freezes,
            ended=life.ended,
            killed=life.killed,
        )
        for member in them.members
        for life in member.lives
    ]
