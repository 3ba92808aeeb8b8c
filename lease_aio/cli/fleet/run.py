"""`lease-aio fleet` from its start to its report."""

from __future__ import annotations

import anyio

from lease_aio.cli.collector import rarely_collecting
from lease_aio.cli.connection import Opened, probe
from lease_aio.cli.exits import CommandFailed
from lease_aio.cli.fleet.options import FleetRun
from lease_aio.cli.fleet.screen import REPORT_EVERY_S, Stage, show
from lease_aio.cli.fleet.telling import Telling, failure_text
from lease_aio.cli.output import Output
from lease_aio.errors import ApiError, Invalid, NotFound, Refused
from lease_aio.heartbeat import Fleet, FleetReport
from lease_aio.heartbeat.rules import NODE_LEASES


async def run_fleet(session: Opened, run: FleetRun, output: Output) -> int:
    """Play the run until its time is over or the command is cancelled; say now and then, and at the end, how it goes.

    Raises:
        ApiError: the server refuses for good, or cannot be reached at the start.
        CommandFailed: an expectation of the scenario did not hold.
    """
    await _ask(session, output)
    telling = Telling(output)
    fleet = _fleet(session, run, telling)
    _announce(run, output)
    with rarely_collecting() as all_are_there:
        async with fleet:
            all_are_there()
            telling.start()
            where = session.server.url if session.server is not None else "the given cluster"
            stage = Stage(run=run, where=where, fleet=fleet, telling=telling)
            await _play(session, stage, output)
    if run.options.delete:
        output.event("deleted", "deleted what was created")
    if failure := failure_text(telling.outcomes, run.scenario.name):
        raise CommandFailed(failure)
    return 0


async def _ask(session: Opened, output: Output) -> None:
    """What waiting would not mend is said at once. A namespace that is missing comes by itself within a minute."""
    try:
        await probe(session.leases, namespace=NODE_LEASES)
    except NotFound:
        output.note(f"lease-aio: namespace {NODE_LEASES} is missing; waiting for the API server to create it")


def _fleet(session: Opened, run: FleetRun, telling: Telling) -> Fleet:
    return session.leases.fleet(
        nodes=run.nodes,
        name=run.name,
        prefix=run.prefix,
        register=run.register,
        partition=run.partition,
        spread_start=run.options.spread,
        delete_on_exit=run.options.delete,
        lease_duration_s=run.lease_duration_s,
        on_failure=telling.failed,
    )


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


async def _play(session: Opened, stage: Stage, output: Output) -> None:
    scenario, telling = stage.run.scenario, stage.telling
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(show, stage, output)
            tasks.start_soon(_give_up_when_hopeless, stage)
            await session.leases.play(scenario, stage.fleet, on_event=telling.hear)
            tasks.cancel_scope.cancel()
    finally:
        telling.end()
        telling.progress("report", telling.now_s(), stage.fleet.report())


async def _give_up_when_hopeless(stage: Stage) -> None:
    while True:
        await anyio.sleep(REPORT_EVERY_S)
        give_up_if_hopeless(stage.fleet.report(), stage.telling.last_error)


def give_up_if_hopeless(report: FleetReport, error: ApiError | None) -> None:
    """Raise the error of a fleet in which nothing was ever renewed, and which waiting does not mend."""
    if not report.renewals and isinstance(error, Refused | Invalid):
        raise error
