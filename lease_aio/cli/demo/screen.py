"""How the demo is shown while it runs: a picture that redraws itself, or a line now and then."""

from __future__ import annotations

import time
from typing import NoReturn

import anyio
from rich.console import RenderableType

from lease_aio.cli.demo.board import Freshness
from lease_aio.cli.demo.stage import Stage
from lease_aio.cli.demo.view import IdentitySeen, Picture, draw
from lease_aio.cli.drawing import redraw
from lease_aio.cli.fleet.report import fields_of
from lease_aio.cli.numbers import span
from lease_aio.cli.output import Output
from lease_aio.identity import ApiServerIdentity

_REDRAW_EVERY_S = 0.25
_PROGRESS_EVERY_S = 5.0


async def show(stage: Stage, output: Output) -> None:
    """Show the stage until cancelled, or until there is nothing more to tell before the report."""
    if output.live:
        await _show_live(stage, output)
    every_s = min(_PROGRESS_EVERY_S, stage.plan.seconds / 4)
    while stage.now_s + every_s < stage.plan.seconds:
        await anyio.sleep(every_s)
        _tell_progress(stage, output)


async def _show_live(stage: Stage, output: Output) -> NoReturn:
    def now(width: int, height: int) -> RenderableType:
        return draw(picture_of(stage), width, height)

    await redraw(output.console, now, every_s=_REDRAW_EVERY_S)


def picture_of(stage: Stage) -> Picture:
    """What there is to draw now."""
    wall_us = time.time_ns() // 1000
    return Picture(
        title=stage.where,
        lease=f"{stage.leases.namespace}/{stage.lease}",
        now_s=stage.now_s,
        wall_us=wall_us,
        plan=stage.plan,
        story=stage.story,
        valid_for_s={name: contender.valid_for_s for name, contender in stage.contenders.items()},
        board=stage.node_board,
        fleet=stage.fleet.report(),
        identities=[_seen(stage, identity, wall_us) for identity in stage.identities],
        news=tuple(stage.news),
    )


def _seen(stage: Stage, identity: ApiServerIdentity, wall_us: int) -> IdentitySeen:
    renewed_us = stage.identity_renewed_us.get(identity.name)
    age_s = None if renewed_us is None else (wall_us - renewed_us) / 1e6
    return IdentitySeen(hostname=identity.hostname, name=identity.name, age_s=age_s)


def _tell_progress(stage: Stage, output: Output) -> None:
    counts = stage.node_board.counts(time.time_ns() // 1000)
    report = stage.fleet.report()
    valid_s = max(contender.valid_for_s for contender in stage.contenders.values())
    nodes = ", ".join(f"{counts[one]} {one.value}" for one in (Freshness.FRESH, Freshness.LATE, Freshness.SILENT))
    output.event(
        "progress",
        f"{stage.now_s:5.1f} s  {stage.story.leader or 'nobody'} leads, valid for {valid_s:.1f} s; nodes: {nodes}; "
        f"{report.renewals_per_s:.0f} renewals/s, late by p99 {span(report.lateness.percentile(99))}",
        leader=stage.story.leader,
        valid_for_s=round(valid_s, 3),
        seen={freshness.name.lower(): count for freshness, count in counts.items()},
        fleet=fields_of(report),
        identities=len(stage.identity_renewed_us),
    )
