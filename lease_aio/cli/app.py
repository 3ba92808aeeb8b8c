"""The commands: options in, one call out. What they do stands in the modules beside this one."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from lease_aio.cli.candidates import coordinate, list_candidates
from lease_aio.cli.connection import Connection, Opened, opened
from lease_aio.cli.demo.plan import plan_for
from lease_aio.cli.demo.run import run_demo
from lease_aio.cli.exits import exit_codes_text
from lease_aio.cli.fleet.listing import list_scenarios
from lease_aio.cli.fleet.options import FleetOptions, decide
from lease_aio.cli.fleet.run import run_fleet
from lease_aio.cli.identity import CollectOptions, PublishOptions, collect, list_identities, publish
from lease_aio.cli.lead import LeadOptions, lead, lead_timing
from lease_aio.cli.members import JoinOptions, join, list_members
from lease_aio.cli.monitor import MonitorOptions, monitor_settings, run_monitor
from lease_aio.cli.options import Context, Embedded, Json, Kubeconfig, Namespace, Verbose
from lease_aio.cli.output import Output
from lease_aio.cli.runner import execute
from lease_aio.cli.serve import serve_until_stopped
from lease_aio.election import Guard
from lease_aio.election.coordinated import FALLBACK_AFTER_S, OLDEST_EMULATION_VERSION, CandidateInfo
from lease_aio.naming import KUBE_APISERVER

Work = Callable[[Opened, Output], Awaitable[int]]

app = typer.Typer(
    name="lease-aio",
    epilog=exit_codes_text(),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - a callback's signature is typer's
    if asked:
        typer.echo(f"lease-aio {version('lease-aio')}")
        raise typer.Exit


@app.callback()
def common(
    *,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Coordination through Kubernetes Leases: leader election, node heartbeats, API server identity."""


identity_app = typer.Typer(help="API server identities in kube-system.", no_args_is_help=True)
app.add_typer(identity_app, name="identity")
candidates_app = typer.Typer(help="Candidates of coordinated elections (KEP-4355).", no_args_is_help=True)
app.add_typer(candidates_app, name="candidates")
members_app = typer.Typer(help="Groups of processes, each with a Lease of its own.", no_args_is_help=True)
app.add_typer(members_app, name="members")


def connection(kubeconfig: Path | None, context: str | None, namespace: str | None, *, embedded: bool) -> Connection:
    """The common options as one value."""
    return Connection(
        kubeconfig=None if kubeconfig is None else str(kubeconfig),
        context=context,
        namespace=namespace,
        embedded=embedded,
    )


def run_connected(
    where: Callable[[], Connection],
    prepare: Callable[[], Work],
    *,
    json: bool,
    verbose: bool,
    guard: Guard | None = None,
) -> None:
    """Prepare a command, open the client, run the one with the other; a bad value is told before anything starts."""
    output = Output(json=json)

    async def run() -> int:
        work = prepare()
        async with opened(where(), guard=guard) as session:
            if session.server is not None:
                output.note(f"embedded API server: {session.server.url}")
            return await work(session, output)

    execute(run, output, verbose=verbose)


@app.command("demo")
def demo_command(
    *,
    seconds: Annotated[float, typer.Option(help="How long; the timings are scaled to fit.")] = 30.0,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Watch elections, 1,000 node heartbeats and API server identities on one client, one loop, one scheduler.

    Runs on an embedded API server, over HTTP on loopback; with --kubeconfig or --context on that cluster, where it
    deletes in the end what it created. One leader crashes, one resigns, 50 nodes fall silent. The report at the end is
    checked against what the server stored; where they differ, the exit code is 1.

    With --json: events demo, started, crashed, restarted, resigned, lost, handover, silenced, progress, report.
    """
    embedded = embedded or (kubeconfig is None and context is None)

    def prepare() -> Work:
        plan = plan_for(seconds)
        return lambda session, output: run_demo(session, plan, output)

    run_connected(
        lambda: connection(kubeconfig, context, namespace, embedded=embedded), prepare, json=json, verbose=verbose
    )


@app.command("serve")
def serve_command(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free one.")] = 0,
    host: Annotated[str, typer.Option(help="A loopback address.")] = "127.0.0.1",
    kubeconfig_out: Annotated[
        Path | None, typer.Option(help="Write a kubeconfig for kubectl and others there, mode 0600; it is not removed.")
    ] = None,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Let --host be one that other machines reach: nothing protects it.")
    ] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Run the embedded API server until it is stopped."""
    output = Output(json=json)

    async def run() -> int:
        return await serve_until_stopped(
            output, host=host, port=port, kubeconfig_out=kubeconfig_out, allow_remote=allow_remote
        )

    execute(run, output, verbose=verbose)


@app.command("lead")
def lead_command(
    *,
    name: Annotated[str, typer.Argument(help="The Lease to hold.")],
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND", help="Run while leading; else the Lease is held until stopped."),
    ] = None,
    identity: Annotated[str | None, typer.Option(help="Written as holder; unique by default.")] = None,
    lease_duration: Annotated[int, typer.Option(help="Seconds that others wait for a silent holder.")] = 15,
    renew_interval: Annotated[float, typer.Option(help="Seconds between two renewals.")] = 3.0,
    grace: Annotated[float, typer.Option(help="Seconds from SIGTERM to SIGKILL for the command.")] = 4.0,
    forever: Annotated[
        bool,
        typer.Option("--forever", help="Contend again when the term is lost, and wait for a server that is away."),
    ] = False,
    guard: Annotated[
        bool,
        typer.Option(
            help="End this process, with code 70, should it be stuck when its term is over; the command dies with it."
        ),
    ] = True,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Contend for a Lease, and run a command while holding it.

    The command has a process group of its own and sees LEASE_AIO_TOKEN, LEASE_AIO_HOLDER and LEASE_AIO_LEASE. When the
    term ends or lease-aio is stopped, the group gets SIGTERM, after the grace SIGKILL, and only then is the Lease
    released. If lease-aio itself is killed or frozen, a guard process kills the group.

    With --json the command's standard output goes to standard error. Events: waiting, started, duplicate, stopped,
    released.
    """

    def prepare() -> Work:
        timing = lead_timing(lease_duration_s=lease_duration, renew_interval_s=renew_interval, grace_s=grace)
        options = LeadOptions(
            name=name, identity=identity, timing=timing, command=tuple(command or ()), forever=forever
        )
        return lambda session, output: lead(session.leases, options, output)

    run_connected(
        lambda: connection(kubeconfig, context, namespace, embedded=embedded),
        prepare,
        json=json,
        verbose=verbose,
        guard=Guard() if guard else None,
    )


@app.command("fleet")
def fleet_command(
    *,
    nodes: Annotated[int | None, typer.Option(help="How many simulated nodes; 100 by default.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Their names are this and a number; `node-` by default.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A YAML file with groups of nodes, their counts, zones and profiles."),
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE", help="What happens to the nodes: the name of a shipped scenario, or a YAML file."
        ),
    ] = None,
    shipped: Annotated[bool, typer.Option("--list-scenarios", help="List the shipped scenarios, and exit.")] = False,
    register: Annotated[
        bool | None,
        typer.Option(
            "--register/--no-register",
            help="Create the Node objects too, with a Ready status; those that it created before are adopted.",
        ),
    ] = None,
    status: Annotated[
        bool, typer.Option("--status/--no-status", help="Report the status of created Nodes, as a kubelet does.")
    ] = True,
    adopt_any: Annotated[
        bool, typer.Option("--adopt-any", help="Take over Nodes that somebody else created; else they are refused.")
    ] = False,
    controller: Annotated[
        bool | None,
        typer.Option(
            "--controller/--no-controller",
            help="Write on silent Nodes that they are Unknown, as kube-controller-manager does; by default with "
            "--embedded, which has none.",
        ),
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete at the end what was created, and no more.")] = False,
    seconds: Annotated[
        float | None, typer.Option(help="How long; by default until the scenario ends, or until stopped.")
    ] = None,
    lease_duration: Annotated[
        int | None, typer.Option(help="Seconds, 40 by default; renewed every quarter of it.")
    ] = None,
    spread: Annotated[
        bool, typer.Option("--spread/--no-spread", help="Spread the first renewals over one interval.")
    ] = True,
    partition: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only part I of N, for N processes that share a fleet.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write the report there at the end, as one page.")
    ] = None,
    report_json: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Write the report there at the end, as JSON.")
    ] = None,
    metrics: Annotated[
        int | None, typer.Option(metavar="PORT", help="Serve Prometheus metrics on this port of loopback; 0 for any.")
    ] = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Send the heartbeats of many simulated nodes, as their kubelets would, to kube-node-lease.

    Shows how it goes, on a terminal as a picture, else every 5 s in a line, and once more at the end. Lateness is how
    long after its time a renewal began; a gap is the time between two renewals of one node.

    A scenario says what happens to which nodes and when, and what the control plane must have made of it by then: if it
    did not, the exit code is 1.

    With --json: events starting or registering, metrics, step, verdict, expectation, progress, report, written,
    deleted.
    """
    if shipped:
        list_scenarios(Output(json=json))
        raise typer.Exit

    def prepare() -> Work:
        run = decide(
            FleetOptions(
                nodes=nodes,
                prefix=prefix,
                config=config,
                scenario=scenario,
                register=register,
                status=status,
                adopt_any=adopt_any,
                controller=controller,
                delete=delete,
                seconds=seconds,
                lease_duration_s=lease_duration,
                spread=spread,
                partition=partition,
                report=report,
                report_json=report_json,
                metrics=metrics,
            )
        )
        return lambda session, output: run_fleet(session, run, output)

    run_connected(lambda: connection(kubeconfig, context, None, embedded=embedded), prepare, json=json, verbose=verbose)


@app.command("monitor")
def monitor_command(
    *,
    release: Annotated[
        str | None, typer.Option(help="Judge as kube-controller-manager of that release, e.g. 1.31.")
    ] = None,
    grace: Annotated[float | None, typer.Option(help="Seconds without a sign of life; 50, before 1.32 40.")] = None,
    startup_grace: Annotated[float | None, typer.Option(help="The same for a Node that never posted a status.")] = None,
    period: Annotated[float | None, typer.Option(help="Seconds between two passes; 5.")] = None,
    renew_interval: Annotated[float, typer.Option(help="How often the leases are renewed.")] = 10.0,
    careful: Annotated[
        bool, typer.Option("--careful", help="Let any change of a Lease count, and no time spent blind.")
    ] = False,
    alone: Annotated[
        bool, typer.Option("--alone", help="Do not take over an Unknown that somebody wrote on a Node.")
    ] = False,
    seconds: Annotated[float | None, typer.Option(help="How long; until stopped by default.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Tell also of new nodes that are Ready, and of NoSchedule taints.")
    ] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Judge which nodes are available, as the control plane does, from their Nodes and Leases; write nothing.

    Shows nodes by state, zones with the rate at which they would be evicted, and each verdict as it comes. Where Nodes
    may not be listed, by their Leases alone.

    With --json: events monitoring, verdict, taint, zone, disruption, blind, report.
    """

    def prepare() -> Work:
        options = MonitorOptions(
            settings=monitor_settings(
                release=release,
                grace_s=grace,
                startup_grace_s=startup_grace,
                period_s=period,
                renew_interval_s=renew_interval,
                careful=careful,
                alone=alone,
            ),
            seconds=math.inf if seconds is None else seconds,
            everything=everything,
        )
        return lambda session, output: run_monitor(session, options, output)

    run_connected(lambda: connection(kubeconfig, context, None, embedded=embedded), prepare, json=json, verbose=verbose)


@identity_app.command("publish")
def identity_publish_command(
    *,
    hostname: Annotated[str | None, typer.Option(help="Of which host; else this one's name.")] = None,
    server: Annotated[str, typer.Option(help="What kind of server; two kinds on one host have two.")] = KUBE_APISERVER,
    peer_address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where other API servers reach it; an annotation.")
    ] = None,
    delete_first: Annotated[
        bool, typer.Option(help="Delete a former process's Lease (as since 1.35), or renew it under its holder.")
    ] = True,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the Lease at the end, to expire and be collected.")
    ] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Publish an API server's identity until stopped, and withdraw it then.

    Tells when a newer process of the host takes the Lease over (superseded) or another renews it, too (shared).

    With --json: events published, superseded, shared, withdrawing (with --keep: leaving).
    """

    def prepare() -> Work:
        options = PublishOptions(
            hostname=hostname, server=server, peer_address=peer_address, delete_first=delete_first, keep=keep
        )
        return lambda session, output: publish(session.leases, options, output)

    run_connected(lambda: connection(kubeconfig, context, None, embedded=embedded), prepare, json=json, verbose=verbose)


@identity_app.command("list")
def identity_list_command(
    *,
    server: Annotated[str, typer.Option(help="Of which kind of server.")] = KUBE_APISERVER,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Then tell each change, until stopped.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """List API server identities, and how fresh each is.

    STATE is fresh, late (missed renewals) or expired (a kube-apiserver would collect it), by this machine's clock.

    With --json: one event identity for each; then, with --watch, watching, and a change for each change.
    """

    def prepare() -> Work:
        return lambda session, output: list_identities(session.leases, output, server=server, watch=watch)

    run_connected(lambda: connection(kubeconfig, context, None, embedded=embedded), prepare, json=json, verbose=verbose)


@identity_app.command("collect")
def identity_collect_command(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="One pass, then end; else one every period, until stopped.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be deleted, and delete nothing.")] = False,
    server: Annotated[str, typer.Option(help="Of which kind of server.")] = KUBE_APISERVER,
    period: Annotated[float, typer.Option(help="Seconds from one pass to the next.")] = 3600.0,
    max_skew: Annotated[
        float, typer.Option(help="Seconds that this machine's clock may differ from the API server's.")
    ] = 60.0,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Delete the identities that have expired, as each kube-apiserver does, and nothing that is renewed.

    Whether one has expired is judged by this machine's clock; one that differs too much from the API server's deletes
    nothing.

    With --json: events collected (for each), not-collected, collection (for each pass), failed.
    """

    def prepare() -> Work:
        options = CollectOptions(server=server, once=once, dry_run=dry_run, period_s=period, max_skew_s=max_skew)
        return lambda session, output: collect(session.leases, options, output)

    run_connected(lambda: connection(kubeconfig, context, None, embedded=embedded), prepare, json=json, verbose=verbose)


@candidates_app.command("run")
def candidates_run_command(
    *,
    name: Annotated[str, typer.Argument(help="The Lease to hold.")],
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND", help="Run while leading; else the Lease is held until stopped."),
    ] = None,
    binary_version: Annotated[str, typer.Option(help="What the program is: strict semver, such as 1.31.0.")],
    emulation_version: Annotated[str, typer.Option(help="Which version it behaves as; the binary's by default.")] = "",
    strategy: Annotated[
        str, typer.Option(help="How the coordinator is to choose; one of your own is example.com/name.")
    ] = OLDEST_EMULATION_VERSION,
    fallback_after: Annotated[
        float, typer.Option(help="Seconds to leave a free Lease to the coordinator, before it is simply taken.")
    ] = FALLBACK_AFTER_S,
    identity: Annotated[str | None, typer.Option(help="Written as holder; unique by default.")] = None,
    lease_duration: Annotated[int, typer.Option(help="Seconds that others wait for a silent holder.")] = 15,
    renew_interval: Annotated[float, typer.Option(help="Seconds between two renewals.")] = 3.0,
    grace: Annotated[float, typer.Option(help="Seconds from SIGTERM to SIGKILL for the command.")] = 4.0,
    forever: Annotated[
        bool,
        typer.Option("--forever", help="Contend again when the term is lost, or another is preferred."),
    ] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Be a candidate of a coordinated election, and run a command while leading, as `lead` does.

    Publishes a LeaseCandidate, waits for the coordinator's choice, makes room for whom it prefers. Where nobody
    coordinates, the Lease is taken after --fallback-after as in a plain election. Events as those of `lead`; the event
    started says whether a coordinator chose: appointed.
    """

    def prepare() -> Work:
        timing = lead_timing(lease_duration_s=lease_duration, renew_interval_s=renew_interval, grace_s=grace)
        info = CandidateInfo(
            binary_version=binary_version,
            emulation_version=emulation_version,
            strategy=strategy,
            fallback_after_s=fallback_after,
        )
        options = LeadOptions(
            name=name,
            identity=identity,
            timing=timing,
            command=tuple(command or ()),
            forever=forever,
            coordinated=info,
        )
        return lambda session, output: lead(session.leases, options, output)

    run_connected(
        lambda: connection(kubeconfig, context, namespace, embedded=embedded),
        prepare,
        json=json,
        verbose=verbose,
        guard=Guard(),
    )


@candidates_app.command("list")
def candidates_list_command(
    *,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Those of all namespaces.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """List candidates, what they say of themselves, and where they stand. With --json: one event candidate for each."""

    def prepare() -> Work:
        return lambda session, output: list_candidates(session.leases, output, everywhere=everywhere)

    run_connected(
        lambda: connection(kubeconfig, context, namespace, embedded=embedded), prepare, json=json, verbose=verbose
    )


@candidates_app.command("coordinate")
def candidates_coordinate_command(
    *,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="For all namespaces.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Be the coordinator until stopped, for a cluster that has none: the oldest emulation version leads.

    Of several, one acts at a time. Events: coordinating, asked, appointed, preferred, stuck.
    """

    def prepare() -> Work:
        return lambda session, output: coordinate(session.leases, output, everywhere=everywhere)

    run_connected(
        lambda: connection(kubeconfig, context, namespace, embedded=embedded), prepare, json=json, verbose=verbose
    )


@members_app.command("join")
def members_join_command(
    *,
    group: Annotated[str, typer.Argument(help="The group: a DNS label of at most 36 characters.")],
    member: Annotated[
        str | None, typer.Option(help="The member's name; whoever had it before is superseded. Unique by default.")
    ] = None,
    lease_duration: Annotated[
        int, typer.Option(help="Seconds that others believe in a silent member; renewed every quarter of it.")
    ] = 15,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Be a member of a group until stopped, and leave it then; ends, with code 1, when another has become this member.

    With --json: events joined, superseded, shared, cleared (a crashed member's Lease), leaving.
    """

    def prepare() -> Work:
        options = JoinOptions(group=group, member=member, lease_duration_s=lease_duration)
        return lambda session, output: join(session.leases, options, output)

    run_connected(
        lambda: connection(kubeconfig, context, namespace, embedded=embedded), prepare, json=json, verbose=verbose
    )


@members_app.command("list")
def members_list_command(
    *,
    group: Annotated[str, typer.Argument(help="The group.")],
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Then tell each change, until stopped.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    embedded: Embedded = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """List whose Leases a group has.

    Who is alive cannot be told at a glance: RENEWED is by the member's clock and this machine's. With --watch it is
    told, by this machine's monotonic clock alone: joined, replaced, lost, returned, left.

    With --json: one event member for each; then, with --watch, watching, and a change for each change.
    """

    def prepare() -> Work:
        return lambda session, output: list_members(session.leases, output, group=group, watch=watch)

    run_connected(
        lambda: connection(kubeconfig, context, namespace, embedded=embedded), prepare, json=json, verbose=verbose
    )
