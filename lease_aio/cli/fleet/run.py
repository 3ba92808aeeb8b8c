"""`lease-aio fleet` from its start to its report."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress

import anyio

from lease_aio.cli.collector import rarely_collecting
from lease_aio.cli.connection import Opened, probe
from lease_aio.cli.exits import CommandFailed
from lease_aio.cli.fleet.options import FleetRun
from lease_aio.cli.fleet.screen import REPORT_EVERY_S, Stage, show
from lease_aio.cli.fleet.telling import Telling, failure_text, undeleted_text
from lease_aio.cli.output import Output
from lease_aio.errors import ApiError, Invalid, NotFound, Refused
from lease_aio.heartbeat import Fleet, FleetReport
from lease_aio.heartbeat.renewal.rules import NODE_LEASES
from lease_aio.heartbeat.report import write_json, write_report

_DELETED_PER_S = 100  # of nodes, by a slow server


async def run_fleet(session: Opened, run: FleetRun, output: Output) -> int:
    """Play the run until its time is over or the command is cancelled; say now and then, and at the end, how it goes.

    Raises:
        ApiError: the server refuses for good, or cannot be reached at the start.
        CommandFailed: an expectation of the scenario did not hold.
    """
    await _ask(session)
    telling = Telling(output)
    where = session.server.url if session.server is not None else "the given cluster"
    stage = Stage(run=run, where=where, fleet=_fleet(session, run, telling), telling=telling)
    _announce(run, output)
    try:
        await _enter_and_play(session, stage, output)
    except anyio.get_cancelled_exc_class():
        _conclude(stage, output)  # if it was stopped before it had begun
        raise
    failures = [failure_text(telling.outcomes, run.scenario.name), undeleted_text(stage.fleet.undeleted, run.name)]
    if run.options.delete and not failures[1]:
        output.event("deleted", "deleted what was created")
    if any(failures):
        raise CommandFailed("; ".join(failure for failure in failures if failure))
    return 0


async def _ask(session: Opened) -> None:
    """What waiting would not mend is said at once. A missing namespace it does mend, and the fleet says so once."""
    with suppress(NotFound):
        await probe(session.leases, namespace=NODE_LEASES)


def _fleet(session: Opened, run: FleetRun, telling: Telling) -> Fleet:
    return session.leases.fleet(
        nodes=run.nodes,
        name=run.name,
        prefix=run.prefix,
        register=run.register,
        status=None if run.options.status else False,
        adopt="any" if run.options.adopt_any else "own",
        partition=run.partition,
        spread_start=run.options.spread,
        delete_on_exit=run.options.delete,
        exit_timeout_s=max(60.0, run.count / _DELETED_PER_S),
        lease_duration_s=run.lease_duration_s,
        on_failure=telling.failed,
    )


def _controller(session: Opened, run: FleetRun) -> AbstractAsyncContextManager[object]:
    """An embedded server has none of its own, so nobody would become Unknown."""
    asked = run.options.controller
    plays = session.server is not None if asked is None else asked
    return session.leases.node_lifecycle() if plays and run.register else nullcontext()


def _write(report: FleetReport, run: FleetRun, output: Output) -> None:
    title = run.scenario.description or run.scenario.name
    if (page := run.options.report) is not None:
        write_report(report, page, title=title)
    if (document := run.options.report_json) is not None:
        write_json(report, document)
    for path in (page, document):
        if path is not None:
            output.event("written", f"wrote {path}", path=str(path))


def _announce(run: FleetRun, output: Output) -> None:
    load = run.load
    interval_s = run.lease_duration_s / 4
    parts = f", part {run.partition[0]} of {run.partition[1]}" if run.partition else ""
    first = f"first renewals spread over {interval_s:g} s" if run.options.spread else "all start at once"
    output.event(
        "registering" if run.register else "starting",
        f"{run.count} nodes{parts}, {first}"
        + (f"; registering {run.count} Node objects first" if run.register else "")
        + f"\n{load.text}",
        nodes=run.count,
        namespace=NODE_LEASES,
        scenario=run.scenario.name,
        expected={
            "renewals_per_s": round(load.renewals_per_s, 1),
            "patches_per_s": round(load.patches_per_s, 1),
            "etcd_bytes_in_5_min": round(load.etcd_bytes),
        },
    )


async def _enter_and_play(session: Opened, stage: Stage, output: Output) -> None:
    with rarely_collecting() as all_are_there:
        async with stage.fleet, _controller(session, stage.run):
            all_are_there()
            async with _metrics(session, stage, output):
                stage.telling.start()
                try:
                    await _play(session, stage, output)
                finally:
                    _conclude(stage, output)


@asynccontextmanager
async def _metrics(session: Opened, stage: Stage, output: Output) -> AsyncGenerator[None]:
    port = stage.run.options.metrics
    if port is None:
        yield
        return
    from lease_aio.telemetry.fleet import FleetCollector  # noqa: PLC0415 - prometheus-client is an extra
    from lease_aio.telemetry.serve import serve_metrics  # noqa: PLC0415

    async with serve_metrics(FleetCollector(session.leases, stage.fleet), port=port) as url:
        output.event("metrics", f"metrics: {url}", url=url)
        yield


async def _play(session: Opened, stage: Stage, output: Output) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(show, stage, output)
        tasks.start_soon(_give_up_when_hopeless, stage)
        await session.leases.play(stage.run.scenario, stage.fleet, on_event=stage.telling.hear)
        tasks.cancel_scope.cancel()


def _conclude(stage: Stage, output: Output) -> None:
    """Say once how it was, while the fleet is still there, and write it."""
    if not stage.telling.concluded:
        report = stage.fleet.report()
        stage.telling.conclude(report)
        _write(report, stage.run, output)


async def _give_up_when_hopeless(stage: Stage) -> None:
    while True:
        await anyio.sleep(REPORT_EVERY_S)
        give_up_if_hopeless(stage.fleet.report(), stage.telling.last_error)


def give_up_if_hopeless(report: FleetReport, error: ApiError | None) -> None:
    """Raise the error of a fleet in which nothing was ever renewed, and which waiting does not mend."""
    if not report.renewals and isinstance(error, Refused | Invalid):
        raise error
