"""What `fleet` was asked for, and what follows from all of it together. Pure, but for the files that are named."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from lease_aio.cli.fleet.load import Load, expected_load
from lease_aio.errors import ConfigurationError
from lease_aio.heartbeat import NodeGroup
from lease_aio.heartbeat.report.files import check_writable
from lease_aio.heartbeat.scenario import FleetSpec, Scenario, load_fleet, load_scenario
from lease_aio.heartbeat.scenario.model import BY_NODE, Verb
from lease_aio.heartbeat.scenario.units import duration_text
from lease_aio.naming import check_lease_name
from lease_aio.timing import check_duration

T = TypeVar("T")
_NODES, _PREFIX, _LEASE_DURATION_S, _NAME = 100, "node-", 40, "fleet"
_STEPS = "steps of the command line"


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetOptions:
    """The options, as they were given; None for those that were not.

    Attributes:
        nodes: How many.
        prefix: Of their names.
        config: A fleet file instead of those two.
        scenario: The name of a shipped one, or a file.
        steps: Steps beside those of the scenario, each as it would stand in its file.
        register: Create the Nodes too, with a Ready status.
        status: Report their status, where Nodes are created.
        adopt_any: Take over Nodes that another owner made.
        delete: Delete at the end what was created.
        seconds: How long.
        lease_duration_s: Whole seconds; renewed every quarter of it.
        spread: Spread the first renewals over one interval.
        partition: This process's part, as `I/N`.
        report: Where the report goes, as a page.
        report_json: Where it goes as JSON.
        metrics: The port where Prometheus finds the numbers.
        controller: Play the control plane's part, too.
    """

    nodes: int | None = None
    prefix: str | None = None
    config: Path | None = None
    scenario: str | None = None
    steps: Sequence[str] = ()
    register: bool | None = None
    status: bool = True
    adopt_any: bool = False
    delete: bool = False
    seconds: float | None = None
    lease_duration_s: int | None = None
    spread: bool = True
    partition: str | None = None
    report: Path | None = None
    report_json: Path | None = None
    metrics: int | None = None
    controller: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetRun:
    """What is to be done, decided.

    Attributes:
        options: As given.
        nodes: How many, or the groups of a file.
        prefix: Where it is a number.
        name: The fleet's.
        register: Whether Nodes are created.
        lease_duration_s: Whole seconds.
        partition: This process's part, and how many there are.
        scenario: What happens; without `--scenario` and `--step` nothing, for as long as it was asked for.
    """

    options: FleetOptions
    nodes: int | Sequence[NodeGroup]
    prefix: str
    name: str
    register: bool
    lease_duration_s: int
    partition: tuple[int, int] | None
    scenario: Scenario

    @property
    def status(self) -> bool:
        """Whether the status of Nodes is reported."""
        return self.register and self.options.status

    @property
    def count(self) -> int:
        """All nodes, also those of other processes."""
        return self.nodes if isinstance(self.nodes, int) else sum(group.count for group in self.nodes)

    @property
    def load(self) -> Load:
        """What this process will ask of the API server."""
        part = self.count / (self.partition[1] if self.partition else 1)
        return expected_load(part, lease_duration_s=self.lease_duration_s, status=self.status)


def decide(options: FleetOptions) -> FleetRun:
    """Put the options and the files together.

    Raises:
        ConfigurationError: one of them cannot be, or they do not go together.
    """
    _check_outlets(options)
    scenario = _with_steps(_scenario(options), options.steps)
    spec = load_fleet(options.config) if options.config is not None else scenario.fleet
    if spec is not None:
        _check_alone(options, spec is scenario.fleet)
        scenario = replace(scenario, fleet=spec)
        scenario.check_groups()
    said = spec or FleetSpec(groups=())
    run = FleetRun(
        options=options,
        nodes=spec.groups if spec is not None else _count(options.nodes),
        prefix=_prefix(options.prefix),
        name=_first(said.name, _NAME),
        register=_first(options.register, said.register, False),  # noqa: FBT003
        lease_duration_s=_first(_lease_duration(options.lease_duration_s), said.lease_duration_s, _LEASE_DURATION_S),
        partition=None if options.partition is None else _partition(options.partition),
        scenario=scenario,
    )
    _check_needs(run)
    return run


def _check_outlets(options: FleetOptions) -> None:
    """What cannot be written at the end is told at the start."""
    for path in (options.report, options.report_json):
        if path is not None:
            check_writable(path)
    if options.report is not None and importlib.util.find_spec("plotly") is None:
        raise ConfigurationError('--report needs plotly, which draws its plots: pip install "lease-aio[report]"')
    if options.metrics is None:
        return
    if not 0 <= options.metrics <= 65_535:
        raise ConfigurationError(f"--metrics {options.metrics} is no port: give one from 1 to 65535, or 0 for any")
    if importlib.util.find_spec("prometheus_client") is None:
        raise ConfigurationError('--metrics needs prometheus-client: pip install "lease-aio[metrics]"')


def _first(*values: T | None) -> T:
    return next(value for value in values if value is not None)


def _scenario(options: FleetOptions) -> Scenario:
    seconds = options.seconds
    if seconds is not None and not seconds > 0:
        raise ConfigurationError(f"--seconds {seconds:g} must be more than 0; without it, until stopped")
    if options.scenario is None:
        return Scenario(name="", duration_s=math.inf if seconds is None else seconds)
    scenario = load_scenario(options.scenario)
    if seconds is None:
        return scenario
    if seconds < scenario.duration_s:
        raise ConfigurationError(
            f"--seconds {seconds:g} is less than the {duration_text(scenario.duration_s)} of scenario "
            f"{scenario.name!r}: leave it out, or give more"
        )
    return replace(scenario, duration_s=seconds)


def _with_steps(scenario: Scenario, steps: Sequence[str]) -> Scenario:
    for step in steps:
        if not step.lstrip().startswith("{"):
            raise ConfigurationError(
                f"--step {step!r} must stand in braces: --step '{{at: 60s, silence: all, for: 90s}}'"
            )
    named = replace(scenario, name=scenario.name or _STEPS) if steps else scenario
    return named.with_steps(steps, source="--step")


def _check_alone(options: FleetOptions, of_scenario: bool) -> None:  # noqa: FBT001
    """A file says itself how many nodes there are and what they are called."""
    for option, value in (("--nodes", options.nodes), ("--prefix", options.prefix)):
        if value is not None:
            what = "the scenario has a fleet of its own" if of_scenario else "--config says which nodes there are"
            raise ConfigurationError(f"{option} {value} does not go with it: {what}; leave {option} out")


def _count(nodes: int | None) -> int:
    if nodes is not None and nodes < 1:
        raise ConfigurationError(f"--nodes {nodes} must be 1 or more")
    return _NODES if nodes is None else nodes


def _lease_duration(seconds: int | None) -> int | None:
    if seconds is not None:
        try:
            check_duration(seconds)
        except ConfigurationError as error:
            raise ConfigurationError(f"--lease-duration {seconds}: {error}") from error
    return seconds


def _prefix(prefix: str | None) -> str:
    found = _PREFIX if prefix is None else prefix
    try:
        check_lease_name(f"{found}0")
    except ConfigurationError as error:
        raise ConfigurationError(f"--prefix {found!r}: {error}") from error
    return found


def _partition(text: str) -> tuple[int, int]:
    index, _, of = text.partition("/")
    if not (index.isdecimal() and of.isdecimal() and int(index) < int(of)):
        raise ConfigurationError(f"--partition {text!r} must be I/N with 0 ≤ I < N: 0/2 and 1/2 for two processes")
    return int(index), int(of)


def _check_needs(run: FleetRun) -> None:
    """What a scenario does to Nodes, or expects of them, needs Nodes."""
    looks = [(one.place, one.measure.value) for one in run.scenario.expectations if one.measure in BY_NODE]
    says = [(one.place, one.deed.verb.value) for one in run.scenario.steps if one.deed.verb is Verb.UNREADY]
    for place, what in [*looks, *says]:
        if not run.register:
            raise ConfigurationError(f"{place}: {what} is said of Node objects, and there are none: give --register")
    for place, what in says:
        if not run.status:
            raise ConfigurationError(f"{place}: {what} is told in a Node's status: leave out --no-status")
