"""How a fleet is shown while it runs: a picture that redraws itself, or a line now and then."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NoReturn

import anyio
from rich.console import RenderableType

from lease_aio.cli.drawing import redraw
from lease_aio.cli.fleet.options import FleetRun
from lease_aio.cli.fleet.telling import Telling
from lease_aio.cli.fleet.view import Picture, draw
from lease_aio.cli.output import Output
from lease_aio.heartbeat import Fleet
from lease_aio.heartbeat.scenario.model import Expectation
from lease_aio.heartbeat.scenario.player import in_order

REPORT_EVERY_S = 5.0
_REDRAW_EVERY_S = 0.5
_MOST_OF_THE_LOOP = 0.05  # renewals come first: to look at 100,000 nodes takes 50 ms
_RATES_KEPT = 140


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """What is shown.

    Attributes:
        run: What was decided.
        where: The server, in words.
        fleet: The nodes.
        telling: Who speaks.
    """

    run: FleetRun
    where: str
    fleet: Fleet
    telling: Telling


async def show(stage: Stage, output: Output) -> None:
    """Show it until cancelled."""
    if output.live:
        await _show_live(stage, output)
    else:
        await _tell_lines(stage)


async def _tell_lines(stage: Stage) -> None:
    start, number = anyio.current_time(), 0
    while True:
        number += 1
        await anyio.sleep_until(start + number)
        stage.telling.tick()
        if number % int(REPORT_EVERY_S) == 0 and stage.telling.now_s() < stage.run.scenario.duration_s - 0.5:
            stage.telling.progress("progress", stage.telling.now_s(), stage.fleet.report())


async def _show_live(stage: Stage, output: Output) -> NoReturn:
    painter = Painter(stage)

    def now(width: int, height: int) -> RenderableType:
        stage.telling.tick()
        return draw(painter.picture(), width, height)

    await redraw(output.console, now, every_s=_REDRAW_EVERY_S, most_of_the_loop=_MOST_OF_THE_LOOP)


class Painter:
    """Gathers what there is to draw; keeps how many renewals there were in each second."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._rates: deque[int] = deque(maxlen=_RATES_KEPT)
        self._second, self._renewals = int(stage.telling.now_s()), stage.fleet.report().renewals
        scenario = stage.run.scenario
        self._plot = [
            (one.at_s, f"expect {one.text}" if isinstance(one, Expectation) else one.text)
            for one in in_order(scenario)
            if one.text
        ]

    def picture(self) -> Picture:
        """What there is to draw now."""
        stage, report, now_s = self._stage, self._stage.fleet.report(), self._stage.telling.now_s()
        if int(now_s) > self._second:
            passed, self._second = int(now_s) - self._second, int(now_s)
            self._rates.extend([(report.renewals - self._renewals) // passed] * min(passed, _RATES_KEPT))
            self._renewals = report.renewals
        scenario = stage.run.scenario
        return Picture(
            title=stage.where,
            scenario=scenario.name,
            now_s=now_s,
            duration_s=scenario.duration_s,
            report=report,
            due_per_s=report.nodes * report.parameters.due_per_s,
            rates=tuple(self._rates),
            upcoming=[one for one in self._plot if one[0] >= now_s],
            outcomes=stage.telling.outcomes,
            expected=len(scenario.expectations),
            news=stage.telling.news,
        )
