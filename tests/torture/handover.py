"""How fast leadership changes hands, and what it costs to wait: measured on fleets of one kind at a time.

The time after a release begins when the leader hears that it is to step down, and includes its work's end. The time
after SIGKILL begins at the signal. Both end when the next one's work begins. All stamps are CLOCK_BOOTTIME.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from lease_aio.testing.envtest import ControlPlane
from tests.torture.analysis import hand_overs, overlaps
from tests.torture.candidate import boot
from tests.torture.driver import evidence
from tests.torture.history import Audit, Recorder, recorded
from tests.torture.processes import Fleet, fleet, until

PATIENCE_S = 60.0
_SETTLE_S = 2.0
_PAUSE_S = 0.3


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A fleet of one kind.

    Attributes:
        ours: Else client-go.
        candidates: How many contend.
        rest_s: How long who has stepped down stays away.
        options: Timings, for `processes.fleet`.
    """

    ours: bool
    candidates: int
    rest_s: float = 0.5
    options: Mapping[str, Any]

    def fleet(self, plane: ControlPlane, folder: Path, lease: str) -> AbstractAsyncContextManager[Fleet]:
        """All started, on one Lease."""
        mine = self.candidates if self.ours else 0
        return fleet(
            plane, folder, lease, ours=mine, client_go=self.candidates - mine, rest_s=self.rest_s, **self.options
        )


@dataclass(frozen=True, kw_only=True)
class HandOvers:
    """What was measured.

    Attributes:
        seconds: From the release, or the signal.
        since_write_s: After SIGKILL: from the dead leader's last write, as of when the API server received it.
        overlaps: Pairs of terms that overlapped, as the judge of the torture words them.
    """

    seconds: Sequence[float]
    since_write_s: Sequence[float]
    overlaps: Sequence[str]


async def releases(plane: ControlPlane, audit: Audit, folder: Path, kind: Kind, *, lease: str, count: int) -> HandOvers:
    """Have the leader step down `count` times, at odd moments."""
    async with recorded(plane, lease) as recorder, kind.fleet(plane, folder, lease) as them:
        for _ in range(count):
            await _led(them)
            await anyio.sleep(kind.rest_s + _PAUSE_S + random.random())
            leader = them.leader()
            assert leader is not None
            leader.life.signal(signal.SIGUSR1)
            await until(lambda: them.leader() is not leader, PATIENCE_S)  # noqa: B023 - awaited here
        return await _measured(them, recorder, audit, kind="release", count=count)


async def kills(plane: ControlPlane, audit: Audit, folder: Path, kind: Kind, *, lease: str, count: int) -> HandOvers:
    """Kill the leader `count` times, at odd moments; a new process takes its place behind the others."""
    async with recorded(plane, lease) as recorder, kind.fleet(plane, folder, lease) as them:
        for _ in range(count):
            await _led(them)
            await anyio.sleep(_SETTLE_S + random.random())
            dead = them.leader()
            assert dead is not None
            dead.life.kill()
            await dead.start()
            await until(lambda: them.leader() is not None, PATIENCE_S)
        return await _measured(them, recorder, audit, kind="SIGKILL", count=count)


async def _led(them: Fleet) -> None:
    """Somebody leads, and all others are up."""

    def ready() -> bool:
        return them.leader() is not None and all(member.life.events for member in them.members)

    if not await until(ready, PATIENCE_S):
        raise AssertionError(f"nobody leads {them.lease} after {PATIENCE_S:g} s; see {them.folder}/*.stderr")


async def _all_wait(them: Fleet, audit: Audit, since: float) -> None:
    """Those of ours that do not lead have asked all that they ask at their start: the last of it is the watch."""
    waiting = {member.address for member in them.members if member.ours and member is not them.leader()}

    def watching() -> set[str]:
        return {each.source for each in audit.requests() if each.verb == "watch" and each.received >= since}

    with anyio.fail_after(PATIENCE_S):
        while not waiting <= watching():  # noqa: ASYNC110 - it is read in a log
            await anyio.sleep(0.2)


async def _measured(them: Fleet, recorder: Recorder, audit: Audit, *, kind: str, count: int) -> HandOvers:
    assert await until(lambda: them.leader() is not None, PATIENCE_S)
    await them.end()
    known = evidence(them, recorder, audit)
    ends = [work for work in sorted(known.works, key=lambda work: work.start) if work.killed]
    starts = sorted(work.start for work in known.works)
    written = last_writes(audit, them.lease)
    since = [next(at for at in starts if at > work.end) - written[work.identity] for work in ends]
    found = [each.seconds for each in hand_overs(known.works) if each.kind == kind][:count]
    return HandOvers(
        seconds=found,
        since_write_s=since,
        overlaps=[f"{each.length_s:.3f} s, {each.culprit}: {each.why}" for each in overlaps(known)],
    )


def last_writes(audit: Audit, lease: str) -> Mapping[str, float]:
    """When the API server received the last write of each holder that it stored, on CLOCK_BOOTTIME.

    No candidate can have seen it before, however late a driver that watches is told.
    """
    wall_to_boot = boot() - time.time()
    stored = (each for each in audit.requests() if each.lease == lease and each.version)
    return {each.holder: each.received + wall_to_boot for each in sorted(stored, key=lambda each: each.version)}


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Requests in the time that was watched, by verb: of one candidate that waits, on average, and of the leader."""

    seconds: float
    standby: dict[str, float]
    leader: dict[str, float]


async def standby_traffic(
    plane: ControlPlane, audit: Audit, folder: Path, kind: Kind, *, lease: str, seconds: float
) -> Traffic:
    """Count what the API server is asked while nothing changes."""
    began = time.time()
    async with kind.fleet(plane, folder, lease) as them:
        await _led(them)
        await _all_wait(them, audit, began)
        await anyio.sleep(_SETTLE_S)
        leader, start = them.leader(), time.time()
        assert leader is not None
        await anyio.sleep(seconds)
        end = time.time()
        assert them.leader() is leader, "something changed"
        await them.end()
    asked = [each for each in audit.requests() if start <= each.received < end]
    waiting = {member.address for member in them.members if member is not leader}
    standby = Counter(each.verb for each in asked if each.source in waiting)
    return Traffic(
        seconds=seconds,
        standby={verb: round(count / len(waiting), 2) for verb, count in standby.items()},
        leader=dict(Counter(each.verb for each in asked if each.source == leader.address)),
    )
