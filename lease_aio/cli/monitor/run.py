"""Runs a monitor until the time is over, and tells what it finds: as a picture, as lines, or as JSON."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass, field
from typing import NoReturn

import anyio
from rich.console import RenderableType

from lease_aio.cli.connection import Opened, reach
from lease_aio.cli.drawing import redraw
from lease_aio.cli.monitor.view import Line, Picture, draw
from lease_aio.cli.monitor.words import (
    Weight,
    event_of,
    summary_fields,
    summary_text,
    text_of,
    weight_of,
)
from lease_aio.cli.output import Output
from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat import Mode, Monitor, MonitorSettings, Verdict
from lease_aio.heartbeat.renewal.rules import NODE_LEASES

_REDRAW_EVERY_S = 0.5
_KEPT_LINES = 100
_MOST_SILENT = 5
_JITTER = 0.04  # of a kubelet's renew interval


@dataclass(frozen=True, kw_only=True, slots=True)
class MonitorOptions:
    """What `monitor` was asked for.

    Attributes:
        settings: What to judge by.
        seconds: How long; infinity until stopped.
        everything: Tell also of new nodes, NoSchedule taints, and zones that are as they should be.

    Raises:
        ConfigurationError: a number is out of range.
    """

    settings: MonitorSettings = field(default_factory=MonitorSettings)
    seconds: float = math.inf
    everything: bool = False

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ConfigurationError(f"--seconds {self.seconds:g} must be more than 0; without it, until stopped")


def monitor_settings(
    *,
    release: str | None,
    grace_s: float | None,
    startup_grace_s: float | None,
    period_s: float | None,
    renew_interval_s: float,
    careful: bool,
    alone: bool,
) -> MonitorSettings:
    """The settings that the options make; what is not given is as in that release, or the newest known.

    Raises:
        ConfigurationError: a value cannot work; named as the option is.
    """
    base = MonitorSettings() if release is None else MonitorSettings.of_release(_minor(release))
    try:
        return MonitorSettings(
            mode=Mode.CAREFUL if careful else base.mode,
            grace_s=base.grace_s if grace_s is None else grace_s,
            startup_grace_s=base.startup_grace_s if startup_grace_s is None else startup_grace_s,
            period_s=base.period_s if period_s is None else period_s,
            renew_interval_s=renew_interval_s,
            live_check=base.live_check,
            evict_in_next_pass=base.evict_in_next_pass,
            heed_written=not alone,
        )
    except ConfigurationError as error:
        raise ConfigurationError(_as_options(str(error))) from error


def _as_options(text: str) -> str:
    """The same, with settings named as the options are."""
    for name in ("startup_grace_s", "renew_interval_s", "grace_s", "period_s"):
        text = text.replace(f"{name}=", f"--{name.removesuffix('_s').replace('_', '-')} ")
    return text


def _minor(release: str) -> int:
    major, _, minor = release.removeprefix("v").partition(".")
    if major != "1" or not minor.partition(".")[0].isdecimal():
        raise ConfigurationError(f"--release {release!r} is none; give one such as 1.31")
    return int(minor.partition(".")[0])


async def run_monitor(session: Opened, options: MonitorOptions, output: Output) -> int:
    """Tell verdicts until the time is over or the command is cancelled, and at the end how it was.

    Raises:
        ApiError: the server refuses for good, or cannot be reached at the start.
    """
    leases, title = session.leases, session.server.url if session.server is not None else "the given cluster"
    await reach(leases, namespace=NODE_LEASES)
    settings = options.settings
    for warning in settings.warnings:
        output.note(f"lease-aio: warning: {_as_options(warning)}")
    if not output.live:
        output.event(
            "monitoring",
            f"grace {settings.grace_s:g} s, a pass every {settings.period_s:g} s, mode {settings.mode.value}",
            mode=settings.mode.value,
            grace_s=settings.grace_s,
            startup_grace_s=settings.startup_grace_s,
            period_s=settings.period_s,
        )
    async with leases.monitor(settings) as monitor:
        voice = _Voice(output, monitor, options, title)
        try:
            with anyio.move_on_after(options.seconds if options.seconds < math.inf else None):
                await voice.speak()
        finally:
            nodes, report = monitor.nodes, monitor.report()
            output.event("report", summary_text(nodes, report), **summary_fields(nodes, monitor.zones, report))
    return 0


class _Voice:
    """Tells each verdict in the way that was asked for."""

    def __init__(self, output: Output, monitor: Monitor, options: MonitorOptions, title: str) -> None:
        self._output, self._monitor, self._options, self._title = output, monitor, options, title
        self._lines: deque[Line] = deque(maxlen=_KEPT_LINES)
        self._started = anyio.current_time()
        settings = monitor.settings
        self._late_s = settings.renew_interval_s * (1 + _JITTER) + settings.period_s  # a sign counts at a pass

    async def speak(self) -> None:
        """Until cancelled."""
        async with anyio.create_task_group() as tasks:
            if self._output.live:
                tasks.start_soon(self._show)
            async for verdict in self._monitor:
                self._tell(verdict)

    def _tell(self, verdict: Verdict) -> None:
        weight = weight_of(verdict)
        if weight is Weight.DETAIL and not self._options.everything:
            return
        text, now = text_of(verdict), time.strftime("%H:%M:%S")
        if self._output.live:
            self._lines.append(Line(time=now, text=text, weight=weight))
        else:
            event, fields = event_of(verdict)
            self._output.event(event, f"{now}  {text}", **fields)

    async def _show(self) -> NoReturn:
        def now(width: int, height: int) -> RenderableType:
            return draw(self._picture(), width, height)

        await redraw(self._output.console, now, every_s=_REDRAW_EVERY_S)

    def _picture(self) -> Picture:
        monitor = self._monitor
        return Picture(
            title=self._title,
            settings=monitor.settings,
            elapsed_s=anyio.current_time() - self._started,
            seconds=self._options.seconds,
            sight=monitor.sight,
            why=monitor.why,
            stopped=monitor.stopped,
            counts=monitor.nodes.by_state(),
            zones=monitor.zones,
            silent=monitor.nodes.most_silent(_MOST_SILENT, longer_than_s=self._late_s),
            lines=tuple(self._lines),
            report=monitor.report(),
        )
