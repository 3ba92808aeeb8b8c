"""The command: campaigns over many seeds, one seed replayed, mutants, the contrast with client-go, small scope.

python -m lease_aio.testing.simulator --seeds 20000 --processes 2     # exit code 1 on a violation
python -m lease_aio.testing.simulator --replay 147                    # its timeline; shrunk, if it fails
python -m lease_aio.testing.simulator --mutants                       # the kill table, in Markdown
python -m lease_aio.testing.simulator --contrast --seeds 10000        # the same faults, client-go's rules alone
python -m lease_aio.testing.simulator --exhaustive 11                 # every order of so many events
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence

import structlog

from lease_aio.testing.simulator.campaign import Tally, run_campaign
from lease_aio.testing.simulator.exhaustive import explore
from lease_aio.testing.simulator.faults import faults_of
from lease_aio.testing.simulator.invariants import Violation
from lease_aio.testing.simulator.mutants import kill_table
from lease_aio.testing.simulator.plan import Backing, Fleet, Plan
from lease_aio.testing.simulator.report import contrast, summary
from lease_aio.testing.simulator.run import shrink, simulate, trace
from lease_aio.testing.simulator.shell import SHELL_FAULTS, ShellViolation, simulate_shell


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, or 1 if a promise was broken or a fault never struck."""
    options = _parser().parse_args(arguments)
    fleet = Fleet.COORDINATED if options.coordinated else Fleet.MIXED
    plan = Plan(backing=Backing(options.backing), fleet=fleet)
    if options.mutants:
        _say(kill_table())
        return 0
    if options.exhaustive is not None:
        return _exhaust(options.exhaustive)
    if options.replay is not None:
        return _replay(options.replay, plan)
    seeds = range(options.start, options.start + options.seeds)
    if options.shell:
        return _shell(seeds)
    if options.contrast:
        _say(contrast(seeds, processes=options.processes))
        return 0
    return _campaign(seeds, options.processes, plan)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lease_aio.testing.simulator", description="Simulate elections under every fault, by seed."
    )
    parser.add_argument("--seeds", type=_positive, default=2000, metavar="N", help="how many (2000)")
    parser.add_argument("--from", dest="start", type=int, default=0, metavar="S", help="the first one (0)")
    parser.add_argument(
        "--processes", type=_positive, default=os.cpu_count() or 1, metavar="P", help="how many (one a core)"
    )
    parser.add_argument(
        "--backing",
        choices=[each.value for each in Backing],
        default=Backing.AUTO.value,
        help="what keeps the Lease: the embedded server's store, a cheap swap, or both in turn (auto)",
    )
    parser.add_argument(
        "--coordinated", action="store_true", help="a coordinator that comes and goes, and candidates that wait for it"
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--replay", type=int, metavar="SEED", help="run one seed and print its timeline")
    other.add_argument("--mutants", action="store_true", help="print which seeds kill each broken variant")
    other.add_argument("--contrast", action="store_true", help="what client-go's rules do under the same faults")
    other.add_argument("--shell", action="store_true", help="simulate the whole client: slower, fewer faults")
    other.add_argument("--exhaustive", type=_positive, metavar="DEPTH", help="try every order of so many events")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} must be at least 1")
    return number


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


# --- campaigns ----------------------------------------------------------------------------------------------


def _campaign(seeds: range, processes: int, plan: Plan) -> int:
    progress = _Progress(len(seeds))
    tally = run_campaign(seeds, processes=processes, plan=plan, progress=progress)
    progress.end()
    _say(summary(tally, progress.elapsed_s, faults_of(plan)))
    for seed, what in tally.failing:
        _say(f"seed {seed}: {what}")
    if tally.failing:
        _replay(tally.failing[0][0], plan)
    silent = _tell_silent(tally.silent(faults_of(plan)))
    return 1 if tally.violations or silent else 0


class _Progress:
    """One line, written over and over on a terminal; now and then a new one elsewhere."""

    def __init__(self, seeds: int) -> None:
        self._seeds, self._live = seeds, sys.stderr.isatty()
        self._began = time.monotonic()
        self._told = self._began

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def __call__(self, tally: Tally) -> None:
        now = time.monotonic()
        if now - self._told < (0.2 if self._live else 10.0):
            return
        self._told = now
        line = (
            f"{tally.seeds:,} of {self._seeds:,} seeds, {tally.seeds / self.elapsed_s:.0f}/s, "
            f"{tally.faults.total():,} faults, {tally.terms:,} terms, {tally.violations} violations"
        )
        if tally.failing:
            line += f", seed {tally.failing[0][0]} for one"
        sys.stderr.write(f"\r{line}" if self._live else f"{line}\n")
        sys.stderr.flush()

    def end(self) -> None:
        if self._live:
            sys.stderr.write("\n")


def _replay(seed: int, plan: Plan) -> int:
    try:
        timeline = trace(seed, plan=plan)
    except Violation as violation:
        small = shrink(violation)
        struck = ", ".join(f"{fault} ×{count}" for fault, count in sorted(small.faults.items())) or "no fault at all"
        _say(f"seed {seed} breaks {small.invariant}: {small.what}\nshrunk to {struck}:\n\n{small.timeline}\n")
        again = "--coordinated --replay" if plan.fleet is Fleet.COORDINATED else "--replay"
        _say(f"trace {small.digest}\nagain: python -m lease_aio.testing.simulator {again} {seed}")
        return 1
    outcome = simulate(seed, plan=plan)
    _say(f"{timeline.text()}\n\ntrace {timeline.digest}\n{outcome.terms} terms, {outcome.faults.total()} faults")
    return 0


def _exhaust(depth: int) -> int:
    for held, begin in ((False, "nothing is known"), (True, "one leads, one waits")):
        began = time.monotonic()
        seen = explore(depth, held=held)
        _say(
            f"from where {begin}: every order of {depth} events, {seen.states:,} states, {seen.transitions:,} "
            f"transitions, up to {seen.terms} terms and {seen.deepest_s:g} s, 0 violations, "
            f"{time.monotonic() - began:.1f} s"
        )
    return 0


def _shell(seeds: range) -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    faults, terms, broken = Counter[str](), 0, 0
    began = time.monotonic()
    for seed in seeds:
        try:
            outcome = simulate_shell(seed)
        except ShellViolation as violation:
            broken += 1
            _say(str(violation))
        else:
            faults.update(outcome.faults)
            terms += outcome.terms
    rate = len(seeds) / (time.monotonic() - began)
    _say("\n".join(f"| {fault} | {faults[fault]:,} | {what} |" for fault, what in SHELL_FAULTS.items()))
    _say(f"{len(seeds):,} seeds of the whole client, {rate:.0f}/s, {terms:,} terms, {broken} violations")
    return 1 if broken or _tell_silent([fault for fault in SHELL_FAULTS if not faults[fault]]) else 0


def _tell_silent(faults: Sequence[str]) -> bool:
    """Whether there is any fault that never struck: it was not tested."""
    if faults:
        _say(f"never struck, so not tested (run more seeds): {', '.join(faults)}")
    return bool(faults)
