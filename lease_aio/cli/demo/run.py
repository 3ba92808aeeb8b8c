"""The demo from its start to its report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

import anyio

from lease_aio.cli.connection import Opened, probe
from lease_aio.cli.demo.plan import CANDIDATES, IDENTITIES, NODES, Plan
from lease_aio.cli.demo.report import Check, Claims, Stored, checks
from lease_aio.cli.demo.screen import show
from lease_aio.cli.demo.stage import Stage
from lease_aio.cli.demo.summary import summary, summary_fields
from lease_aio.cli.demo.watching import IDENTITY_SELECTOR, watch_election, watch_identities, watch_nodes
from lease_aio.cli.exits import Exit
from lease_aio.cli.output import Output
from lease_aio.errors import ApiError, NotFound
from lease_aio.heartbeat import FleetReport
from lease_aio.heartbeat.renewal.rules import NODE_LEASES
from lease_aio.identity.record import IDENTITY_NAMESPACE
from lease_aio.model import Lease

_CATCH_UP_S = 3.0
_CLEAN_UP_S = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Moment:
    """What was claimed and what was stored shortly before the end, while all still ran."""

    leader: str
    fleet: FleetReport
    election: Lease | None
    nodes: tuple[Lease, ...]
    identities: tuple[Lease, ...]
    asked_us: int


async def run_demo(session: Opened, plan: Plan, output: Output) -> int:
    """Play the plan, and tell at the end how it went.

    All that it creates carries a name of its own, and is deleted at the end (but from an embedded server, which ends).

    Returns:
        0, or 1 if the report is not what the server stored.
    """
    await probe(session.leases)
    stage = Stage(session, plan, output)
    stage.say(
        "demo",
        f"{len(CANDIDATES)} candidates, {NODES} nodes, {IDENTITIES} API servers on {stage.where}",
        server=stage.where,
        lease=f"{stage.leases.namespace}/{stage.lease}",
        seconds=plan.seconds,
    )
    try:
        found = await _play(stage, output)
    finally:
        await _clean_up(stage, output)
    return _report(stage, found, output)


async def _play(stage: Stage, output: Output) -> list[Check]:
    found: list[Check] = []
    async with anyio.create_task_group() as watching:
        for watch in (watch_nodes, watch_election, watch_identities):
            await watching.start(partial(watch, stage))
        watching.start_soon(show, stage, output)
        async with stage.fleet:
            moment, left = await _act(stage)
        found += checks(await _claims(stage, moment), _stored(stage, moment, left), stage.plan)
        watching.cancel_scope.cancel()
    return found


async def _act(stage: Stage) -> tuple[_Moment, str]:
    """Everybody plays until the time is over, and has stepped down in order when this returns."""
    moments: list[_Moment] = []
    async with anyio.create_task_group() as players:
        for contender in stage.contenders.values():
            players.start_soon(contender.run)
        for identity in stage.identities:
            players.start_soon(stage.publish, identity)
        for scene in (stage.crash_scene, stage.silence_scene, stage.resign_scene):
            players.start_soon(scene)
        await stage.until(stage.plan.seconds)
        moments.append(await _moment(stage))
        players.cancel_scope.cancel()
    left = await _election(stage)
    return moments[0], left.holder if left is not None else ""


async def _moment(stage: Stage) -> _Moment:
    leases = stage.leases
    election = await _election(stage)
    identities = await leases.list(namespace=IDENTITY_NAMESPACE, label_selector=IDENTITY_SELECTOR)
    nodes = await leases.list(namespace=NODE_LEASES)
    return _Moment(
        leader=stage.story.leader,
        fleet=stage.fleet.report(),
        election=election,
        nodes=tuple(lease for lease in nodes.items if lease.name.startswith(stage.prefix)),
        identities=identities.items,
        asked_us=time.time_ns() // 1000,
    )


async def _election(stage: Stage) -> Lease | None:
    try:
        return await stage.leases.get(stage.lease)
    except NotFound:
        return None


async def _claims(stage: Stage, moment: _Moment) -> Claims:
    """All claims; the watch gets some time to tell of the last renewals."""
    report = stage.fleet.report()
    with anyio.move_on_after(_CATCH_UP_S):
        while stage.node_board.changes < report.renewals:  # noqa: ASYNC110 - no event tells of a count
            await anyio.sleep(0.02)
    return Claims(
        leader=moment.leader,
        terms=tuple(stage.story.terms),
        handovers=tuple(stage.story.handovers),
        nodes=moment.fleet.nodes,
        fresh=moment.fleet.fresh,
        silenced=stage.silenced,
        renewals=report.renewals,
        failures=sum(report.errors.values()),
        identities={identity.name: identity.holder for identity in stage.identities},
    )


def _stored(stage: Stage, moment: _Moment, left: str) -> Stored:
    return Stored(
        election=moment.election,
        terms=tuple(stage.election_board.terms),
        nodes=moment.nodes,
        identities=moment.identities,
        changes=stage.node_board.changes,
        asked_us=moment.asked_us,
        left=left,
    )


def _report(stage: Stage, found: list[Check], output: Output) -> int:
    fleet, scheduler, handovers = stage.fleet.report(), stage.leases.report(), stage.story.handovers
    output.event("report", **summary_fields(handovers, fleet, scheduler, found))
    output.show(summary(handovers, fleet, scheduler, found, stage.plan))
    return Exit.OK if all(check.true for check in found) else Exit.UNEXPECTED


async def _clean_up(stage: Stage, output: Output) -> None:
    """Delete the election's Lease; fleet and identities have deleted theirs."""
    if stage.embedded:
        return
    with anyio.move_on_after(_CLEAN_UP_S, shield=True):
        try:
            await stage.leases.delete(stage.lease)
        except NotFound:
            pass
        except ApiError as error:
            output.note(f"lease-aio: warning: Lease {stage.lease} is left behind: {error}")
