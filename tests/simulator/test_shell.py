"""The whole client under faults, by seed, in virtual time."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator

import pytest
import structlog

from lease_aio.election.candidate import Candidate
from lease_aio.testing.simulator import shell
from lease_aio.testing.simulator.shell import SHELL_FAULTS, ShellViolation, simulate_shell

SEEDS = 80


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Whoever simulates hundreds of failures does not want to read of them."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.mark.slow
def test_whatever_goes_wrong_no_two_bodies_run_tokens_rise_and_somebody_leads():
    outcomes = [simulate_shell(seed) for seed in range(SEEDS)]
    faults = sum((outcome.faults for outcome in outcomes), Counter[str]())
    assert faults.keys() == SHELL_FAULTS.keys(), "a fault that never struck proves nothing"
    assert sum(outcome.terms for outcome in outcomes) > 3 * SEEDS


def test_a_seed_takes_the_same_course_each_time():
    for seed in range(12):
        assert simulate_shell(seed) == simulate_shell(seed)


def test_a_client_that_releases_before_its_work_has_stopped_is_found(monkeypatch):
    """What `client-go` does after a failed renewal, done in the shell: the work's end is told before it has come."""
    stop = Candidate._stop

    def hurried(self, event):
        stop(self, event)
        self._take(self._core.work_stopped(self._engine.clock.now()))

    monkeypatch.setattr(Candidate, "_stop", hurried)
    with pytest.raises(ShellViolation, match=r"(?s)seed \d+: .*\n.*VIOLATION: two bodies run at once"):
        for seed in range(40):
            simulate_shell(seed)


def test_a_leader_that_lives_by_a_slow_clock_of_its_own_is_found(monkeypatch):
    """Clocks that are wrong by more than the bound: nothing is promised, and the simulation shows it."""

    class Slow(shell.VirtualClock):
        def __init__(self, *, rate, offset_s):
            super().__init__(rate=rate if rate > 1 else rate / 3, offset_s=offset_s)

    monkeypatch.setattr(shell, "VirtualClock", Slow)
    with pytest.raises(ShellViolation, match="two bodies run at once"):
        for seed in range(120):
            simulate_shell(seed)
